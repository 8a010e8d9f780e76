"""The user's terminal, given to a command in a container: every key goes there, and its size follows the window's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class UserTerminal:
    """The terminal of standard input. Use it inside `raw`."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    @contextmanager
    def raw(self) -> Iterator[None]:
        """No key means anything here until this ends, however it does."""
        descriptor, loop = sys.stdin.fileno(), asyncio.get_running_loop()
        task = asyncio.current_task()
        before = termios.tcgetattr(descriptor)
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        for end in (signal.SIGTERM, signal.SIGHUP):  # or the terminal would stay as it is
            loop.add_signal_handler(end, lambda: task.cancel() if task is not None else None)
        try:
            tty.setraw(descriptor)
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            for one in (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(one)

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """Columns and rows: now, and after each change."""
        while True:
            self._changed.clear()
            size = os.get_terminal_size(sys.stdin.fileno())
            yield size.columns, size.lines
            await self._changed.wait()
