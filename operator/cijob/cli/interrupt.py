"""Ctrl-C and SIGTERM while jobs are followed: on a terminal one question, everywhere else the jobs are cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from cijob.cli import console
from cijob.cli.errors import CliError, Exit
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

T = TypeVar("T")

#: Seconds from a graceful cancel to the end of what is cancelled: the grace period of a job's Pod is 60 s unless the
#: operator was told another one.
PATIENCE: Final = 120.0
_KEYS: Final = {"d": "detach", "c": "cancel"}


class Screen(Protocol):
    """Where jobs are shown."""

    def hold(self) -> AbstractContextManager[None]:
        """Nothing is drawn inside: there is a question on the screen."""

    def note(self, text: str) -> None:
        """Something to know that stays on the screen."""


class Detached(CliError):
    """Nobody looks any more; the jobs go on."""

    def __init__(self, what: str, look: str) -> None:
        super().__init__(f"detached: {what} goes on", look, Exit.OK)


async def interruptible(
    work: Coroutine[None, None, T],
    cancel: Callable[[], Awaitable[None]],
    screen: Screen,
    *,
    what: str,
    look: str,
) -> T:
    """What `work` gives; interrupts are taken meanwhile.

    The first Ctrl-C on a terminal asks: detach, cancel, or go on. A second one answers the question with cancel. Without
    a terminal, and at SIGTERM, the jobs are cancelled without a question; then `work` has two minutes to come to its end.
    One more interrupt ends that wait. There is nothing stronger to ask for: what a Pod that is being stopped has been told,
    it is told once.

    Args:
        work: follows the jobs to their end; cancelled when it is not waited for.
        cancel: cancels the jobs, gracefully; `work` ends by itself then.
        screen: what is shown meanwhile.
        what: the jobs in a sentence: `the job x`.
        look: how to look at them later, in a sentence: "`cijob logs x -f` shows it."

    Raises:
        Detached: a person wants to leave; an error only in that it ends the command, with the exit code 0.
        CliError: the jobs were cancelled and nobody waits for their end any longer; the exit code is 130.
    """
    task = asyncio.ensure_future(work)
    try:
        with _signals() as interrupts:
            return await _Watch(task, cancel, screen, interrupts, what, look).run()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # its own failure, if it has one, is no longer of interest


class _Watch(Generic[T]):
    def __init__(
        self,
        task: asyncio.Task[T],
        cancel: Callable[[], Awaitable[None]],
        screen: Screen,
        interrupts: asyncio.Queue[signal.Signals],
        what: str,
        look: str,
    ) -> None:
        self._task, self._cancel, self._screen, self._interrupts = task, cancel, screen, interrupts
        self._what, self._look = what, look

    async def run(self) -> T:
        """The work's result."""
        deadline: float | None = None
        while True:
            caught = await self._next(deadline)
            if caught is None:
                return self._task.result()
            if deadline is None and caught is signal.SIGINT and console.is_interactive():
                answer = await self._ask()
                if answer == "detach":
                    raise Detached(self._what, self._look)
                if answer != "cancel":
                    continue
            if deadline is not None:
                raise CliError(
                    f"{self._what} is being cancelled; its end was not waited for", self._look, Exit.INTERRUPTED
                )
            deadline = asyncio.get_running_loop().time() + PATIENCE
            self._screen.note(f"cancelling {self._what}; another interrupt stops waiting for its end")
            try:
                await self._cancel()
            except ApiError as error:
                raise CliError(
                    f"{self._what} could not be cancelled: {error.message}",
                    f"It goes on. {self._look}",
                    Exit.INTERRUPTED,
                ) from error

    async def _next(self, deadline: float | None) -> signal.Signals | None:
        """The next interrupt, or None when the work is done."""
        caught = asyncio.ensure_future(self._interrupts.get())
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            await asyncio.wait([self._task, caught], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            caught.cancel()
        if self._task.done():
            return None
        if caught.done() and not caught.cancelled():
            return caught.result()
        raise CliError(
            f"{self._what} has not ended {PATIENCE:.0f} s after it was cancelled", self._look, Exit.INTERRUPTED
        )

    async def _ask(self) -> str:
        """The person's answer; a second Ctrl-C is `cancel`, and the end of the work `go on`."""
        with self._screen.hold(), _keys() as keys:
            sys.stderr.write(
                f"\r\x1b[KInterrupted: [d]etach ({self._what} goes on), [c]ancel, or any other key to go on? "
            )
            sys.stderr.flush()
            key, caught = asyncio.ensure_future(keys.get()), asyncio.ensure_future(self._interrupts.get())
            try:
                await asyncio.wait([self._task, key, caught], return_when=asyncio.FIRST_COMPLETED)
                answer = "go on"
                if caught.done():
                    answer = "cancel"
                elif key.done():
                    answer = _KEYS.get(key.result().lower(), answer)
            finally:
                key.cancel()
                caught.cancel()
            sys.stderr.write(f"{answer}\n")
            sys.stderr.flush()
        return answer


@contextmanager
def _signals() -> Iterator[asyncio.Queue[signal.Signals]]:
    """Interrupts as they come."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Queue[signal.Signals] = asyncio.Queue()
    ours = (signal.SIGINT, signal.SIGTERM)
    for one in ours:
        loop.add_signal_handler(one, caught.put_nowait, one)
    try:
        yield caught
    finally:
        for one in ours:
            loop.remove_signal_handler(one)


@contextmanager
def _keys() -> Iterator[asyncio.Queue[str]]:
    """Keys of the terminal as they are pressed, without Enter; Ctrl-C stays a signal."""
    loop, file = asyncio.get_running_loop(), sys.stdin.fileno()
    pressed: asyncio.Queue[str] = asyncio.Queue()
    before = termios.tcgetattr(file)
    tty.setcbreak(file, termios.TCSADRAIN)
    termios.tcflush(file, termios.TCIFLUSH)  # what was typed before the question is no answer to it

    def read() -> None:
        if data := os.read(file, 64):
            pressed.put_nowait(data[:1].decode(errors="replace"))

    loop.add_reader(file, read)
    try:
        yield pressed
    finally:
        loop.remove_reader(file)
        termios.tcsetattr(file, termios.TCSADRAIN, before)
