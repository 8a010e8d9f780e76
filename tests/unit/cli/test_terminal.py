"""Keys come as they are typed, and nothing else waits for them."""

from __future__ import annotations

import asyncio
import os
import pty
from typing import TYPE_CHECKING

import click
import pytest

from cijob.cli.keys import confirmed, typed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def ends() -> AsyncIterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    keyboard, terminal = pty.openpty()
    yield keyboard, terminal
    os.close(keyboard)
    os.close(terminal)


async def test_the_loop_goes_on_while_no_key_is_pressed(ends: tuple[int, int]) -> None:
    keyboard, terminal = ends
    keys = typed(terminal)
    for number in range(20):
        os.write(keyboard, b"%d\n" % number)
        assert await anext(keys) == b"%d\n" % number
        waiting = asyncio.ensure_future(anext(keys))
        for _ in range(5):  # a read that blocks would block the test as well: there is no next key
            await asyncio.sleep(0)
        assert not waiting.done()
        os.write(keyboard, b"next\n")
        assert await waiting == b"next\n"
    await keys.aclose()


async def test_a_pipe_is_read_to_its_end() -> None:
    there, here = os.pipe()
    os.write(here, b"all")
    os.close(here)
    assert [data async for data in typed(there)] == [b"all"]
    os.close(there)


async def test_a_plain_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    assert sum([len(data) async for data in typed(descriptor)]) == 100_000
    os.close(descriptor)


@pytest.mark.parametrize(
    ("answer", "meant"),
    [(b"y\n", True), (b"YES\n", True), (b"\n", False), (b"n\n", False), (b"maybe\ny\n", True), (b" no \n", False)],
)
async def test_a_question_is_answered_with_yes_or_no_and_asked_again_otherwise(
    ends: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bytes,
    meant: bool,
) -> None:
    keyboard, terminal = ends
    with os.fdopen(os.dup(terminal)) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(keyboard, answer)
        assert await confirmed("Really?") is meant
    assert capsys.readouterr().err.count("Really? [y/N]: ") == answer.count(b"\n")


async def test_a_question_without_an_answer_is_no_yes(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, terminal = ends
    with os.fdopen(os.dup(terminal)) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(keyboard, b"\x04")
        with pytest.raises(click.Abort):
            await confirmed("Really?")
