"""Daemons are recognised by more than their number, and only our own are ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cgroups import Cgroups
from tests.cluster.errors import ClusterError
from tests.cluster.processes import Daemon, Record, Supervisor, boot_id, started


class NoCgroups(Cgroups):
    """A folder in place of the kernel's groups, so that no root is needed."""

    def __init__(self, folder: Path) -> None:
        super().__init__("none", folder)

    def daemons(self, group: str) -> Path:  # noqa: ARG002 - the one folder is there for all
        return self.root


SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "cgroup.procs").touch()
    supervisor = Supervisor(tmp_path / "records", tmp_path / "logs", NoCgroups(tmp_path))
    yield supervisor
    supervisor.stop("sleeper")


def sleeper(*words: str) -> Daemon:
    return Daemon("sleeper", (*SLEEP, *words), lambda: True)


def test_a_daemon_is_started_once(supervisor: Supervisor) -> None:
    assert supervisor.start(sleeper())
    first = supervisor.record("sleeper")
    assert not supervisor.start(sleeper())
    assert supervisor.record("sleeper") == first
    assert first is not None
    assert first.alive()


def test_another_command_line_starts_it_anew(supervisor: Supervisor) -> None:
    supervisor.start(sleeper())
    first = supervisor.record("sleeper")
    assert first is not None
    assert supervisor.start(sleeper("more"))
    second = supervisor.record("sleeper")
    assert second is not None
    assert second.pid != first.pid
    assert not first.alive()


def test_a_dead_daemon_is_started_again(supervisor: Supervisor) -> None:
    supervisor.start(sleeper())
    supervisor.stop("sleeper")
    assert supervisor.record("sleeper") is None
    assert supervisor.start(sleeper())
    assert supervisor.record("sleeper") is not None


def test_waiting_for_a_daemon_that_ended_tells_the_end_of_its_log(supervisor: Supervisor) -> None:
    daemon = Daemon("sleeper", (sys.executable, "-c", "raise SystemExit('no such port')"), lambda: False)
    supervisor.start(daemon)
    with pytest.raises(ClusterError, match=r"(?s)sleeper ended.*no such port"):
        supervisor.wait(daemon)


def test_a_daemon_that_is_never_ready_is_given_up(supervisor: Supervisor) -> None:
    daemon = Daemon("sleeper", SLEEP, lambda: False, seconds=0.1)
    supervisor.start(daemon)
    with pytest.raises(ClusterError, match=r"waited 0 s in vain for sleeper to be ready"):
        supervisor.wait(daemon)


def test_a_process_that_has_a_recorded_number_by_chance_is_left_alone(supervisor: Supervisor) -> None:
    with subprocess.Popen(SLEEP) as stranger:
        ticks = started(stranger.pid)
        assert ticks is not None
        supervisor.records.mkdir()
        for line in (f"{stranger.pid} {int(ticks) - 1} {boot_id()} x", f"{stranger.pid} {ticks} another-boot x"):
            (supervisor.records / "sleeper").write_text(line)
            assert supervisor.record("sleeper") is None
            supervisor.stop("sleeper")
            assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "12", "a b c d", "1 2 3 4 5"])
def test_a_damaged_record_counts_as_none(supervisor: Supervisor, text: str) -> None:
    supervisor.records.mkdir()
    (supervisor.records / "sleeper").write_text(text)
    assert supervisor.record("sleeper") is None


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert started(child.pid) is None
        assert not Record(child.pid, "1", boot_id(), "x").alive()
