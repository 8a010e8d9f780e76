"""A verdict, and the text that goes with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cijob.models import Phase
from cijob.reasons import MESSAGES, Reason

MAX_MESSAGE: Final = 1024
#: What terminals obey: CSI sequences such as colours, strings such as titles and links, short ones (ECMA-48, 5.3 to 5.6).
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a CiJob ended. It is final."""

    phase: Phase
    reason: Reason
    message: str
    exit_code: int | None = None
    #: The container whose log's last lines belong to the message, where they have not been read; empty for none.
    log_of: str = ""


def verdict(reason: Reason, detail: str = "", exit_code: int | None = None, *, log_of: str = "") -> Verdict:
    """The verdict of a reason, its sentence followed by the detail of the case."""
    phase = {Reason.COMPLETED: Phase.SUCCEEDED, Reason.CANCELLED: Phase.CANCELLED}.get(reason, Phase.FAILED)
    message = message_of(reason, detail)
    return Verdict(phase=phase, reason=reason, message=message, exit_code=exit_code, log_of=log_of)


def message_of(reason: Reason, detail: str = "") -> str:
    """The reason's sentence and the detail on one line of printable characters, cut at 1,024 of them."""
    return shortened(printable(f"{MESSAGES[reason]} {detail}"), MAX_MESSAGE)


def printable(text: str) -> str:
    """A text on one line, without what steers terminals: control characters and sequences, marks of direction."""
    text = _SEQUENCE.sub("", text)
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def shortened(text: str, length: int) -> str:
    """A text of at most so many characters, which shows where it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def last_lines(text: str, length: int) -> str:
    """The lines of a text as one of at most so many characters; of a long one its end, which says most."""
    text = " / ".join(line for line in map(printable, text.splitlines()) if line)
    return text if len(text) <= length else "…" + text[len(text) - length + 1 :]
