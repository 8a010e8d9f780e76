"""A pool that is drained: what is stopped, what is not, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cijob.actions import DeletePod, Observed, StopPod
from cijob.decisions import decide
from cijob.pool import BuildPoolSpec, PoolView, StopPolicy
from cijob.reasons import Reason
from cijob.settings import Settings
from tests.unit.builders import CiJobBuilder, PodBuilder, a_cijob, a_pod, at, report

if TYPE_CHECKING:
    from cijob.actions import Decision

DRAINED = PoolView(spec=BuildPoolSpec(stop_policy=StopPolicy.HOLD_AND_DRAIN), admitted=False, reason=Reason.POOL_HELD)
PATIENT = a_cijob().with_spec(retry={"infraLimit": 0})


def decided(job: CiJobBuilder, pod: PodBuilder) -> Decision:
    """The decision on a job of a drained pool."""
    return decide(job.job, Observed(pool=DRAINED, pod=pod.pod), Settings(), at(70))


@pytest.mark.parametrize("pod", [a_pod().started(), a_pod().dind_running(), a_pod().running()])
def test_what_a_kubelet_has_is_stopped_once_with_its_grace(pod: PodBuilder) -> None:
    action = decided(a_cijob().running(), pod).action

    assert action == StopPod(pod=pod.pod, why="PoolDrained", active_deadline_seconds=1)
    assert decided(a_cijob().running(), pod.stopped("PoolDrained")).action is None


def test_what_no_kubelet_has_goes_and_runs_again_later() -> None:
    decision = decided(a_cijob(), a_pod())

    assert decision.action == DeletePod(pod=a_pod().pod)
    assert decision.status is not None
    assert (decision.status.attempt, decision.status.attempts[0].reason) == (2, "PoolDrained")
    assert decided(a_cijob(), a_pod().being_deleted()).action is None


def test_what_was_stopped_runs_again_or_fails_where_it_may_not() -> None:
    pod = a_pod().running().stopped("PoolDrained").terminated(143, report=report(143, signal="TERM"))
    pod = pod.ended("Failed", "DeadlineExceeded")

    again = decided(a_cijob().running(), pod)
    assert again.status is not None
    assert (again.status.attempt, again.status.reason) == (2, "PoolDrained")
    failed = decided(PATIENT.running(), pod).verdict
    assert failed is not None
    assert failed.reason is Reason.POOL_DRAINED


@pytest.mark.parametrize(("code", "reason"), [(0, Reason.COMPLETED), (7, Reason.SCRIPT_FAILED)])
def test_a_script_that_ends_by_itself_meanwhile_keeps_its_verdict(code: int, reason: Reason) -> None:
    ended = a_pod().running().terminated(code, report=report(code))
    for pod in (ended, ended.stopped("PoolDrained").ended("Failed", "DeadlineExceeded")):
        end = decided(PATIENT.running(), pod).verdict
        assert end is not None
        assert end.reason is reason


def test_a_cancelled_job_is_cancelled_and_not_drained() -> None:
    action = decided(a_cijob().with_cancel("Graceful").running(), a_pod().running()).action

    assert isinstance(action, StopPod)
    assert action.why == "Graceful"


def test_a_finished_job_is_left_alone() -> None:
    pod = a_pod().running().terminated(0, report=report(0))
    assert decided(a_cijob().finished("Succeeded", "Completed"), pod).action is None
