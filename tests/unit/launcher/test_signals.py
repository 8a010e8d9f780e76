"""job.sh: the wait for the daemon, the after script, and signals."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from cijob import launcher
from tests.unit.launcher.userland import Container, Ended, program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def docker_job(job: Container) -> Container:
    """A job container that waits for a daemon."""
    job.env["CIJOB_DAEMON"] = "1"
    return job


# --- the daemon


def test_the_script_waits_for_the_mark(docker_job: Container) -> None:
    docker_job.write(["echo ran; test -s $CIJOB_ROOT/daemon/ready"])
    with docker_job.start() as running:
        (docker_job.daemon / "new").write_text("instance-1\n")
        (docker_job.daemon / "new").rename(docker_job.daemon / "ready")
        ended = running.end()
    assert ended.lines[1] == "ran"
    assert ended.code == 0
    assert ended.message is not None
    assert ended.message["daemon"] == "ready"
    assert (docker_job.root / "link").readlink() == docker_job.daemon / "docker.sock"


def test_the_wait_goes_in_steps(tools_job: Container) -> None:
    program(tools_job.bin, "sleep", f'#!/bin/sh\necho "step $1"; echo x > {tools_job.daemon}/ready\n')
    assert tools_job.run("echo ran").lines == ["step 0.05", "$ echo ran", "ran"]


def test_a_daemon_that_never_gets_ready(docker_job: Container) -> None:
    docker_job.env["CIJOB_START_TIMEOUT"] = "1"
    ended = docker_job.run("echo ran", after=["echo after"])
    assert ended.lines == ["cijob: the Docker daemon was not ready after 1 s: see the log of the container dind"]
    assert ended.message is not None
    assert (ended.code, ended.message["exitCode"], ended.message["part"]) == (125, 125, "daemon")
    assert ended.message["daemon"] == "timeout"


def test_a_long_wait_is_told_once(tools_job: Container) -> None:
    tools_job.env["CIJOB_START_TIMEOUT"] = "8"
    program(tools_job.bin, "sleep", "#!/bin/sh\nexit 0\n")
    ended = tools_job.run("echo ran")
    assert [line for line in ended.lines if "waiting" in line] == ["cijob: waiting for the Docker daemon..."]


def test_a_sleep_without_fractions_will_do(tools_job: Container) -> None:
    tools_job.env["CIJOB_START_TIMEOUT"] = "2"
    program(tools_job.bin, "sleep", '#!/bin/sh\ncase $1 in *.*) exit 1 ;; esac\necho "slept $1"\n')
    ended = tools_job.run("true")
    assert ended.lines[:2] == ["slept 1", "slept 1"]
    assert ended.code == 125


def test_an_image_without_sleep_is_told_so(tools_job: Container) -> None:
    (tools_job.bin / "sleep").unlink()
    ended = tools_job.run("true")
    assert "the image has no sleep command" in ended.lines[0]
    assert ended.code == 127


@pytest.mark.parametrize("change", ["rm $CIJOB_ROOT/daemon/ready", "echo instance-2 > $CIJOB_ROOT/daemon/ready"])
def test_another_daemon_at_the_end_means_that_ours_was_lost(docker_job: Container, change: str) -> None:
    (docker_job.daemon / "ready").write_text("instance-1\n")
    ended = docker_job.run(change, "exit 1")
    assert ended.message is not None
    assert (ended.code, ended.message["daemon"]) == (1, "lost")


def test_a_link_that_cannot_be_made_is_no_matter(docker_job: Container) -> None:
    (docker_job.daemon / "ready").write_text("instance-1\n")
    docker_job.env["CIJOB_SOCKET_LINK"] = "/nonexistent/docker.sock"
    ended = docker_job.run("true")
    assert (ended.code, ended.lines) == (0, ["$ true"])


# --- the after script


@pytest.mark.parametrize(("entry", "status", "code"), [("true", "success", 0), ("exit 3", "failed", 3)])
def test_after_script_knows_the_outcome_and_changes_nothing(job: Container, entry: str, status: str, code: int) -> None:
    ended = job.run("x=1; cd /", entry, after=['echo "$CIJOB_STATUS $CIJOB_EXIT_CODE ${x-unset}"', "exit 9", "echo NO"])
    assert f"{status} {code} unset" in ended.lines
    assert ended.lines[-1] == "cijob: afterScript ended with 9: that does not change the job's outcome"
    assert ended.code == code
    assert ended.message is not None
    assert ended.message["part"] == "script"


def test_after_script_has_a_time_limit_for_all_it_started(job: Container) -> None:
    job.env["CIJOB_AFTER_TIMEOUT"] = "1"
    ended = job.run("true", after=["sh -c 'sleep 1000' | cat"])
    assert "cijob: afterScript took too long (it has 1 s, less when the job is being stopped): killed" in ended.lines
    assert ended.code == 0


# --- signals


def test_sigterm_reaches_the_script_and_the_after_script_runs(job: Container) -> None:
    job.write(
        ["trap 'echo caught; exit 6' TERM; echo ready; sleep 1000 & wait"],
        after=["echo $CIJOB_STATUS $CIJOB_EXIT_CODE"],
    )
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "caught" in ended.lines
    assert "canceled 6" in ended.lines
    assert ended.code == 6
    assert ended.message is not None
    assert (ended.message["signal"], ended.message["exitCode"]) == ("TERM", 6)


def test_sigterm_reaches_what_the_script_waits_for(job: Container) -> None:
    """The shell itself would go on after its command: the signal goes to the whole group."""
    job.write(["trap : TERM; sh -c 'echo ready; exec sleep 1000'"])
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ended.code == 143


def test_a_script_that_exits_with_0_on_sigterm_does_not_hide_the_signal(job: Container) -> None:
    job.write(["trap 'exit 0' TERM; echo ready; sleep 1000 & wait"])
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ended.message is not None
    assert (ended.code, ended.message["signal"]) == (0, "TERM")


def test_a_script_that_ignores_sigterm_gets_half_of_the_grace_period(job: Container) -> None:
    job.env["CIJOB_GRACE"] = "12"  # of which the after script has a quarter
    job.write(["trap '' TERM; echo ready; while :; do sleep 1; done"], after=["echo after $CIJOB_EXIT_CODE"])
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "cijob: the script was still running 6 s after SIGTERM: killed" in ended.lines
    assert "after 137" in ended.lines
    assert ended.code == 137


def test_an_after_script_at_the_end_of_the_grace_period_is_cut(job: Container) -> None:
    job.env["CIJOB_GRACE"] = "4"
    job.write(["echo ready; sleep 1000"], after=["sleep 1000"])
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "afterScript took too long" in ended.output
    assert ended.code == 143


@pytest.mark.parametrize(("mode", "runs"), [("Immediate", False), ("Graceful", True), ("", True)])
def test_only_an_immediate_cancel_skips_the_after_script(job: Container, mode: str, runs: bool) -> None:
    job.write(["echo ready; sleep 1000"], after=["echo after"])
    with job.start() as running:
        running.wait_for("ready")
        (job.launcher / "cancel").write_text(mode)  # it comes while the job runs
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ("after" in ended.lines) == runs
    assert ended.code == 143


@pytest.mark.parametrize(("mode", "cut"), [("Immediate", True), ("Graceful", False)])
def test_sigterm_during_the_after_script(job: Container, mode: str, cut: bool) -> None:
    go = job.root / "go"
    job.write(["exit 3"], after=[f"echo ready; until [ -e {go} ]; do sleep 0.05; done; echo end"])
    with job.start() as running:
        running.wait_for("ready")
        (job.launcher / "cancel").write_text(mode)
        running.signal(signal.SIGTERM)
        if not cut:
            go.touch()
        ended = running.end()
    assert ("end" not in ended.lines) == cut
    assert ended.message is not None
    assert (ended.code, ended.message["signal"]) == (3, None), "it is not what ended the script"


def steps_of(*functions: str) -> Iterator[int]:
    """Numbers of the lines of job.sh, from 0, before which a command may stand in these functions, up to where they wait.

    Without what only a shell with job control runs: it does so in the other functions, too.
    """
    inside, goes_on = False, False
    for number, line in enumerate(launcher.read("job.sh").splitlines()):
        inside = inside and line != "}"
        if inside and not goes_on and not re.match(r"\s*(#|esac|;;|\w+\)|\*\)|set|\"\$@\")", line):
            yield number
            inside = "wait_for " not in line
        inside = inside or line.startswith(tuple(f"{name}() {{" for name in functions))
        goes_on = line.endswith("\\")


def sigterm_at(step: int, job: Container, condition: str, *, first: str = ":") -> Ended:
    """The end of a job whose launcher gets a SIGTERM before a step, from itself: the first time that a condition holds there."""
    lines = launcher.read("job.sh").splitlines()
    signal_once = f'{{ [ -n "$cijob_signal" ] || ! {condition} || {{ {first}; kill -TERM $$; }}; }}'
    (job.launcher / "job.sh").write_text("\n".join([*lines[:step], signal_once, *lines[step:], ""]))
    with job.start() as running:
        try:
            return running.end()
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"no end with a SIGTERM before {lines[step].strip()!r}") from late


def test_sigterm_at_any_step_of_the_scripts_start_ends_it(job: Container) -> None:
    job.write(["sleep 1000"])
    for step in steps_of("start", "run_script"):
        ended = sigterm_at(step, job, "true")
        assert ended.message is not None, step
        assert (ended.code, ended.message["signal"]) == (143, "TERM"), (step, ended)


@pytest.mark.parametrize("mode", ["Graceful", "Immediate"])
def test_sigterm_at_any_step_of_the_after_scripts_start_does_what_it_does_later(job: Container, mode: str) -> None:
    job.write(["exit 3"], after=["sleep 0.1" if mode == "Graceful" else "sleep 1000", "echo end"])
    for step in steps_of("start", "start_timer", "run_after"):
        (job.launcher / "cancel").unlink(missing_ok=True)
        ended = sigterm_at(step, job, '[ "$cijob_phase" != script ]', first=f"echo {mode} >{job.launcher}/cancel")
        assert ("end" in ended.lines) == (mode == "Graceful"), (step, ended)
        assert "took too long" not in ended.output, (step, ended)
        assert ended.message is not None, step
        assert (ended.code, ended.message["signal"]) == (3, None), (step, ended)


def test_sigterm_during_the_wait_for_the_daemon(tools_job: Container) -> None:
    program(tools_job.bin, "sleep", "#!/bin/sh\necho waiting\n")
    tools_job.env["CIJOB_START_TIMEOUT"] = "600"
    tools_job.write(["echo ran"], after=["echo after"])
    with tools_job.start() as running:
        running.wait_for("waiting")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "ran" not in ended.lines
    assert "after" not in ended.lines
    assert ended.message is not None
    assert (ended.code, ended.message["part"], ended.message["signal"]) == (143, "daemon", "TERM")


def test_without_any_process_group_pid_1_still_reaches_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    job = Container(tmp_path_factory.mktemp("no-setsid") / "cijob", "dash")
    (job.bin / "setsid").unlink()
    job.write(["trap : TERM; sh -c 'echo ready; exec sleep 1000'"])
    with job.start() as running:
        running.wait_for("ready")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ended.code == 143
