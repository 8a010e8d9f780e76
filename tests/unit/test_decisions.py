"""The next step for a CiJob: every phase, with and without its Pod."""

from __future__ import annotations

import pytest

from cijob import names
from cijob.actions import (
    NOTHING,
    ConfirmPod,
    CreatePod,
    Decision,
    DeleteJob,
    DeletePod,
    Observed,
    StopPod,
)
from cijob.decisions import decide, refused
from cijob.errors import ApiError
from cijob.models import Phase
from cijob.policies.creation import creation_failure
from cijob.reasons import Reason
from cijob.settings import Settings
from tests.unit.builders import POD_NAME, POD_UID, CiJobBuilder, PodBuilder, a_cijob, a_pod, at, report

SETTINGS = Settings()
#: A job that never runs again.
ONCE = a_cijob().with_retry(infraLimit=0)
UNFINISHED = [
    a_cijob(),
    a_cijob().with_status("Pending", reason="QuotaExceeded"),
    a_cijob().with_status("Queued"),
    a_cijob().running().with_status("Starting"),
    a_cijob().running(),
]


def decided(
    job: CiJobBuilder, pod: PodBuilder | None = None, now: float = 10, *, gone: PodBuilder | None = None
) -> Decision:
    """The decision at a time."""
    observed = Observed(pod=pod.pod if pod else None, gone=gone.pod if gone else None)
    return decide(job.job, observed, SETTINGS, at(now))


def reason_of(decision: Decision) -> Reason:
    """The reason of a verdict, which is in the status too."""
    assert decision.verdict is not None
    assert decision.status is not None
    assert decision.status.reason == str(decision.verdict.reason)
    assert decision.status.phase is decision.verdict.phase
    return decision.verdict.reason


# --- without a Pod


def test_a_new_job_gets_its_pod_and_no_status() -> None:
    decision = decided(a_cijob())

    assert isinstance(decision.action, CreatePod)
    assert decision.action.manifest["metadata"]["name"] == POD_NAME
    assert decision == Decision(action=decision.action)


@pytest.mark.parametrize("job", UNFINISHED)
@pytest.mark.parametrize("cancel", [None, "Graceful"])
@pytest.mark.parametrize("pod", [None, a_pod(), a_pod().running(), a_pod().terminated(1).ended("Failed")])
def test_nothing_is_done_for_a_job_that_is_being_deleted(
    job: CiJobBuilder, cancel: str | None, pod: PodBuilder | None
) -> None:
    assert decided(job.with_spec(cancel=cancel).being_deleted(), pod) is NOTHING


def test_a_pod_that_was_recorded_is_never_created_again() -> None:
    """Neither by the operator that created it nor by the next one, which knows only the status."""
    confirm = decided(a_cijob().running())
    assert confirm == Decision(action=ConfirmPod(name=POD_NAME, uid=POD_UID))

    sure = decide(ONCE.running().job, Observed(absent=frozenset({POD_UID})), SETTINGS, at(10))
    assert reason_of(sure) is Reason.POD_DELETED
    assert sure.action is None


def test_a_pod_that_was_seen_is_never_created_again() -> None:
    decision = decided(ONCE, gone=a_pod().running())

    assert reason_of(decision) is Reason.POD_DELETED
    assert decision.action is None
    assert decision.status is not None
    assert (decision.status.pod_name, decision.status.node_name) == (POD_NAME, "node-1")


def test_what_was_last_seen_of_a_pod_decides_after_its_end() -> None:
    last = a_pod().terminated(7, report=report(7)).being_deleted(70)

    assert reason_of(decided(a_cijob().running(), gone=last)) is Reason.SCRIPT_FAILED


@pytest.mark.parametrize("mode", ["Graceful", "Immediate"])
def test_a_job_cancelled_before_its_pod_gets_none(mode: str) -> None:
    decision = decided(a_cijob().with_cancel(mode))

    assert reason_of(decision) is Reason.CANCELLED
    assert decision.action is None


@pytest.mark.parametrize(
    ("job", "path"),
    [
        (a_cijob().with_spec(command=["/build"]), "spec"),
        (a_cijob().with_spec(timeout="soon"), "spec.timeout"),
        (a_cijob().with_spec(workingDir="/etc"), "spec.workingDir"),
        (a_cijob().with_meta(name="dots.are.bad"), "name"),
        (a_cijob().with_spec(script=["'\"$`\\" * 20_000] * 2), "spec.script"),
    ],
)
def test_a_spec_that_slipped_past_the_api_server_ends_as_invalid(job: CiJobBuilder, path: str) -> None:
    decision = decided(job)

    assert reason_of(decision) is Reason.INVALID_SPEC
    assert decision.action is None
    assert decision.verdict is not None
    assert path in decision.verdict.message


# --- with a Pod


@pytest.mark.parametrize(
    "pod",
    [
        a_pod().of_another_job(),
        a_pod().with_meta(ownerReferences=None),
        a_pod().with_meta(labels={names.LABEL_ATTEMPT: "2"}),
        a_pod().with_meta(labels={names.LABEL_ATTEMPT: None}),
        a_pod().of_another_job().terminated(0, report=report(0)).ended("Succeeded"),
    ],
)
def test_a_foreign_pod_of_that_name_ends_the_job_and_is_left_alone(pod: PodBuilder) -> None:
    decision = decided(a_cijob(), pod)

    assert reason_of(decision) is Reason.POD_NAME_CONFLICT
    assert decision.action is None
    assert decision.status is not None
    assert decision.status.pod_uid is None
    assert POD_NAME in str(decision.status.message)
    assert decided(a_cijob().with_status("Failed", completionTime=None), pod).action is None


def test_a_pod_whose_sidecar_a_webhook_took_ends_the_job() -> None:
    """Whenever that is seen: the Pod would wait for ever for its daemon's end."""
    decision = decided(a_cijob(), a_pod().without_sidecar())

    assert reason_of(decision) is Reason.POD_REJECTED
    assert "restartPolicy" in str(decision.status and decision.status.message)
    assert decided(a_cijob().without_docker(), a_pod().without_sidecar()).verdict is None


def test_a_new_pod_is_looked_at_again_after_5_seconds() -> None:
    assert decided(a_cijob(), a_pod(), 0) == Decision(look_again_at=at(5))
    assert decided(a_cijob(), a_pod().started().waiting("ErrImagePull"), 4.9) == Decision(look_again_at=at(5))


@pytest.mark.parametrize(
    ("pod", "reason", "again"),
    [
        (a_pod().unschedulable(), Reason.UNSCHEDULABLE, None),
        (a_pod().started(), Reason.CONTAINER_STARTING, None),
        (a_pod().dind_running(2).waiting("ImagePullBackOff"), Reason.PULLING_IMAGE, 122),
        (a_pod().dind_running(2).waiting("CreateContainerConfigError"), Reason.CONTAINER_STARTING, 122),
    ],
)
def test_a_pod_that_is_slow_gets_a_status_once(pod: PodBuilder, reason: Reason, again: float | None) -> None:
    first = decided(a_cijob(), pod, 5)

    assert first.status is not None
    assert (first.status.phase, first.status.reason) == (Phase.STARTING, reason)
    assert (first.status.pod_name, first.status.pod_uid, first.status.attempt) == (POD_NAME, POD_UID, 1)
    assert first.look_again_at == (None if again is None else at(again))

    told = a_cijob().running().with_status("Starting", reason=str(reason))
    assert decided(told, pod, 50) == Decision(look_again_at=first.look_again_at)


def test_a_hopeless_wait_ends_the_job_and_then_its_pod() -> None:
    pod = a_pod().dind_running(2).waiting("ImagePullBackOff", "not found")
    starting = a_cijob().running().with_status("Starting")

    assert reason_of(decided(starting, pod, 122)) is Reason.IMAGE_PULL_FAILED
    after = decided(a_cijob().finished("Failed", "ImagePullFailed"), pod, 122)
    assert after.action == StopPod(pod=pod.pod, why="ImagePullFailed", active_deadline_seconds=1)


def test_a_running_job_gets_its_status_once() -> None:
    first = decided(a_cijob(), a_pod().running())

    assert first.status is not None
    assert first.status == a_cijob().running().job.status
    assert first.action is None
    assert decided(a_cijob().running(), a_pod().running()) == NOTHING


def test_running_clears_what_was_said_while_starting() -> None:
    starting = a_cijob().running().with_status("Starting", reason="PullingImage", message="The image is being pulled.")

    decision = decided(starting, a_pod().running())

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason, decision.status.message) == (Phase.RUNNING, None, None)


def test_a_job_that_ends_before_it_was_seen_running_gets_one_status() -> None:
    decision = decided(a_cijob(), a_pod().terminated(0, report=report(0)), 61)

    assert reason_of(decision) is Reason.COMPLETED
    assert decision.status is not None
    assert (decision.status.pod_uid, decision.status.exit_code, decision.status.completion_time) == (POD_UID, 0, at(61))
    assert decision.action is None


def test_the_pods_own_deadline_counts_though_the_operators_default_has_changed() -> None:
    killed = a_pod().terminated(143, report=report(143, signal="TERM"), finished=601)
    killed = killed.with_(spec=killed.body["spec"] | {"activeDeadlineSeconds": 600}).ended("Failed", "DeadlineExceeded")

    assert reason_of(decided(a_cijob(), killed, 602)) is Reason.DEADLINE_EXCEEDED


def test_an_end_that_is_not_plain_waits_for_the_pods() -> None:
    assert decided(a_cijob().running(), a_pod().terminated(143)) == NOTHING


# --- cancel


def test_a_graceful_cancel_stops_the_pod_once() -> None:
    job, pod = a_cijob().running().with_cancel("Graceful"), a_pod().running()

    assert decided(job, pod, 30).action == StopPod(pod=pod.pod, why="Graceful", active_deadline_seconds=1)
    assert decided(job, pod, 30).verdict is None
    assert decided(job, pod.stopped("Graceful"), 31).action is None
    assert decided(job, pod.being_deleted(), 31).action is None


def test_an_immediate_cancel_leaves_the_kubelet_2_seconds_to_tell_the_job() -> None:
    """The deadline counts from the Pod's start, at second 1."""
    job, pod = a_cijob().running().with_cancel("Immediate"), a_pod().running()

    assert decided(job, pod, 31.9).action == StopPod(pod=pod.pod, why="Immediate", active_deadline_seconds=32)
    assert decided(job, pod.stopped("Immediate"), 32).action is None


@pytest.mark.parametrize("now", [0, 1, 57, 58.5, 59, 60, 61, 4000])
def test_an_immediate_cancel_never_raises_the_pods_deadline(now: float) -> None:
    """The API server would refuse it."""
    pod = a_pod().running().with_(spec={"activeDeadlineSeconds": 60})

    action = decided(a_cijob().running().with_cancel("Immediate"), pod, now).action

    assert isinstance(action, StopPod)
    assert 1 <= action.active_deadline_seconds <= 60


def test_a_graceful_cancel_may_become_immediate_but_not_the_reverse() -> None:
    graceful, immediate = a_pod().running().stopped("Graceful"), a_pod().running().stopped("Immediate")

    action = decided(a_cijob().running().with_cancel("Immediate"), graceful, 30).action

    assert action == StopPod(pod=graceful.pod, why="Immediate", active_deadline_seconds=1)
    assert decided(a_cijob().running().with_cancel("Graceful"), immediate, 30).action is None


def test_a_cancelled_pod_that_no_kubelet_started_is_deleted() -> None:
    pod = a_pod().unschedulable()

    decision = decided(a_cijob().with_cancel("Graceful"), pod)

    assert decision.action == DeletePod(pod=pod.pod)
    assert reason_of(decision) is Reason.CANCELLED


def test_a_cancelled_pod_that_still_pulls_is_stopped() -> None:
    pod = a_pod().waiting("ImagePullBackOff")

    decision = decided(a_cijob().with_cancel("Graceful"), pod, 9999)

    assert decision.action == StopPod(pod=pod.pod, why="Graceful", active_deadline_seconds=1)
    assert decision.verdict is None


def test_a_cancelled_job_ends_with_its_pod() -> None:
    pod = a_pod().terminated(143, report=report(143, signal="TERM")).stopped("Graceful")
    job = a_cijob().running().with_cancel("Graceful")

    assert decided(job, pod).verdict is None
    assert reason_of(decided(job, pod.ended("Failed", "DeadlineExceeded"))) is Reason.CANCELLED


# --- a lost daemon


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (a_pod().running().dind_restarted(2), "DaemonLost"),
        (a_pod().running().dind_terminated(2), "DaemonLost"),
        (a_pod().running().dind_restarted(137, reason="OOMKilled"), "DaemonOOMKilled"),
    ],
)
def test_a_job_whose_daemon_died_is_stopped_once(pod: PodBuilder, why: str) -> None:
    assert decided(a_cijob().running(), pod, 40).action == StopPod(pod=pod.pod, why=why, active_deadline_seconds=1)
    assert decided(a_cijob().running(), pod.stopped(why), 41) == NOTHING
    assert decided(a_cijob().running(), pod.being_deleted(), 41) == NOTHING


def test_a_daemon_that_died_before_the_job_was_seen_running_gets_both_writes() -> None:
    decision = decided(a_cijob(), a_pod().running().dind_restarted(2))

    assert isinstance(decision.action, StopPod)
    assert decision.status is not None
    assert decision.status.phase is Phase.RUNNING


def test_a_daemon_that_ends_after_the_job_is_no_trouble() -> None:
    assert decided(a_cijob().running(), a_pod().terminated(1).dind_terminated(0)) == NOTHING


# --- after the end


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
@pytest.mark.parametrize(
    "pod",
    [
        None,
        a_pod().terminated(3, report=report(3)),
        a_pod().terminated(0).ended("Succeeded"),
        a_pod().running().being_deleted(),
        a_pod().being_deleted(),
    ],
)
def test_a_finished_job_stays_as_it_is_until_it_expires(phase: str, pod: PodBuilder | None) -> None:
    job = a_cijob().finished(phase, "Any", 100)

    assert decided(job, pod, 200) == Decision(look_again_at=at(100 + 86400))
    assert decided(job.with_cancel("Immediate"), pod, 200) == Decision(look_again_at=at(100 + 86400))
    assert decided(job, pod, 100 + 86400) == Decision(action=DeleteJob())


def test_a_finished_job_stops_a_pod_that_still_waits() -> None:
    pod = a_pod().dind_running().waiting("CreateContainerConfigError")
    job = a_cijob().finished("Failed", "ConfigError", 130)

    assert decided(job, pod, 131) == Decision(
        action=StopPod(pod=pod.pod, why="ConfigError", active_deadline_seconds=1), look_again_at=at(130 + 86400)
    )
    assert decided(job, pod.stopped("ConfigError"), 132).action is None


def test_a_pod_whose_creation_was_overtaken_by_the_cancellation_does_not_run() -> None:
    """Its POST was never answered, so the status does not know it."""
    job = (
        a_cijob()
        .with_cancel("Graceful")
        .with_status("Cancelled", reason="Cancelled", completionTime="2026-01-31T12:00:09Z")
    )

    assert decided(job, a_pod()).action == DeletePod(pod=a_pod().pod)
    assert isinstance(decided(job, a_pod().running()).action, StopPod)
    assert decided(job, a_pod().of_another_job()).action is None


# --- a refused Pod


def refusal(status: int, reason: str, message: str, job: CiJobBuilder | None = None) -> Decision:
    """The decision after a refusal."""
    return refused((job or a_cijob()).job, creation_failure(ApiError(status, reason, message)), at(10))


def test_a_final_refusal_ends_the_job() -> None:
    decision = refusal(403, "Forbidden", 'violates PodSecurity "restricted"')

    assert reason_of(decision) is Reason.POD_REJECTED
    assert not decision.try_again


def test_a_full_namespace_is_told_once_and_tried_again() -> None:
    first = refusal(403, "Forbidden", "exceeded quota: team")

    assert first.try_again
    assert first.verdict is None
    assert first.status is not None
    assert (first.status.phase, first.status.reason) == (Phase.PENDING, "QuotaExceeded")
    assert "exceeded quota: team" in str(first.status.message)

    told = a_cijob().with_status("Pending", reason="QuotaExceeded")
    assert refusal(403, "Forbidden", "exceeded quota: team, used: 9", told) == Decision(try_again=True)


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (403, "Forbidden", "unable to create new content in namespace x because it is being terminated"),
        (403, "Forbidden", 'User "x" cannot create resource "pods"'),
        (401, "Unauthorized", "Unauthorized"),
    ],
)
def test_what_may_pass_is_tried_again_without_a_word(status: int, reason: str, message: str) -> None:
    assert refusal(status, reason, message) == Decision(try_again=True)
