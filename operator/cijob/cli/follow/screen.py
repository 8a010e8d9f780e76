"""How one followed job is shown: its log as it is on stdout, all else on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.text import Text

from cijob.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

#: Bytes of a log that are kept back while there is a question on the screen.
_MOST_HELD: Final = 1024 * 1024
_PER_SECOND: Final = 8
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"


class Screen:
    """A `View` on a terminal or in a pipe.

    On a terminal one line at the bottom says what the job does; it goes when lines of the log come to the same
    terminal. In a pipe each state is a line on stderr, once for each attempt.
    """

    def __init__(self) -> None:
        err = console.err()
        self._live_line = err.is_terminal and not err.is_dumb_terminal
        #: Whether the log is on the terminal that has the live line.
        self._shared = self._live_line and sys.stdout.isatty()
        self._text = ""
        self._said: set[str] = set()
        self._live: Live | None = None
        self._began = time.monotonic()
        self._held: bytearray | None = None  # what came of the log while there is a question on the screen
        self._cut = False  # whether the last line on the terminal has no newline yet
        self._logging = False  # whether lines of the log have come, so that no live line is wanted between them

    def progress(self, text: str) -> None:
        """What the job does now."""
        text = " ".join(console.plain(text).split())
        if text == self._text:
            return
        self._text = text
        if not self._live_line:
            if text and text not in self._said:
                self._said.add(text)
                self._say(text)
            return
        # Between the lines of a log the news that it runs is none.
        self._draw(wanted=bool(text) and not (self._shared and self._logging and text.startswith("running")))

    def line(self, data: bytes) -> None:
        """A line of the log."""
        self._logging = True
        if self._held is not None:
            self._held += data
            if len(self._held) > _MOST_HELD:
                self._write(bytes(self._held))
                self._held.clear()
            return
        if self._shared:
            self._draw(wanted=False)
        self._write(data)

    def note(self, text: str) -> None:
        """Something to know that stays on the screen."""
        live = self._live is not None
        self._draw(wanted=False)
        self._say(" ".join(console.plain(text).split()))
        self._draw(wanted=live)

    def attempt(self, number: int) -> None:
        """A new attempt's log."""
        self._said.clear()
        self._logging = False
        if number > 1:
            self.note(f"attempt {number}")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nothing is drawn inside."""
        self._draw(wanted=False)
        self._finish_line()
        self._held = bytearray()
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._write(bytes(held))
            self._draw(wanted=bool(self._text) and not (self._shared and self._logging))

    def close(self) -> None:
        """Leaves the terminal as it was."""
        self._draw(wanted=False)
        self._finish_line()

    def _write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self._cut = self._shared and not data.endswith(b"\n")

    def _finish_line(self) -> None:
        if self._cut:
            self._write(b"\n")

    def _say(self, text: str) -> None:
        self._finish_line()
        console.err().print(Text(f"cijob: {text}", style="quiet"), soft_wrap=True)

    def _draw(self, *, wanted: bool) -> None:
        """Show the live line, or take it away."""
        if not wanted or self._held is not None or not self._live_line:
            if self._live is not None:
                self._live.stop()
                self._live = None
            return
        if self._live is None:
            self._finish_line()
            self._live = console.live(_Line(self), _PER_SECOND)

    def render(self, *, ascii_only: bool) -> Text:
        """The live line now."""
        seconds = time.monotonic() - self._began
        frames = _PLAIN_FRAMES if ascii_only else _FRAMES
        frame = frames[int(seconds * _PER_SECOND) % len(frames)]
        text = Text(f"{frame} ", style="busy", no_wrap=True, overflow="ellipsis")
        return text.append(f"{int(seconds)}s ", style="quiet").append(self._text, style="none")


class _Line:
    """The live line as rich draws it: anew each time, in one row."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._screen.render(ascii_only=options.ascii_only)
