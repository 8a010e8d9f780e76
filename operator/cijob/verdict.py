"""A verdict, and the text that goes with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cijob.models import Phase
from cijob.reasons import MESSAGES, Reason

_MAX_MESSAGE: Final = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a CiJob ended. It is final."""

    phase: Phase
    reason: Reason
    message: str
    exit_code: int | None = None


def verdict(reason: Reason, detail: str = "", exit_code: int | None = None) -> Verdict:
    """The verdict of a reason, its sentence followed by the detail of the case."""
    phase = {Reason.COMPLETED: Phase.SUCCEEDED, Reason.CANCELLED: Phase.CANCELLED}.get(reason, Phase.FAILED)
    return Verdict(phase=phase, reason=reason, message=message_of(reason, detail), exit_code=exit_code)


def message_of(reason: Reason, detail: str = "") -> str:
    """The reason's sentence and the detail on one line without control characters, cut at 1,024 characters."""
    text = _CONTROL.sub(" ", f"{MESSAGES[reason]} {detail}").strip()
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
