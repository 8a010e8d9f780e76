"""The step from one attempt to the next: what is decided, with the Pods of all attempts in sight."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cijob import names
from cijob.actions import ConfirmPod, CreatePod, Decision, DeletePod, Observed, StopPod
from cijob.decisions import decide
from cijob.models import Attempt, Phase, Retries
from cijob.reasons import Reason
from cijob.settings import Settings
from tests.unit.builders import (
    JOB_NAME,
    JOB_UID,
    POD_NAME,
    POD_UID,
    CiJobBuilder,
    PodBuilder,
    a_cijob,
    a_pod,
    at,
    report,
)

SETTINGS = Settings()
RETRY = Settings.from_environment({"CIJOB_OPERATOR_ON_NODE_LOST": "Retry"})
SECOND = names.pod_name(JOB_NAME, JOB_UID, 2)
FAILED = a_pod().terminated(7, report=report(7))
ENDED = FAILED.dind_terminated().ended("Failed")
BETWEEN = a_cijob().with_retry(2).between_attempts(user=1)


def decided(
    job: CiJobBuilder,
    pod: PodBuilder | None = None,
    now: float = 80,
    *others: PodBuilder,
    gone: PodBuilder | None = None,
    absent: tuple[str, ...] = (),
    settings: Settings = SETTINGS,
) -> Decision:
    """The decision at a time."""
    observed = Observed(
        pod=pod.pod if pod else None,
        gone=gone.pod if gone else None,
        others=tuple(other.pod for other in others),
        absent=frozenset(absent),
    )
    return decide(job.job, observed, settings, at(now))


def created(decision: Decision) -> str | None:
    """The name of the Pod that is to be created, if one is."""
    return str(decision.action.manifest["metadata"]["name"]) if isinstance(decision.action, CreatePod) else None


# --- the end of an attempt


def test_a_failure_that_is_retried_records_the_next_attempt_before_anything_is_created() -> None:
    decision = decided(a_cijob().with_retry(2).running(), FAILED, 61)

    assert decision.action is None
    assert decision.verdict is None
    assert decision.look_again_at == at(70)
    status = decision.status
    assert status is not None
    assert (status.phase, status.reason, status.attempt, status.retries) == (
        Phase.PENDING,
        "ScriptFailed",
        2,
        Retries(user=1),
    )
    assert "Entry 1 of 1 in spec.script exited with 7: `make test`." in str(status.message)
    assert "Attempt 2 starts at 2026-01-31T12:01:10Z" in str(status.message)
    assert (status.pod_name, status.pod_uid, status.node_name, status.exit_code, status.start_time) == (None,) * 5
    assert status.completion_time is None
    assert status.conditions == ()
    assert status.attempts == (
        Attempt(
            attempt=1,
            pod_name=POD_NAME,
            pod_uid=POD_UID,
            node_name="node-1",
            start_time=at(1),
            completion_time=at(60),
            exit_code=7,
            reason="ScriptFailed",
        ),
    )


@pytest.mark.parametrize(
    ("says", "job", "pod", "reason"),
    [
        ("no retry is wanted", a_cijob(), FAILED, Reason.SCRIPT_FAILED),
        (
            "all retries are used up",
            a_cijob().with_retry(1).running().with_status("Running", retries={"user": 1, "infra": 0}),
            FAILED,
            Reason.SCRIPT_FAILED,
        ),
        (
            "infraLimit is used up",
            a_cijob().running().with_status("Running", retries={"user": 0, "infra": 3}),
            a_pod().terminated(1, report=report(1, daemon="lost")),
            Reason.DAEMON_LOST,
        ),
        ("it succeeded", a_cijob().with_retry(3), a_pod().terminated(0, report=report(0)), Reason.COMPLETED),
        ("it was cancelled", a_cijob().with_retry(3).with_cancel("Graceful"), ENDED, Reason.CANCELLED),
        ("its Pod was refused by its looks", a_cijob().with_retry(3), a_pod().without_sidecar(), Reason.POD_REJECTED),
        ("a foreign Pod has the name", a_cijob().with_retry(3), a_pod().of_another_job(), Reason.POD_NAME_CONFLICT),
    ],
)
def test_the_end_is_final_when(says: str, job: CiJobBuilder, pod: PodBuilder, reason: Reason) -> None:
    decision = decided(job, pod)

    assert decision.verdict is not None, says
    assert decision.verdict.reason is reason
    assert decision.status is not None
    assert decision.status.phase.finished


def test_infrastructure_trouble_never_uses_up_the_limit() -> None:
    lost = a_pod().terminated(1, report=report(1, daemon="lost"))

    status = decided(a_cijob().with_retry(1).running(), lost).status

    assert status is not None
    assert status.retries == Retries(user=0, infra=1)
    assert status.attempts[0].reason == "DaemonLost"


def test_the_history_keeps_the_newest_ten() -> None:
    past = [{"attempt": number, "podUID": f"pod-{number}", "reason": "ScriptFailed"} for number in range(1, 12)]
    job = a_cijob().with_retry(10, infraLimit=10).running()
    job = job.with_status("Running", attempt=12, attempts=past[-10:], retries={"user": 9, "infra": 2})

    status = decided(job, FAILED.of_attempt(12, POD_UID)).status

    assert status is not None
    assert [attempt.attempt for attempt in status.attempts] == list(range(3, 13))
    assert status.attempt == 13


def test_a_node_whose_clock_is_ahead_makes_nobody_wait() -> None:
    decision = decided(a_cijob().with_retry(1).running(), a_pod().terminated(7, report=report(7), finished=3000), 61)

    assert decision.look_again_at == at(71)


def test_a_pod_that_vanished_is_followed_by_another_attempt() -> None:
    """Whether its going was seen, or only the API server knows."""
    for decision in (
        decided(a_cijob().running(), gone=a_pod().running()),
        decided(a_cijob().running(), absent=(POD_UID,)),
    ):
        assert decision.status is not None
        assert (decision.status.attempt, decision.status.reason) == (2, "PodDeleted")
        assert decision.status.attempts[0].pod_uid == POD_UID


def test_a_pod_that_the_cache_lacks_is_asked_for_before_it_counts_as_gone() -> None:
    assert decided(a_cijob().running()) == Decision(action=ConfirmPod(name=POD_NAME, uid=POD_UID))


# --- the start of the next one


def test_the_next_attempt_starts_when_its_time_has_come_and_the_pod_before_has_ended() -> None:
    assert decided(BETWEEN, None, 69.9, ENDED) == Decision(look_again_at=at(70))
    assert created(decided(BETWEEN, None, 70, ENDED)) == SECOND
    manifest = decided(BETWEEN, None, 70, ENDED).action
    assert isinstance(manifest, CreatePod)
    assert manifest.manifest["metadata"]["labels"][names.LABEL_ATTEMPT] == "2"


@pytest.mark.parametrize(
    "pod", [FAILED, FAILED.being_deleted(65), a_pod().running().being_deleted(65).disrupted("DeletionByTaintManager")]
)
def test_a_pod_that_may_be_alive_keeps_the_next_attempt_waiting(pod: PodBuilder) -> None:
    """However long that takes: the daemon shuts down, or the node does not answer."""
    decision = decided(BETWEEN, None, 100_000, pod)

    assert created(decision) is None
    assert decision.look_again_at is None


def test_the_daemon_of_an_attempt_that_ended_is_left_to_its_shutdown() -> None:
    assert decided(BETWEEN, None, 62, FAILED).action is None


def test_a_pod_that_never_got_to_its_job_is_stopped_before_the_next_attempt() -> None:
    job = a_cijob().with_retry(1).between_attempts("ImagePullFailed", user=1)
    pod = a_pod().dind_running().waiting("ImagePullBackOff")

    stop = StopPod(pod=pod.pod, why="ImagePullFailed", active_deadline_seconds=1)
    assert decided(job, None, 62, pod) == Decision(action=stop, look_again_at=at(70))
    assert decided(job, None, 80, pod).action == stop
    assert decided(job, None, 80, pod.stopped("ImagePullFailed")).action is None
    assert created(decided(job, None, 80, pod.stopped("ImagePullFailed").ended("Failed", "DeadlineExceeded"))) == SECOND


def test_a_pod_before_that_the_cache_lacks_is_asked_for() -> None:
    assert decided(BETWEEN, None, 70) == Decision(action=ConfirmPod(name=POD_NAME, uid=POD_UID))
    assert created(decided(BETWEEN, None, 70, absent=(POD_UID,))) == SECOND


def test_a_cancel_between_two_attempts_ends_the_job() -> None:
    decision = decided(BETWEEN.with_cancel("Graceful"), None, 62, FAILED)

    assert decision.verdict is not None
    assert decision.verdict.reason is Reason.CANCELLED
    assert "Attempt 2 had not started." in decision.verdict.message
    assert decision.action is None
    assert decision.status is not None
    assert len(decision.status.attempts) == 1


def test_nothing_is_created_for_a_job_that_is_being_deleted() -> None:
    assert decided(BETWEEN.being_deleted(), None, 80, ENDED).action is None


def test_the_second_attempt_runs_like_the_first() -> None:
    pod = ENDED.of_attempt(1, POD_UID)
    running = decided(BETWEEN, a_pod().of_attempt(2).running(), 90, pod)

    assert running.status is not None
    assert (running.status.phase, running.status.attempt, running.status.pod_name) == (Phase.RUNNING, 2, SECOND)
    assert (running.status.reason, running.status.message, running.status.retries) == (None, None, Retries(user=1))
    assert len(running.status.attempts) == 1


# --- Pods that should not be


SECOND_RUNS = BETWEEN.with_status("Running", podName=SECOND, podUID="pod-2")


def test_a_pod_in_the_place_of_the_recorded_one_is_deleted() -> None:
    ghost = a_pod().running()
    job = a_cijob().running().with_status("Running", podUID="recorded")

    assert decided(job, ghost) == Decision(action=DeletePod(pod=ghost.pod))
    going = ghost.being_deleted()
    assert decided(job, going) == Decision(action=ConfirmPod(name=POD_NAME, uid="recorded"))
    sure = decided(job, going, absent=("recorded",)).status
    assert sure is not None
    assert (sure.attempt, sure.reason, sure.attempts[0].pod_uid) == (2, "PodDeleted", "recorded")


@pytest.mark.parametrize(
    ("job", "second"),
    [
        (SECOND_RUNS, a_pod().of_attempt(2).running()),
        (
            SECOND_RUNS.with_status("Succeeded", completionTime="2026-01-31T12:05:00Z"),
            a_pod().of_attempt(2).terminated(0).ended("Succeeded"),
        ),
    ],
)
@pytest.mark.parametrize("pod", [a_pod(), a_pod().running(), a_pod().terminated(1, report=report(1))])
def test_a_late_pod_of_an_earlier_attempt_is_deleted(job: CiJobBuilder, second: PodBuilder, pod: PodBuilder) -> None:
    """Its POST arrived after all was over."""
    late = pod.of_attempt(1, "late")

    assert decided(job, second, 90, late).action == DeletePod(pod=late.pod)
    assert decided(job, second, 91, late.being_deleted(90)).action is None


def test_a_late_pod_keeps_the_next_attempt_waiting() -> None:
    late = a_pod().running().of_attempt(1, "late")

    assert decided(BETWEEN, None, 80, late).action == DeletePod(pod=late.pod)
    assert decided(BETWEEN, None, 80, late.being_deleted(80)).action is None
    assert created(decided(BETWEEN, None, 80, ENDED, absent=())) == SECOND


def test_the_evidence_of_attempts_that_fell_out_of_the_history_stays() -> None:
    job = SECOND_RUNS.with_status("Running", attempts=[])

    assert decided(job, a_pod().of_attempt(2).running(), 90, ENDED).action is None


# --- nodes that are lost

SILENT = a_pod().running().being_deleted(asked=50, grace=60).disrupted("DeletionByTaintManager")


def test_a_silent_node_is_waited_for_by_default() -> None:
    assert decided(a_cijob().running(), SILENT, 1_000_000) == Decision()


@pytest.mark.parametrize("now", [110, 409])
def test_with_retry_a_silent_node_has_its_grace_and_five_minutes(now: float) -> None:
    assert decided(a_cijob().running(), SILENT, now, settings=RETRY) == Decision(look_again_at=at(410))


def test_with_retry_a_silent_node_is_given_up_and_the_job_runs_again() -> None:
    decision = decided(a_cijob().running(), SILENT, 410, settings=RETRY)

    assert decision.status is not None
    assert (decision.status.attempt, decision.status.reason) == (2, "NodeLost")
    assert decision.status.retries == Retries(infra=1)
    job = a_cijob().between_attempts("NodeLost", ended=410, infra=1)
    assert decided(job, None, 419, SILENT, settings=RETRY).look_again_at == at(420)
    assert created(decided(job, None, 420, SILENT, settings=RETRY)) == SECOND
    assert created(decided(job, None, 420, SILENT)) is None, "another operator that waits"


def test_a_pod_whose_daemon_hangs_on_a_silent_node_is_given_up_too() -> None:
    pod = FAILED.being_deleted(asked=65, grace=60)

    assert decided(BETWEEN, None, 80, pod, settings=RETRY).look_again_at == at(425)
    assert created(decided(BETWEEN, None, 425, pod, settings=RETRY)) == SECOND


@pytest.mark.parametrize(
    ("says", "job", "pod", "reason"),
    [
        ("a deletion by hand", a_cijob().with_retry(infraLimit=0), a_pod().running().being_deleted(), "NodeLost"),
        ("a script that had ended before", a_cijob(), FAILED.being_deleted(), "ScriptFailed"),
        ("a cancelled job", a_cijob().with_cancel("Graceful"), SILENT, "Cancelled"),
    ],
)
def test_what_a_given_up_pod_says(says: str, job: CiJobBuilder, pod: PodBuilder, reason: str) -> None:
    status = decided(job.running(), pod, 500, settings=RETRY).status

    assert status is not None, says
    assert (status.phase.finished, status.reason) == (True, reason)


def test_the_grace_of_lost_nodes_is_a_setting() -> None:
    short = replace(RETRY, node_lost_grace_seconds=0)

    assert decided(a_cijob().running(), SILENT, 110, settings=short).status is not None
