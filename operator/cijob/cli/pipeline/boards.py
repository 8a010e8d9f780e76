"""Where a pipeline is shown: a tree under the logs on a terminal, lines in a pipe; as one job where there is only one."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Group
from rich.live import Live
from rich.text import Text

from cijob.cli import console
from cijob.cli.follow.screen import Screen
from cijob.cli.pipeline.tree import MARKS, tree
from cijob.cli.printing import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from rich.console import Console, ConsoleOptions, RenderResult

    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Row, Sight

#: Seconds for which lines of logs are gathered before they go above the tree: each time it is drawn anew.
_GATHER: Final = 0.1
_PER_SECOND: Final = 4
#: Lines of the terminal that are left to the logs.
_FOR_LOGS: Final = 5
_LEAST: Final = 3
_WIDEST_NAME: Final = 40
_PREFIXES: Final = ("cyan", "magenta", "blue", "green", "yellow")


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


def board_for(jobs: int) -> Board:
    """The board for a pipeline of so many jobs."""
    if jobs == 1:
        return Single()
    return Tree() if console.err().is_terminal else Lines()


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


class Tree:
    """A tree of the stages at the bottom of the terminal; the logs, if they go to the same terminal, above it."""

    def __init__(self) -> None:
        self._shared = sys.stdout.isatty()
        self._lines = Lines()
        self._now: tuple[Schedule, dict[str, Sight]] | None = None
        self._began = time.monotonic()
        self._live: Live | None = None
        self._held = False
        self._colours: dict[str, str] = {}
        self._gathered: list[tuple[str, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None

    def show(self, schedule: Schedule, sights: Mapping[str, Sight]) -> None:
        """See Board."""
        self._now = schedule, dict(sights)  # a thread of rich's reads it
        self._draw()

    def log(self, job: str, data: bytes) -> None:
        """See Board."""
        if not self._shared:
            self._lines.log(job, data)
            return
        self._gathered.append((job, data))
        if self._timer is None and not self._held:
            self._timer = asyncio.get_running_loop().call_later(_GATHER, self._flush)

    def doing(self, job: str, text: str) -> None:
        """See Board."""

    def attempt(self, job: str, number: int) -> None:
        """See Board."""
        if number > 1:
            self.note(f"{job}: attempt {number}")

    def event(self, text: str) -> None:
        """See Board."""

    def note(self, text: str) -> None:
        """See Board."""
        self._flush()
        console.err().print(Text(f"cijob: {one_line(text)}", style="quiet"), soft_wrap=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See Board."""
        self._flush()
        self._held = True
        self._stop()
        try:
            yield
        finally:
            self._held = False
            self._draw()
            self._flush()

    def close(self) -> None:
        """See Board."""
        self._flush()
        self._stop()
        self._lines.close()

    def _draw(self) -> None:
        if self._live is None and self._now is not None and not self._held:
            self._live = Live(
                _Drawing(self),
                console=console.err(),
                transient=True,
                refresh_per_second=_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _flush(self) -> None:
        """Put the lines that have come above the tree."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held or not self._gathered:
            return
        text = Text("\n").join(self._line(job, data) for job, data in self._gathered)
        self._gathered.clear()
        console.err().print(text, soft_wrap=True)

    def _line(self, job: str, data: bytes) -> Text:
        """A line with the job's own colours, and without what else its bytes would do to a terminal."""
        colour = self._colours.setdefault(job, _PREFIXES[len(self._colours) % len(_PREFIXES)])
        decoded = data.decode(errors="replace").rstrip("\r\n")
        return Text(prefix(job), style=colour).append_text(Text.from_ansi(console.coloured(decoded)))

    def render(self, width: int, height: int, *, ascii_only: bool) -> list[Text]:
        """The lines of the tree now."""
        if self._now is None:
            return []
        schedule, sights = self._now
        now = time.monotonic()
        rows = tree(schedule, sights, now, max(_LEAST, height - _FOR_LOGS) - 1)
        names = min(_WIDEST_NAME, max((len(row.name) for row in rows if row.depth), default=0))
        line = "-" if ascii_only else "─"
        title = f"{line * 2} {duration(now - self._began)} "
        lines = [Text(title + line * max(0, width - len(title)), style="quiet")]
        lines += [_text(row, names, ascii_only=ascii_only) for row in rows]
        for one in lines:
            one.no_wrap, one.overflow = True, "crop" if ascii_only else "ellipsis"
        return lines


class _Drawing:
    """The tree as rich draws it: anew each time."""

    def __init__(self, board: Tree) -> None:
        self._board = board

    def __rich_console__(self, console_: Console, options: ConsoleOptions) -> RenderResult:
        yield Group(*self._board.render(options.max_width, console_.size.height, ascii_only=options.ascii_only))


def _text(row: Row, names: int, *, ascii_only: bool) -> Text:
    name, said = one_line(row.name), one_line(row.text)
    if row.state is None:
        return Text(name, style="heading").append(f"  {said}" if said else "", style="quiet")
    mark, plain_mark, style = MARKS[row.state]
    line = Text("  ").append(plain_mark if ascii_only else mark, style=style)
    return line.append(f" {name:<{names}}  ", style="none").append(said, style="quiet")


def prefix(job: str) -> str:
    """What stands in front of each line of a job's log."""
    return f"{one_line(job)} | "


def one_line(text: str) -> str:
    """A text of somebody else's as a part of a line."""
    return " ".join(console.plain(text).split())
