"""What a CiJob's state means to those who wait for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from cijob.cli.console import plain
from cijob.cli.errors import Exit
from cijob.cli.follow.follow import Outcome
from cijob.cli.looking.jobs import FINISHED
from cijob.models import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Reasons that say no more than the phase.
_SAID_BY_PHASE: Final = frozenset({"Completed", "Cancelled"})


class Goal(StrEnum):
    """What is waited for."""

    FINISHED = "finished"
    SUCCEEDED = "succeeded"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class State:
    """Where a CiJob is in its life; texts are fit for a terminal."""

    name: str
    phase: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.phase in FINISHED

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason and self.reason not in _SAID_BY_PHASE else ""
        return f"{self.phase}{why}"


def state_of(body: Mapping[str, Any]) -> State:
    """The state that a raw CiJob tells of."""
    status = body.get("status") or {}
    code = status.get("exitCode")
    return State(
        name=str(body["metadata"]["name"]),
        phase=plain(str(status.get("phase") or "Pending")),
        reason=plain(str(status.get("reason") or "")),
        message=" ".join(plain(str(status.get("message") or "")).split()),
        exit_code=code if isinstance(code, int) else None,
    )


def exit_code(state: State) -> int:
    """The exit code of a command that ran or waited for this CiJob, which has ended."""
    return Outcome(Phase(state.phase), state.reason, state.message, state.exit_code, attempt=1).code


def settled(state: State, goal: Goal) -> bool:
    """Whether nothing more is to be waited for in this CiJob."""
    return state.finished or (goal is Goal.RUNNING and state.phase == "Running")


def over(states: Iterable[State], goal: Goal) -> bool:
    """Whether waiting for all of these is over: each is settled, or one has ended so that the goal is out of reach."""
    found = list(states)
    failed = goal is Goal.SUCCEEDED and any(one.finished and one.phase != "Succeeded" for one in found)
    return failed or all(settled(one, goal) for one in found)


def overall(states: Iterable[State]) -> int:
    """The exit code for several: that of the first, in order, that ended badly; 0 if none has."""
    codes = (exit_code(one) for one in states if one.finished)
    return next((code for code in codes if code != Exit.OK), Exit.OK)
