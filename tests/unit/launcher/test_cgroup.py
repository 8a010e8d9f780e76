"""cgroup.sh and runc.sh, started by dind.sh with a fake dockerd: what they write into cgroup files."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.launcher.daemon import MIB, run
from tests.unit.launcher.userland import Container, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("limit", "inner"),
    [(512 * MIB, 384 * MIB), (160 * MIB, 32 * MIB), (159 * MIB, None), (9223372036854771712, None)],
)
def test_cgroup_v1_leaves_the_daemon_its_share(dind: Container, limit: int, inner: int | None) -> None:
    (dind.root / "cgroup/memory/memory.stat").write_text(f"hierarchical_memory_limit {limit}\n")
    argv, lines = run(dind)
    file = dind.root / "cgroup/memory/docker/memory.limit_in_bytes"
    assert (int(file.read_text()) if file.exists() else None) == inner
    assert any("159 MiB is too small" in line for line in lines) == (limit == 159 * MIB)
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
        pytest.skip("BusyBox's shell prefers its own unshare to our fake")
    own = _version_2(dind, str(512 * MIB))
    # Fakes: a namespace needs a real cgroup file system.
    program(dind.bin, "unshare", f"#!/bin/sh\nexit {int(userland == 'busybox')}\n")
    program(dind.bin, "nsenter", '#!/bin/sh\necho "enter $1"; shift; exec "$@"\n')
    argv, lines = run(dind)
    assert (own / "init/cgroup.procs").read_text() == "7\n"  # a plain file keeps the last one written
    assert (own / "cgroup.subtree_control").read_text().split() == ["+cpu", "+memory", "+pids"]
    assert (own / "docker/memory.max").read_text() == f"{384 * MIB}\n"
    assert not (dind.root / "cgroup/docker").exists()
    parents = [flag for flag in argv if "cgroup-parent" in flag]
    if userland == "busybox":
        assert parents == ["--cgroup-parent=/kubepods/pod1/c1/docker"]
    else:
        assert parents == []
        assert f"enter --cgroup={dind.root}/state/cgroup" in lines


@pytest.mark.parametrize("above", ["kubepods/pod1", "kubepods", "."])
def test_cgroup_v2_stays_below_a_limit_of_a_group_above(dind: Container, above: str) -> None:
    own = _version_2(dind, str(512 * MIB))
    (dind.root / "cgroup" / above / "memory.max").write_text(f"{300 * MIB}\n")
    run(dind)
    assert (own / "docker/memory.max").read_text() == f"{172 * MIB}\n"


def test_the_images_entry_point_makes_no_namespace_where_the_container_has_one_already(dind: Container) -> None:
    _version_2(dind, "max")
    (dind.root / "groups").write_text("0::/\n")
    program(dind.bin, "dockerd-entrypoint.sh", '#!/bin/sh\nunshare --cgroup true && echo made one; exec "$@"\n')
    program(dind.bin, "unshare", "#!/bin/sh\n")
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own unshare to our fake")
    _, lines = run(dind)
    assert "made one" not in lines


def test_cgroup_v2_lets_size_choose_the_victim(dind: Container) -> None:
    own = _version_2(dind, "max")
    (own / "memory.oom.group").write_text("1\n")
    run(dind)
    assert (own / "memory.oom.group").read_text() == "0\n"


def test_cgroup_v2_without_a_limit_sets_none(dind: Container) -> None:
    own = _version_2(dind, "max")
    run(dind)
    assert not (own / "docker/memory.max").exists()


@pytest.mark.parametrize("how", ["opened", "written"])
def test_controllers_that_cannot_be_handed_down_are_told(dind: Container, how: str) -> None:
    own = _version_2(dind, "max")
    if how == "opened":
        (own / "cgroup.subtree_control").mkdir()
    else:
        (own / "cgroup.subtree_control").symlink_to("/dev/full")
    _, lines = run(dind)
    assert "cijob: cannot hand the cgroup controllers down: limits of inner containers may not hold" in lines


# --- the CPU limit


_SPEC = {"linux": {"resources": {"cpu": {"shares": 2}}, "cgroupsPath": "/docker/abc"}}


def _runc(dind: Container, spec: Any, *arguments: str) -> str:  # noqa: ANN401  JSON
    """Call runc as Docker does, by the PATH of dockerd; gives what runc itself says."""
    bundle = dind.root / "bundle"
    bundle.mkdir(exist_ok=True)
    (bundle / "config.json").write_text(json.dumps(spec, separators=(",", ":")))
    command = [str(dind.root / "state/bin/runc"), "--root", "/r", *arguments, "--bundle", str(bundle), "abc"]
    environment = {**dind.env, "LOGGED": str(bundle)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def runc(dind: Container) -> Container:
    """A sidecar on a node with cgroup v1 and half a CPU, and a fake runc that only says what it was told."""
    program(dind.bin, "runc", '#!/bin/sh\necho "real $*"\n')
    cpu = dind.root / "cgroup/cpu"
    cpu.mkdir()
    (cpu / "cpu.cfs_quota_us").write_text("50000\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    return dind


@pytest.mark.parametrize("verb", ["create", "run"])
def test_a_new_container_gets_the_sidecars_cpu_limit(runc: Container, verb: str) -> None:
    run(runc)
    assert _runc(runc, _SPEC, verb).startswith(f"real --root /r {verb} --bundle")
    group = runc.root / "cgroup/cpu/docker/abc"
    assert (group / "cpu.cfs_quota_us").read_text() == "50000\n"
    assert (group / "cpu.cfs_period_us").read_text() == "100000\n"


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("/elsewhere/abc", "/docker/elsewhere/abc"),
        ("elsewhere/abc", "/docker/elsewhere/abc"),
        ("/docker-buildx/abc", "/docker/docker-buildx/abc"),
        ("/a+b/abc", "/docker/other/abc"),
        ("/docker/../../abc", "/docker/other/abc"),
        ("/do|cker/a&bc", "/docker/other/a_bc"),
    ],
)
def test_a_container_that_asks_for_another_parent_is_held_below_ours(runc: Container, asked: str, held: str) -> None:
    run(runc)
    spec = {"process": {"env": ['A="cgroupsPath":"/x"']}, "linux": {"cgroupsPath": asked}}
    assert _runc(runc, spec, "create").startswith("real")
    found = json.loads((runc.root / "bundle/config.json").read_text())
    assert found == {**spec, "linux": {"cgroupsPath": held}}
    assert (runc.root / f"cgroup/cpu{held}/cpu.cfs_quota_us").read_text() == "50000\n"


def test_a_path_in_systemds_form_is_runcs_own_affair(runc: Container) -> None:
    run(runc)
    spec = {"linux": {"cgroupsPath": "system.slice:docker:abc"}}
    assert _runc(runc, spec, "create").startswith("real")
    assert json.loads((runc.root / "bundle/config.json").read_text()) == spec
    assert list((runc.root / "cgroup/cpu").rglob("abc")) == []


def test_other_commands_of_runc_make_no_group(runc: Container) -> None:
    run(runc)
    assert _runc(runc, _SPEC, "state").startswith("real --root /r state")
    assert not (runc.root / "cgroup/cpu/docker").exists()


def test_without_a_cpu_limit_none_is_set(runc: Container) -> None:
    (runc.root / "cgroup/cpu/cpu.cfs_quota_us").write_text("-1\n")
    run(runc)
    assert _runc(runc, _SPEC, "create").startswith("real")
    assert not (runc.root / "cgroup/cpu/docker").exists()


@pytest.mark.parametrize("namespace", [True, False], ids=["a namespace", "--cgroup-parent"])
def test_on_cgroup_v2_too(runc: Container, namespace: bool) -> None:
    if runc.shell == "busybox" and namespace:
        pytest.skip("BusyBox's shell prefers its own unshare to our fake")
    own = _version_2(runc, "max")
    (own / "cpu.max").write_text("150000 100000\n")
    # Fakes: a namespace needs a real cgroup file system; here it shows the group at the place of the node's root.
    program(runc.bin, "unshare", f"#!/bin/sh\nexit {int(not namespace)}\n")
    program(runc.bin, "nsenter", '#!/bin/sh\nshift; exec "$@"\n')
    run(runc)
    seen = runc.root / "cgroup" if namespace else own
    group = seen / "docker/abc"
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text("cpu\n")
    prefix = "" if namespace else "/kubepods/pod1/c1"
    _runc(runc, {"linux": {"cgroupsPath": f"{prefix}/docker/abc"}}, "create")
    assert (group / "cpu.max").read_text() == "150000 100000\n"
    assert (seen / "docker/cgroup.subtree_control").read_text() == "+cpu\n"
