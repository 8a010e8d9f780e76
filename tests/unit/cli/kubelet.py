"""A FAKE kubelet: the log of a container as the real one answers for it (kubelet, `pkg/kubelet/kuberuntime/logs`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

NANO = 1_000_000_000


@dataclass
class LogFile:
    """The log of a container: its lines in parts, each with the nanoseconds since 1970 at which it was written."""

    lines: list[list[tuple[int, bytes]]] = field(default_factory=list)

    def write(self, *parts: tuple[int, bytes]) -> None:
        """A line; what it holds but a newline at its end is as the runtime cut it."""
        self.lines.append(list(parts))

    @property
    def text(self) -> bytes:
        """What the container wrote."""
        return b"".join(part for line in self.lines for _, part in line)

    def answer(self, since: str | None = None, tail: int | None = None) -> bytes:
        """With timestamps=true and sinceTime, which has reached the kubelet without its fraction, or tailLines."""
        oldest = 0 if since is None else int(datetime.fromisoformat(since).timestamp()) * NANO
        found, at_start = b"", True
        for line in self.lines if tail is None else self.lines[max(0, len(self.lines) - tail) :]:
            for at, part in line:
                if at < oldest:
                    continue
                found += (stamp(at) if at_start else b"") + part
                at_start = part.endswith(b"\n")
        return found


def stamp(at: int) -> bytes:
    """A time as the kubelet writes it in front of a line."""
    date = datetime.fromtimestamp(at // NANO, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{date}.{at % NANO:09d}Z ".encode()
