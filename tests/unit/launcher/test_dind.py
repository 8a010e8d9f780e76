"""dind.sh with a fake dockerd: flags, the mark of readiness, signals, and what it writes into cgroup files."""

from __future__ import annotations

import json
import signal
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from tests.unit.launcher.userland import Container, program

if TYPE_CHECKING:
    from pathlib import Path

# A fake: it makes the sockets that it was told to, says so, and obeys files and signals.
_DOCKERD = f"""#!{sys.executable}
import json, os, signal, socket, sys
root = os.environ["CIJOB_ROOT"]
json.dump(sys.argv[1:], open(root + "/argv", "w"))
def end(number, frame):
    os.write(1, b"dockerd got SIGTERM\\n")
    os._exit(int(os.environ.get("FAKE_CODE", "0")))
signal.signal(signal.SIGTERM, end)
for flag in sys.argv:
    if flag.startswith("--host=unix://"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(flag.removeprefix("--host=unix://"))
os.write(1, b"dockerd up\\n")
if os.path.exists(root + "/die"):
    sys.exit(int(os.environ["FAKE_CODE"]))
while True:
    signal.pause()
"""
# A fake: it keeps what it was asked, and answers once the test lets it.
_DOCKER = """#!/bin/sh
echo "$*" >> "$CIJOB_ROOT/asked"
[ -e "$CIJOB_ROOT/answer" ]
"""


@pytest.fixture
def dind(job: Container) -> Container:
    """A sidecar whose daemon answers, on a node with cgroup v1 and no limits."""
    program(job.bin, "dockerd", _DOCKERD)
    program(job.bin, "docker", _DOCKER)
    (job.root / "answer").touch()
    (job.root / "net/eth0").mkdir(parents=True)
    (job.root / "net/eth0/mtu").write_text("1400\n")
    (job.root / "routes").write_text(
        "Iface\tDestination\tGateway\nlo\t0000007F\t00000000\neth0\t00000000\t0100C80A\neth0\t0000C80A\t00000000\n"
    )
    (job.root / "groups").write_text("0::/\n")
    (job.root / "cgroup/memory").mkdir(parents=True)
    (job.root / "cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    (job.root / "cgroup/memory/memory.max_usage_in_bytes").write_text("4096\n")
    job.env |= {
        "CIJOB_RUN": str(job.root / "state"),
        "CIJOB_SYSTEM_SOCKET": str(job.root / "system.sock"),
        "CIJOB_NET": str(job.root / "net"),
        "CIJOB_ROUTES": str(job.root / "routes"),
        "CIJOB_GROUPS": str(job.root / "groups"),
    }
    return job


def run(dind: Container, code: int = 0) -> tuple[list[str], list[str]]:
    """Let the daemon die at once; gives dockerd's arguments and the lines of output."""
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = str(code)
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.code == code, ended.output
    return json.loads((dind.root / "argv").read_text()), ended.lines


def test_tcp_is_on_the_loopback_address_only(dind: Container) -> None:
    argv, _ = run(dind)
    hosts = [flag for flag in argv if flag.startswith("--host")]
    sockets = [f"--host=unix://{dind.root}/system.sock", f"--host=unix://{dind.daemon}/docker.sock"]
    assert hosts == [*sockets, "--host=tcp://127.0.0.1:2375"]
    assert "--tls=false" in argv
    assert "--ip=127.0.0.1" in argv
    assert "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=127.0.0.1" in argv


def test_unix_has_no_port(dind: Container) -> None:
    dind.env["CIJOB_ENDPOINT"] = "Unix"
    argv, _ = run(dind)
    assert not [flag for flag in argv if "tcp:" in flag or "--tls" in flag]


def test_published_ports_may_be_opened(dind: Container) -> None:
    dind.env["CIJOB_PUBLISH_ADDRESS"] = "0.0.0.0"  # noqa: S104  what the test is about
    argv, _ = run(dind)
    assert "--ip=0.0.0.0" in argv
    assert "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=0.0.0.0" in argv


@pytest.mark.parametrize(("setting", "mtu"), [("", "1400"), ("1300", "1300")])
def test_mtu_is_the_settings_or_that_of_the_default_route(dind: Container, setting: str, mtu: str) -> None:
    dind.env["CIJOB_MTU"] = setting
    argv, _ = run(dind)
    assert f"--mtu={mtu}" in argv
    assert f"--default-network-opt=bridge=com.docker.network.driver.mtu={mtu}" in argv


def test_without_a_default_route_docker_chooses_the_mtu(dind: Container) -> None:
    (dind.root / "routes").write_text("Iface\tDestination\tGateway\n")
    argv, _ = run(dind)
    assert not [flag for flag in argv if "mtu" in flag]


def test_lists_become_a_flag_for_each_word(dind: Container) -> None:
    dind.env |= {
        "CIJOB_REGISTRY_MIRRORS": "http://a:5000 https://b",
        "CIJOB_INSECURE_REGISTRIES": "a:5000 *",
        "CIJOB_ADDRESS_POOLS": "base=172.30.0.0/16,size=24 base=10.9.0.0/16,size=26",
    }
    argv, _ = run(dind)
    assert argv[-6:] == [
        "--registry-mirror=http://a:5000",
        "--registry-mirror=https://b",
        "--insecure-registry=a:5000",
        "--insecure-registry=*",
        "--default-address-pool=base=172.30.0.0/16,size=24",
        "--default-address-pool=base=10.9.0.0/16,size=26",
    ]


def test_the_images_entry_point_starts_dockerd_by_name(dind: Container) -> None:
    program(dind.bin, "dockerd-entrypoint.sh", '#!/bin/sh\necho "entrypoint $1"; exec "$@"\n')
    _, lines = run(dind)
    assert "entrypoint dockerd" in lines


def test_without_an_entry_point_docker_init_does(dind: Container) -> None:
    program(dind.bin, "docker-init", '#!/bin/sh\necho "init $1 $2"; shift; exec "$@"\n')
    _, lines = run(dind)
    assert "init -- dockerd" in lines


def test_the_mark_comes_with_the_first_answer_and_goes_with_the_daemon(dind: Container) -> None:
    mark, asked = dind.daemon / "ready", dind.root / "asked"
    mark.write_text("of the daemon before\n")
    (dind.root / "answer").unlink()
    with dind.start("dind.sh") as running:
        running.wait_until(lambda: asked.exists() and asked.read_text().count("\n") >= 2)
        assert not mark.exists()
        (dind.root / "answer").touch()
        running.wait_until(mark.exists)
        instance = mark.read_text()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (dind.daemon / "docker.sock", dind.root / "system.sock")]
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert set(asked.read_text().splitlines()) == {f"--host unix://{dind.daemon}/docker.sock version"}
    assert len(instance.split()) == 1
    assert instance != "of the daemon before\n"
    assert modes == [0o666, 0o666]
    assert "dockerd got SIGTERM" in ended.lines
    assert not mark.exists()
    assert ended.code == 0
    assert ended.message == {"ready": True, "message": "dockerd ended with 0.", "exitCode": 0, "peakMemory": 4096}


def test_each_daemon_has_a_mark_of_its_own(dind: Container) -> None:
    marks = set()
    for _ in range(2):
        with dind.start("dind.sh") as running:
            running.wait_until((dind.daemon / "ready").exists)
            marks.add((dind.daemon / "ready").read_text())
            running.signal(signal.SIGTERM)
            running.end()
    assert len(marks) == 2


def test_a_daemon_that_dies_before_it_answers(dind: Container) -> None:
    (dind.root / "answer").unlink()
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = "7"
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.lines[-1] == "cijob: dockerd ended with 7"
    assert ended.message == {"ready": False, "message": "dockerd ended with 7.", "exitCode": 7, "peakMemory": 4096}


def test_a_daemon_that_is_stopped_as_it_comes_back_had_been_ready(dind: Container) -> None:
    """The kubelet shows only the newest end: it must not read as if the job never had a daemon."""
    with dind.start("dind.sh") as running:
        running.wait_until((dind.daemon / "ready").exists)
        running.signal(signal.SIGTERM)
        running.end()
    (dind.root / "answer").unlink()
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = "1"
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert not (dind.daemon / "ready").exists()
    assert ended.message is not None
    assert ended.message["ready"] is True


def test_sigterm_before_the_first_answer_ends_the_daemon(dind: Container) -> None:
    (dind.root / "answer").unlink()
    with dind.start("dind.sh") as running:
        running.wait_for("dockerd up")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "dockerd got SIGTERM" in ended.lines
    assert ended.message is not None
    assert ended.message["ready"] is False


@pytest.mark.parametrize("missing", ["dockerd", "docker"])
def test_an_image_that_is_no_docker_image_is_told_so(dind: Container, missing: str) -> None:
    (dind.bin / missing).unlink()
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.code == 1
    assert ended.message is not None
    assert f"the image has no {missing}" in ended.message["message"]
    assert ended.message["ready"] is False


# --- cgroup


_MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limit", "inner"),
    [(512 * _MIB, 384 * _MIB), (257 * _MIB, 129 * _MIB), (256 * _MIB, None), (9223372036854771712, None)],
)
def test_cgroup_v1_leaves_the_daemon_its_share(dind: Container, limit: int, inner: int | None) -> None:
    (dind.root / "cgroup/memory/memory.limit_in_bytes").write_text(f"{limit}\n")
    argv, lines = run(dind)
    file = dind.root / "cgroup/memory/docker/memory.limit_in_bytes"
    assert (int(file.read_text()) if file.exists() else None) == inner
    assert any("is too small to keep 128 MiB" in line for line in lines) == (limit == 256 * _MIB)
    assert not [flag for flag in argv if "cgroup-parent" in flag]


def _version_2(dind: Container, limit: str) -> Path:
    """Make the node one with cgroup v2, where the sidecar sees its own group below the node's root."""
    for name in ("mount", "umount"):
        program(dind.bin, name, '#!/bin/sh\necho "$0 $*"\n')
    (dind.root / "groups").write_text("0::/kubepods/pod1/c1\n")
    own = dind.root / "cgroup/kubepods/pod1/c1"
    own.mkdir(parents=True)
    for folder in (dind.root / "cgroup", own):
        (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    (own / "cgroup.procs").write_text("1\n7\n")
    (own / "memory.max").write_text(limit + "\n")
    (own / "memory.peak").write_text("8192\n")
    return own


@pytest.mark.parametrize("userland", ["util-linux", "busybox"])
def test_cgroup_v2_hands_down_its_controllers_and_leaves_the_daemon_its_share(dind: Container, userland: str) -> None:
    if dind.shell == "busybox" and userland == "util-linux":
        userland = "busybox"  # its shell prefers its own unshare to our fake
    own = _version_2(dind, str(512 * _MIB))
    # Fakes: a namespace needs a real cgroup file system.
    program(dind.bin, "unshare", f"#!/bin/sh\nexit {int(userland == 'busybox')}\n")
    program(dind.bin, "nsenter", '#!/bin/sh\necho "enter $1"; shift; exec "$@"\n')
    argv, lines = run(dind)
    assert (own / "init/cgroup.procs").read_text() == "7\n"  # a plain file keeps the last one written
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids\n"
    assert (own / "docker/memory.max").read_text() == f"{384 * _MIB}\n"
    assert not (dind.root / "cgroup/docker").exists()
    parents = [flag for flag in argv if "cgroup-parent" in flag]
    if userland == "busybox":
        assert parents == ["--cgroup-parent=/kubepods/pod1/c1/docker"]
    else:
        assert parents == []
        assert f"enter --cgroup={dind.root}/state/cgroup" in lines


def test_cgroup_v2_without_a_limit_sets_none(dind: Container) -> None:
    own = _version_2(dind, "max")
    run(dind)
    assert not (own / "docker/memory.max").exists()


def test_controllers_that_cannot_be_handed_down_are_told(dind: Container) -> None:
    own = _version_2(dind, "max")
    (own / "cgroup.subtree_control").mkdir()  # nothing can be written there
    _, lines = run(dind)
    assert "cijob: cannot hand the cgroup controllers down: limits of inner containers may not hold" in lines
