"""However a job ends: its phase, reason, message and exit code, with the log still readable.

The jobs that take long by their nature are all started first, and run at the same time.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e import greedy
from tests.e2e.conftest import without_operator
from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job, Jobs

UNIX = {"endpoint": "Unix"}
CLIENT = "docker:29-cli"
#: Failures of the infrastructure are verdicts too.
ONCE = {"infraLimit": 0}


@pytest.fixture(scope="module", autouse=True)
def slow(jobs: Jobs) -> dict[str, Job]:
    """Jobs whose end takes the grace of two minutes."""
    secret = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}]
    return {
        "image": jobs.start("no-image", image="nobody/nothing:1", script=["true"], docker={"enabled": False}),
        "secret": jobs.start("no-secret", env=secret, script=["true"], docker={"enabled": False}),
    }


def assert_end(job: Job, phase: str, reason: str, exit_code: int | None, message: str) -> None:
    status = job.end()
    assert (status["phase"], status["reason"], status.get("exitCode")) == (phase, reason, exit_code), status
    assert re.search(message, status["message"]), status["message"]
    assert "completionTime" in status


@pytest.mark.parametrize(("mode", "after"), [("Graceful", True), ("Immediate", False)])
def test_cancel_ends_a_running_job(jobs: Jobs, mode: str, *, after: bool) -> None:
    job = jobs.start(
        "cancel", docker=UNIX, script=["echo started", "sleep 600"], afterScript=["echo after: $CIJOB_STATUS"]
    )
    job.wait_for_log("\nstarted")
    job.cancel(mode)
    job.cancel(mode)
    assert_end(job, "Cancelled", "Cancelled", 143, "cancelled")
    assert ("\nafter: canceled" in job.log()) is after
    assert {condition["type"] for condition in job.status()["conditions"]} == {"Cancelled", "Failed", "Finished"}


def test_cancel_ends_a_job_that_no_node_has_room_for(jobs: Jobs) -> None:
    requests = {"requests": {"cpu": "1000"}}
    job = jobs.start("no-room", docker={"enabled": False}, resources=requests, script=["true"])
    status = wait_for(
        lambda: status if (status := job.status()).get("reason") == "Unschedulable" else None,
        60,
        lambda: f"the scheduler's word on {job.name}; it is {job.status()}",
    )
    assert (status["phase"], "Insufficient cpu" in status["message"]) == ("Starting", True), status
    job.cancel("Graceful")
    assert_end(job, "Cancelled", "Cancelled", None, "It had not started")
    wait_for(lambda: job.pod() == {} or None, 60, lambda: f"{job.pod()} to go")


def test_a_script_that_exits_with_0_on_sigterm_is_cancelled_all_the_same(jobs: Jobs) -> None:
    script = "trap 'echo handled; exit 0' TERM; echo started; while :; do sleep 0.1; done"
    job = jobs.start("trap", docker={"enabled": False}, script=[script])
    job.wait_for_log("\nstarted")
    job.cancel("Graceful")
    assert_end(job, "Cancelled", "Cancelled", 0, "cancelled")
    assert "handled" in job.log()


@pytest.mark.alone
def test_the_timeout_holds_with_the_operator_stopped(cluster: Cluster, jobs: Jobs) -> None:
    # So long that the operator is gone before.
    job = jobs.start("timeout", docker=UNIX, timeout="25s", script=["echo started", "sleep 600"])
    job.wait_for_phase("Running")
    with without_operator(cluster):
        wait_for(
            lambda: job.pod()["status"]["phase"] == "Failed" or None, 60, lambda: f"the kubelet to end {job.pod()}"
        )
        assert job.status()["phase"] == "Running"
    assert_end(job, "Failed", "DeadlineExceeded", 143, "within its timeout.*25 s")
    assert "started" in job.log()


def test_a_job_out_of_memory(jobs: Jobs) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    job = jobs.start("oom", docker={"enabled": False}, resources=limits, script=["echo started", "tail /dev/zero"])
    assert_end(job, "Failed", "OOMKilled", 137, "out of memory: raise spec.resources.limits.memory")
    assert "started" in job.log()


def test_a_daemon_that_dies_ends_the_job_at_once(jobs: Jobs) -> None:
    script = ["docker version", "echo started", "sleep 600"]
    job = jobs.start("daemon", image=CLIENT, docker=UNIX, retry=ONCE, script=script)
    job.wait_for_log("\nstarted")
    job.end_by("dind", "pkill", "-KILL", "-x", "dockerd")
    assert_end(job, "Failed", "DaemonLost", 143, "daemon died while the job ran")
    assert "started" in job.log()


def test_a_daemon_out_of_memory_is_told_from_one_that_fell(jobs: Jobs) -> None:
    limits = {"limits": {"memory": "256Mi"}}
    docker = {**UNIX, "resources": limits}
    script = ["docker version", "echo started", "sleep 600"]
    job = jobs.start("daemon-oom", image=CLIENT, docker=docker, retry=ONCE, script=script)
    job.wait_for_log("\nstarted")
    # Files in memory belong to nobody, so that dockerd is the largest process that the kernel can kill. Its score is 0.
    fill = "echo 0 > /proc/self/oom_score_adj; mount -t tmpfs -o size=100% none /mnt; dd if=/dev/zero of=/mnt/full bs=1M count=400"
    job.execute("dind", "sh", "-c", fill, check=False)
    assert_end(job, "Failed", "DaemonOOMKilled", 143, "raise spec.docker.resources.limits.memory")


@pytest.mark.parametrize(
    ("how", "image"),
    [("script", CLIENT), ("script", "cimg/base:current"), ("command", CLIENT)],
    ids=["", "not root", "command"],
)
def test_an_inner_container_out_of_memory_is_named_with_its_limit(jobs: Jobs, how: str, image: str) -> None:
    eat = "perl -e '$x = \"x\" x (400 << 20)'"
    script = f'{greedy.run("db", eat, "--memory 64m", "ubuntu:25.10")}; exit "$code"'
    run = {"script": [script]} if how == "script" else {"command": ["sh", "-c", script]}
    job = jobs.start("inner-oom", image=image, docker=UNIX, **run)
    killed = r"The container db \(ubuntu:25\.10\) was killed for memory, with a limit of 64Mi\."
    assert_end(job, "Failed", "ScriptFailed", 137, killed)


def test_a_full_disk_of_docker_s_is_in_the_message(jobs: Jobs) -> None:
    write = "docker run ubuntu:25.10 dd if=/dev/zero of=/full bs=1M count=900"
    docker = {**UNIX, "storage": {"size": "700Mi", "medium": "Memory"}}
    job = jobs.start("full", image=CLIENT, docker=docker, script=[write])
    assert_end(job, "Failed", "ScriptFailed", 1, r"Docker's disk is full: .* of 700Mi are left \(spec.docker.storage\)")


def test_a_daemon_that_never_answers_is_not_the_scripts_fault(jobs: Jobs) -> None:
    # With 8 MiB of memory dockerd cannot even begin.
    job = jobs.start(
        "never",
        image=CLIENT,
        docker={"resources": {"limits": {"memory": "8Mi"}, "requests": {"memory": "8Mi"}}, "startTimeout": "20s"},
        retry=ONCE,
        script=["true"],
    )
    status = job.end()
    assert status["phase"] == "Failed"
    assert status["reason"] in {"DaemonNotReady", "DaemonLost", "DaemonOOMKilled"}, status


def test_an_image_without_a_shell_and_a_script(jobs: Jobs) -> None:
    job = jobs.start("no-shell", command=["/no/such/program"], docker={"enabled": False})
    assert_end(job, "Failed", "StartError", 128, "could not be started.*no such file")


def test_an_image_name_that_is_none(jobs: Jobs) -> None:
    job = jobs.start("bad-image", image="Not:A:Name", docker={"enabled": False}, script=["true"])
    assert_end(job, "Failed", "ImageInvalid", None, "not a valid image name")


def test_a_pod_deleted_by_hand(cluster: Cluster, jobs: Jobs) -> None:
    job = jobs.start("deleted", docker={"enabled": False}, retry=ONCE, script=["echo started", "sleep 600"])
    job.wait_for_log("\nstarted")
    uid = job.pod()["metadata"]["uid"]
    cluster.run("delete", "pod", job.pod()["metadata"]["name"], f"--namespace={jobs.namespace}", "--wait=false")
    status = job.end()
    assert (status["phase"], status["reason"]) == ("Failed", "PodDeleted"), status
    wait_for(lambda: job.pod() == {} or None, 60, lambda: f"{job.pod()} to go and not to come back")
    assert status["podUID"] == uid


def test_a_namespace_that_forbids_privileged_pods(cluster: Cluster, jobs: Jobs) -> None:
    name = f"{jobs.namespace}-restricted"
    cluster.run("create", "namespace", name)
    cluster.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=baseline")
    try:
        job = type(jobs)(cluster, name).start("forbidden", script=["true"])
        assert_end(
            job, "Failed", "PodRejected", None, "label the namespace pod-security.kubernetes.io/enforce=privileged"
        )
    finally:
        cluster.run("delete", "namespace", name, "--wait=false")


@pytest.mark.alone
def test_a_pod_of_somebody_else_under_the_name(cluster: Cluster, jobs: Jobs) -> None:
    with without_operator(cluster):
        job = jobs.start("conflict", docker={"enabled": False}, script=["true"])
        uid = cluster.get("cijob", job.name, f"--namespace={jobs.namespace}")["metadata"]["uid"]
        from cijob.names import pod_name  # noqa: PLC0415  only this test knows how Pods are named

        name = pod_name(job.name, uid, 1)
        cluster.run(
            "run", name, f"--namespace={jobs.namespace}", "--image=busybox:stable", "--command", "--", "sleep", "600"
        )
    assert_end(job, "Failed", "PodNameConflict", None, "not of this CiJob")
    cluster.run("delete", "pod", name, f"--namespace={jobs.namespace}", "--wait=false")


def test_a_deleted_cijob_leaves_nothing(cluster: Cluster, jobs: Jobs) -> None:
    job = jobs.start("gone", docker=UNIX, script=["echo started", "sleep 600"])
    job.wait_for_log("\nstarted")
    cluster.run("delete", "cijob", job.name, f"--namespace={jobs.namespace}")
    wait_for(lambda: job.pod() == {} or None, 90, lambda: f"{job.pod()} to go")


def test_the_time_to_live_deletes_a_finished_job(cluster: Cluster, jobs: Jobs) -> None:
    job = jobs.start("ttl", docker={"enabled": False}, ttlSecondsAfterFinished=2, script=["true"])
    wait_for(
        lambda: cluster.get("cijob", job.name, f"--namespace={jobs.namespace}") == {} or None,
        60,
        lambda: f"{job.name} to go",
    )
    wait_for(lambda: job.pod() == {} or None, 60, lambda: f"{job.pod()} to go")


def test_a_missing_image_is_the_verdict_after_two_minutes(slow: dict[str, Job]) -> None:
    assert_end(slow["image"], "Failed", "ImagePullFailed", None, "could not be pulled.*nobody/nothing:1")
    assert grace_of(slow["image"]) >= 115
    wait_for(
        lambda: slow["image"].pod()["status"]["phase"] == "Failed" or None,
        60,
        lambda: "its Pod to be stopped, so that it never starts",
    )


def test_a_missing_secret_is_the_verdict_after_two_minutes(slow: dict[str, Job]) -> None:
    assert_end(slow["secret"], "Failed", "ConfigError", None, 'secret "absent" not found')
    assert grace_of(slow["secret"]) >= 115


def grace_of(job: Job) -> float:
    """Seconds from the start of the Pod to the verdict."""
    status = job.status()
    return (
        datetime.fromisoformat(status["completionTime"]) - datetime.fromisoformat(status["startTime"])
    ).total_seconds()
