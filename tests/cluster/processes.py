"""Daemons: started detached, recorded with pid and start time, checked, restarted and ended; only ever our own."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.cgroups import SYSTEM, Cgroups
from tests.cluster.errors import ClusterError
from tests.cluster.progress import wait_until
from tests.cluster.shell import log_tail

LAUNCHER = Path(__file__).with_name("launch.sh")


@dataclass(frozen=True)
class Daemon:
    """A program that keeps running.

    Attributes:
        name: name of its record and log; unique in the cluster.
        argv: program and arguments.
        ready: whether it does its work now.
        node: name of the daemon whose network and mount namespaces it runs in.
        group: name of the cgroup, below the cluster's, that it is started in.
        env: variables on top of the present ones.
        seconds: how long it may take to get ready.
    """

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    node: str = ""
    group: str = SYSTEM
    env: dict[str, str] = field(default_factory=dict)
    seconds: float = 60

    @property
    def digest(self) -> str:
        """Changes with the command line and with the program itself: then the daemon is started anew."""
        program = Path(self.argv[0])
        built = program.stat().st_mtime_ns if program.exists() else 0
        return hashlib.sha256(json.dumps([self.argv, self.env, self.node, built]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """What a daemon wrote about itself when it was started."""

    pid: int
    started: str
    boot: str
    digest: str

    def alive(self) -> bool:
        """Whether this very process lives: a pid alone could be another's by now."""
        return self.boot == boot_id() and started(self.pid) == self.started


def boot_id() -> str:
    """Another one after each boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot; None for a dead one, zombies included."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks
    return None if fields[0] in ("Z", "X") else fields[19]


class Supervisor:
    """Starts and ends the daemons of one cluster."""

    def __init__(self, records: Path, logs: Path, cgroups: Cgroups) -> None:
        self.records = records
        self.logs = logs
        self.cgroups = cgroups

    def record(self, name: str) -> Record | None:
        """The record of a daemon that lives; None otherwise."""
        try:
            pid, ticks, boot, digest = (self.records / name).read_text().split()
            record = Record(int(pid), ticks, boot, digest)
        except (OSError, ValueError):  # never started, or cut off while it was written
            return None
        return record if record.alive() else None

    def start(self, daemon: Daemon) -> bool:
        """Start the daemon unless it runs as wanted; does not wait until it is ready.

        Returns:
            Whether it had to be started.
        """
        if self.runs(daemon):
            return False
        self.stop(daemon.name)
        self.spawn(daemon)
        return True

    def runs(self, daemon: Daemon) -> bool:
        """Whether just this daemon lives, with this command line."""
        record = self.record(daemon.name)
        return record is not None and record.digest == daemon.digest

    def spawn(self, daemon: Daemon) -> None:
        """Start the process, detached from this one."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.records.mkdir(parents=True, exist_ok=True)
        record, log = self.records / daemon.name, str(self.log(daemon.name))
        launcher = ["/bin/sh", str(LAUNCHER), str(record), daemon.digest, str(self.cgroups.daemons(daemon.group))]
        pid = os.posix_spawn(
            "/bin/sh",
            [*launcher, *self.inside(daemon.node), *daemon.argv],
            {**os.environ, **daemon.env},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        wait_until(lambda: self.record(daemon.name) is not None or started(pid) is None, 10, f"{daemon.name} to start")

    def inside(self, node: str) -> tuple[str, ...]:
        """The words before a command that runs in a node's namespaces."""
        if not node:
            return ()
        holder = self.record(node)
        if holder is None:
            raise ClusterError(f"{node} is not running", "Run `up` again.")
        return ("nsenter", f"--target={holder.pid}", "--net", "--mount", "--")

    def wait(self, daemon: Daemon) -> None:
        """Wait until the daemon is ready.

        Raises:
            ClusterError: it ended, or is not ready in time.
        """

        def ready() -> bool:
            if self.record(daemon.name) is None:
                raise ClusterError(
                    f"{daemon.name} ended", "Read its log; `up` again starts it anew.", log_tail(self.log(daemon.name))
                )
            return daemon.ready()

        wait_until(
            ready,
            daemon.seconds,
            f"{daemon.name} to be ready",
            lambda: log_tail(self.log(daemon.name)),
            "Read its log; `down`, then `up`, starts afresh.",
        )

    def stop(self, name: str, seconds: float = 10) -> None:
        """End a daemon, first politely; nothing happens if it does not run."""
        record = self.record(name)
        if record is None:
            return
        send(record, signal.SIGTERM)
        try:
            wait_until(lambda: not record.alive(), seconds, f"{name} to end")
        except ClusterError:
            send(record, signal.SIGKILL)
            wait_until(lambda: not record.alive(), seconds, f"{name} to be killed")

    def log(self, name: str) -> Path:
        """The file with all that the daemon printed."""
        return self.logs / f"{name}.log"


def send(record: Record, number: signal.Signals) -> None:
    """Signal a process, making sure that it is the recorded one."""
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        if record.alive():  # the handle now belongs to this process, whatever happens to the number
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
