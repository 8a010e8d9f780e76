"""What a Pod waits for before its job runs, and when the wait is hopeless. Graces count from the Pod's own times."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cijob.policies.waiting import Wait, waiting
from cijob.reasons import Reason
from tests.unit.builders import CiJobBuilder, PodBuilder, a_cijob, a_pod, at, daemon_report, report

GRACE = timedelta(seconds=120)


def wait_of(pod: PodBuilder, seconds: float, job: CiJobBuilder | None = None) -> Wait:
    """The wait of a Pod that has one."""
    wait = waiting((job or a_cijob()).job.spec, pod.pod, GRACE, at(seconds))
    assert wait is not None
    return wait


@pytest.mark.parametrize(
    "pod",
    [
        a_pod().running(),
        a_pod().terminated(0, report=report(0)),
        a_pod().terminated(1).ended("Failed"),
        a_pod().ended("Failed", "OutOfcpu"),
    ],
    ids=["runs", "has ended", "has ended with its Pod", "was refused by the node"],
)
def test_nothing_is_waited_for_once_the_job(pod: PodBuilder) -> None:
    assert waiting(a_cijob().job.spec, pod.pod, GRACE, at(9999)) is None


@pytest.mark.parametrize(
    ("says", "pod", "reason", "text"),
    [
        ("no node has room", a_pod().unschedulable("0/3 nodes are available"), Reason.UNSCHEDULABLE, "0/3 nodes are"),
        (
            "the scheduler gives a reason only",
            a_pod().with_condition("PodScheduled", status="False", reason="SchedulingGated"),
            Reason.UNSCHEDULABLE,
            "SchedulingGated",
        ),
        ("no kubelet has it yet", a_pod(), Reason.CONTAINER_STARTING, "being started"),
        ("its kubelet has it", a_pod().started(), Reason.CONTAINER_STARTING, "being started"),
        ("its sidecar is pulled", a_pod().dind_waiting("PodInitializing"), Reason.CONTAINER_STARTING, "being started"),
        ("its container is made", a_pod().waiting("ContainerCreating"), Reason.CONTAINER_STARTING, "being started"),
    ],
)
def test_a_wait_without_trouble_has_no_end(says: str, pod: PodBuilder, reason: Reason, text: str) -> None:
    wait = wait_of(pod, 100_000)

    assert (wait.reason, wait.verdict, wait.until) == (reason, None, None), says
    assert text in wait.message


JOB_TROUBLE = [
    ("ErrImagePull", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("ImagePullBackOff", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("ErrImageNeverPull", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("RegistryUnavailable", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("ImageInspectError", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("SignatureValidationFailed", Reason.PULLING_IMAGE, Reason.IMAGE_PULL_FAILED),
    ("CreateContainerConfigError", Reason.CONTAINER_STARTING, Reason.CONFIG_ERROR),
    ("CreateContainerError", Reason.CONTAINER_STARTING, Reason.START_ERROR),
    ("RunContainerError", Reason.CONTAINER_STARTING, Reason.START_ERROR),
]


@pytest.mark.parametrize(("kubelet", "meanwhile", "end"), JOB_TROUBLE)
def test_trouble_of_the_job_container_gets_a_grace(kubelet: str, meanwhile: Reason, end: Reason) -> None:
    """The sidecar has run since second 2, so that is when the kubelet turned to the job container."""
    pod = a_pod().dind_running(since=2).waiting(kubelet, 'secret "api" not found')

    early, late = wait_of(pod, 121.9), wait_of(pod, 122)

    assert (early.reason, early.verdict, early.until) == (meanwhile, None, at(122))
    assert late.verdict is not None
    assert (late.verdict.reason, late.verdict.exit_code) == (end, None)
    assert 'secret "api" not found' in early.message
    assert 'secret "api" not found' in late.verdict.message


def test_the_grace_of_the_job_counts_from_the_pods_start_without_a_sidecar() -> None:
    job, pod = a_cijob().without_docker(), a_pod().started(10).waiting("ErrImagePull")

    assert wait_of(pod, 129, job).until == at(130)
    assert wait_of(pod, 130, job).verdict is not None


def test_a_slow_pull_of_the_sidecar_does_not_eat_the_jobs_grace() -> None:
    pod = a_pod().started(1).dind_running(since=300).waiting("ImagePullBackOff")

    assert wait_of(pod, 419).verdict is None
    assert wait_of(pod, 420).verdict is not None


@pytest.mark.parametrize("now", [at(122), at(500), at(100_000)])
def test_a_restarted_operator_comes_to_the_same_end(now: datetime) -> None:
    """Nothing but the Pod and the time goes in: how long the process runs does not matter."""
    pod = a_pod().dind_running(since=2).waiting("ImagePullBackOff", "not found")

    assert waiting(a_cijob().job.spec, pod.pod, GRACE, now) == wait_of(pod, 122)


def test_a_bad_image_name_is_hopeless_at_once() -> None:
    message = 'Failed to apply default image tag "UBUNTU": repository name must be lowercase'

    wait = wait_of(a_pod().dind_running().waiting("InvalidImageName", message), 3)

    assert wait.verdict is not None
    assert wait.verdict.reason is Reason.IMAGE_INVALID
    assert message in wait.verdict.message


@pytest.mark.parametrize("kubelet", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_the_daemons_image_gets_a_grace_from_the_pods_start(kubelet: str) -> None:
    pod = a_pod().started(1).dind_waiting(kubelet, "pull access denied").waiting("PodInitializing")

    assert wait_of(pod, 120).until == at(121)
    late = wait_of(pod, 121)
    assert late.verdict is not None
    assert late.verdict.reason is Reason.DAEMON_IMAGE_PULL_FAILED
    assert "pull access denied" in late.verdict.message


@pytest.mark.parametrize("kubelet", ["CreateContainerError", "RunContainerError", "CreateContainerConfigError"])
def test_a_daemon_that_cannot_be_made_gets_the_same_grace(kubelet: str) -> None:
    pod = a_pod().started(1).dind_waiting(kubelet, "no such device").waiting("PodInitializing")

    assert wait_of(pod, 120).until == at(121)
    late = wait_of(pod, 121)
    assert late.verdict is not None
    assert late.verdict.reason is Reason.DAEMON_NOT_READY
    assert "no such device" in late.verdict.message


def test_a_daemon_that_fell_at_its_start_is_hopeless_at_once() -> None:
    pod = a_pod().dind_restarted(1, report=daemon_report(ready=False, message="cannot mount the cgroup"))

    wait = wait_of(pod.waiting("PodInitializing"), 35)

    assert wait.verdict is not None
    assert wait.verdict.reason is Reason.DAEMON_NOT_READY
    assert "cannot mount the cgroup" in wait.verdict.message


def test_a_daemon_that_was_killed_by_its_probe_tells_nothing_more() -> None:
    wait = wait_of(a_pod().dind_restarted(137).waiting("PodInitializing"), 35)

    assert wait.verdict is not None
    assert wait.verdict.reason is Reason.DAEMON_NOT_READY
