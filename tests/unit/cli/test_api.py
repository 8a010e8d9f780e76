"""The command line's requests against a FAKE API server that is busy, or breaks connections, for a while."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from cijob.cli import api as module
from cijob.cli.api import Api
from cijob.cli.options import Target
from cijob.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.0))


@asynccontextmanager
async def talking(
    *troubles: str, slow: Callable[[str], None] = lambda _text: None
) -> AsyncIterator[tuple[Api, list[str]]]:
    """A client of a server that has these troubles first, then none; and what it was asked."""
    left, asked = list(troubles), list[str]()

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        trouble = left.pop(0) if left else ""
        if trouble == "breaks" and request.transport is not None:
            request.transport.close()
        return web.json_response({"metadata": {"name": "x"}}, status=503 if trouble == "busy" else 200)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as running:
        configuration = client.Configuration(host=str(running.make_url("")).rstrip("/"))
        api = Api(client.ApiClient(configuration), "team-a", slow=slow)
        try:
            yield api, asked
        finally:
            await api.aclose()


@pytest.mark.parametrize("troubles", [["breaks"], ["busy"], ["breaks", "busy"]])
async def test_what_only_asks_is_asked_again(troubles: list[str]) -> None:
    async with talking(*troubles) as (api, asked):
        assert (await api.get_job("team-a", "x"))["metadata"]["name"] == "x"
        assert asked == ["GET"] * (len(troubles) + 1)


async def test_a_server_that_stays_away_is_no_endless_wait() -> None:
    async with talking(*["busy"] * 9) as (api, asked):
        with pytest.raises(ApiUnavailable):
            await api.get_job("team-a", "x")
        assert asked == ["GET"] * 3


async def test_a_server_that_is_silent_is_told_once_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.0)
    monkeypatch.setattr(module, "_ENOUGH", -1.0)
    told: list[str] = []
    async with talking("busy", slow=told.append) as (api, asked):
        with pytest.raises(ApiUnavailable):
            await api.get_job("team-a", "x")
        await api.get_job("team-a", "x")
        assert asked == ["GET"] * 2
    assert [text.partition(" from ")[0] for text in told] == ["no answer"]


async def test_what_changes_something_is_sent_once() -> None:
    async with talking("busy") as (api, asked):
        with pytest.raises(ApiUnavailable):
            await api.create_job("team-a", {})
        assert asked == ["POST"]


def test_an_interrupt_wakes_a_command_that_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to another thread here, as it may between a look for signals and the system call that sleeps.

    Nothing interrupts that call then: asyncio's own handler would be run at its end, which is never.
    """

    @asynccontextmanager
    async def connected(_target: Target, _slow: object) -> AsyncIterator[None]:
        yield

    async def sleep(_api: object) -> None:
        async with asyncio.timeout(30):  # so that a failure is one
            interrupting = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
            interrupting.start()
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "connected", connected)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
    try:
        with pytest.raises(click.Abort):
            module.with_api(Target(), sleep)
    except KeyboardInterrupt:  # asyncio's own handler, run when the time was over
        pytest.fail("nothing woke it up")
    finally:
        signal.signal(signal.SIGINT, before)
