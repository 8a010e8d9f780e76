"""A node of the embedded cluster, seen from the machine below it: what of a Pod is there, and is still there."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.cgroups import Cgroups, hierarchies
from tests.cluster.config import load
from tests.cluster.processes import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Object

Traces = dict[str, list[str]]


@dataclass(frozen=True)
class Process:
    """A process of the machine."""

    pid: int
    name: str
    command: str
    groups: str
    #: Its number in each PID namespace, the machine's first.
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A node: the process that holds its namespaces."""

    holder: int

    def traces(self, *marks: str) -> Traces:
        """What bears one of the marks (a Pod's UID, its address, a container's id, a word of a command line)."""
        mounts = [Path(f"/proc/{pid}/mountinfo").read_text().splitlines() for pid in (self.holder, "self")]
        found = self.running(*marks) | {
            "mounts": [*mounts[0], *mounts[1]],
            "routes": self._in_its_network("ip", "route"),
            "rules": self._in_its_network("iptables-save"),
        }
        return {kind: [text for text in texts if has(text, marks)] for kind, texts in found.items()}

    def running(self, *marks: str) -> Traces:
        """The part of it that is processes and their groups."""
        found = {
            "processes": [f"{one.pid} {one.command} {one.groups}" for one in processes()],
            "cgroups": [folder for top in hierarchies() for folder, _, _ in os.walk(top)],
        }
        return {kind: [text for text in texts if has(text, marks)] for kind, texts in found.items()}

    def docker_interfaces(self) -> list[str]:
        """Bridges of Docker's that should be in a Pod."""
        links = self._in_its_network("ip", "-oneline", "link")
        return [link for link in links if link.split()[1].startswith(("docker", "br-"))]

    def _in_its_network(self, *command: str) -> list[str]:
        inside = ["nsenter", f"--target={self.holder}", "--net", *command]
        return subprocess.run(inside, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def the_node() -> Node:
    """The first node of the cluster that the tests run on."""
    config = load(int(os.environ.get("CIJOB_DEV_INSTANCE", "0")))
    record = Supervisor(config.run / "pids", config.logs, Cgroups(config.name)).record(config.nodes[0].name)
    assert record is not None, f"{config.nodes[0].name} does not run"
    return Node(record.pid)


def marks_of(pod: Object) -> list[str]:
    """What names a Pod on its node."""
    status = pod["status"]
    containers = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
    ids = [one["containerID"].removeprefix("containerd://") for one in containers if "containerID" in one]
    return [pod["metadata"]["uid"], f"{status['podIP']} ", f"{status['podIP']}/", *ids]


def processes() -> Iterator[Process]:
    """All processes of the machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            numbers = tuple(int(word) for word in fields["NSpid"].split())
            command = (folder / "cmdline").read_text().replace("\0", " ")
            yield Process(int(folder.name), fields["Name"].strip(), command, (folder / "cgroup").read_text(), numbers)
        except (OSError, KeyError):
            continue  # it ended meanwhile


def kill(victims: list[Process]) -> None:
    """Kill processes; the end of one may have been that of the others."""
    for one in victims:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)


def has(text: str, marks: tuple[str, ...]) -> bool:
    return any(mark in text for mark in marks)
