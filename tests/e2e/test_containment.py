"""What inner containers may take: the sidecar's limits hold for everything that Docker starts, and the daemon outlives it.

The same tests run on a node with cgroup v2 (tests/cgroup2).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e import greedy
from tests.e2e.images import provide

if TYPE_CHECKING:
    from tests.e2e.pods import Pod, Pods

LIMITS = {"cpu": "500m", "memory": "384Mi"}
#: Takes 400 MB and says so when it got them.
EAT = 'perl -e \'$x = "x" x (400 << 20); print "ate\\n"\''
OWN_LIMIT = 256 * 1024 * 1024  # the sidecar's, less 128 MiB for the daemon


def sidecar(**limits: str) -> dict[str, Any]:
    """The fields of a CiJob whose daemon has these limits."""
    return {"docker": {"resources": {"limits": LIMITS | limits}}}


def heredoc(name: str, text: str) -> str:
    """An entry of a script that writes a file."""
    return f"cat > {name} <<'END'\n{text}\nEND"


def daemon_lived(pod: Pod) -> bool:
    """Whether the daemon of an ended job still was the first one."""
    return bool(pod.report()["daemon"] == "ready") and pod.container("dind")["restartCount"] == 0


def test_an_inner_container_that_takes_too_much_is_killed_and_the_daemon_lives(pods: Pods) -> None:
    pod = pods.start(
        "memory",
        f'{greedy.run("greedy", EAT, "ubuntu:25.10")}; test "$code" = 137',
        "docker inspect --format 'killed={{.State.OOMKilled}}' greedy; docker version >/dev/null; exit 3",
        **sidecar(),
    )
    assert pod.end()["exitCode"] == 3, pod.log()
    assert "ate" not in pod.log().splitlines()
    assert "killed=true" in pod.log()
    assert daemon_lived(pod)
    assert pod.report()["oomKilled"] == {"name": "greedy", "image": "ubuntu:25.10", "limit": OWN_LIMIT}


def test_a_step_of_a_build_and_a_service_of_compose_are_held_too(pods: Pods) -> None:
    command = json.dumps(["sh", "-c", EAT.replace("$", "$$")])  # compose would put its own variables in
    pod = pods.start(
        "build",
        heredoc("Dockerfile", f"FROM ubuntu:25.10\nRUN {EAT}"),
        "if docker build --no-cache --progress plain .; then exit 9; fi",
        heredoc("compose.yaml", f"services: {{greedy: {{image: 'ubuntu:25.10', command: {command}}}}}"),
        'docker compose up --exit-code-from greedy || code=$?; test "$code" = 137',
        "docker version >/dev/null",
        **sidecar(),
    )
    log = pod.succeeded()
    assert "exit code: 137" in log, "the build says why"
    assert not [line for line in log.splitlines() if line.endswith(" ate")]
    assert daemon_lived(pod)


def test_limits_of_a_container_s_own_work_and_are_told(pods: Pods) -> None:
    pod = pods.start(
        "own-limits",
        "docker run --rm --memory 64m --cpus 0.2 ubuntu:25.10 sh -c "
        "'cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes cpu.max cpu/cpu.cfs_quota_us 2>/dev/null || :'",
        f'{greedy.run("small", EAT, "--memory 64m", "ubuntu:25.10")}; test "$code" = 137; exit 3',
        **sidecar(),
    )
    assert pod.end()["exitCode"] == 3, pod.log()
    lines = pod.log().splitlines()
    assert "67108864" in lines
    assert {"20000 100000", "20000"} & set(lines)
    assert pod.report()["oomKilled"] == {"name": "small", "image": "ubuntu:25.10", "limit": 64 * 1024 * 1024}


def test_all_inner_containers_together_get_the_sidecar_s_cpu_and_each_sees_it(pods: Pods) -> None:
    burn = "perl -e '$from = time; 1 while time < $from + 5; @t = times; printf \"cpu=%.2f %d %d\\n\", $t[0] + $t[1], $from, time'"
    see = "cd /sys/fs/cgroup; echo sees $(cat cpu.max 2>/dev/null || cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us)"
    pod = pods.start(
        "cpu",
        f"for n in 1 2; do docker run --detach --name burn$n ubuntu:25.10 {burn}; done",
        "docker wait burn1 burn2; docker logs burn1; docker logs burn2",
        f"docker run --rm ubuntu:25.10 sh -c '{see}'",
        heredoc("Dockerfile", f"FROM ubuntu:25.10\nRUN {see}"),
        "docker build --no-cache --progress plain .",
        **sidecar(),
    )
    lines = pod.succeeded().splitlines()
    used, began, ended = zip(*(map(float, line[4:].split()) for line in lines if line.startswith("cpu=")), strict=True)
    assert len(used) == 2
    # The second may begin later, all the more where half a CPU has to start it beside the first.
    seconds = max(ended) - min(began)
    assert sum(used) < 0.7 * seconds, f"half a CPU, in {seconds:.0f} s: {used}; with two it would be four times as much"
    assert "sees 50000 100000" in lines, "docker run"
    assert [line for line in lines if line.startswith("#") and line.endswith(" sees 50000 100000")], "docker build"


def test_without_a_limit_of_its_own_the_pods_holds(pods: Pods) -> None:
    def pod_level(manifest: dict[str, Any]) -> None:
        manifest["spec"]["resources"] = {"limits": {"cpu": "1", "memory": "512Mi"}}

    pod = pods.start(
        "pod-level",
        f'{greedy.run("greedy", EAT, "ubuntu:25.10")}; test "$code" = 137; exit 3',
        change=pod_level,
        resources={"requests": {"memory": "64Mi"}},
        docker={"resources": {"requests": {"memory": "64Mi"}}},
    )
    assert pod.end()["exitCode"] == 3, pod.log()
    assert daemon_lived(pod)
    assert pod.report()["oomKilled"]["limit"] == 384 * 1024 * 1024


def test_without_any_limit_there_is_none(pods: Pods) -> None:
    pod = pods.start("no-limit", f"docker run --rm ubuntu:25.10 {EAT}")
    assert "ate" in pod.succeeded().splitlines()


def test_a_limit_that_leaves_nothing_is_told(pods: Pods) -> None:
    pod = pods.start("too-small", "docker version >/dev/null", **sidecar(memory="150Mi"))
    pod.end()
    assert "cijob: the memory limit of 150 MiB is too small" in pod.log("dind")
    assert "Set spec.docker.resources.limits.memory to 256Mi or more" in pod.log("dind")


def test_a_full_disk_of_docker_s_is_told(pods: Pods) -> None:
    pod = pods.start(
        "disk",
        "docker run --name writer ubuntu:25.10 dd if=/dev/zero of=/full bs=1M count=900",
        docker={"storage": {"size": "700Mi", "medium": "Memory"}},
    )
    assert pod.end()["exitCode"] == 1, pod.log()
    assert "No space left on device" in pod.log()
    disk = pod.report()["disk"]
    assert disk["size"] == 700 * 1024 * 1024
    assert disk["free"] < disk["size"] // 20


def test_nothing_of_docker_s_is_at_the_root_of_the_node_s_groups(pods: Pods) -> None:
    pod = pods.start(
        "root", "docker run --detach --name sleeper ubuntu:25.10 sleep 600", "echo up; sleep 600", **sidecar()
    )
    pod.wait_for_log("up\n")
    found = pod.execute("dind", "sh", "-c", "cat /proc/$(pgrep -of 'sleep 600')/cgroup")
    paths = [line.rsplit(":", 1)[-1] for line in found.splitlines()]
    assert all("kubepods" in path for path in paths), found
    assert any("/docker/" in path for path in paths), found
    pod.delete()


def test_a_container_that_asks_for_another_parent_is_held_too(pods: Pods) -> None:
    pod = pods.start(
        "parent",
        f'docker run --cgroup-parent /elsewhere ubuntu:25.10 {EAT} || code=$?; test "$code" = 137',
        f'docker run --cgroup-parent elsewhere ubuntu:25.10 {EAT} || code=$?; test "$code" = 137',
        "docker version >/dev/null",
        **sidecar(),
    )
    pod.succeeded()
    assert daemon_lived(pod)


def test_a_builder_of_buildx_is_held_and_uses_the_mirrors(pods: Pods) -> None:
    provide("moby/buildkit:buildx-stable-1")
    pod = pods.start(
        "builder",
        "docker buildx create --use --driver docker-container",
        heredoc("Dockerfile", f"FROM ubuntu:25.10\nRUN {EAT}"),
        "if docker buildx build --no-cache --progress plain .; then exit 9; fi",
        "docker version >/dev/null",
        **sidecar(memory="512Mi"),
    )
    log = pod.succeeded()
    assert "exit code: 137" in log or "cannot allocate memory" in log, "the build says why"
    assert daemon_lived(pod)
