"""Pools on a real cluster: shares and capacity through the fall of a leader, holds, rules, and what a pool says of itself."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e import node
from tests.e2e.audit import assert_costs
from tests.e2e.conftest import OPERATOR_NAMESPACE
from tests.e2e.lab import Jobs, own_namespace, wait_for
from tests.e2e.pool import Pool, a_pool, recorded
from tests.e2e.test_admission import PLAIN, ran, refused, waits_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Cluster, Object

#: Jobs of each of two namespaces, and how many Pods have been made when the leader falls.
EACH = 10
FALL = 6
#: Seconds after the leader's fall in which a request of its own may still arrive.
IN_FLIGHT = 2


@pytest.fixture
def neighbours(cluster: Cluster) -> Iterator[list[str]]:
    """Two namespaces."""
    with ExitStack() as stack:
        yield [stack.enter_context(own_namespace(cluster, "e2e")) for _ in range(2)]


def leader(cluster: Cluster) -> str:
    """Who holds the Lease: the name of a Pod, and a mark of the process."""
    return str(cluster.get("lease", "cijob", f"--namespace={OPERATOR_NAMESPACE}")["spec"]["holderIdentity"])


def kill(cluster: Cluster, holder: str) -> float:
    """Kill an operator's process (SIGKILL); gives when."""
    uid = cluster.get("pod", holder.partition("_")[0], f"--namespace={OPERATOR_NAMESPACE}")["metadata"]["uid"]
    marks = (uid, uid.replace("-", "_"))
    victims = [one for one in node.processes() if node.has(one.groups, marks) and "cijob-operator" in one.command]
    assert victims, f"no process of {holder}"
    node.kill(victims)
    return time.time()


def test_two_namespaces_share_a_pool_that_is_never_over_capacity_also_when_the_leader_is_killed(
    cluster: Cluster, neighbours: list[str], tmp_path: Path
) -> None:
    if cluster.audit_log is None:
        pytest.skip("kind's nodes are containers: the operator's processes are not this machine's to kill")
    with a_pool(cluster, capacity={"running": 2}, stopPolicy="Hold") as pool, recorded(pool, tmp_path) as history:
        spec = {"image": "ubuntu:25.10", "docker": {"enabled": False}, "script": ["sleep 0.5"], "poolName": pool.name}
        made = [a_cijob(name, f"job-{number}", spec) for name in neighbours for number in range(EACH)]
        cluster.run("create", "--filename=-", stdin="\n".join(map(json.dumps, made)))
        pool.wait_for_status(running=0, queued=2 * EACH, reason="Held")
        pool.change(stopPolicy="None")
        wait_for(lambda: len(history.started()) >= FALL or None, 60, lambda: f"Pods: {history.started()}")

        first = leader(cluster)
        fell = kill(cluster, first)

        wait_for(lambda: ended(cluster, neighbours) or None, 150, lambda: f"all to end: {history.started()}")
        moments, started = history.moments(), history.started()
        pool.wait_for_status(running=0, queued=0, reason="Open")

    assert leader(cluster) != first
    assert len(started) == len(set(started)) == 2 * EACH, "each has one Pod"
    over = [moment for moment in moments if moment.new and moment.alive.total() > 2]
    assert all(abs(created(moment.pod) - fell) <= IN_FLIGHT for moment in over), over
    # As long as both have jobs that wait, neither has two places.
    last = min(max(place for place, (name, _) in enumerate(started) if name == one) for one in neighbours)
    shared = [moment for moment in moments if moment.new][: last + 1]
    assert all(max(moment.alive.values()) == 1 for moment in shared if moment not in over), started


def a_cijob(namespace: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "metadata": metadata, "spec": spec}


def ended(cluster: Cluster, namespaces: list[str]) -> bool:
    """Whether all CiJobs there have ended well."""
    jobs = [job for name in namespaces for job in cluster.get("cijobs", f"--namespace={name}")["items"]]
    phases = {job.get("status", {}).get("phase") for job in jobs}
    assert not phases & {"Failed", "Cancelled"}, phases
    return phases == {"Succeeded"}


def created(pod: Object) -> float:
    """When a Pod was created, in whole seconds."""
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()


def test_a_held_pool_lets_jobs_wait_and_says_so_and_goes_on_when_it_is_opened(cluster: Cluster, jobs: Jobs) -> None:
    with a_pool(cluster, capacity={"running": 1}, stopPolicy="Hold") as pool:
        job = jobs.start("held", poolName=pool.name, **PLAIN)
        waits_for(job, "Queued", "PoolHeld", "admits no jobs")
        pool.wait_for_status(running=0, queued=1, reason="Held")
        assert columns(pool) == {"RUNNING": "0", "QUEUED": "1", "CAPACITY": "1", "POLICY": "Hold"}
        assert job.pods() == []

        pool.change(stopPolicy="None")

        ran(job)
        pool.wait_for_status(running=0, queued=0, reason="Open")


def columns(pool: Pool) -> dict[str, str]:
    """What `kubectl get bp` shows of it, but name and age."""
    titles, values = (line.split() for line in pool.cluster.run("get", "bp", pool.name).stdout.splitlines())
    assert (titles[0], titles[-1]) == ("NAME", "AGE")
    return dict(zip(titles[1:-1], values[1:-1], strict=True))


def test_a_drained_pool_stops_what_runs_and_runs_it_again_once_it_is_open(cluster: Cluster, jobs: Jobs) -> None:
    with a_pool(cluster, capacity={"running": 1}) as pool:
        script = ['[ "$CIJOB_ATTEMPT" = 2 ] || { echo begun; exec sleep 300; }', "echo ran"]
        job = jobs.start("drained", poolName=pool.name, docker={"enabled": False}, script=script)
        job.wait_for_phase("Running")

        pool.change(stopPolicy="HoldAndDrain")

        waits_for(job, "Queued", "PoolHeld", "admits no jobs")
        pool.wait_for_status(running=0, queued=1, reason="Draining")
        pool.change(stopPolicy="None")
        status = job.end(seconds=60)
        assert (status["phase"], status["attempt"], status["retries"]) == ("Succeeded", 2, {"user": 0, "infra": 1})
        assert status["attempts"][0]["reason"] == "PoolDrained"


def test_what_is_beyond_the_limits_is_refused_with_each_field_its_value_and_the_limit(
    cluster: Cluster, jobs: Jobs
) -> None:
    limits = {"timeout": "10m", "retries": 1, "resources": {"memory": "256Mi"}, "docker": {"storage": "5Gi"}}
    with a_pool(cluster, limits=limits, images=["docker.io/library/ubuntu:*"]) as pool:
        wants = {"timeout": "1h", "retry": {"limit": 2}, "resources": {"limits": {"memory": "1Gi"}}}
        job = jobs.start(
            "greedy", poolName=pool.name, image="busybox", docker={"storage": {"size": "9Gi"}}, script=["true"], **wants
        )
        refused(job, "NotAllowed", r"spec\.timeout: 1h; at most 10m")
        message = job.status()["message"]
        for part in (
            "spec.retry.limit: 2; at most 1",
            "spec.resources.limits.memory: 1Gi; at most 256Mi",
            "spec.docker.storage.size: 9Gi; at most 5Gi",
            "spec.image: busybox; one of docker.io/library/ubuntu:*",
        ):
            assert part in message
        ran(jobs.start("modest", poolName=pool.name, **PLAIN))


def test_a_pool_is_there_for_the_namespaces_that_it_selects(cluster: Cluster, jobs: Jobs) -> None:
    with a_pool(cluster, namespaceSelector={"matchLabels": {"e2e": "builds"}}) as pool:
        refused(jobs.start("outside", poolName=pool.name, **PLAIN), "NotAllowed", "namespace")
        cluster.run("label", "namespace", jobs.namespace, "e2e=builds")
        ran(jobs.start("inside", poolName=pool.name, **PLAIN))


def test_defaults_and_placement_arrive_in_the_pod_which_runs_on_a_tainted_node(cluster: Cluster, jobs: Jobs) -> None:
    resources = {"requests": {"cpu": "50m"}, "limits": {"memory": "200Mi"}}
    taint = {"key": "e2e-builds", "operator": "Exists", "effect": "NoSchedule"}
    nodes = [one["metadata"]["name"] for one in cluster.get("nodes")["items"]]
    with (
        tainted(cluster, nodes, "e2e-builds"),
        a_pool(
            cluster,
            defaults={"timeout": "7m", "resources": resources, "ttlSecondsAfterFinished": 600},
            placement={"nodeSelector": {"kubernetes.io/hostname": nodes[0]}, "tolerations": [taint]},
            podMetadata={"labels": {"team": "ci"}, "annotations": {"example.com/cost": "7"}},
        ) as pool,
    ):
        job = jobs.start("placed", poolName=pool.name, **PLAIN)
        ran(job)
        pod = job.pod()
    spec, meta = pod["spec"], pod["metadata"]
    (container,) = spec["containers"]
    assert spec["activeDeadlineSeconds"] == 420
    assert container["resources"]["limits"] == {"memory": "200Mi"}
    assert container["resources"]["requests"]["cpu"] == "50m"
    assert (spec["nodeSelector"]["kubernetes.io/hostname"], spec["nodeName"]) == (nodes[0], nodes[0])
    assert taint in spec["tolerations"]
    assert meta["labels"] | {"team": "ci", "cijob.dev/pool": pool.name} == meta["labels"]
    assert meta["annotations"]["example.com/cost"] == "7"


@contextmanager
def tainted(cluster: Cluster, nodes: list[str], key: str) -> Iterator[None]:
    """Nodes take no new Pods without a toleration for a while."""
    cluster.run("taint", "node", *nodes, f"{key}=yes:NoSchedule")
    try:
        yield
    finally:
        cluster.run("taint", "node", *nodes, f"{key}-")


def test_a_job_whose_pool_is_not_there_waits_until_it_is(cluster: Cluster, jobs: Jobs) -> None:
    pool = Pool(cluster, f"{jobs.namespace}-later")
    job = jobs.start("early", poolName=pool.name, **PLAIN)
    waits_for(job, "Queued", "PoolNotFound", "There is no such pool")

    pool.create()

    ran(job)
    cluster.run("delete", "buildpool", pool.name)


def test_within_a_namespace_priority_comes_before_age_and_a_wait_has_an_end(
    cluster: Cluster, jobs: Jobs, tmp_path: Path
) -> None:
    with a_pool(cluster, capacity={"running": 1}, stopPolicy="Hold") as pool, recorded(pool, tmp_path) as history:
        impatient = jobs.start("impatient", poolName=pool.name, queueTimeout="3s", **PLAIN)
        waiting = {
            priority: jobs.start("any", poolName=pool.name, priority=priority, **PLAIN) for priority in (0, 5, 9)
        }
        patch = json.dumps({"spec": {"priority": 7}})  # the oldest goes before the second now
        cluster.run("patch", "cijob", waiting[0].name, f"--namespace={jobs.namespace}", "--type=merge", f"-p={patch}")
        refused(impatient, "QueueTimeout", "3s")

        pool.change(stopPolicy="None")

        for job in waiting.values():
            ran(job)
        assert [name for _, name in history.started()] == [waiting[priority].name for priority in (9, 0, 5)]


def test_a_job_that_does_not_have_to_wait_costs_no_more_than_one_without_limits(cluster: Cluster) -> None:
    if cluster.audit_log is None:
        pytest.skip("the cluster keeps no audit log")
    with (
        own_namespace(cluster, "e2e") as namespace,
        a_pool(cluster, capacity={"running": 2, "perNamespace": 1}) as pool,
    ):
        job = Jobs(cluster, namespace).start("writes", poolName=pool.name, **PLAIN | {"script": ["sleep 3"]})
        assert job.end()["phase"] == "Succeeded"
        wait_for(lambda: job.pod()["status"]["phase"] == "Succeeded" or None, 30, lambda: "the Pod's own end")
        assert_costs(cluster, job)
