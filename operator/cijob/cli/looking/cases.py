"""What there is to say in a case: the advice on its reason, and for a failed script what its exit code and message tell. Pure."""

from __future__ import annotations

from typing import Final

from cijob.cli.looking.advice import DIND, ENDS, WAITS, Advice
from cijob.reasons import Reason

#: What the operator adds to a message, and what it asks for.
_SAID: Final = (
    (
        "was killed for memory",
        (
            "A container that the job ran in Docker ran out of memory: raise that container's own limit, or "
            "spec.docker.resources.limits.memory for all of them together."
        ),
    ),
    ("Docker's disk is full", "Raise spec.docker.storage.size, or remove images between steps: `docker system prune`."),
)
_EXITS: Final = {
    125: f"Docker itself could not run the container: {DIND}",
    126: "Make the file executable (chmod +x), and check that it is made for this processor.",
    127: "Install the command in spec.beforeScript, or take an image that has it.",
    137: "Something killed it, often for want of memory: raise spec.resources.limits.memory.",
    139: "The program crashed: it may be made for another processor or C library than the image has.",
}


def advice_on(reason: str, exit_code: int | None, message: str) -> Advice | None:
    """What there is to say on the end of a job or of an attempt; None for a reason that is newer than this command."""
    advice = {str(one): advice for one, advice in ENDS.items()}.get(reason)
    if advice is None or reason != Reason.SCRIPT_FAILED:
        return advice
    special = [step for said, step in _SAID if said in message]
    if not special and exit_code in _EXITS:
        special = [_EXITS[exit_code]]
    return Advice(advice.fault, advice.why, (*special, *advice.steps))


def steps_while_waiting(reason: str) -> tuple[str, ...]:
    """What to try while a job waits for this reason."""
    return {str(one): steps for one, steps in WAITS.items()}.get(reason, ())
