"""Which job of a pipeline starts when, and what becomes of the pipeline. Pure.

The rules are GitLab's own, read in its sources: `app/services/ci/process_build_service.rb` (which status of the earlier
jobs lets a job run, by its `when`) and `lib/gitlab/ci/status/composite.rb` (what several jobs' states come to) of
gitlabhq/gitlabhq at 0351d9ed and 14bd84b6. In one thing this is simpler: a job is decided when all jobs that it waits for
are done, where GitLab skips a job with `needs` as soon as one of them was skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Final

from cijob.importers.gitlab.model import When

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cijob.importers.gitlab.model import Pipeline, PipelineJob


class State(StrEnum):
    """Where a job of a pipeline is."""

    #: Waits for other jobs.
    CREATED = "created"
    #: Waits for its delay to pass.
    DELAYED = "delayed"
    #: May start; or waits for its resource group.
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: Failed or cancelled, and the pipeline goes on as if it had succeeded.
    FORGIVEN = "failed (allowed)"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    #: Waits for a person, and nothing waits for it.
    MANUAL = "manual"
    #: Waits for a person, and later stages with it.
    BLOCKING = "manual (blocks)"


class Result(StrEnum):
    """How a pipeline ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: The rest waits for a manual job that nobody started.
    BLOCKED = "blocked"


_DONE: Final = frozenset({State.SUCCEEDED, State.FAILED, State.FORGIVEN, State.CANCELLED, State.SKIPPED, State.MANUAL})
_NOT_STARTED: Final = frozenset({State.CREATED, State.DELAYED, State.PENDING})
_GOOD: Final = frozenset({State.SUCCEEDED, State.FORGIVEN})
_ABSENT: Final = frozenset({State.SKIPPED, State.MANUAL})


class _Before(StrEnum):
    """What the jobs before a job came to, all of them done."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A pipeline in the middle of its run; every change gives a new one. Make it by `begin`.

    Attributes:
        pipeline: its jobs.
        play: names of jobs that a person starts: manual ones run, delayed ones run without delay.
        states: of each job, by its name.
    """

    pipeline: Pipeline
    play: frozenset[str]
    states: Mapping[str, State]

    # --- what to do -----------------------------------------------------------------------------------------------------

    def ready(self) -> tuple[PipelineJob, ...]:
        """Jobs to start now, in the pipeline's order: of a resource group one, and only while none of it runs."""
        jobs = self.pipeline.jobs
        taken = {job.resource_group for job in jobs if self.states[job.name] is State.RUNNING}
        found: list[PipelineJob] = []
        for job in jobs:
            if self.states[job.name] is State.PENDING and (not job.resource_group or job.resource_group not in taken):
                taken.add(job.resource_group)
                found.append(job)
        return tuple(found)

    def delayed(self) -> tuple[PipelineJob, ...]:
        """Jobs whose delay has begun; `due` says that it has passed."""
        return tuple(job for job in self.pipeline.jobs if self.states[job.name] is State.DELAYED)

    @property
    def over(self) -> bool:
        """Whether nothing runs, nothing can start and nothing will."""
        return not set(self.states.values()) & {State.DELAYED, State.PENDING, State.RUNNING}

    def result(self) -> Result:
        """How the pipeline ended; to be asked when it is over."""
        states = set(self.states.values())
        for state, result in (
            (State.FAILED, Result.FAILED),
            (State.CANCELLED, Result.CANCELLED),
            (State.BLOCKING, Result.BLOCKED),
            (State.CREATED, Result.BLOCKED),
        ):
            if state in states:
                return result
        return Result.SUCCEEDED

    # --- what has happened ----------------------------------------------------------------------------------------------

    def started(self, name: str) -> Schedule:
        """A job that was ready has started."""
        return self._with(name, State.RUNNING)

    def due(self, name: str) -> Schedule:
        """A job's delay has passed."""
        return self._with(name, State.PENDING) if self.states[name] is State.DELAYED else self

    def succeeded(self, name: str) -> Schedule:
        """A job has ended well."""
        return settled(self._with(name, State.SUCCEEDED))

    def failed(self, name: str, exit_code: int | None) -> Schedule:
        """A job has failed; without an exit code where its script was not what failed."""
        forgiven = may_fail(self._job(name), exit_code)
        return settled(self._with(name, State.FORGIVEN if forgiven else State.FAILED))

    def cancelled(self, name: str) -> Schedule:
        """A job was cancelled while it ran."""
        forgiven = may_fail(self._job(name), None)
        return settled(self._with(name, State.FORGIVEN if forgiven else State.CANCELLED))

    def stopped(self) -> Schedule:
        """No other job shall start: the user cancelled the pipeline."""
        states = {name: State.CANCELLED if one in _NOT_STARTED else one for name, one in self.states.items()}
        return replace(self, states=states)

    def _with(self, name: str, state: State) -> Schedule:
        return replace(self, states={**self.states, name: state})

    def _job(self, name: str) -> PipelineJob:
        return next(job for job in self.pipeline.jobs if job.name == name)


def begin(pipeline: Pipeline, play: Collection[str] = ()) -> Schedule:
    """A pipeline before its first job; `play` names the jobs that a person starts."""
    states = {job.name: State.CREATED for job in pipeline.jobs}
    return settled(Schedule(pipeline, frozenset(play), states))


def settled(schedule: Schedule) -> Schedule:
    """The schedule with every job decided that can be: one that is skipped may decide the next."""
    while True:
        following = reduce(_decided, schedule.pipeline.jobs, schedule)
        if following.states == schedule.states:
            return schedule
        schedule = following


def before(schedule: Schedule, job: PipelineJob) -> tuple[str, ...]:
    """Names of the jobs that a job waits for: its needs that are in the pipeline, or all of earlier stages."""
    jobs, stages = schedule.pipeline.jobs, schedule.pipeline.stages
    if job.needs is not None:
        return tuple(need.job for need in job.needs if need.job in schedule.states)
    earlier = stages[: stages.index(job.stage)]
    return tuple(other.name for other in jobs if other.stage in earlier)


def may_fail(job: PipelineJob, exit_code: int | None) -> bool:
    """Whether the pipeline goes on after such a failure as after a success."""
    if job.allowed_exit_codes:
        return exit_code in job.allowed_exit_codes
    return job.allow_failure


def _decided(schedule: Schedule, job: PipelineJob) -> Schedule:
    """The schedule with this job decided, where the jobs before it are done."""
    states = schedule.states
    if states[job.name] is not State.CREATED:
        return schedule
    earlier = {states[name] for name in before(schedule, job)}
    if not earlier <= _DONE:
        return schedule
    state = _next_state(job, _summary(earlier, by_needs=job.needs is not None), schedule.play)
    return replace(schedule, states={**states, job.name: state})


def _summary(earlier: set[State], *, by_needs: bool) -> _Before:
    """What jobs that are done came to. A need that did not run counts more than one that failed.

    Of earlier stages a job that did not run does not count at all; GitLab has a status "skipped" for stages of which nothing
    ran, and lets the same jobs run after it as after a success.
    """
    if by_needs and earlier & _ABSENT:
        return _Before.SKIPPED
    if State.FAILED in earlier:
        return _Before.FAILED
    if State.CANCELLED in earlier:
        return _Before.CANCELED
    return _Before.SUCCESS


def _next_state(job: PipelineJob, came_to: _Before, play: frozenset[str]) -> State:
    if came_to not in _runs_after(job.when):
        return State.SKIPPED
    if job.name not in play:
        if job.when is When.MANUAL:
            return State.MANUAL if job.allow_failure and not job.allowed_exit_codes else State.BLOCKING
        if job.when is When.DELAYED and job.start_in > 0:
            return State.DELAYED
    return State.PENDING


def _runs_after(when: When) -> Collection[_Before]:
    match when:
        case When.ON_SUCCESS | When.MANUAL | When.DELAYED:
            return {_Before.SUCCESS}
        case When.ON_FAILURE:
            return {_Before.FAILED}
        case When.ALWAYS:
            return {_Before.SUCCESS, _Before.FAILED, _Before.SKIPPED}
        case When.NEVER:
            return ()
