"""The CiJob that repeats another one, and what states mean: pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.acting.again import gave_artifacts, had_files, manifest_of
from cijob.cli.acting.cancelling import decided
from cijob.cli.acting.deleting import ended
from cijob.cli.acting.retrying import check
from cijob.cli.acting.states import Goal, State, exit_code, over, overall, settled, state_of
from cijob.cli.creation import generated_name
from cijob.cli.errors import CliError
from cijob.cli.files.transfer import bring_entry, take_entry
from cijob.models import CiJobSpec
from cijob.validation import validate_name
from tests.unit.builders import a_cijob, at, stamp

FAILED = State("x", "Failed", exit_code=7)
SUCCEEDED = State("x", "Succeeded", exit_code=0)
RUNNING = State("x", "Running")
QUEUED = State("x", "Queued", "PoolAtCapacity")

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,60}[a-z0-9]", fullmatch=True)


@given(NAMES)
def test_a_retry_of_a_retry_has_no_longer_a_name_and_a_good_one(name: str) -> None:
    first = generated_name(manifest_of(a_cijob().with_meta(name=name).body)["metadata"]["generateName"])
    second = generated_name(manifest_of(a_cijob().with_meta(name=first).body)["metadata"]["generateName"])
    assert len(second) <= max(len(first), 6)
    assert validate_name(second) == []


def test_a_generated_name_is_generated_anew() -> None:
    body = a_cijob().with_meta(name="x-1", generateName="build-").body
    assert manifest_of(body)["metadata"]["generateName"] == "build-"


def test_what_was_asked_of_the_old_run_is_not_asked_of_the_new_one() -> None:
    body = a_cijob().with_spec(cancel="Immediate", suspend=True, priority=3).body
    spec = manifest_of(body)["spec"]
    assert spec == {**a_cijob().body["spec"], "priority": 3}
    CiJobSpec.model_validate(spec)


def test_marks_of_tools_are_not_handed_on() -> None:
    marks = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "a",
        "mine": "b",
    }
    labels = {"cijob.dev/pipeline": "4f2a", "team": "web"}
    metadata = manifest_of(a_cijob().with_meta(annotations=marks, labels=labels).body)["metadata"]
    assert metadata["annotations"] == {"mine": "b", "cijob.dev/retry-of": "build-42"}
    assert metadata["labels"] == {"team": "web"}
    assert metadata.keys() == {"generateName", "labels", "annotations"}


def test_entries_that_wait_for_a_command_are_left_out() -> None:
    job = a_cijob().with_spec(beforeScript=[bring_entry("t"), "make"], afterScript=[take_entry("t", "always")])
    assert had_files(job.body)
    assert gave_artifacts(job.body)
    spec = manifest_of(job.body)["spec"]
    assert spec["beforeScript"] == ["make"]
    assert "afterScript" not in spec


def test_a_job_that_was_given_files_is_not_retried_without() -> None:
    job = a_cijob().with_spec(beforeScript=[bring_entry("t")]).with_(status={"phase": "Failed"}).body
    with pytest.raises(CliError, match="was given files"):
        check(job, with_files=False)
    check(job, with_files=True)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"phase": "Succeeded", "exitCode": 0}, 0),
        ({"phase": "Failed", "exitCode": 7}, 7),
        ({"phase": "Failed", "exitCode": 0}, 1),
        ({"phase": "Failed"}, 1),
        ({"phase": "Cancelled", "exitCode": 143}, 130),
    ],
)
def test_a_jobs_end_is_an_exit_code(status: dict[str, Any], code: int) -> None:
    assert exit_code(state_of(a_cijob().with_(status=status).body)) == code


def test_a_job_without_a_status_is_pending() -> None:
    assert state_of(a_cijob().body) == State("build-42", "Pending")


@pytest.mark.parametrize(
    ("goal", "states", "expected"),
    [
        (Goal.FINISHED, [SUCCEEDED, FAILED], True),
        (Goal.FINISHED, [FAILED, RUNNING], False),
        (Goal.SUCCEEDED, [RUNNING, FAILED], True),
        (Goal.SUCCEEDED, [RUNNING, SUCCEEDED], False),
        (Goal.RUNNING, [RUNNING, FAILED], True),
        (Goal.RUNNING, [RUNNING, QUEUED], False),
    ],
)
def test_waiting_is_over(goal: Goal, states: list[State], *, expected: bool) -> None:
    assert over(states, goal) is expected


STATES = st.lists(st.sampled_from([FAILED, SUCCEEDED, RUNNING, QUEUED, State("x", "Cancelled")]), min_size=1)


@given(STATES, st.sampled_from(Goal))
def test_nothing_more_can_come_of_what_is_over(states: list[State], goal: Goal) -> None:
    if all(state.finished for state in states):
        assert over(states, goal)
    if over(states, goal) and overall(states) == 0:
        assert all(settled(state, goal) for state in states)


@pytest.mark.parametrize(
    ("state", "already", "now", "mode"),
    [
        (RUNNING, None, False, "Graceful"),
        (RUNNING, None, True, "Immediate"),
        (RUNNING, "Graceful", False, None),
        (RUNNING, "Graceful", True, "Immediate"),
        (RUNNING, "Immediate", False, None),
        (QUEUED, None, False, "Graceful"),
        (FAILED, None, True, None),
    ],
)
def test_a_cancel_is_never_taken_back(state: State, already: str | None, mode: str | None, *, now: bool) -> None:
    assert decided(state, already, now=now)[0] == mode


def test_what_ended_long_ago_is_old() -> None:
    def job(phase: str, end: float | None) -> dict[str, Any]:
        return a_cijob().with_(status={"phase": phase, **({} if end is None else {"completionTime": stamp(end)})}).body

    jobs = [job("Succeeded", 100), job("Failed", 300), job("Running", None), job("Cancelled", None)]
    assert ended(jobs, at(200)) == [jobs[0], jobs[3]], "one without an end is as old as it is itself"
    assert ended(jobs, at(0) + timedelta(days=9)) == [jobs[0], jobs[1], jobs[3]]
