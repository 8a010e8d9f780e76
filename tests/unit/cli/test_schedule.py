"""Which job of a pipeline starts when, and how pipelines end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.errors import CliError
from cijob.cli.pipeline.schedule import Result, Schedule, State, begin
from cijob.cli.pipeline.selection import named, select
from cijob.importers.gitlab.model import Artifacts, Need, Pipeline, PipelineJob, When
from tests.unit.cli.pipelines import a_job, a_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def ready(schedule: Schedule) -> list[str]:
    return [job.name for job in schedule.ready()]


def run(
    pipeline: Pipeline,
    *,
    failing: dict[str, int] | None = None,
    cancelled: Sequence[str] = (),
    play: Sequence[str] = (),
    choose: Callable[[list[str]], str] = min,
) -> Schedule:
    """The pipeline to its end; `choose` says which of the running and ready jobs moves next."""
    schedule = begin(pipeline, play)
    while not schedule.over:
        running = [name for name, state in schedule.states.items() if state is State.RUNNING]
        waiting = [job.name for job in schedule.delayed()]
        name = choose(sorted([*running, *waiting, *ready(schedule)]))
        if name in waiting:
            schedule = schedule.due(name)
        elif name not in running:
            schedule = schedule.started(name)
        elif name in cancelled:
            schedule = schedule.cancelled(name)
        elif name in (failing or {}):
            schedule = schedule.failed(name, (failing or {})[name])
        else:
            schedule = schedule.succeeded(name)
    return schedule


def test_jobs_of_a_stage_start_at_once_and_the_next_stage_when_all_are_done() -> None:
    schedule = begin(a_pipeline(a_job("a", "build"), a_job("b", "build"), a_job("c", "test")))
    assert ready(schedule) == ["a", "b"]
    schedule = schedule.started("a").started("b").succeeded("a")
    assert ready(schedule) == []
    assert ready(schedule.succeeded("b")) == ["c"]


def test_a_job_with_needs_starts_when_these_are_done_whatever_its_stage() -> None:
    schedule = begin(
        a_pipeline(
            a_job("a", "build"), a_job("slow", "build"), a_job("c", "deploy", needs=("a",)), a_job("d", needs=())
        )
    )
    assert ready(schedule) == ["a", "slow", "d"]
    schedule = schedule.started("a").started("slow").started("d").succeeded("a")
    assert ready(schedule) == ["c"]


def test_an_optional_need_that_is_not_in_the_pipeline_is_not_waited_for() -> None:
    job = replace(a_job("a"), needs=(Need("gone", optional=True),))
    assert ready(begin(a_pipeline(job))) == ["a"]


def test_after_a_failure_only_jobs_for_failures_and_for_always_run() -> None:
    ended = run(
        a_pipeline(
            a_job("build", "build"),
            a_job("test"),
            a_job("report", when="on_failure"),
            a_job("clean", "deploy", when="always"),
        ),
        failing={"build": 7},
    )
    assert ended.states == {
        "build": State.FAILED,
        "test": State.SKIPPED,
        "report": State.SUCCEEDED,
        "clean": State.SUCCEEDED,
    }
    assert ended.result() is Result.FAILED


def test_without_a_failure_jobs_for_failures_are_skipped() -> None:
    ended = run(a_pipeline(a_job("build", "build"), a_job("report", when="on_failure")))
    assert ended.states["report"] is State.SKIPPED
    assert ended.result() is Result.SUCCEEDED


def test_a_failure_does_not_stop_the_other_jobs_of_its_stage() -> None:
    schedule = begin(a_pipeline(a_job("a"), a_job("b"), a_job("c", "deploy")))
    schedule = schedule.started("a").failed("a", 1)
    assert ready(schedule) == ["b"]


def test_a_failure_that_is_allowed_leaves_the_pipeline_a_success() -> None:
    ended = run(a_pipeline(a_job("lint", "build", allow_failure=True), a_job("test")), failing={"lint": 1})
    assert ended.states == {"lint": State.FORGIVEN, "test": State.SUCCEEDED}
    assert ended.result() is Result.SUCCEEDED


@pytest.mark.parametrize(("code", "result"), [(3, Result.SUCCEEDED), (4, Result.FAILED)])
def test_only_the_exit_codes_that_are_named_are_forgiven(code: int, result: Result) -> None:
    job = a_job("lint", allow_failure=True, allowed_exit_codes=frozenset({3}))
    assert run(a_pipeline(job), failing={"lint": code}).result() is result


def test_a_manual_job_that_may_fail_is_left_out_and_the_next_stage_goes_on() -> None:
    ended = run(a_pipeline(a_job("ship", "build", when="manual", allow_failure=True), a_job("test")))
    assert ended.states == {"ship": State.MANUAL, "test": State.SUCCEEDED}
    assert ended.result() is Result.SUCCEEDED


def test_what_needs_a_manual_job_that_nobody_started_is_skipped() -> None:
    ended = run(a_pipeline(a_job("ship", "build", when="manual", allow_failure=True), a_job("test", needs=("ship",))))
    assert ended.states["test"] is State.SKIPPED


def test_a_manual_job_that_may_not_fail_blocks_later_stages() -> None:
    pipeline = a_pipeline(a_job("approve", "build", when="manual"), a_job("test"))
    ended = run(pipeline)
    assert ended.states == {"approve": State.BLOCKING, "test": State.CREATED}
    assert ended.result() is Result.BLOCKED
    assert run(pipeline, play=["approve"]).result() is Result.SUCCEEDED


def test_a_manual_job_that_a_person_starts_waits_for_its_turn_and_not_after_a_failure() -> None:
    pipeline = a_pipeline(a_job("build", "build"), a_job("ship", when="manual"))
    assert ready(begin(pipeline, ["ship"])) == ["build"]
    assert run(pipeline, play=["ship"], failing={"build": 1}).states["ship"] is State.SKIPPED


def test_a_delayed_job_waits_for_its_delay_unless_a_person_starts_it() -> None:
    pipeline = a_pipeline(a_job("later", "build", when="delayed", start_in=60))
    schedule = begin(pipeline)
    assert ready(schedule) == []
    assert [job.name for job in schedule.delayed()] == ["later"]
    assert not schedule.over
    assert ready(schedule.due("later")) == ["later"]
    assert ready(begin(pipeline, ["later"])) == ["later"]


def test_of_a_resource_group_one_job_runs_at_a_time() -> None:
    schedule = begin(a_pipeline(*(a_job(name, resource_group="prod") for name in "ab"), a_job("c")))
    assert ready(schedule) == ["a", "c"]
    schedule = schedule.started("a")
    assert ready(schedule) == ["c"]
    assert ready(schedule.failed("a", 1)) == ["b", "c"]


def test_a_need_that_was_skipped_skips_a_job_even_beside_one_that_failed() -> None:
    ended = run(
        a_pipeline(
            a_job("a", "build"),
            a_job("b", "build", when="on_failure", needs=()),
            a_job("c", needs=("a", "b"), when="on_failure"),
            a_job("d", needs=("a", "b"), when="always"),
        ),
        failing={"a": 1},
    )
    assert (ended.states["c"], ended.states["d"]) == (State.SKIPPED, State.SUCCEEDED)


def test_a_stage_of_which_nothing_ran_does_not_stop_the_next() -> None:
    ended = run(a_pipeline(a_job("report", "build", when="on_failure"), a_job("test")))
    assert ended.states == {"report": State.SKIPPED, "test": State.SUCCEEDED}


def test_after_a_cancelled_job_nothing_starts() -> None:
    ended = run(a_pipeline(a_job("a", "build"), a_job("b"), a_job("c", when="always")), cancelled=["a"])
    assert ended.states == {"a": State.CANCELLED, "b": State.SKIPPED, "c": State.SKIPPED}
    assert ended.result() is Result.CANCELLED


def test_a_pipeline_that_is_stopped_starts_nothing_and_is_over_when_the_last_job_has_ended() -> None:
    schedule = begin(a_pipeline(a_job("a", "build"), a_job("b", "build"), a_job("c"))).started("a").stopped()
    assert ready(schedule) == []
    assert not schedule.over
    ended = schedule.cancelled("a")
    assert ended.over
    assert set(ended.states.values()) == {State.CANCELLED}


# --- against GitLab's own algorithm -------------------------------------------------------------------------------------


@dataclass
class Model:
    """FAKE GitLab: its status of a set of jobs and its choice, as its sources have them, on ended jobs only."""

    pipeline: Pipeline
    outcomes: dict[str, str]
    play: frozenset[str]
    statuses: dict[str, str] = field(default_factory=dict)

    def ends(self) -> dict[str, str]:
        """Statuses at the end, reached by asking each job again and again."""
        self.statuses = {job.name: "created" for job in self.pipeline.jobs}
        for _ in range(len(self.pipeline.jobs) + 1):
            for job in self.pipeline.jobs:
                if self.statuses[job.name] == "created":
                    self.statuses[job.name] = self._process(job)
        return self.statuses

    def _process(self, job: PipelineJob) -> str:
        current = self._composite(job)
        if current not in {"success", "failed", "canceled", "skipped"}:
            return "created"
        valid = {
            When.ON_FAILURE: ["failed"],
            When.ALWAYS: ["success", "failed", "skipped"],
        }.get(job.when, ["success"] if job.needs is not None else ["success", "skipped"])
        if current not in valid:
            return "skipped"
        if job.when is When.MANUAL and job.name not in self.play:
            return "manual"
        return self.outcomes[job.name]

    def _composite(self, job: PipelineJob) -> str:
        found = {self._status(other) for other in self._others(job)}
        if "created" in found or (job.needs is not None and "manual" in found):
            return "pending"
        if job.needs is not None and found & {"skipped", "ignored"}:
            return "skipped"
        good = {"success", "skipped", "success_with_warnings", "ignored"}
        for status, only in (("skipped", {"skipped", "ignored"}), ("success", good), ("canceled", {"canceled", *good})):
            if found and found <= only:
                return status
        return "manual" if "manual" in found else "failed" if found else "success"

    def _others(self, job: PipelineJob) -> list[PipelineJob]:
        jobs, stages = self.pipeline.jobs, self.pipeline.stages
        if job.needs is not None:
            return [other for other in jobs if other.name in {need.job for need in job.needs or ()}]
        return [other for other in jobs if stages.index(other.stage) < stages.index(job.stage)]

    def _status(self, job: PipelineJob) -> str:
        status = self.statuses[job.name]
        if job.allow_failure and status in {"failed", "canceled"}:
            return "success_with_warnings"
        return "ignored" if job.allow_failure and status == "manual" else status


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Pipeline, dict[str, str], frozenset[str]]:
    """A pipeline, how each of its jobs ends if it runs, and the jobs that a person starts."""
    stages = ("build", "test", "deploy")
    jobs: list[PipelineJob] = []
    for index in range(draw(st.integers(1, 7))):
        needs = None
        if draw(st.booleans()):
            needs = tuple(draw(st.lists(st.sampled_from([job.name for job in jobs]), unique=True))) if jobs else ()
        jobs.append(
            a_job(
                f"job{index}",
                draw(st.sampled_from(stages)),
                needs=needs,
                when=draw(st.sampled_from([one for one in When if one is not When.NEVER])),
                allow_failure=draw(st.booleans()),
                start_in=draw(st.sampled_from([0, 5])),
                resource_group=draw(st.sampled_from(["", "", "prod"])),
            )
        )
    names = [job.name for job in jobs]
    outcomes = {name: draw(st.sampled_from(["success", "success", "failed", "canceled"])) for name in names}
    return a_pipeline(*jobs), outcomes, frozenset(draw(st.sets(st.sampled_from(names))))


_AS_GITLAB_SAYS = {
    State.SUCCEEDED: {"success"},
    State.FAILED: {"failed"},
    State.FORGIVEN: {"failed", "canceled"},
    State.CANCELLED: {"canceled"},
    State.SKIPPED: {"skipped"},
    State.MANUAL: {"manual"},
    State.BLOCKING: {"manual"},
    State.CREATED: {"created"},
}


@given(made=pipelines(), data=st.data())
def test_in_whatever_order_jobs_end_each_is_as_gitlab_would_have_it(
    made: tuple[Pipeline, dict[str, str], frozenset[str]], data: st.DataObject
) -> None:
    pipeline, outcomes, play = made
    ended = run(
        pipeline,
        failing={name: 1 for name, outcome in outcomes.items() if outcome == "failed"},
        cancelled=[name for name, outcome in outcomes.items() if outcome == "canceled"],
        play=sorted(play),
        choose=lambda names: data.draw(st.sampled_from(names)),
    )
    wanted = Model(pipeline, outcomes, play).ends()
    assert {name: status for name, status in wanted.items() if status not in _AS_GITLAB_SAYS[ended.states[name]]} == {}


@given(made=pipelines(), data=st.data())
def test_no_job_starts_before_those_that_it_waits_for_have_ended_nor_beside_one_of_its_resource_group(
    made: tuple[Pipeline, dict[str, str], frozenset[str]], data: st.DataObject
) -> None:
    pipeline, _, play = made
    jobs = {job.name: job for job in pipeline.jobs}
    schedule = begin(pipeline, play)
    while not schedule.over:
        running = {name for name, state in schedule.states.items() if state is State.RUNNING}
        for job in schedule.ready():
            waits_for = (
                {need.job for need in job.needs}
                if job.needs is not None
                else {
                    one.name
                    for one in pipeline.jobs
                    if pipeline.stages.index(one.stage) < pipeline.stages.index(job.stage)
                }
            )
            open_states = {State.CREATED, State.DELAYED, State.PENDING, State.RUNNING, State.BLOCKING}
            assert not {schedule.states[name] for name in waits_for} & open_states
            assert not job.resource_group or job.resource_group not in {jobs[name].resource_group for name in running}
        moves = [*running, *ready(schedule), *(job.name for job in schedule.delayed())]
        name = data.draw(st.sampled_from(sorted(moves)))
        if name in running:
            schedule = data.draw(
                st.sampled_from([schedule.succeeded(name), schedule.failed(name, 2), schedule.cancelled(name)])
            )
        else:
            delayed = schedule.states[name] is State.DELAYED
            schedule = schedule.due(name) if delayed else schedule.started(name)


# --- some jobs only -----------------------------------------------------------------------------------------------------


def test_chosen_jobs_bring_their_needs_and_whose_artifacts_they_get_and_nothing_else() -> None:
    pipeline = a_pipeline(
        a_job("compile", "build", artifacts=Artifacts(paths=("bin",))),
        a_job("lint", "build"),
        a_job("docs", "build", artifacts=Artifacts(paths=("html",))),
        a_job("test", takes=("compile", "lint")),
        a_job("ship", "deploy", needs=("test",)),
    )
    chosen = select(pipeline, named(pipeline, ["ship"]))
    assert [job.name for job in chosen.jobs] == ["compile", "test", "ship"]
    assert [job.name for job in select(pipeline, named(pipeline, ["docs"])).jobs] == ["docs"]
    assert select(pipeline, named(pipeline, ["docs"])).stages == ("build",)


def test_the_name_of_a_parallel_job_means_all_its_copies() -> None:
    pipeline = a_pipeline(
        a_job("test 1/2"), a_job("test 2/2"), a_job("unit: [linux, 3.12]"), a_job("unit: [mac, 3.12]")
    )
    assert named(pipeline, ["test"]) == {"test 1/2", "test 2/2"}
    assert named(pipeline, ["unit: [mac, 3.12]"]) == {"unit: [mac, 3.12]"}
    assert named(pipeline, ["unit"]) == {"unit: [linux, 3.12]", "unit: [mac, 3.12]"}


def test_a_name_that_no_job_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(CliError) as refused:
        named(a_pipeline(a_job("deploy"), a_job("test")), ["deploi"])
    assert refused.value.hint == "Did you mean deploy?"
