"""What inner containers may take on a node with cgroup v2: tests/e2e/test_containment.py has the same for the node's own version.

One Pod for each way into the sidecar's group, since everything is slow here: its script tries all, the tests read the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.images.extra import DAEMONS
from tests.e2e.images import provide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.pods import Pod, Pods

LIMITS = {"cpu": "1500m", "memory": "384Mi"}
#: Emulation makes of half a second ten.
PATIENT = {"startTimeout": "20m"}
#: 400 MB of memory in one piece, and a word when it got them.
EAT = "dd if=/dev/zero of=/dev/null bs=400M count=1 && echo ate"
SEE = "echo sees $(cat /sys/fs/cgroup/cpu.max)"
SCRIPT = f"""
printf '%s\\n' 'FROM busybox:stable' 'RUN {SEE}' 'RUN {EAT}' > Dockerfile
printf '%s\\n' 'services: {{one: {{image: "busybox:stable", command: [sh, -c, "{EAT}"]}}}}' > compose.yaml
docker run --rm busybox:stable sh -c '{SEE}' && echo after run
docker run --rm --memory 64m --cpus 0.2 busybox:stable sh -c 'cat /sys/fs/cgroup/memory.max; {SEE}'
docker run --name small --memory 64m busybox:stable sh -c '{EAT}' || echo "small: $?"
docker run --detach --name sleeper busybox:stable sleep 3600
docker build --no-cache --progress plain . || echo "build: $?"
docker compose up --exit-code-from one || echo "compose: $?"
docker run --name greedy busybox:stable sh -c '{EAT}' || echo "run: $?"
docker run --cgroup-parent /elsewhere busybox:stable sh -c '{EAT}' || echo "elsewhere: $?"
docker run --cgroup-parent elsewhere busybox:stable sh -c '{EAT}' || echo "relative: $?"
docker inspect --format 'killed: {{{{.State.OOMKilled}}}}' small greedy
docker version --format 'alive: {{{{.Server.Version}}}}'
echo ready; sleep 3600
"""


@pytest.fixture(scope="module", params=["docker:29-dind", "docker:29-dind-busybox", "docker:29-dind-unshares"])
def tried(request: pytest.FixtureRequest, pods: Pods) -> Iterator[Pod]:
    """A Pod whose script has tried everything: with a namespace of its own, without, and with an image that makes one."""
    if request.param in DAEMONS:
        provide(request.param)
    pod = pods.using(dind_image=request.param).start(
        "contained", SCRIPT, docker={**PATIENT, "resources": {"limits": LIMITS}}
    )
    pod.wait_for_log("\nready")
    yield pod
    pod.delete()


def lines(pod: Pod) -> list[str]:
    """The lines of the job's log."""
    return pod.log().splitlines()


def test_containers_steps_of_builds_and_services_are_killed_and_the_daemon_lives(tried: Pod) -> None:
    seen = lines(tried)
    assert {"small: 137", "compose: 137", "run: 137", "elsewhere: 137", "relative: 137"} <= set(seen), seen
    assert [line for line in seen if line.startswith("build: ")], "the build failed"
    assert not [line for line in seen if line.split()[-1:] == ["ate"] and not line.endswith("echo ate")]
    assert "did not complete successfully: cannot allocate memory" in tried.log(), "the build says why"
    assert seen.count("killed: true") == 2
    assert [line for line in seen if line.startswith("alive: ")]
    assert tried.container("dind")["restartCount"] == 0


def test_each_container_and_step_sees_the_sidecars_cpu_limit_or_its_own(tried: Pod) -> None:
    seen = lines(tried)
    assert "sees 150000 100000" in seen
    assert [line for line in seen if line.startswith("#") and line.endswith("sees 150000 100000")], seen
    assert {"67108864", "sees 20000 100000"} <= set(seen)


def test_all_groups_of_dockers_lie_below_the_sidecars(pods: Pods, tried: Pod) -> None:
    found = tried.execute("dind", "sh", "-c", "cat /proc/$(pgrep -of 'sleep 3600')/cgroup").strip()
    assert "kubepods" in found, found
    assert "/docker/" in found, found

    def privileged(manifest: dict[str, Any]) -> None:
        manifest["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    look = pods.start("root", "ls /sys/fs/cgroup", docker={"enabled": False}, change=privileged)
    at_the_root = set(look.succeeded().split())
    assert "kubepods.slice" in at_the_root, "the node's own root"
    assert not {"init", "docker", "elsewhere"} & at_the_root


def test_where_the_kernel_must_choose_size_decides(tried: Pod) -> None:
    score = tried.execute("dind", "sh", "-c", "cat /proc/$(pgrep -o dockerd)/oom_score_adj")
    assert score.strip() == "0", "as inner containers have, and not the kubelet's score for the sidecar"


def test_a_limit_of_the_pods_holds_where_the_sidecar_has_none(pods: Pods) -> None:
    def pod_level(manifest: dict[str, Any]) -> None:
        manifest["spec"]["resources"] = {"limits": {"cpu": "1", "memory": "512Mi"}}

    requests = {"requests": {"memory": "64Mi"}}
    pod = pods.start(
        "pod-level",
        f"docker run --name greedy busybox:stable sh -c '{EAT}'",
        change=pod_level,
        resources=requests,
        docker={**PATIENT, "resources": requests},
    )
    assert pod.end()["exitCode"] == 137, pod.log()
    assert pod.container("dind")["restartCount"] == 0
    assert pod.report()["oomKilled"]["name"] in {"greedy", ""}, "asking Docker for its name may take too long here"


def test_the_daemons_report_has_the_peak_of_all_and_of_the_inner_containers(pods: Pods) -> None:
    pod = pods.start(
        "peak", "docker run --rm busybox:stable dd if=/dev/zero of=/dev/null bs=100M count=1", docker=PATIENT
    )
    pod.succeeded()
    report = pod.report("dind")
    assert report["peakMemory"] > report["innerPeakMemory"] > 100 * 1024 * 1024
    assert pod.report()["peakMemory"] > 0
