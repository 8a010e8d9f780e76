"""The pseudo-terminal's part, real keys and all, is in `tests/e2e/test_cli_run.py`."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cijob.cli import console, interrupt
from cijob.cli.errors import CliError
from cijob.cli.interrupt import Detached, interruptible
from cijob.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


class Screen:
    """A FAKE screen."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.noted = asyncio.Semaphore(0)

    @contextmanager
    def hold(self) -> Iterator[None]:
        yield

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.noted.release()


class Work:
    """FAKE work: it ends when it is told to, or, unless it is stubborn, when it is cancelled."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.started, self.over = asyncio.Event(), asyncio.Event()
        self.cancels = 0
        self._stubborn = stubborn

    async def run(self) -> str:
        self.started.set()
        await self.over.wait()
        return "done"

    async def cancel(self) -> None:
        self.cancels += 1
        if not self._stubborn:
            self.over.set()


def interrupts(*signals: signal.Signals, screen: Screen, work: Work) -> Callable[[], Awaitable[None]]:
    """Sends us signals, the next one when the one before has been noticed."""

    async def send() -> None:
        await work.started.wait()
        for one in signals:
            os.kill(os.getpid(), one)
            await screen.noted.acquire()

    return send


async def watched(work: Work, *signals: signal.Signals) -> tuple[str, Screen]:
    screen = Screen()
    sending = asyncio.ensure_future(interrupts(*signals, screen=screen, work=work)())
    try:
        return await interruptible(work.run(), work.cancel, screen, what="the job x", look="Look."), screen
    finally:
        sending.cancel()


async def test_without_an_interrupt_the_work_is_done() -> None:
    work = Work()
    work.over.set()
    assert (await watched(work))[0] == "done"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_in_a_pipe_cancels_and_waits_for_the_end(which: signal.Signals) -> None:
    work = Work()
    result, screen = await watched(work, which)
    assert (result, work.cancels) == ("done", 1)
    assert screen.notes == ["cancelling the job x; another interrupt stops waiting for its end"]


async def test_a_second_interrupt_leaves() -> None:
    work = Work(stubborn=True)
    with pytest.raises(CliError, match="its end was not waited for") as caught:
        await watched(work, signal.SIGINT, signal.SIGINT)
    assert (caught.value.code, caught.value.hint, work.cancels) == (130, "Look.", 1)


async def test_an_end_that_does_not_come_is_waited_for_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE", 0.05)
    with pytest.raises(CliError, match="has not ended") as caught:
        await watched(Work(stubborn=True), signal.SIGTERM)
    assert caught.value.code == 130


async def test_a_job_that_cannot_be_cancelled_goes_on() -> None:
    class Stubborn(Work):
        """FAKE: its API server is away."""

        async def cancel(self) -> None:
            raise ApiUnavailable(0, "", "no answer")

    with pytest.raises(CliError, match="could not be cancelled: no answer") as caught:
        await watched(Stubborn(), signal.SIGINT)
    assert caught.value.hint == "It goes on. Look."


async def test_the_works_own_failure_is_passed_on() -> None:
    async def fail() -> None:
        raise CliError("broken")

    with pytest.raises(CliError, match="broken"):
        await interruptible(fail(), Work().cancel, Screen(), what="x", look="")


@pytest.mark.parametrize(("key", "ends"), [("d", Detached), ("D", Detached), ("c", None), ("x", None)])
async def test_on_a_terminal_a_key_decides(
    monkeypatch: pytest.MonkeyPatch, key: str, ends: type[CliError] | None
) -> None:
    work = Work()

    @contextmanager
    def keys() -> Iterator[asyncio.Queue[str]]:
        pressed: asyncio.Queue[str] = asyncio.Queue()
        pressed.put_nowait(key)
        yield pressed
        if key == "x":
            work.over.set()

    monkeypatch.setattr(interrupt, "_keys", keys)
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    if ends is not None:
        with pytest.raises(ends) as caught:
            await watched(work, signal.SIGINT)
        assert (caught.value.code, caught.value.message) == (0, "detached: the job x goes on")
    else:
        assert (await watched(work, signal.SIGINT))[0] == "done"
    assert work.cancels == (key == "c")
