"""The control groups of one cluster: every process of it is in one of them, and so can be found and ended.

`/<name>/system` holds the control plane, `/<name>/<node>-daemons` a node's daemons, `/<name>/<node>` its Pods. On cgroup v1 the folder exists in each hierarchy; on v2
there is only one.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.progress import wait_until

ROOT = Path("/sys/fs/cgroup")
V1_TRACKING = ("pids", "memory", "freezer", "systemd")  # any one will do: both our launcher and runc join it
SYSTEM = "system"


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The mounted hierarchies: one on v2, one for each controller on v1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted(
        path for path in root.iterdir() if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").exists()
    )


def version(root: Path = ROOT) -> str:
    """The version that this machine's Pods get: v1 or v2."""
    return "v2" if hierarchies(root) == [root] else "v1"


def tracking(root: Path = ROOT) -> Path:
    """The hierarchy in which the cluster's processes are looked for."""
    found = hierarchies(root)
    by_name = {path.name: path for path in found}
    return next((by_name[name] for name in V1_TRACKING if name in by_name), found[0])


class Cgroups:
    """The groups of one cluster."""

    def __init__(self, name: str, root: Path = ROOT) -> None:
        self.name = name
        self.root = root

    def daemons(self, group: str) -> Path:
        """The group that daemons of this kind are started in."""
        return tracking(self.root) / self.name / group

    def create(self, *children: str) -> None:
        """Create the cluster's group and its children, in each hierarchy."""
        for hierarchy in hierarchies(self.root):
            for path in (self.name, *(f"{self.name}/{child}" for child in children)):
                group = hierarchy / path
                group.mkdir(exist_ok=True)
                inherit_cpuset(group)

    def processes(self, child: str = "") -> list[int]:
        """The processes in the cluster's groups, or in those below one child."""
        top = tracking(self.root) / self.name / child
        return [pid for group in groups_below(top) for pid in members(group)]

    def kill(self, child: str = "", seconds: float = 20) -> None:
        """End every process in the groups at once, and wait until they are gone."""

        def all_gone() -> bool:
            pids = self.processes(child)
            for pid in pids:
                kill(pid)
            return not pids

        wait_until(all_gone, seconds, f"the processes in cgroup {self.name}/{child} to end")

    def remove(self, seconds: float = 20) -> None:
        """Remove the groups; the kernel refuses for a moment after the last process of one ended."""

        def all_removed() -> bool:
            remaining = [group for hierarchy in hierarchies(self.root) for group in groups_below(hierarchy / self.name)]
            for group in remaining:
                remove_group(group)
            return not remaining

        wait_until(all_removed, seconds, f"the removal of cgroup {self.name}")

    def exist(self) -> bool:
        """Whether any group of the cluster is there."""
        return any((hierarchy / self.name).exists() for hierarchy in hierarchies(self.root))


def groups_below(top: Path) -> Iterator[Path]:
    """The group and all below it, innermost first."""
    for folder, _, _ in os.walk(top, topdown=False):
        yield Path(folder)


def members(group: Path) -> list[int]:
    """The processes in this very group."""
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:  # removed meanwhile, or a threaded group that has no list of processes
        return []


def kill(pid: int) -> None:
    """Kill a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def remove_group(group: Path) -> None:
    """Remove one group if the kernel lets us now."""
    try:
        group.rmdir()
    except OSError:
        return


def inherit_cpuset(group: Path) -> None:
    """A new v1 cpuset has no processors, and so accepts no process, until it is given some."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        setting = group / name
        if setting.exists() and not setting.read_text().strip() and not (group / "cgroup.controllers").exists():
            setting.write_text((group.parent / name).read_text())
