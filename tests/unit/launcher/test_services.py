"""services.sh and ready.sh: what job.sh waits for, how long, and what it says when that does not come."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from cijob import launcher
from tests.unit.launcher.userland import SECONDS, Container, Running, needed, program

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ANY4, LOCAL4, ANY6 = "00000000", "0100007F", "0" * 32
LISTENS, CONNECTED = "0A", "01"
CHECK = "its check has not succeeded"


def sockets(*entries: tuple[str, int, str]) -> str:
    """A file as /proc/net/tcp, of (address, port, state)."""
    lines = (
        f"{number:4}: {address}:{port:04X} {'0' * len(address)}:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 1 1"
        for number, (address, port, state) in enumerate(entries)
    )
    return HEAD + "".join(f"{line:149}\n" for line in lines)


def mark(job: Container, name: str) -> None:
    (job.root / "services" / name).touch()


def listen(job: Container, *entries: tuple[str, int, str], family: str = "tcp") -> None:
    """Have these sockets in the job's network, at once."""
    (job.root / "net/new").write_text(sockets(*entries))
    (job.root / "net/new").rename(job.root / "net" / family)


def add_services(job: Container) -> Container:
    """What the operator adds for jobs with services."""
    for name in launcher.SERVICES:
        (job.launcher / name).write_text(launcher.read(name))
    (job.root / "services").mkdir()
    (job.root / "net").mkdir()
    job.env["CIJOB_PROC_NET"] = str(job.root / "net")
    listen(job)
    return job


@pytest.fixture
def served(job: Container) -> Container:
    """A job container with services and without a daemon, on which nothing listens yet."""
    return add_services(job)


def still_waits(running: Running) -> None:
    """Several of its steps pass, and nothing happens."""
    time.sleep(0.3)
    assert running.process.poll() is None
    assert not (running.container.run_dir / "entry").exists()


# --- what is waited for


@pytest.mark.parametrize(
    ("family", "entries"),
    [
        ("tcp", [(ANY4, 5432, LISTENS)]),
        ("tcp", [(LOCAL4, 5432, LISTENS)]),
        ("tcp", [(ANY4, 80, LISTENS), (ANY4, 5432, LISTENS), (LOCAL4, 39000, CONNECTED)]),
        ("tcp6", [(ANY6, 5432, LISTENS)]),
    ],
)
def test_a_port_that_is_listened_on_is_all_that_is_asked_for(
    served: Container, family: str, entries: list[tuple[str, int, str]]
) -> None:
    served.env["CIJOB_SERVICES"] = "db:60:5432:0"
    listen(served, *entries, family=family)
    ended = served.run("echo ran")
    assert (ended.code, ended.lines) == (0, ["$ echo ran", "ran"])
    assert ended.message is not None
    assert ended.message["part"] == "script"


def test_the_real_sockets_are_read_as_they_are(served: Container) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        del served.env["CIJOB_PROC_NET"]
        served.env["CIJOB_SERVICES"] = f"db:20:{server.getsockname()[1]}:0"
        assert served.run("echo ran").lines == ["$ echo ran", "ran"]


def test_the_script_starts_when_the_last_port_and_the_last_mark_are_there(served: Container) -> None:
    served.env["CIJOB_SERVICES"] = "db:60:5432,5433:1 cache:60:6379:0 plain:60::0"
    served.write(["echo ran"])
    with served.start() as running:
        still_waits(running)
        listen(served, (ANY4, 5432, LISTENS), (ANY4, 6379, LISTENS))
        still_waits(running)
        listen(served, (ANY4, 5433, LISTENS), family="tcp6")
        still_waits(running)
        mark(served, "db")
        ended = running.end()
    assert (ended.code, ended.lines) == (0, ["$ echo ran", "ran"])


def test_services_without_ports_and_checks_are_not_waited_for(served: Container) -> None:
    served.env["CIJOB_SERVICES"] = "db:60::0 cache:60::0"
    assert served.run("echo ran").lines == ["$ echo ran", "ran"]


def test_the_wait_goes_in_steps(tmp_path: Path) -> None:
    job = add_services(Container(tmp_path / "cijob", "dash", {"CIJOB_SERVICES": "db:60::1"}))
    program(job.bin, "sleep", f'#!/bin/sh\necho "step $1"; : >{job.root}/services/db\n')
    assert job.run("echo ran").lines[:3] == ["step 0.05", "$ echo ran", "ran"]


def test_a_long_wait_is_told_once_for_each_service(tmp_path: Path) -> None:
    job = add_services(
        Container(tmp_path / "cijob", "dash", {"CIJOB_SERVICES": "db:60:5432:1 web:60:80:0 cache:60::1"})
    )
    listen(job, (ANY4, 5432, LISTENS))
    mark(job, "cache")
    program(
        job.bin,
        "sleep",
        f'#!/bin/sh\necho x >>{job.root}/steps; [ "$(wc -l <{job.root}/steps)" -lt 120 ] || kill $PPID\n',
    )
    lines = job.run("echo ran").lines
    assert lines == [
        f"cijob: waiting for db: {CHECK} yet...",
        "cijob: waiting for web: nothing listens on its port 80 yet...",
    ]


def test_an_image_without_sleep_is_told_so(tmp_path: Path) -> None:
    job = add_services(Container(tmp_path / "cijob", "dash", {"CIJOB_SERVICES": "db:60::1"}))
    (job.bin / "sleep").unlink()
    ended = job.run("true")
    assert "the image has no sleep command" in ended.lines[0]
    assert ended.lines[0].endswith(": add coreutils or BusyBox, or do without ports and ready in spec.services")
    assert ended.code == 127


def test_nothing_of_it_reaches_the_script(served: Container) -> None:
    served.env["CIJOB_SERVICES"] = "db:60:5432:0"
    listen(served, (ANY4, 5432, LISTENS))
    ended = served.run('printf "<%s>" "$IFS"', "env")
    assert "< \t" in ended.output
    assert not [line for line in ended.lines if line.startswith("cijob_")]


# --- what does not come


@pytest.mark.parametrize(
    ("word", "lack"),
    [
        ("db:1:5432:0", "nothing listens on its port 5432"),
        ("db:1:80,5432:1", "nothing listens on its port 5432"),
        ("db:1:80:1", CHECK),
        ("db:1::1", CHECK),
    ],
)
def test_a_service_that_never_gets_ready_is_named_with_what_it_lacks(served: Container, word: str, lack: str) -> None:
    served.env["CIJOB_SERVICES"] = f"cache:60:80:0 {word} slow:60::1"
    listen(served, (ANY4, 80, LISTENS), (ANY4, 5432, CONNECTED))
    begin = time.monotonic()
    ended = served.run("echo NOT REACHED", after=["echo NOR THIS"])
    assert time.monotonic() - begin >= 1
    assert ended.lines == [f"cijob: db was not ready after 1 s: {lack}; see the log of the container db"]
    assert ended.code == 125
    assert ended.message == {
        "exitCode": 125,
        "part": "services",
        "entry": 0,
        "signal": None,
        "daemon": "none",
        "peakMemory": None,
        "service": "db",
    }


def test_what_the_check_said_last_is_shown(served: Container) -> None:
    served.env["CIJOB_SERVICES"] = "db:1::1"
    (served.root / "services/db.last").write_text("no \\response\n  twice %s\n")
    assert served.run("true").lines[1:] == ["cijob: its check said last:", "no \\response", "  twice %s"]


def test_the_seconds_count_from_the_start_and_not_from_the_daemons_answer(tools_job: Container) -> None:
    job = add_services(tools_job)
    job.env["CIJOB_SERVICES"] = "db:1::1"
    ready, late = job.daemon / "ready", job.root / "late"
    # The daemon's first step takes more than the second, however it is rounded.
    program(
        job.bin, "sleep", f"#!/bin/sh\n[ ! -e {ready} ] || : >{late}\n{needed('sleep')} 2.5\necho instance-1 >{ready}\n"
    )
    ended = job.run("true")
    assert not late.exists(), "the services had none left"
    assert (ended.code, ended.message and ended.message["daemon"]) == (125, "ready")


def test_a_daemon_that_was_lost_meanwhile_is_reported(tools_job: Container) -> None:
    job = add_services(tools_job)
    job.env["CIJOB_SERVICES"] = "db:1::1"
    (job.daemon / "ready").write_text("instance-1\n")
    job.write(["true"])
    with job.start() as running:
        running.wait_until((job.root / "link").is_symlink)
        (job.daemon / "ready").unlink()
        ended = running.end()
    assert ended.message is not None
    assert (ended.message["part"], ended.message["daemon"]) == ("services", "lost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait(served: Container, number: signal.Signals) -> None:
    served.env["CIJOB_SERVICES"] = "db:60::1"
    served.write(["echo NOT REACHED"], after=["echo NOR THIS"])
    started = served.root / "started"
    (served.launcher / "services.sh").write_text(f"{launcher.read('services.sh')}\n: >{started}\n")
    with served.start() as running:
        running.wait_until(started.exists)
        running.signal(number)
        ended = running.end()
    assert (ended.code, ended.lines) == (143, [])
    assert ended.message is not None
    assert (ended.message["part"], ended.message["signal"]) == ("services", number.name.removeprefix("SIG"))
    assert "service" not in ended.message


# --- what others leave for the job


def test_a_job_without_any_of_it_sees_nothing_new(job: Container) -> None:
    ended = job.run('echo "${CIJOB_GIT_COMMIT-unset}"; ls -A "$CIJOB_ROOT/docker-config" 2>&1 | wc -l')
    assert ended.lines[1:] == ["unset", "1"]


def test_the_commit_of_the_checkout_is_a_variable(job: Container) -> None:
    (job.run_dir / "commit").write_text("4b825dc642cb6eb9a060e54bf8d69288fbee4904\n")
    ended = job.run('echo "$CIJOB_GIT_COMMIT"', after=['echo "$CIJOB_GIT_COMMIT"'])
    assert ended.lines.count("4b825dc642cb6eb9a060e54bf8d69288fbee4904") == 2


def test_docker_gets_a_configuration_that_it_may_change_and_nobody_else_may_read(job: Container) -> None:
    for name in ("docker-secret", "docker-config"):
        (job.root / name).mkdir()
    (job.root / "docker-secret/config.json").write_text('{"auths": {}}')
    assert job.run("umask", "echo ran").lines[-1] == "ran"
    copy = job.root / "docker-config/config.json"
    assert copy.read_text() == '{"auths": {}}'
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_missing_secret_leaves_docker_without_a_configuration(job: Container) -> None:
    for name in ("docker-secret", "docker-config"):
        (job.root / name).mkdir()
    ended = job.run("echo ran")
    assert ended.lines == ["$ echo ran", "ran"]
    assert list((job.root / "docker-config").iterdir()) == []


# --- the check in the service's container


class Check:
    """ready.sh as the kubelet runs it."""

    def __init__(self, container: Container) -> None:
        self.container, self.folder = container, container.root / "services"

    def run(self, *command: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        program = [str(self.container.bin / "sh"), str(self.container.launcher / "ready.sh"), "db", *command]
        return subprocess.run(
            program, env=self.container.env, capture_output=True, text=True, check=False, timeout=seconds
        )


@pytest.fixture
def check(served: Container) -> Check:
    """The check of the service db."""
    return Check(served)


def test_a_check_that_succeeds_leaves_the_mark_and_says_nothing(check: Check) -> None:
    ended = check.run("sh", "-c", "echo fine; cat")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [file.name for file in check.folder.iterdir()] == ["db"]
    assert (check.folder / "db").stat().st_mode & 0o777 == 0o644


def test_a_check_is_tried_again_at_once(tools_job: Container) -> None:
    check = Check(add_services(tools_job))
    program(tools_job.bin, "sleep", '#!/bin/sh\necho "$1" >>"$CIJOB_ROOT/steps"\n')
    count = 'echo x >>"$CIJOB_ROOT/tries"; [ "$(wc -l <"$CIJOB_ROOT/tries")" -ge 4 ]'
    assert check.run("sh", "-c", count).returncode == 0
    assert (tools_job.root / "steps").read_text().split() == ["0.1"] * 3
    assert (check.folder / "db").exists()


def test_the_words_of_the_check_stay_as_they_are(check: Check) -> None:
    script = 'printf "<%s>" "$@" >"$CIJOB_ROOT/words"'
    check.run("sh", "-c", script, "x", "a b", "", "*", "$HOME", "q\"u'o", "-n", "é\n")
    assert (check.container.root / "words").read_text() == "<a b><><*><$HOME><q\"u'o><-n><é\n>"


@pytest.mark.parametrize("shell", ["dash", "bash", "bash-as-sh"])
def test_what_a_failing_check_says_is_kept_in_bounds(tmp_path: Path, shell: str) -> None:
    check = Check(add_services(Container(tmp_path / "cijob", shell)))
    program(check.container.bin, "sleep", "#!/bin/sh\nexit 1\n")
    script = 'echo "no response" >&2; i=0; while [ $i -lt 300 ]; do echo 0123456789; i=$((i + 1)); done; exit 3'
    ended = check.run("sh", "-c", script)
    assert (ended.returncode, ended.stdout) == (1, "")
    said = (check.folder / "db.last").read_text()
    assert said.startswith("no response\n0123456789\n")
    assert len(said) == 1001
    assert not (check.folder / "db").exists()


def test_what_a_check_says_again_is_not_written_again_as_somebody_may_be_reading_it(check: Check) -> None:
    tries, last = check.container.root / "tries", check.folder / "db.last"
    second = f'echo x >>{tries}; [ "$(wc -l <{tries})" -ne 2 ] || echo read >{last}'
    assert check.run("sh", "-c", f'{second}; echo no; [ "$(wc -l <{tries})" -ge 4 ]').returncode == 0
    assert last.read_text() == "read\n"


def test_a_missing_program_is_what_it_said_last(tmp_path: Path) -> None:
    check = Check(add_services(Container(tmp_path / "cijob", "dash")))
    program(check.container.bin, "sleep", "#!/bin/sh\nexit 1\n")
    assert check.run("pg_isready").returncode == 1
    assert "pg_isready: not found" in (check.folder / "db.last").read_text()


def test_a_run_ends_before_the_kubelet_would_end_it(tmp_path: Path) -> None:
    check = Check(add_services(Container(tmp_path / "cijob", "dash")))
    text = (check.container.launcher / "ready.sh").read_text()
    assert "-lt 20 ]" in text
    (check.container.launcher / "ready.sh").write_text(text.replace("-lt 20 ]", "-lt 1 ]"))
    assert (check.run("false").returncode, (check.folder / "db").exists()) == (1, False)


def test_once_ready_a_run_takes_its_time_and_asks_no_more(tmp_path: Path) -> None:
    check = Check(add_services(Container(tmp_path / "cijob", "dash")))
    mark(check.container, "db")
    program(check.container.bin, "sleep", '#!/bin/sh\necho "slept $1"\n')
    assert check.run("touch", str(check.container.root / "asked")).stdout == "slept 25\n"
    assert not (check.container.root / "asked").exists()
