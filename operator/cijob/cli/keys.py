"""What a person types, taken without blocking the loop: an interrupt is heard at any moment."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_CHUNK: Final = 32 * 1024
_ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False, "": False}


async def confirmed(question: str) -> bool:
    """A person's yes or no on the terminal; Enter alone is no.

    `input` would not hear a Ctrl-C that comes between the question and the read: CPython looks for signals before it, and
    nothing interrupts the system call after it.

    Raises:
        click.Abort: Ctrl-D.
    """
    async with aclosing(typed(sys.stdin.fileno())) as lines:
        while True:
            click.echo(f"{question} [y/N]: ", nl=False, err=True)
            answer = await anext(lines, None)
            if answer is None:
                raise click.Abort
            known = _ANSWERS.get(answer.decode(errors="replace").strip().lower())
            if known is not None:
                return known
            click.echo("Answer y or n.", err=True)


async def typed(descriptor: int) -> AsyncGenerator[bytes, None]:
    """What comes on a file descriptor, to its end. No thread is left behind that waits for a last key."""
    loop, waiting = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, waiting.set)
    except PermissionError:  # a plain file or /dev/null: it can always be read
        while data := os.read(descriptor, _CHUNK):
            yield data
        return
    try:
        while True:
            await waiting.wait()
            waiting.clear()
            # The loop may have called for what has been read meanwhile, and a read of nothing would stop everything.
            if not select.select([descriptor], [], [], 0)[0]:
                continue
            data = os.read(descriptor, _CHUNK)
            if not data:
                return
            yield data
    finally:
        loop.remove_reader(descriptor)
