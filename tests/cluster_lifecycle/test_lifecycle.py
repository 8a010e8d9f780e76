"""The development cluster's promises: `up` repairs, `up` twice is harmless, `down` leaves nothing.

On a cluster of its own beside the usual one: other addresses, other folders. Needs root on Linux.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.cgroups import Cgroups, hierarchies
from tests.cluster.config import Config, load
from tests.cluster.machine import FORWARDING, NODE_FOLDERS
from tests.cluster.processes import Record, Supervisor

INSTANCE = 9
IMAGE = "busybox:stable"
REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "tests/cluster", "--driver", "embedded", "--instance", str(INSTANCE))
# Each `up` goes on where the one before was killed: in the certificates, etcd, the node, the API server, the kubelet.
CRASHES = (0.3, 0.6, 0.9, 1.2, 1.5, 2.0, 3.0)

pytestmark = [
    pytest.mark.lifecycle,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]


def cluster(*words: str) -> str:
    """Run the tool; its messages are shown where it fails."""
    result = subprocess.run(
        [*COMMAND, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def up() -> float:
    """Bring it up; returns the seconds that it took."""
    start = time.monotonic()
    cluster("up", "--images", IMAGE)
    return time.monotonic() - start


def kubectl(*words: str) -> str:
    status = json.loads(cluster("status", "--output", "json"))
    argv = [status["kubectl"], "--kubeconfig", status["kubeconfig"], *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout


def run_pod(name: str) -> None:
    """A Pod that runs to its end: the proof of a working cluster."""
    kubectl(
        "run", name, f"--image={IMAGE}", "--restart=Never", "--", "nslookup", "kubernetes.default.svc.cluster.local"
    )
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")


@pytest.fixture
def config() -> Iterator[Config]:
    """No cluster before, none after."""
    cluster("down")
    yield load(INSTANCE)
    cluster("down")


def traces(config: Config) -> dict[str, list[str]]:
    """Whatever of the cluster the machine shows."""

    def lines(argv: list[str], *marks: str) -> list[str]:
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return [line for line in text.splitlines() if any(mark in line for mark in marks)]

    prefix = f"10.{200 + INSTANCE}."
    return {
        "interfaces": lines(["ip", "-oneline", "link"], f" {config.bridge}"),
        "addresses and routes": lines(["ip", "route", "show", "table", "all"], prefix),
        "rules": lines(["iptables-save"], prefix, config.name),
        "mounts": [line for line in mounts() if str(config.run) in line or config.name in line],
        "cgroups": [str(path / config.name) for path in hierarchies() if (path / config.name).exists()],
        "processes": processes(str(config.run), config.name),
        "files": [str(path) for path in config.state.glob("*") if path.name not in ("keep", "lock")],
    }


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def processes(*marks: str) -> list[str]:
    """Processes that name the cluster's folder in their command line, or are in one of its cgroups."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().replace("\0", " ")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue  # it ended meanwhile
        if marks[0] in command or f"/{marks[1]}/" in groups:
            found.append(f"{folder.name} {command}")
    return found


def test_down_leaves_nothing_and_keeps_the_machine_as_it_was(config: Config) -> None:
    before = FORWARDING.read_text(), {folder: Path(folder).exists() for folder in NODE_FOLDERS}, set(mounts())
    up()
    kubectl("run", "busy", f"--image={IMAGE}", "--", "sleep", "600")
    kubectl("wait", "--for=condition=Ready", "pod/busy", "--timeout=60s")
    there = traces(config)
    # the nodes' mounts are in namespaces of their own, so that the machine never sees them
    assert all(there[kind] for kind in there if kind != "mounts"), there
    cluster("down")
    assert traces(config) == {kind: [] for kind in there}
    if not config.others():  # else those are still in use
        assert FORWARDING.read_text() == before[0]
        assert {folder: Path(folder).exists() for folder in NODE_FOLDERS} == before[1]
    assert {line for line in set(mounts()) - before[2] if "cijob" in line} == set()


def test_down_without_a_cluster_is_harmless(config: Config) -> None:
    cluster("down")
    assert not any(traces(config).values())


def test_up_twice_changes_nothing_and_is_quick(config: Config) -> None:
    made = up()
    first = records(config)
    run_pod("one")
    again = up()
    assert records(config) == first
    assert again < made / 2, "a healthy cluster is only looked at"
    kubectl("get", "pod/one")


def end(record: Record) -> None:
    """Kill a daemon and wait until it is dead."""
    os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: not record.alive(), f"the end of process {record.pid}")


def records(config: Config) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((config.run / "pids").iterdir())}


def test_up_starts_dead_daemons_again(config: Config) -> None:
    up()
    supervisor = Supervisor(config.run / "pids", config.logs, Cgroups(config.name))
    # a node's first process last: with it go the node's namespaces, and all that runs in them
    for names in (("etcd", "registry", "dns"), ("kube-apiserver", "containerd-node1"), ("node1",)):
        for name in names:
            record = supervisor.record(name)
            assert record is not None, name
            end(record)
        up()
        run_pod(f"after-{names[0]}")


def test_crashes_in_the_middle_of_up_are_repaired_by_the_next_up(config: Config) -> None:
    for seconds in CRASHES:
        with subprocess.Popen(
            [*COMMAND, "up", "--images", IMAGE], cwd=REPOSITORY, stderr=subprocess.DEVNULL
        ) as crashing:
            try:
                crashing.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                crashing.kill()
    up()
    run_pod("after")
    cluster("down")
    assert not any(traces(config).values())


def test_a_crash_in_the_middle_of_up_is_cleaned_by_down(config: Config) -> None:
    with subprocess.Popen([*COMMAND, "up", "--images", IMAGE], cwd=REPOSITORY, stderr=subprocess.DEVNULL) as crashing:
        wait_for((config.run / "pids" / "kubelet-node1").exists, "the kubelet's start")
        crashing.kill()
    cluster("down")
    assert not any(traces(config).values())


def test_two_nodes_reach_each_other(config: Config) -> None:
    cluster("up", "--images", IMAGE, "--nodes", "2")
    script = "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"
    overrides = {"server": "node1", "client": "node2"}
    for name, words in (("server", ["sh", "-c", script]), ("client", ["sleep", "600"])):
        override = json.dumps({"apiVersion": "v1", "spec": {"nodeName": overrides[name]}})
        kubectl("run", name, f"--image={IMAGE}", f"--overrides={override}", "--", *words)
    kubectl("expose", "pod", "server", "--port=80", "--name=web")
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    ask = "until timeout 2 wget -qO- http://web/; do sleep 0.1; done"
    assert kubectl("exec", "client", "--", "timeout", "30", "sh", "-c", ask) == "hello\n"
    cluster("down")
    assert not any(traces(config).values())


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
