"""Programs that run to their end."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError

TAIL_LINES = 15


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    seconds: float = 600,
    hint: str = "",
) -> str:
    """Run a program and return its standard output.

    Args:
        argv: the program and its arguments; no shell is involved.
        env: variables on top of the present ones.
        cwd: folder to run in.
        stdin: text for its standard input.
        seconds: time limit.
        hint: what the user can do if it fails.

    Raises:
        ClusterError: it is not there, took too long, or exited with another code than 0.
    """
    words = [str(word) for word in argv]
    try:
        result = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed", hint) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{shlex.join(words)}` took more than {seconds:.0f} s", hint) from error
    if result.returncode != 0:
        output = tail(result.stderr or result.stdout)
        raise ClusterError(f"`{shlex.join(words)}` failed with exit code {result.returncode}", hint, output)
    return result.stdout


def succeeds(argv: Sequence[str | Path], seconds: float = 30) -> bool:
    """Whether the program exits with code 0."""
    try:
        run(argv, seconds=seconds)
    except ClusterError:
        return False
    return True


def write(path: Path, text: str) -> None:
    """Write a file as a whole, and only where it says something else: some daemons end when their file is written to."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.rename(path)


def find(program: str) -> Path | None:
    """A program on PATH or in the administrator's folders, which an ordinary PATH may lack."""
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def log_tail(path: Path) -> str:
    """The last lines of a log file, named, for an error message."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16384))
            text = log.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return f"end of {path}:\n{tail(text)}"
