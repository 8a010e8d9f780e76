"""The health endpoints, on the loopback interface."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from cijob import health

if TYPE_CHECKING:
    from cijob.health import Check


async def answers(alive: Check, ready: Check, *paths: str) -> list[tuple[int, str]]:
    """Status and text of each path, asked in turn."""
    port = unused_port()
    runner = await health.serve(
        port, alive=alive, ready=ready, metrics=lambda accept: (accept.encode(), "text/x-metrics")
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            return [await _answer(session, path) for path in paths]
    finally:
        await runner.cleanup()


async def _answer(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with asyncio.timeout(5), session.get(path) as response:
        return response.status, await response.text()


async def test_all_is_well() -> None:
    assert await answers(lambda: None, lambda: None, "/healthz", "/readyz") == [(200, "ok\n"), (200, "ok\n")]


async def test_each_endpoint_tells_its_own_problem() -> None:
    assert await answers(lambda: "the watch of Pods is silent", lambda: None, "/healthz", "/readyz") == [
        (503, "the watch of Pods is silent\n"),
        (200, "ok\n"),
    ]
    assert await answers(lambda: None, lambda: "Pods were not listed yet", "/healthz", "/readyz") == [
        (200, "ok\n"),
        (503, "Pods were not listed yet\n"),
    ]


async def test_a_problem_may_pass() -> None:
    problems = iter(["not yet", None])

    assert [status for status, _ in await answers(lambda: None, lambda: next(problems), "/readyz", "/readyz")] == [
        503,
        200,
    ]


async def test_there_is_nothing_else() -> None:
    assert [status for status, _ in await answers(lambda: None, lambda: None, "/", "/metric")] == [404, 404]


async def test_metrics_come_in_the_form_that_the_scraper_accepts() -> None:
    assert await answers(lambda: "stuck", lambda: "not yet", "/metrics") == [(200, "*/*")]


async def test_a_port_that_is_taken_is_an_error() -> None:
    port = unused_port()
    first = await health.serve(port, alive=lambda: None, ready=lambda: None, metrics=lambda _: (b"", "text/plain"))
    try:
        with pytest.raises(OSError, match="in use"):
            await health.serve(port, alive=lambda: None, ready=lambda: None, metrics=lambda _: (b"", "text/plain"))
    finally:
        await first.cleanup()
