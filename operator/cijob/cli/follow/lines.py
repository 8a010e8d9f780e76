"""The lines of a container's log, each once, however often the connection breaks. Pure.

A log is read with timestamps, which the kubelet puts in front of each line (`2026-01-31T12:00:00.123456789Z `; it is the
time of the line's first part: a container runtime stores lines longer than 16 KiB in parts, each with a time of its own).
When a connection breaks, the next one asks for what is not older than a time, and gets lines again that were seen.
What makes this less simple than it looks:

- `sinceTime` is cut to whole seconds on its way to the kubelet (`metav1.Time` in apimachinery's types), and is compared
  with each part of a long line (kubelet, `pkg/kubelet/kuberuntime/logs`, `logWriter.write`): an answer may begin with
  the tail of a line whose head is too old.
- stdout and stderr reach the file through two routines of the runtime: times may go back a little.
- Two lines may have one time.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

#: What has come of a longer line is passed on before its end: a job must not fill our memory.
MOST_BYTES: Final = 1024 * 1024
#: How far times in a log may go back, in whole seconds.
_DISORDER: Final = 1
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")

Moment = tuple[int, int]
"""Seconds since 1970, nanoseconds."""


class LogLines:
    """What was seen of a log, over all connections.

    For each connection: `begin`, then `feed` with what comes; when all has come, `finish`.
    """

    def __init__(self, *, timestamps: bool = False) -> None:
        #: What the kubelet itself said instead of a line, in the newest answer.
        self.remarks: list[str] = []
        #: Whether the newest answer should have repeated a line and did not: lines between were rotated away.
        self.gap = False
        self._timestamps = timestamps
        self._newest: Moment | None = None
        #: How often a timestamp was seen, by its second; only of the newest seconds.
        self._seen: dict[int, Counter[bytes]] = {}
        #: Those of `_seen` that this answer has not repeated yet.
        self._repeats: dict[int, Counter[bytes]] = {}
        #: Whether the first line that was seen is still to come, in an answer that repeats lines.
        self._before = False
        self._buffer = b""
        #: The line that the buffer goes on with, if it does not begin one: its timestamp, and whether it is new.
        self._line: tuple[bytes, bool] | None = None
        #: Bytes of that line that came before the buffer.
        self._offset = 0
        #: The timestamp of a line that was passed on in part, and how much of it.
        self._open, self._passed = b"", 0

    @property
    def since(self) -> str | None:
        """The sinceTime of the next request; None while no line was seen."""
        if self._newest is None:
            return None
        return datetime.fromtimestamp(self._oldest(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def begin(self) -> None:
        """A new connection."""
        self._buffer, self._line, self._offset = b"", None, 0
        self.remarks, self.gap = [], False
        self._repeats = {second: Counter(stamps) for second, stamps in self._seen.items()}
        self._before = self._newest is not None

    def feed(self, data: bytes) -> list[bytes]:
        """What is new in it: whole lines with their newline, and parts of very long ones."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        pieces = [self._part(line + b"\n", end=True) for line in lines]
        if len(self._buffer) > MOST_BYTES:
            pieces.append(self._part(self._buffer, end=False))
            self._buffer = b""
        return [piece for piece in pieces if piece]

    def finish(self) -> list[bytes]:
        """The log is at its end: what is left of a last line without a newline."""
        piece = self._part(self._buffer, end=True) if self._buffer else b""
        self._buffer = b""
        return [piece] if piece else []

    def _part(self, data: bytes, *, end: bool) -> bytes:
        """What to pass on of a line, or of the next part of one; `end`: it is the last."""
        if self._line is None:
            found = _STAMP.match(data)
            if found is None:
                self.remarks.append(data.decode(errors="replace").strip())
                self._line = b"", False
            else:
                self._line = found[0], self._is_new(found[0])
                data = data[found.end() :]
        stamp, new = self._line
        piece = self._rest(stamp, data) if new else b""
        if not end:
            return piece
        if new:
            self._note(stamp)
            self._open, self._passed = b"", 0
        self._line, self._offset = None, 0
        return piece

    def _rest(self, stamp: bytes, data: bytes) -> bytes:
        """What no connection has passed on yet of a part of a new line."""
        if stamp != self._open:
            self._open, self._passed = stamp, 0
        begin = self._offset
        self._offset += len(data)
        rest = data[max(0, self._passed - begin) :]
        if self._timestamps and self._passed == 0 and begin == 0:
            rest = stamp + rest
        self._passed = max(self._passed, self._offset)
        return rest

    def _is_new(self, stamp: bytes) -> bool:
        at = moment(stamp)
        left = self._repeats.get(at[0])
        if left is not None and left[stamp] > 0:
            left[stamp] -= 1
            self._before = False
            return False
        if self._before and self._newest is not None:
            # What is in front of the first line that was seen is older: the tail of a line, or what `tail` left out.
            if at <= self._newest:
                return False
            self._before, self.gap = False, True
        return True

    def _note(self, stamp: bytes) -> None:
        at = moment(stamp)
        if self._newest is None or at > self._newest:
            self._newest = at
            for second in [one for one in self._seen if one < self._oldest()]:
                del self._seen[second]
        if at[0] >= self._oldest():
            self._seen.setdefault(at[0], Counter())[stamp] += 1

    def _oldest(self) -> int:
        return self._newest[0] - _DISORDER if self._newest is not None else 0


def moment(stamp: bytes) -> Moment:
    """The time of a timestamp."""
    found = _STAMP.match(stamp)
    if found is None:
        raise ValueError(f"{stamp!r} is no timestamp")
    return _second(found[1], found[3]), int((found[2] or b"0").ljust(9, b"0"))


@lru_cache(maxsize=16)
def _second(date: bytes, zone: bytes) -> int:
    return int(datetime.fromisoformat((date + zone).decode()).timestamp())
