"""What a person sees of a pipeline: the tree while it runs, and the summary at its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.cli.pipeline.schedule import Result, State
from cijob.cli.printing import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cijob.cli.pipeline.schedule import Schedule
    from cijob.importers.gitlab.model import PipelineJob

#: Of each state: its mark, the same for terminals without Unicode, and a style of `console`.
MARKS: Final[dict[State, tuple[str, str, str]]] = {
    State.CREATED: ("·", ".", "quiet"),
    State.DELAYED: ("·", ".", "waiting"),
    State.PENDING: ("·", ".", "waiting"),
    State.RUNNING: ("●", "*", "busy"),
    State.SUCCEEDED: ("✓", "+", "good"),
    State.FAILED: ("✗", "x", "bad"),
    State.FORGIVEN: ("!", "!", "waiting"),
    State.CANCELLED: ("✗", "x", "waiting"),
    State.SKIPPED: ("-", "-", "quiet"),
    State.MANUAL: ("▷", ">", "quiet"),
    State.BLOCKING: ("▷", ">", "waiting"),
}
_QUIET: Final = frozenset({State.SUCCEEDED, State.SKIPPED, State.MANUAL, State.CREATED})


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a job beside its state.

    Attributes:
        cijob: the name of its CiJob; empty before that is created.
        doing: what it does now, in a sentence.
        began, ended: seconds of some clock; None before.
        due: of a delayed job, when its delay is over, by the same clock.
        why: after a failure, what went wrong.
    """

    cijob: str = ""
    doing: str = ""
    began: float | None = None
    ended: float | None = None
    due: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree: `depth` steps in; a heading has no state."""

    depth: int
    name: str
    text: str = ""
    state: State | None = None


NOTHING: Final = Sight()


def tree(schedule: Schedule, sights: Mapping[str, Sight], now: float, height: int) -> list[Row]:
    """The stages and their jobs, in at most so many lines: stages where little happens become one line each.

    First those that have not begun, then those that ended well; what still does not fit is counted in the last line.
    """
    stages = [(stage, _of_stage(schedule, stage)) for stage in schedule.pipeline.stages]
    stages = [(stage, jobs) for stage, jobs in stages if jobs]
    folded: set[str] = set()
    for only in (frozenset({State.CREATED}), _QUIET):
        if _height(stages, folded) > height:
            folded |= {stage for stage, jobs in stages if {schedule.states[job.name] for job in jobs} <= only}
    rows: list[Row] = []
    for stage, jobs in stages:
        if stage in folded:
            rows.append(Row(0, stage, _counted(schedule, jobs)))
        else:
            rows.append(Row(0, stage))
            rows += [_row(schedule, job, sights.get(job.name, NOTHING), now) for job in jobs]
    if len(rows) <= height:
        return rows
    kept = max(0, height - 1)
    return [*rows[:kept], Row(0, f"and {len(rows) - kept} more lines")][:height]


def summary(schedule: Schedule, sights: Mapping[str, Sight]) -> list[tuple[State, str, str, str]]:
    """Of each job: its state, its name, how long it took, and what to know of its end; in the order of the stages."""
    found = []
    for stage in schedule.pipeline.stages:
        for job in _of_stage(schedule, stage):
            sight, state = sights.get(job.name, NOTHING), schedule.states[job.name]
            took = duration(sight.ended - sight.began) if sight.began is not None and sight.ended is not None else ""
            ended = state in {State.FORGIVEN, State.CANCELLED, State.SKIPPED}
            found.append((state, job.name, took, sight.why if ended else _end(state, job, sight)))
    return found


def outcome(schedule: Schedule, seconds: float) -> str:
    """The sentence at the end of a pipeline."""
    took = duration(seconds)
    match schedule.result():
        case Result.SUCCEEDED:
            return f"pipeline succeeded after {took}"
        case Result.FAILED:
            failed = [job.name for job in schedule.pipeline.jobs if schedule.states[job.name] is State.FAILED]
            return f"pipeline failed after {took}: {', '.join(failed)}"
        case Result.CANCELLED:
            return f"pipeline was cancelled after {took}"
        case Result.BLOCKED:
            waits = [job.name for job in schedule.pipeline.jobs if schedule.states[job.name] is State.BLOCKING]
            return f"pipeline stopped after {took} at manual jobs, for which the rest waits: {', '.join(waits)}"


def _of_stage(schedule: Schedule, stage: str) -> list[PipelineJob]:
    return [job for job in schedule.pipeline.jobs if job.stage == stage]


def _height(stages: Sequence[tuple[str, Sequence[PipelineJob]]], folded: set[str]) -> int:
    return sum(1 if stage in folded else 1 + len(jobs) for stage, jobs in stages)


def _counted(schedule: Schedule, jobs: Sequence[PipelineJob]) -> str:
    """`2 succeeded, 1 skipped`."""
    counts: dict[State, int] = {}
    for job in jobs:
        counts[schedule.states[job.name]] = counts.get(schedule.states[job.name], 0) + 1
    words = {State.CREATED: "to come", State.PENDING: "about to start"}
    return ", ".join(f"{count} {words.get(state, state.value)}" for state, count in counts.items())


def _row(schedule: Schedule, job: PipelineJob, sight: Sight, now: float) -> Row:
    state = schedule.states[job.name]
    took = "" if sight.began is None else duration((now if sight.ended is None else sight.ended) - sight.began)
    match state:
        case State.RUNNING:
            said = sight.doing
        case State.DELAYED:
            said = f"starts in {duration(sight.due - now)}" if sight.due is not None else "waits for its delay"
        case State.PENDING if job.resource_group:
            said = f"waits for the resource group {job.resource_group}"
        case State.MANUAL | State.BLOCKING:
            said = f"{state.value}: {_end(state, job, sight)}"
        case _:
            said = _end(state, job, sight)
    return Row(1, job.name, ", ".join(part for part in (took, said) if part), state)


def _end(state: State, job: PipelineJob, sight: Sight) -> str:
    """What to know of a job that does not run."""
    match state:
        case State.FAILED:
            return sight.why or "failed"
        case State.FORGIVEN:
            return f"failed, which is allowed: {sight.why}".rstrip(": ")
        case State.CANCELLED:
            return "cancelled" if sight.cijob else "cancelled before it started"
        case State.SKIPPED:
            return "skipped"
        case State.MANUAL | State.BLOCKING:
            return f"--manual {_quoted(job.name)} runs it"
        case _:
            return ""


def _quoted(name: str) -> str:
    from shlex import quote

    return quote(name)
