"""Where output goes: colour and moving parts on a terminal only, plain lines everywhere else."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import IO, TYPE_CHECKING, Final

from rich.console import Console
from rich.theme import Theme

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.style import StyleType

#: Control characters but tab and newline, and all of ECMA-48's sequences: text of others must not move our cursor. What
#: begins a sequence that is never ended takes the rest with it, as in a terminal: to look for its end again at each would take hours.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)?"
    r"|\x1b[PX^_](?:[^\x1b]++|\x1b(?!\\))*+(?:\x1b\\)?|\x1b[ -/]*+[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
#: What turns the direction of writing: a name may not look like another.
_TURNS: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
#: Names of what colours mean. A phase is shown with PHASES[phase].
_THEME: Final[dict[str, StyleType]] = {
    "good": "green",
    "bad": "red",
    "busy": "cyan",
    "waiting": "yellow",
    "quiet": "dim",
    "heading": "bold",
}
PHASES: Final = {
    "Succeeded": "good",
    "Failed": "bad",
    "Cancelled": "waiting",
    "Running": "busy",
    "Starting": "busy",
    "Queued": "waiting",
    "Pending": "waiting",
}


def plain(text: str) -> str:
    """A text of somebody else's without escape sequences and control characters, for tables and sentences."""
    return _TURNS.sub("", _ESCAPES.sub("", text))


def coloured(text: str) -> str:
    """The same for logs on a terminal: what sets colours stays, what moves the cursor goes."""
    return _ESCAPES.sub(lambda found: found[0] if _COLOUR.fullmatch(found[0]) else "", text)


@cache
def out() -> Console:
    """What a command was asked for. Never wraps or crops where it is no terminal."""
    return _console(sys.stdout)


@cache
def err() -> Console:
    """Everything else: progress, hints, errors."""
    return _console(sys.stderr)


def is_interactive() -> bool:
    """Whether a person can see a live line and answer a question."""
    return sys.stdin.isatty() and err().is_terminal


def live(drawing: RenderableType, per_second: float) -> Live:
    """Something that is drawn at the bottom of the terminal, so many times a second, until `stop` takes it away."""
    from rich.live import Live  # a pipe has no use for it

    shown = Live(
        drawing,
        console=err(),
        transient=True,
        refresh_per_second=per_second,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.start(refresh=True)
    return shown


def _console(file: IO[str]) -> Console:
    # NO_COLOR and TERM=dumb are rich's to obey; FORCE_COLOR and the like are not: a pipe stays plain.
    tty = file.isatty()
    return Console(
        file=file,
        force_terminal=tty,
        no_color=None if tty else True,
        theme=Theme(_THEME),
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not tty,
        legacy_windows=False,
    )
