"""Where control groups are looked for."""

from pathlib import Path

from tests.cluster.cgroups import Cgroups, hierarchies, inherit_cpuset, tracking


def v1(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "cgroup.procs").touch()
    return root


def test_v1_has_a_hierarchy_for_each_controller(tmp_path: Path) -> None:
    root = v1(tmp_path, "cpu", "pids", "memory", "unified")
    (root / "cpuacct").symlink_to("cpu")
    (root / "stray").mkdir()
    assert [path.name for path in hierarchies(root)] == ["cpu", "memory", "pids", "unified"]
    assert tracking(root).name == "pids"


def test_v1_without_the_pids_controller_tracks_by_memory(tmp_path: Path) -> None:
    assert tracking(v1(tmp_path, "cpu", "memory")).name == "memory"


def test_v2_has_one_hierarchy(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "system.slice").mkdir()
    assert hierarchies(tmp_path) == [tmp_path]
    assert tracking(tmp_path) == tmp_path


def test_groups_are_created_in_every_hierarchy_and_known_again(tmp_path: Path) -> None:
    groups = Cgroups("cluster", v1(tmp_path, "pids", "memory"))
    assert not groups.exist()
    groups.create("system", "node1")
    groups.create("system", "node1")
    assert (tmp_path / "memory/cluster/node1").is_dir()
    assert groups.daemons("system") == tmp_path / "pids/cluster/system"
    assert groups.exist()
    groups.remove()
    assert not groups.exist()


def test_processes_are_those_of_all_groups_below(tmp_path: Path) -> None:
    groups = Cgroups("cluster", v1(tmp_path, "pids"))
    groups.create("system", "node1")
    (tmp_path / "pids/cluster/system/cgroup.procs").write_text("11\n12\n")
    inner = tmp_path / "pids/cluster/node1/kubepods/pod"
    inner.mkdir(parents=True)
    (inner / "cgroup.procs").write_text("13\n")
    assert sorted(groups.processes()) == [11, 12, 13]
    assert groups.processes("node1") == [13]


def test_a_new_cpuset_gets_its_parents_processors(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    child = tmp_path / "child"
    child.mkdir()
    (child / "cpuset.cpus").write_text("\n")
    (child / "cpuset.mems").write_text("1\n")
    inherit_cpuset(child)
    assert (child / "cpuset.cpus").read_text() == "0-1\n"
    assert (child / "cpuset.mems").read_text() == "1\n"
