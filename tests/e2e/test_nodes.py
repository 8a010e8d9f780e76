"""What befalls a job's Pod on its node, caused on a real second node: the verdict, and the attempt that follows elsewhere.

`make test-nodes` brings the second node up; without one these tests are skipped. All is real but for logind, from which
the kubelet learns that its node shuts down: the embedded cluster's nodes have none, so `logind` stands in for it.
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import OPERATOR_NAMESPACE
from tests.e2e.lab import ROOT, wait_for
from tests.e2e.logind import Logind
from tests.e2e.worker import Worker, second_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Cluster, Job, Jobs

Codes = set[int | None]

UNIX = {"endpoint": "Unix"}
NONE = {"enabled": False}
ONCE = {"infraLimit": 0}
#: Exit codes of a Pod that its kubelet evicts: it removes the containers at once, often before it has told how they ended.
EVICTED = {143, None}
ALL_MEMORY = {"memory.available": "99%"}
GIB = 1024**3
#: The first attempt hangs, the next ones succeed.
SECOND_TIME_LUCKY = 'echo started; [ "$CIJOB_ATTEMPT" -gt 1 ] || sleep 3600'
FOREVER = "echo started; sleep 3600"


@pytest.fixture(scope="module")
def second(cluster: Cluster) -> Iterator[Worker]:
    """The node that trouble comes to."""
    there = second_node(cluster)
    if there is None:
        pytest.skip("there is one node only: `make test-nodes` brings up two")
    yield there
    # What is left of the operator's own Pods that were evicted from it; one that is about to start is made again.
    cluster.run("delete", "pods", f"--namespace={OPERATOR_NAMESPACE}", "--field-selector=status.phase!=Running")


@pytest.fixture(autouse=True)
def mended(second: Worker) -> Iterator[None]:
    """Each test leaves the node as it was."""
    second.mend()
    yield
    second.mend()


@contextmanager
def operator_with(cluster: Cluster, **values: object) -> Iterator[None]:
    """The operator runs with other values of its chart for a while."""
    helm = [cluster.helm, f"--kubeconfig={cluster.kubeconfig}", f"--namespace={OPERATOR_NAMESPACE}"]
    changed = [f"--set={name}={value}" for name, value in values.items()]
    chart = str(ROOT / "charts" / "cijob")
    execute(*helm, "upgrade", "cijob", chart, "--reuse-values", "--force-conflicts", *changed, "--wait", "--timeout=3m")
    try:
        yield
    finally:
        execute(*helm, "rollback", "cijob", "--force-conflicts", "--wait", "--timeout=3m")


def execute(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr


def assert_end(job: Job, reason: str, codes: Codes, message: str) -> None:
    """The job has failed for that, and is not tried again."""
    status = job.end()
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    assert status.get("exitCode") in codes, status
    assert re.search(message, status["message"]), status["message"]
    assert (status["attempt"], "retries" in status, len(status["attempts"])) == (1, False, 1), status


def assert_moved(job: Job, node: Worker, reason: str, codes: Codes, message: str) -> None:
    """The first attempt ended for that, the second one runs to its end elsewhere."""
    between = job.wait_for_phase("Pending", "Failed")
    assert (between["reason"], between["attempt"]) == (reason, 2), between
    assert re.search(f"{message}.* Attempt 2 starts at", between["message"]), between["message"]
    status = job.end()
    assert (status["phase"], status["exitCode"], status["attempt"]) == ("Succeeded", 0, 2), status
    assert status["retries"] == {"user": 0, "infra": 1}, status
    first, last = status["attempts"]
    assert (first["nodeName"], first["reason"]) == (node.name, reason), first
    assert first.get("exitCode") in codes, first
    assert (last["reason"], last["exitCode"]) == ("Completed", 0), last
    assert last["nodeName"] not in {None, node.name}, last


def only_the_second_pod_is_left(job: Job) -> None:
    """The first attempt's Pod is gone."""

    def left() -> list[str]:
        return [str(pod["metadata"]["uid"]) for pod in job.pods()]

    wanted = [job.status()["podUID"]]
    wait_for(lambda: left() == wanted or None, 90, lambda: f"{left()} to be {wanted}")


def evict(job: Job) -> None:
    """Ask for the eviction of its Pod, as a drain or an autoscaler does."""
    name = job.pod()["metadata"]["name"]
    asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": job.namespace}}
    path = f"/api/v1/namespaces/{job.namespace}/pods/{name}/eviction"
    job.cluster.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(asked))


def delete_pod(job: Job, *options: str) -> None:
    """Delete its Pod by hand."""
    name = job.pod()["metadata"]["name"]
    job.cluster.run("delete", "pod", name, f"--namespace={job.namespace}", "--wait=false", *options)


def test_a_drained_node_costs_an_attempt_and_no_more(cluster: Cluster, jobs: Jobs, second: Worker) -> None:
    job = second.start(jobs, "drain", docker=UNIX, script=[SECOND_TIME_LUCKY])
    cluster.run("drain", second.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    assert_moved(job, second, "Evicted", {143}, "evicted from its node")
    only_the_second_pod_is_left(job)


def test_an_evicted_script_that_exits_with_0_did_not_succeed(jobs: Jobs, second: Worker) -> None:
    script = "trap 'exit 0' TERM; echo started; while :; do sleep 0.1; done"
    job = second.start(jobs, "evict", docker=NONE, retry=ONCE, script=[script])
    evict(job)
    assert_end(job, "Evicted", {0}, "evicted from its node")


def test_a_script_that_had_ended_before_the_eviction_has_its_own_verdict(jobs: Jobs, second: Worker) -> None:
    script, after = ["echo started", "exit 3"], ["echo after; sleep 20"]
    job = second.start(jobs, "late", docker=UNIX, retry=ONCE, script=script, afterScript=after)
    job.wait_for_log("\nafter")
    evict(job)
    assert_end(job, "ScriptFailed", {3}, "exited with 3")


def test_a_taint_that_no_job_tolerates(cluster: Cluster, jobs: Jobs, second: Worker) -> None:
    job = second.start(jobs, "taint", docker=NONE, retry=ONCE, script=[FOREVER])
    cluster.run("taint", "node", second.name, "e2e.example.com/broken=:NoExecute")
    try:
        assert_end(job, "NodeLost", {143}, "gone, unreachable or tainted")
    finally:
        cluster.run("taint", "node", second.name, "e2e.example.com/broken-")


def test_a_job_that_makes_room_for_a_pod_of_higher_priority(cluster: Cluster, jobs: Jobs, second: Worker) -> None:
    cpu = f"{int(cores(second) * 700)}m"
    requests = {"requests": {"cpu": cpu}}
    job = second.start(jobs, "preempted", docker=NONE, resources=requests, script=[SECOND_TIME_LUCKY])
    name = f"e2e-{uuid.uuid4().hex[:10]}"
    cluster.create(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": 1000,
        }
    )
    container = {"name": "main", "image": "busybox:stable", "command": ["sleep", "3600"], "resources": requests}
    spec = {
        "priorityClassName": name,
        "nodeSelector": {"kubernetes.io/hostname": second.name},
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    metadata = {"name": "important", "namespace": jobs.namespace}
    cluster.run("uncordon", second.name)
    try:
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        assert_moved(job, second, "Preempted", {143}, "made room for one of higher priority")
    finally:
        cluster.run("delete", "pod", "important", f"--namespace={jobs.namespace}", "--wait=false")
        cluster.run("delete", "priorityclass", name)
    only_the_second_pod_is_left(job)


def cores(node: Worker) -> float:
    """Processors that Pods may have."""
    cpu = str(node.body()["status"]["allocatable"]["cpu"])
    return int(cpu[:-1]) / 1000 if cpu.endswith("m") else int(cpu)


def test_a_job_over_its_disk_limits(jobs: Jobs, second: Worker) -> None:
    fill = "echo started; dd if=/dev/zero of=/full bs=1M count=200; sleep 3600"
    limits = {"limits": {"ephemeral-storage": "50Mi"}}
    written = second.start(jobs, "ephemeral", docker=NONE, resources=limits, script=[fill])
    docker = {**UNIX, "storage": {"size": "50Mi"}}
    run = "echo started; docker run ubuntu:25.10 sleep 3600"
    stored = second.start(jobs, "storage", image="docker:29-cli", docker=docker, script=[run])
    assert_end(written, "DiskLimitExceeded", EVICTED, "usage exceeds the total limit of containers 50Mi")
    # The kubelet gives one second, and `docker run` hands the signal on to a process 1 that does not heed it.
    assert_end(
        stored, "DiskLimitExceeded", {137, None}, 'Usage of EmptyDir volume "docker-data" exceeds the limit "50Mi"'
    )


def test_a_node_whose_disk_fills_evicts(jobs: Jobs, second: Worker) -> None:
    threshold = {"nodefs.available": str(second.free_disk() - 2 * GIB)}
    with second.kubelet_with({}, evictionHard=threshold, evictionPressureTransitionPeriod="0s"):
        job = second.start(jobs, "full", docker=UNIX, script=[SECOND_TIME_LUCKY])
        with second.filled(4 * GIB):
            assert_moved(job, second, "Evicted", EVICTED, "The node was low on resource: ephemeral-storage")
    assert len(job.pods()) == 2, "the kubelet leaves the Pod that it evicted"


@pytest.mark.parametrize(
    ("thresholds", "reason", "codes", "message"),
    [
        # What is to be kept free at any price is no Pod's: a kubelet that starts with this refuses what runs already.
        ({"evictionHard": ALL_MEMORY}, "AdmissionError", {143}, "Node didn't have enough resource: memory"),
        (
            {"evictionSoft": ALL_MEMORY, "evictionSoftGracePeriod": {"memory.available": "1s"}},
            "Evicted",
            EVICTED,
            "The node was low on resource: memory",
        ),
    ],
)
def test_a_node_without_memory_gives_its_pods_up(
    jobs: Jobs, second: Worker, thresholds: dict[str, dict[str, str]], reason: str, codes: Codes, message: str
) -> None:
    job = second.start(jobs, "pressure", docker=UNIX, script=[SECOND_TIME_LUCKY])
    with second.kubelet_with({}, **thresholds, evictionMaxPodGracePeriod=20, evictionPressureTransitionPeriod="0s"):
        assert_moved(job, second, reason, codes, message)
    assert len(job.pods()) == 2, "the kubelet leaves the Pod that it gave up"


def test_a_node_that_shuts_down_gracefully(jobs: Jobs, second: Worker) -> None:
    logind = Logind(second.item.folder / "bus")
    bus = {"DBUS_SYSTEM_BUS_ADDRESS": logind.address}
    with second.kubelet_with(bus, shutdownGracePeriod="20s", shutdownGracePeriodCriticalPods="5s"):
        job = second.start(jobs, "shutdown", docker=UNIX, script=[SECOND_TIME_LUCKY])
        logind.shut_down()
        assert_moved(job, second, "NodeShutdown", {143}, "in response to imminent node shutdown")
        assert logind.released.wait(30), "the kubelet still holds the shutdown up"
    logind.close()
    assert len(job.pods()) == 2, "the kubelet leaves the Pod, with its log"


def test_a_pod_deleted_after_the_verdict_changes_nothing(jobs: Jobs, second: Worker) -> None:
    job = second.start(jobs, "kept", docker=UNIX, script=["echo started", "exit 3"])
    before = job.end()
    assert (before["phase"], before["reason"], before["exitCode"]) == ("Failed", "ScriptFailed", 3), before
    delete_pod(job)
    wait_for(lambda: job.pod() == {} or None, 90, lambda: f"{job.pod()} to go")
    assert job.status() == before


def test_a_silent_node_is_waited_for(jobs: Jobs, second: Worker) -> None:
    job = second.start(jobs, "wait", docker=NONE, script=[SECOND_TIME_LUCKY])
    with second.silent():
        delete_pod(job, "--grace-period=2")
        wait_for(lambda: second.condition("Ready") == "Unknown" or None, 90, lambda: "the node to be missed")
        status = job.status()
        assert (status["phase"], status["attempt"]) == ("Running", 1), status
    assert_moved(job, second, "PodDeleted", {143}, "deleted before the job ended")
    only_the_second_pod_is_left(job)


def test_a_silent_node_is_given_up_if_the_operator_is_told_so(cluster: Cluster, jobs: Jobs, second: Worker) -> None:
    with operator_with(cluster, onNodeLost="Retry", nodeLostGraceSeconds=5):
        job = second.start(jobs, "retry", docker=NONE, script=[SECOND_TIME_LUCKY])
        uid = job.pod()["metadata"]["uid"]
        with second.silent():
            delete_pod(job, "--grace-period=2")
            assert_moved(job, second, "NodeLost", {None}, f"Node {second.name} did not end the Pod after its deletion")
            assert second.below().running(uid)["cgroups"], "the first Pod was to be there still"
        only_the_second_pod_is_left(job)
        assert not any(second.below().running(uid).values())


def test_a_node_that_is_deleted(cluster: Cluster, jobs: Jobs, second: Worker) -> None:
    job = second.start(jobs, "gone", docker=UNIX, script=[SECOND_TIME_LUCKY])
    uid = job.pod()["metadata"]["uid"]
    with second.without_kubelet():
        cluster.run("delete", "node", second.name)
        assert_moved(job, second, "NodeLost", {None}, "gone, unreachable or tainted")
        only_the_second_pod_is_left(job)
    wait_for(
        lambda: None if any(second.below().running(uid).values()) else True,
        60,
        lambda: f"the node that came back to end {second.below().running(uid)}",
    )
