"""A suspended CiJob: what waits, what does not, and what is written."""

from __future__ import annotations

import pytest

from cijob import names
from cijob.actions import NOTHING, CreatePod, Decision, Observed
from cijob.decisions import decide
from cijob.models import Phase
from cijob.reasons import MESSAGES, Reason
from cijob.settings import Settings
from tests.unit.builders import POD_UID, CiJobBuilder, PodBuilder, a_cijob, a_pod, at, report

SETTINGS = Settings()
SUSPENDED = a_cijob().with_spec(suspend=True)
TOLD = SUSPENDED.with_status("Queued", reason="Suspended")


def decided(job: CiJobBuilder, pod: PodBuilder | None = None, now: float = 10) -> Decision:
    """The decision at a time."""
    return decide(job.job, Observed(pod=pod.pod if pod else None), SETTINGS, at(now))


def test_a_suspended_job_gets_no_pod_and_says_so_after_five_seconds() -> None:
    assert decided(SUSPENDED, now=0) == Decision(look_again_at=at(5))
    assert decided(SUSPENDED, now=4.9) == Decision(look_again_at=at(5))
    decision = decided(SUSPENDED, now=5)
    assert decision.action is None
    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.QUEUED, Reason.SUSPENDED)
    assert decision.status.message == MESSAGES[Reason.SUSPENDED]


@pytest.mark.parametrize("now", [4, 10, 100_000])
def test_it_is_said_once(now: float) -> None:
    assert decided(TOLD, now=now) == NOTHING


def test_one_that_is_resumed_at_once_was_never_queued() -> None:
    assert isinstance(decided(a_cijob().with_spec(suspend=False), now=3).action, CreatePod)


def test_a_resumed_job_gets_its_pod_and_no_write_before_it_runs() -> None:
    decision = decided(TOLD.with_spec(suspend=False))
    assert isinstance(decision.action, CreatePod)
    assert decision == Decision(action=decision.action)


def test_a_resumed_job_runs_and_is_no_longer_suspended_then() -> None:
    status = decided(TOLD.with_spec(suspend=False), a_pod().running()).status
    assert status is not None
    assert (status.phase, status.reason, status.message) == (Phase.RUNNING, None, None)


def test_what_runs_goes_on() -> None:
    assert decided(SUSPENDED.running(), a_pod().running()) == Decision()
    status = decided(SUSPENDED, a_pod().running()).status
    assert status is not None
    assert status.phase is Phase.RUNNING


@pytest.mark.parametrize("cancel", ["Graceful", "Immediate"])
@pytest.mark.parametrize("job", [SUSPENDED, TOLD])
def test_a_suspended_job_is_cancelled_at_once(job: CiJobBuilder, cancel: str) -> None:
    decision = decided(job.with_cancel(cancel), now=1)
    assert decision.action is None
    assert decision.verdict is not None
    assert decision.verdict.reason is Reason.CANCELLED


def test_a_suspended_job_with_a_bad_spec_ends_at_once() -> None:
    decision = decided(SUSPENDED.with_spec(timeout="soon"), now=1)
    assert decision.verdict is not None
    assert decision.verdict.reason is Reason.INVALID_SPEC


def test_a_retry_waits_while_suspended() -> None:
    """The failure is recorded as ever; the next attempt gets its Pod once the job is resumed, and not before its time."""
    failed = decided(SUSPENDED.with_retry(1).running(), a_pod().terminated(7, report=report(7)).ended("Failed"), now=61)
    assert failed.status is not None
    assert (failed.status.attempt, failed.status.reason) == (2, Reason.SCRIPT_FAILED)

    between = SUSPENDED.with_retry(1).between_attempts(ended=60, user=1)
    assert decided(between, now=61) == Decision(look_again_at=at(65)), "from the end of the attempt before"
    waiting = decided(between, now=65)
    assert waiting.action is None
    assert waiting.status is not None
    assert (waiting.status.phase, waiting.status.reason) == (Phase.QUEUED, Reason.SUSPENDED)
    assert waiting.status.model_copy(update={"phase": Phase.PENDING, "reason": "", "message": None}) == (
        between.job.status.model_copy(update={"reason": ""})
    ), "nothing else changes"

    told = between.with_(status={"phase": "Queued", "reason": "Suspended"})
    assert decided(told, now=200) == NOTHING
    resumed = told.with_spec(suspend=False)
    assert decided(resumed, now=62) == Decision(look_again_at=at(70))
    decision = decide(resumed.job, Observed(absent=frozenset({POD_UID})), SETTINGS, at(70))
    assert isinstance(decision.action, CreatePod)
    assert decision.action.manifest["metadata"]["labels"][names.LABEL_ATTEMPT] == "2"
