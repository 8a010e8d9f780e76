"""What may keep a job's Pod from coming into being, or from starting: what the user sees, and what goes on by itself.

Quotas, LimitRanges and webhooks are real, each in a namespace of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import Jobs, own_namespace, wait_for
from tests.e2e.webhook import Webhook, denies, patches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Cluster, Job, Object

#: A job that needs no daemon, and ends at once.
PLAIN = {"docker": {"enabled": False}, "script": ["echo ran"]}
CLIENT = "docker:29-cli"


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[Jobs]:
    """CiJobs in a namespace of the test's own."""
    with own_namespace(cluster, "e2e") as name:
        yield Jobs(cluster, name)


@pytest.fixture
def webhook(cluster: Cluster, elsewhere: Jobs, tmp_path: Path) -> Iterator[Webhook]:
    """A webhook for that namespace, which is not there yet."""
    if cluster.audit_log is None:
        pytest.skip("kind's API server runs in a container: it cannot call a webhook on this machine")
    there = Webhook(cluster, elsewhere.namespace, tmp_path)
    yield there
    there.remove()
    there.shut()


def put(jobs: Jobs, kind: str, spec: Object) -> None:
    """Create a quota or a LimitRange."""
    metadata = {"name": "rule", "namespace": jobs.namespace}
    jobs.cluster.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec})


def waits_for(job: Job, phase: str, reason: str, message: str) -> Object:
    """Wait until the CiJob says what it waits for."""
    status = wait_for(
        lambda: status if (status := job.status()).get("reason") == reason else None,
        60,
        lambda: f"{job.name} to wait for {reason}; it is {job.status()}",
    )
    assert status["phase"] == phase, status
    assert re.search(message, status["message"]), status["message"]
    return status


def refused(job: Job, reason: str, message: str) -> None:
    """The job ends with that, and has no Pod."""
    status = job.end(seconds=60)
    assert (status["phase"], status["reason"], "exitCode" in status) == ("Failed", reason, False), status
    assert re.search(message, status["message"]), status["message"]
    assert "retries" not in status, "what needs a change first is not tried again"
    assert job.pod() == {}


def ran(job: Job) -> None:
    """The job ends well, at its first attempt."""
    status = job.end()
    assert (status["phase"], status["exitCode"], status["attempt"]) == ("Succeeded", 0, 1), status
    assert "retries" not in status, status
    assert "ran" in job.log()


def test_a_full_quota_is_waited_for(elsewhere: Jobs) -> None:
    put(elsewhere, "ResourceQuota", {"hard": {"pods": "0"}})
    job = elsewhere.start("quota", **PLAIN)
    waits_for(job, "Pending", "QuotaExceeded", r"quota is used up; the job starts when there is room.*limited: pods=0")
    assert job.pod() == {}
    raised = '{"spec": {"hard": {"pods": "1"}}}'
    elsewhere.cluster.run("patch", "quota", "rule", f"--namespace={elsewhere.namespace}", f"--patch={raised}")
    ran(job)


def test_a_quota_that_demands_limits_names_the_fields_to_set(elsewhere: Jobs) -> None:
    put(elsewhere, "ResourceQuota", {"hard": {"limits.memory": "1Gi"}})
    job = elsewhere.start("no-limits", **PLAIN)
    refused(job, "ConfigError", r"set spec\.resources and spec\.docker\.resources.*limits\.memory")
    ran(elsewhere.start("limits", **PLAIN, resources={"limits": {"memory": "256Mi"}}))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max": {"memory": "64Mi"}}, r"64Mi"),
        ({"min": {"cpu": "1500m"}}, r"minimum cpu usage per Container is 1500m, but request is 100m"),
        ({"default": {"memory": "64Mi"}}, r"must be less than or equal to memory limit of 64Mi"),
    ],
    ids=["max", "min", "default"],
)
def test_a_limit_range_that_the_pod_breaks(elsewhere: Jobs, limit: Object, message: str) -> None:
    put(elsewhere, "LimitRange", {"limits": [{"type": "Container", **limit}]})
    refused(elsewhere.start("range", **PLAIN), "PodRejected", message)


def test_a_webhook_that_strips_the_sidecar_s_restart_policy_is_named(elsewhere: Jobs, webhook: Webhook) -> None:
    webhook.open(patches({"op": "remove", "path": "/spec/initContainers/0/restartPolicy"}))
    job = elsewhere.start("stripped", script=["true"])
    status = job.end(seconds=60)
    assert (status["phase"], status["reason"], "exitCode" in status) == ("Failed", "PodRejected", False), status
    assert "A webhook removed restartPolicy from the init container dind" in status["message"]
    assert "app.kubernetes.io/managed-by=cijob" in status["message"]
    assert "retries" not in status
    wait_for(lambda: ended(job) or None, 60, lambda: f"the Pod to be stopped: {job.pod().get('status')}")


def ended(job: Job) -> bool:
    """Whether the CiJob's Pod has ended, or is gone."""
    pod = job.pod()
    return not pod or pod["status"]["phase"] == "Failed"


def test_a_webhook_that_denies_is_quoted(elsewhere: Jobs, webhook: Webhook) -> None:
    webhook.open(denies("no jobs on Fridays"))
    refused(elsewhere.start("denied", **PLAIN), "PodRejected", r"pods\.e2e\.example\.com.*no jobs on Fridays")


def test_a_webhook_that_is_away_holds_the_job_up_until_it_is_removed(elsewhere: Jobs, webhook: Webhook) -> None:
    webhook.open(denies("never heard"))
    webhook.shut()
    job = elsewhere.start("away", **PLAIN)
    events = wait_for(
        lambda: [line for line in asked(elsewhere) if line] or None, 60, lambda: "the API server to refuse the Pod"
    )
    assert events
    assert job.status().get("phase", "Pending") == "Pending", job.status()
    webhook.remove()
    ran(job)


def asked(jobs: Jobs) -> list[str]:
    """The API server's answers of 500 to POSTs of Pods in the namespace, from its audit log."""
    assert jobs.cluster.audit_log is not None
    path = f'"/api/v1/namespaces/{jobs.namespace}/pods'
    lines = jobs.cluster.audit_log.read_text().splitlines()
    return [line for line in lines if path in line and '"verb":"create"' in line and '"code":500' in line]


def test_a_secret_that_appears_within_the_grace(elsewhere: Jobs) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "late", "key": "token"}}}]
    job = elsewhere.start("secret", docker={"enabled": False}, env=env, script=['echo "ran with $TOKEN"'])
    waits_for(job, "Starting", "ContainerStarting", 'secret "late" not found')
    elsewhere.cluster.run(
        "create", "secret", "generic", "late", "--from-literal=token=t0", f"--namespace={elsewhere.namespace}"
    )
    ran(job)
    assert "ran with t0" in job.log()


def test_an_image_that_appears_within_the_grace(elsewhere: Jobs) -> None:
    registry = elsewhere.cluster.registry_mirror.removeprefix("http://")
    if not registry:
        pytest.skip("there is no registry to push to")
    image = f"e2e/{elsewhere.namespace}:1"
    job = elsewhere.start("image", **PLAIN, image=image)
    waits_for(job, "Starting", "PullingImage", re.escape(image))
    push = [
        f"docker pull busybox:stable && docker tag busybox:stable {registry}/{image}",
        f"docker push {registry}/{image}",
    ]
    assert elsewhere.start("push", image=CLIENT, script=push).end()["phase"] == "Succeeded"
    ran(job)


@pytest.mark.alone
def test_a_job_that_no_node_takes_starts_when_one_does(cluster: Cluster, elsewhere: Jobs) -> None:
    names = [node["metadata"]["name"] for node in cluster.get("nodes")["items"]]
    cluster.run("cordon", *names)
    try:
        job = elsewhere.start("cordoned", **PLAIN)
        waits_for(job, "Starting", "Unschedulable", r"No node has room.*unschedulable")
    finally:
        cluster.run("uncordon", *names)
    ran(job)
