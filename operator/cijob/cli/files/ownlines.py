"""The lines of a job's log that are not the job's: those by which files come in and go out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How the entries of a script begin that do it.
MARK: Final = "cijob_transfer="
_SAYS: Final = b"cijob: "
_MARKS: Final = re.compile(_SAYS + rb"|\$ " + MARK.encode())
_TOKEN: Final = re.compile(rf"{MARK}([\w-]+) ", re.ASCII)


def token_of(job: Mapping[str, Any]) -> str:
    """The token that marks these lines, of a raw CiJob; empty where there are none."""
    spec = job["spec"]
    entries = [*(spec.get("beforeScript") or ()), *(spec.get("afterScript") or ())]
    return next((found[1] for entry in entries if (found := _TOKEN.match(entry))), "")


@dataclass(frozen=True, slots=True)
class Marked:
    """A line of ours: what the job printed without a newline before, and what follows the token; `says`: cijob itself says it."""

    before: bytes
    behind: bytes
    says: bool


def marked(line: bytes, token: str) -> Marked | None:
    """A line with the token and a mark before it; None for any other, such as what `set -x` makes of it."""
    head, there, behind = line.rpartition(token.encode())
    if not there:
        return None
    begin = max(head.rfind(b"\r"), head.rfind(b"\n")) + 1
    found = _MARKS.search(head, begin)
    return None if found is None else Marked(head[: found.start()], behind, says=found[0] == _SAYS)


def own_part(line: bytes, token: str) -> bytes:
    """What of a line is the job's own: nothing, or what was printed without a newline before."""
    if not token or token.encode() not in line:
        return line
    found = marked(line, token)
    return found.before + b"\n" if found is not None and found.before else b""


def last_own(pieces: Sequence[bytes], count: int, token: str) -> Sequence[bytes] | None:
    """The end of a log that has so many lines of the job's own; None if there are fewer.

    Args:
        pieces: lines with their newline, the last one maybe without, and parts of very long lines.
        count: how many lines are wanted.
        token: as in `own_part`.
    """
    begin = len(pieces)
    while count > 0 and begin > 0:
        begin -= 1
        if (begin == 0 or pieces[begin - 1].endswith(b"\n")) and own_part(pieces[begin], token):
            count -= 1
    return pieces[begin:] if count == 0 else None
