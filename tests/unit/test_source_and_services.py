"""The verdicts on a checkout that failed and on a service that was not ready, and what is waited for before the job runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cijob.errors import ApiError, ApiUnavailable
from cijob.models import Phase
from cijob.policies.outcome import final_verdict, outcome, vanished
from cijob.policies.waiting import Wait, waiting
from cijob.reasons import Reason
from tests.unit.builders import CiJobBuilder, PodBuilder, a_cijob, a_pod, at, daemon_report, report, waits
from tests.unit.world import World

HOUR, GRACE = timedelta(hours=1), timedelta(seconds=120)
GIT = a_cijob().with_git()
SERVICES = a_cijob().with_service("db").with_service("cache", ports=None, ready=["ping"], startTimeout="90s")
PROBED = a_cijob().with_command("/build").with_service("db")
SAID = "Cloning...\nfatal: repository 'https://git.example.com/app.git/' not found\n"
FAILED = a_pod().dind_running().git_ended(1, SAID)


def not_ready(pod: PodBuilder, service: str = "db") -> PodBuilder:
    """`job.sh` has given up on a service."""
    return pod.terminated(125, report=report(125, part="services", entry=0, service=service))


# --- the checkout


@pytest.mark.parametrize(
    ("says", "pod", "job", "known"),
    [
        ("it failed and said why", FAILED, GIT, True),
        ("it succeeded", a_pod().git_ended(0, reason="Completed"), GIT, False),
        (
            "it still runs",
            a_pod().init("git", {"state": {"running": {"startedAt": "2026-01-31T12:00:03Z"}}}),
            GIT,
            False,
        ),
        ("it said nothing", a_pod().git_ended(1), GIT, False),
        ("it was told to end", a_pod().git_ended(143, SAID), GIT, False),
        ("it was killed", a_pod().git_ended(137, SAID, reason="OOMKilled"), GIT, False),
        ("the job is cancelled", FAILED, GIT.with_cancel("Graceful"), False),
        ("the operator stopped the Pod", FAILED.stopped("DaemonLost"), GIT, False),
        ("the Pod is being deleted", FAILED.being_deleted(), GIT, False),
        ("the Pod is disrupted", FAILED.disrupted("EvictionByEvictionAPI"), GIT, False),
        ("it is past the deadline", a_pod().git_ended(1, SAID, finished=3602), GIT, False),
    ],
)
def test_a_failed_checkout_is_known_at_once_where_its_cause_is_plain(
    says: str, pod: PodBuilder, job: CiJobBuilder, *, known: bool
) -> None:
    end = outcome(job.job.spec, pod.pod, HOUR)

    assert (end is not None) == known, says
    if end is not None:
        assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, Reason.SOURCE_FAILED, None)
        assert end.message.endswith(
            "git said: Cloning... / fatal: repository 'https://git.example.com/app.git/' not found"
        )
        assert end == outcome(job.job.spec, pod.dind_terminated(0).ended("Failed").pod, HOUR)


@pytest.mark.parametrize(
    ("says", "pod", "job", "reason"),
    [
        ("a cancel is first", FAILED.ended("Failed"), GIT.with_cancel("Graceful"), Reason.CANCELLED),
        (
            "then the deadline",
            a_pod().git_ended(143, finished=3602).ended("Failed", "DeadlineExceeded"),
            GIT,
            Reason.DEADLINE_EXCEEDED,
        ),
        (
            "a deadline after its own end is none",
            FAILED.dind_terminated(0).ended("Failed", "DeadlineExceeded"),
            GIT,
            Reason.SOURCE_FAILED,
        ),
        (
            "then a daemon for which the Pod was stopped",
            a_pod()
            .dind_restarted(1, report=daemon_report(ready=False), finished=10)
            .git_ended(143)
            .stopped("DaemonNotReady")
            .ended("Failed"),
            GIT,
            Reason.DAEMON_NOT_READY,
        ),
        (
            "a daemon that died is no cause of git's",
            FAILED.dind_restarted(1, finished=10).ended("Failed"),
            GIT,
            Reason.SOURCE_FAILED,
        ),
        ("nor is a daemon that ended in order", FAILED.dind_terminated(0).ended("Failed"), GIT, Reason.SOURCE_FAILED),
        (
            "then a drain that killed it",
            a_pod().git_ended(143).disrupted("EvictionByEvictionAPI").ended("Failed"),
            GIT,
            Reason.EVICTED,
        ),
        (
            "a drain after its own end is none",
            FAILED.disrupted("EvictionByEvictionAPI").ended("Failed"),
            GIT,
            Reason.SOURCE_FAILED,
        ),
        ("a deletion that killed it", a_pod().git_ended(143).being_deleted().ended("Failed"), GIT, Reason.POD_DELETED),
        ("something else killed it", a_pod().git_ended(137).ended("Failed"), GIT, Reason.SOURCE_FAILED),
        (
            "the kubelet lost track of it",
            a_pod().git_ended(137, reason="ContainerStatusUnknown").ended("Failed"),
            GIT,
            Reason.CONTAINER_STATUS_UNKNOWN,
        ),
    ],
)
def test_of_the_causes_of_a_checkout_that_failed_the_first_is_told(
    says: str, pod: PodBuilder, job: CiJobBuilder, reason: Reason
) -> None:
    end = final_verdict(job.job.spec, pod.pod, HOUR)

    assert (end.reason, end.exit_code) == (reason, None), says


def test_a_checkout_that_had_failed_before_its_pod_was_deleted_has_its_own_verdict() -> None:
    assert vanished(GIT.job.spec, FAILED.being_deleted().pod, HOUR).reason is Reason.SOURCE_FAILED
    assert vanished(GIT.job.spec, a_pod().git_ended(143).being_deleted().pod, HOUR).reason is Reason.POD_DELETED


@pytest.mark.parametrize(
    ("code", "reason", "said", "told"),
    [
        (137, "OOMKilled", "", "git ran out of memory: it has as much as the job, spec.resources.limits.memory."),
        (128, "StartError", 'exec: "/bin/sh": no such file', 'could not be started: exec: "/bin/sh": no such file'),
        (1, "Error", "", "Its container exited with 1."),
        (1, "Error", "x" * 900 + "\nfatal: the last line", "x / fatal: the last line"),
    ],
)
def test_a_failed_checkout_s_message(code: int, reason: str, said: str, told: str) -> None:
    end = final_verdict(GIT.job.spec, a_pod().git_ended(code, said, reason=reason).ended("Failed").pod, HOUR)

    assert end.message.endswith(told)
    assert len(end.message) <= 700


async def test_a_pod_whose_checkout_failed_is_not_stopped_since_the_kubelet_ends_it() -> None:
    world = World(GIT)
    await world.work()
    world.api.kubelet(lambda pod: pod.dind_running().git_ended(1, SAID))

    assert await world.work(at(21)) == ["PATCH job/status", "POST event"]
    assert world.status["reason"] == "SourceFailed"
    assert "exitCode" not in world.status


# --- services


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        (not_ready(a_pod()), "db was not ready after 60 s."),
        (not_ready(a_pod(), "cache"), "cache was not ready after 90 s."),
        (
            not_ready(a_pod()).restarted("db", 2),
            "db was not ready after 60 s: its container exited with 2 and was restarted 1 time.",
        ),
        (
            not_ready(a_pod()).restarted("db", 137, reason="OOMKilled", times=4),
            "its container exited with 137 for want of memory (its resources.limits.memory) and was restarted 4 times.",
        ),
        (
            not_ready(a_pod()).init("db", {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}),
            "its container exited with 0.",
        ),
    ],
)
def test_a_service_that_was_not_ready_is_named_with_what_became_of_it(pod: PodBuilder, told: str) -> None:
    end = outcome(SERVICES.job.spec, pod.pod, HOUR)

    assert end is not None
    assert (end.reason, end.exit_code, end.log_of) == (
        Reason.SERVICE_NOT_READY,
        125,
        "cache" if "cache" in told else "db",
    )
    assert end.message.endswith(told)


@pytest.mark.parametrize(
    ("says", "pod", "reason"),
    [
        (
            "a daemon that died meanwhile",
            a_pod().terminated(125, report=report(125, part="services", service="db", daemon="lost")).dind_restarted(),
            Reason.DAEMON_LOST,
        ),
        (
            "a daemon that was not ready",
            a_pod().terminated(125, report=report(125, part="daemon", daemon="timeout")),
            Reason.DAEMON_NOT_READY,
        ),
        ("a service that the spec does not have", not_ready(a_pod(), "other"), Reason.SCRIPT_FAILED),
        ("a script that ends with 125 by itself", a_pod().terminated(125, report=report(125)), Reason.SCRIPT_FAILED),
    ],
)
def test_no_service_is_the_cause_of(says: str, pod: PodBuilder, reason: Reason) -> None:
    end = outcome(SERVICES.job.spec, pod.pod, HOUR)

    assert end is not None
    assert end.reason is reason, says


def test_a_command_s_own_words_name_no_service() -> None:
    pod = not_ready(a_pod()).ended("Failed").pod

    assert final_verdict(PROBED.job.spec, pod, HOUR).reason is Reason.SCRIPT_FAILED


async def failed_service(world: World) -> list[str]:
    """The requests at the end of a job whose service was not ready."""
    await world.work()
    world.api.kubelet(lambda pod: not_ready(pod.running()))
    return await world.work(at(70))


async def test_a_service_s_last_lines_are_read_once_for_the_verdict() -> None:
    world = World(SERVICES)
    world.api.logs["db"] = "starting\n\x1b[31mFATAL: no space left\x1b[0m\n"

    assert await failed_service(world) == ["GET pod/log", "PATCH job/status", "POST event"]
    assert world.status["reason"] == "ServiceNotReady"
    assert world.status["message"].endswith(
        "db was not ready after 60 s. It said last: starting / FATAL: no space left"
    )
    assert world.api.events[0]["message"] == world.status["message"]


@pytest.mark.parametrize(
    "error", [ApiError(400, "BadRequest", "container is waiting"), ApiUnavailable(0, "", "no answer")]
)
async def test_a_log_that_cannot_be_read_does_not_hold_the_verdict_up(error: ApiError) -> None:
    world = World(SERVICES)
    world.api.refuse("GET pod/log", error)

    assert await failed_service(world) == ["GET pod/log", "PATCH job/status", "POST event"]
    assert world.status["message"].endswith("db was not ready after 60 s.")


async def test_a_log_is_read_before_a_retry_too() -> None:
    world = World(SERVICES.with_retry(1))
    world.api.logs["db"] = "no room"

    assert await failed_service(world) == ["GET pod/log", "PATCH job/status"]
    assert "It said last: no room Attempt 2 starts at" in world.status["message"]


async def test_no_other_end_reads_a_log() -> None:
    world = World(SERVICES)
    await world.work()
    world.api.kubelet(lambda pod: pod.running().terminated(1, report=report(1)))

    assert await world.work(at(70)) == ["PATCH job/status", "POST event"]


async def test_without_a_launcher_the_log_of_the_run_before_is_read() -> None:
    world = World(PROBED)
    world.api.logs = {"db": "starting", "db before": "no room"}
    await world.work()
    world.api.kubelet(lambda pod: pod.dind_running().restarted("db", 1))

    assert (await world.work(at(70)))[0] == "GET pod/log"
    assert world.status["reason"] == "ServiceNotReady"
    assert world.status["message"].endswith("exited with 1 and was restarted 1 time. It said last: no room")


# --- before the job runs


def wait_of(job: CiJobBuilder, pod: PodBuilder, seconds: float) -> Wait:
    wait = waiting(job.job.spec, pod.pod, GRACE, at(seconds))
    assert wait is not None
    return wait


@pytest.mark.parametrize(
    ("kubelet", "meanwhile", "end"),
    [
        ("ErrImagePull", Reason.PULLING_IMAGE, Reason.SERVICE_IMAGE_PULL_FAILED),
        ("ImagePullBackOff", Reason.PULLING_IMAGE, Reason.SERVICE_IMAGE_PULL_FAILED),
        ("CreateContainerConfigError", Reason.CONTAINER_STARTING, Reason.CONFIG_ERROR),
        ("CreateContainerError", Reason.CONTAINER_STARTING, Reason.START_ERROR),
        ("RunContainerError", Reason.CONTAINER_STARTING, Reason.START_ERROR),
    ],
)
def test_trouble_of_a_service_gets_the_grace_of_the_job_s(kubelet: str, meanwhile: Reason, end: Reason) -> None:
    """The service before it has run since second 40: the kubelet turned to this one then."""
    pod = a_pod().dind_running(2).init("db", {"state": {"running": {"startedAt": "2026-01-31T12:00:40Z"}}})
    pod = pod.init("cache", waits(kubelet, "not found"))

    early, late = wait_of(SERVICES, pod, 159), wait_of(SERVICES, pod, 160)

    assert (early.reason, early.verdict, early.until) == (meanwhile, None, at(160))
    assert late.verdict is not None
    assert late.verdict.reason is end
    assert "Service cache: not found" in early.message
    assert "Service cache: not found" in late.verdict.message


def test_a_bad_image_name_of_a_service_is_hopeless_at_once() -> None:
    wait = wait_of(SERVICES, a_pod().dind_running().init("db", waits("InvalidImageName", "uppercase")), 3)

    assert wait.verdict is not None
    assert wait.verdict.reason is Reason.IMAGE_INVALID
    assert wait.message.endswith("Service db: uppercase")


def test_a_service_that_the_runtime_cannot_start_is_a_start_error_between_its_tries_too() -> None:
    death = {"exitCode": 128, "reason": "StartError", "message": 'exec: "/nope": no such file'}
    state = {**waits("CrashLoopBackOff", "back-off 10s"), "lastState": {"terminated": death}, "restartCount": 3}
    pod = a_pod().dind_running(2).init("db", state)

    assert wait_of(SERVICES, pod, 121).verdict is None
    late = wait_of(SERVICES, pod, 122)
    assert late.verdict is not None
    assert late.verdict.reason is Reason.START_ERROR
    assert late.message.endswith('Service db: exec: "/nope": no such file')


@pytest.mark.parametrize(
    ("says", "job", "hopeless"),
    [
        ("a startup probe on its port ran out", PROBED, True),
        (
            "a startup probe of its own ran out",
            PROBED.with_spec(services=[{"name": "db", "image": "x", "ready": ["y"]}]),
            True,
        ),
        ("it has no probe, and may come yet", PROBED.with_spec(services=[{"name": "db", "image": "x"}]), False),
        ("the script waits for it", SERVICES, False),
    ],
)
def test_a_service_that_was_restarted_before_the_job_started(says: str, job: CiJobBuilder, *, hopeless: bool) -> None:
    wait = wait_of(job, a_pod().dind_running().restarted("db"), 40)

    assert ((wait.verdict.reason if wait.verdict else None) is Reason.SERVICE_NOT_READY) == hopeless, says


@pytest.mark.parametrize("loops", [True, False])
def test_a_service_that_falls_before_the_kubelet_sees_it_run_is_told_after_its_own_limit(*, loops: bool) -> None:
    """The kubelet starts nothing after it then, so that no `job.sh` waits for it."""
    ended = {"terminated": {"exitCode": 7, "reason": "Error", "finishedAt": "2026-01-31T12:00:09Z"}}
    again = {**waits("CrashLoopBackOff", "back-off 10s"), "lastState": ended, "restartCount": 2}
    job = a_cijob().with_service("db", startTimeout="20s")
    pod = a_pod().dind_running(2).init("db", again if loops else {"state": ended})

    early, late = wait_of(job, pod, 21), wait_of(job, pod, 22)

    assert (early.verdict, early.until) == (None, at(22))
    assert "Service db: its container exited with 7." in early.message
    assert late.verdict is not None
    assert late.verdict.reason is Reason.SERVICE_NOT_READY
    assert "db was not ready after 20 s: its container exited with 7" in late.message
    assert late.verdict.log_of == "db"


def test_a_service_in_a_crash_loop_does_not_stretch_the_job_s_grace() -> None:
    pod = a_pod().dind_running(2).restarted("db", times=5).waiting("ImagePullBackOff")

    assert wait_of(SERVICES, pod, 122).verdict is not None


@pytest.mark.parametrize(
    ("kubelet", "end", "told"),
    [
        ("ImagePullBackOff", Reason.SOURCE_FAILED, "Its container: not found"),
        ("InvalidImageName", Reason.SOURCE_FAILED, "Its container: not found"),
        ("CreateContainerConfigError", Reason.CONFIG_ERROR, "spec.source.git.credentialsSecretRef: not found"),
        ("RunContainerError", Reason.SOURCE_FAILED, "Its container: not found"),
    ],
)
def test_trouble_of_the_checkout_s_container_gets_a_grace(kubelet: str, end: Reason, told: str) -> None:
    pod = a_pod().dind_running(2).init("git", waits(kubelet, "not found"))

    assert wait_of(GIT, pod, 121).verdict is None
    late = wait_of(GIT, pod, 122)
    assert late.verdict is not None
    assert late.verdict.reason is end
    assert late.verdict.message.endswith(told)


def test_a_long_checkout_does_not_eat_the_job_s_grace() -> None:
    pod = a_pod().dind_running(2).git_ended(0, reason="Completed", finished=300).waiting("ImagePullBackOff")

    assert wait_of(GIT, pod, 419).verdict is None
    assert wait_of(GIT, pod, 420).verdict is not None
