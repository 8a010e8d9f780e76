"""A pipeline on a terminal: a tree of its stages under the logs."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from cijob.cli import console
from cijob.cli.pipeline.boards import Lines, Single, one_line, prefix
from cijob.cli.pipeline.tree import MARKS, tree
from cijob.cli.printing import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

    from cijob.cli.pipeline.boards import Board
    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Row, Sight

#: Seconds for which lines of logs are gathered before they go above the tree: each time it is drawn anew.
_GATHER: Final = 0.1
#: Bytes of them at the most.
_MOST_HELD: Final = 1024 * 1024
#: Bytes of a line that are drawn.
_LONGEST: Final = 16 * 1024
_PER_SECOND: Final = 4
#: Lines of the terminal that are left to the logs.
_FOR_LOGS: Final = 5
_LEAST: Final = 3
_WIDEST_NAME: Final = 40
_PREFIXES: Final = ("cyan", "magenta", "blue", "green", "yellow")


def board_for(jobs: int) -> Board:
    """The board for a pipeline of so many jobs."""
    if jobs == 1:
        return Single()
    err = console.err()
    return Tree() if err.is_terminal and not err.is_dumb_terminal else Lines()


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
        self._waiting = 0  # bytes that are gathered
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
        self._waiting += len(data)
        if self._waiting > _MOST_HELD:  # whoever is asked something may be away, and a job prints on
            self._put()
        elif self._timer is None and not self._held:
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
            self._live = console.live(_Drawing(self), _PER_SECOND)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _flush(self) -> None:
        """Put the lines that have come above the tree."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._held:
            self._put()

    def _put(self) -> None:
        if not self._gathered:
            return
        text = Text("\n").join(self._line(job, data) for job, data in self._gathered)
        self._gathered.clear()
        self._waiting = 0
        console.err().print(text, soft_wrap=True)

    def _line(self, job: str, data: bytes) -> Text:
        """A line with the job's own colours, and without what else its bytes would do to a terminal.

        Where carriage returns draw a line over and over, as progress bars do, it is the last that stays.
        """
        colour = self._colours.setdefault(job, _PREFIXES[len(self._colours) % len(_PREFIXES)])
        said = data.rstrip(b"\r\n").rpartition(b"\r")[2]
        line = Text.assemble(
            (prefix(job), colour), Text.from_ansi(console.coloured(said[:_LONGEST].decode(errors="replace")))
        )
        if len(said) > _LONGEST:
            line.append(f" ... and {len(said) - _LONGEST} bytes more, which `cijob logs` shows", style="quiet")
        return line

    def render(self, width: int, height: int, *, ascii_only: bool) -> list[Text]:
        """The lines of the tree now."""
        if self._now is None:
            return []
        schedule, sights = self._now
        now = time.monotonic()
        rows = tree(schedule, sights, now, max(_LEAST, height - _FOR_LOGS) - 1)
        names = min(_WIDEST_NAME, max((len(row.name) for row in rows if row.depth), default=0))
        line = "-" if ascii_only else "─"
        pipeline = f"{one_line(schedule.pipeline.name)} " if schedule.pipeline.name else ""
        title = f"{line * 2} {pipeline}{duration(now - self._began)} "
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
