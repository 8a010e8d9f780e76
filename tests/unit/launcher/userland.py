"""The launchers run as in a container: real shells, as PID 1 of a PID namespace, in temporary folders."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from cijob import launcher, scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECONDS = 60
"""After this long a test gives up; nothing here takes more than a few, unless the machine is busy."""

SHELLS = ("dash", "bash", "bash-as-sh", "busybox")
_TOOLS = (
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "cut",
    "date",
    "df",
    "env",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "ps",
    "rm",
    "sed",
    "setsid",
    "sleep",
    "tail",
    "tee",
    "tr",
    "uname",
    "wc",
)
_UNPRIVILEGED = () if os.geteuid() == 0 else ("--user", "--map-root-user")
#: Also where these tests themselves run in the background of a script, and so ignore SIGINT.
_DEFAULT_SIGNALS = ("env", "--default-signal=INT,QUIT")
_CONTAINER = ("unshare", *_UNPRIVILEGED, "--pid", "--fork", "--kill-child", "--mount-proc")


def needed(program: str) -> str:
    """The path of a program that these tests cannot do without."""
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(f"the launchers' tests need {program}: apt-get install {program}")
    return path


def install(folder: Path, shell: str) -> None:
    """Fill a folder for PATH with `sh` and tools as in an image with this shell (those named bash have it beside `sh` too)."""
    folder.mkdir()
    if shell == "busybox":
        for tool in ("sh", *_TOOLS):
            (folder / tool).symlink_to(needed("busybox"))
        return
    (folder / "sh").symlink_to(needed("bash" if shell == "bash-as-sh" else "dash"))
    for tool in (*_TOOLS, *(("bash",) if shell.startswith("bash") else ())):
        (folder / tool).symlink_to(needed(tool))


def program(folder: Path, name: str, text: str) -> None:
    """Put a program of our own on PATH, in place of what is there."""
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


@dataclass(frozen=True)
class Ended:
    """What is left when a launcher has ended."""

    code: int
    output: str
    message: dict[str, Any] | None

    @property
    def lines(self) -> list[str]:
        """The lines of its output."""
        return self.output.splitlines()


@dataclass
class Container:
    """A folder that looks like a container's `/.cijob`, and the environment of its PID 1."""

    root: Path
    shell: str
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin, self.log = self.root / "bin", self.root / "log"
        self.launcher, self.run_dir, self.daemon = (self.root / name for name in ("launcher", "run", "daemon"))
        for folder in (self.launcher, self.run_dir, self.daemon):
            folder.mkdir(parents=True)
        install(self.bin, self.shell)
        for name in (*launcher.JOB, *launcher.DIND):
            (self.launcher / name).write_text(launcher.read(name))
        self.log.touch()
        self.env = {
            "PATH": str(self.bin),
            "CIJOB_ROOT": str(self.root),
            "CIJOB_TERMINATION_LOG": str(self.log),
            "CIJOB_SOCKET_LINK": str(self.root / "link"),
            "CIJOB_CGROUP": str(self.root / "cgroup"),
            "CIJOB_SHELL": "Auto",
            "CIJOB_START_TIMEOUT": "5",
            "CIJOB_AFTER_TIMEOUT": "300",
            "CIJOB_DAEMON": "0",
        } | self.env

    def write(self, script: Iterable[str], before: Iterable[str] = (), after: Iterable[str] = ()) -> None:
        """Write the scripts as the operator does."""
        (self.launcher / "script").write_text(scripts.script_file(before, script), encoding="utf-8", newline="")
        (self.launcher / "after").write_text(scripts.after_file(after), encoding="utf-8", newline="")

    def start(self, name: str = "job.sh", folder: Path | None = None) -> Running:
        """Start a launcher as PID 1 of a new PID namespace; its standard input is one that never ends."""
        program, *options = _DEFAULT_SIGNALS
        command = [*_CONTAINER, str(self.bin / "sh"), str(self.launcher / name)]
        process = subprocess.Popen(
            [needed(program), *options, needed(command[0]), *command[1:]],
            env=self.env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # no container has the terminal that the tests were started from
        )
        return Running(self, process)

    def run(self, *script: str, before: Iterable[str] = (), after: Iterable[str] = ()) -> Ended:
        """Run the job launcher with these scripts to its end."""
        self.write(script, before, after)
        with self.start() as running:
            return running.end()


@dataclass
class Running:
    """A launcher that runs."""

    container: Container
    process: subprocess.Popen[bytes]
    seen: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def output(self) -> IO[bytes]:
        """Standard output and error, as one."""
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_for(self, line: str) -> None:
        """Read the output up to a line.

        Raises:
            AssertionError: the output ended without it.
        """
        for raw in self.output:
            self.seen.append(raw.decode())
            if line == self.seen[-1].rstrip("\n"):
                return
        raise AssertionError(f"no line {line!r} in:\n{''.join(self.seen)}")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the launcher does in files.

        Raises:
            AssertionError: it ended without doing it, or took too long.
        """
        end = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, "the launcher has ended"
            assert time.monotonic() < end, "the launcher took too long"
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Signal the launcher, as the kubelet does."""
        pid = self.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(child), number)

    def end(self) -> Ended:
        """Wait for the launcher's end."""
        rest, _ = self.process.communicate(timeout=SECONDS)
        text = self.container.log.read_text() if self.container.log.exists() else ""
        output = "".join(self.seen) + rest.decode(errors="surrogateescape")
        return Ended(self.process.returncode, output, json.loads(text) if text else None)
