"""Where a pipeline is shown: as lines in a pipe, or as one job where there is only one; `treeboard` has the terminal's tree."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from cijob.cli import console
from cijob.cli.files.bundle import mib
from cijob.cli.follow.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Sight


class Board(Protocol):
    """Where the jobs of a pipeline are shown. Nothing here waits."""

    def show(self, schedule: Schedule, sights: Mapping[str, Sight]) -> None:
        """What there is to see now."""

    def log(self, job: str, data: bytes) -> None:
        """Of a job's log a line with its newline, or a part of a very long one."""

    def doing(self, job: str, text: str) -> None:
        """What a job does now."""

    def attempt(self, job: str, number: int) -> None:
        """An attempt of a job starts."""

    def event(self, text: str) -> None:
        """Something that a tree shows anyway."""

    def note(self, text: str) -> None:
        """Something to know that stays on the screen."""

    def hold(self) -> AbstractContextManager[None]:
        """Nothing is drawn inside: there is a question on the screen."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class Single:
    """The only job of a pipeline, shown as `cijob run` shows any."""

    def __init__(self) -> None:
        self._screen = Screen()

    def show(self, schedule: Schedule, sights: Mapping[str, Sight]) -> None:
        """See Board."""

    def log(self, job: str, data: bytes) -> None:
        """See Board."""
        del job
        self._screen.line(data)

    def doing(self, job: str, text: str) -> None:
        """See Board."""
        del job
        self._screen.progress(text)

    def attempt(self, job: str, number: int) -> None:
        """See Board."""
        del job
        self._screen.attempt(number)

    def event(self, text: str) -> None:
        """See Board."""
        self._screen.note(text)

    def note(self, text: str) -> None:
        """See Board."""
        self._screen.note(text)

    def hold(self) -> AbstractContextManager[None]:
        """See Board."""
        return self._screen.hold()

    def close(self) -> None:
        """See Board."""
        self._screen.close()


class Lines:
    """Lines in a pipe: of the logs on stdout, each behind its job's name; of all else on stderr."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._open = ""  # the job whose line has no end yet

    def show(self, schedule: Schedule, sights: Mapping[str, Sight]) -> None:
        """See Board."""

    def log(self, job: str, data: bytes) -> None:
        """See Board."""
        if self._open != job:
            data = (b"\n" if self._open else b"") + prefix(job).encode() + data
        self._open = "" if data.endswith(b"\n") else job
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def doing(self, job: str, text: str) -> None:
        """See Board. Each state once for each attempt."""
        if text and (job, text) not in self._said:
            self._said.add((job, text))
            self.note(f"{job}: {text}")

    def attempt(self, job: str, number: int) -> None:
        """See Board."""
        if number > 1:
            self._said = {said for said in self._said if said[0] != job}
            self.note(f"{job}: attempt {number}")

    def event(self, text: str) -> None:
        """See Board."""
        self.note(text)

    def note(self, text: str) -> None:
        """See Board."""
        console.err().print(Text(f"cijob: {one_line(text)}"), soft_wrap=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See Board. Without a terminal there are no questions."""
        yield

    def close(self) -> None:
        """See Board."""
        if self._open:
            self._open = ""
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()


class JobView:
    """One job of a pipeline, as `follow` shows it: a View.

    `doing` is called with the job's name and what it does now.
    """

    def __init__(self, board: Board, job: str, doing: Callable[[str, str], None]) -> None:
        self._board, self._job, self._doing = board, job, doing

    def progress(self, text: str) -> None:
        """See View."""
        self._doing(self._job, text)
        self._board.doing(self._job, text)

    def line(self, data: bytes) -> None:
        """See View."""
        self._board.log(self._job, data)

    def note(self, text: str) -> None:
        """See View."""
        self._board.note(f"{self._job}: {text}")

    def attempt(self, number: int) -> None:
        """See View."""
        self._board.attempt(self._job, number)

    def moved(self, what: str, done: int, total: int) -> None:
        """Files are on their way into the job, or out of it: bytes so far, and in all (0: unknown)."""
        self._doing(self._job, f"{what}: {mib(done)}" + (f" of {mib(total)}" if total else ""))


def prefix(job: str) -> str:
    """What stands in front of each line of a job's log."""
    return f"{one_line(job)} | "


def one_line(text: str) -> str:
    """A text of somebody else's as a part of a line."""
    return " ".join(console.plain(text).split())
