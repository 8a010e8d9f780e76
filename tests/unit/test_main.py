"""How the parts are put together, and how they stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import pytest
from kubernetes.aio import client
from structlog.testing import capture_logs

from cijob import main
from cijob.cluster import Cluster
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit import virtual_time
from tests.unit.builders import JOB_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def test_a_write_without_the_lead_ends_the_process_at_once_with_a_code_and_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", end)
    cluster = Cluster(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))
    main._assemble(cluster, Settings(), asyncio.Event())
    try:
        with capture_logs() as logs, pytest.raises(SystemExit) as caught:
            await cluster.delete_pod("ns", "p", "uid")
    finally:
        await cluster.aclose()

    assert caught.value.code == 3
    assert [(line["log_level"], line["why"]) for line in logs] == [("error", "its time was over before a write")]


def stopped(work: Callable[[object], Awaitable[None]]) -> tuple[bool, float]:
    """A stop while a key is worked on: whether nothing was cut off, and the virtual seconds that it took."""

    async def story() -> tuple[bool, float]:
        queue, stopping = WorkQueue(), asyncio.Event()
        queue.add(JOB_KEY)
        stop = asyncio.create_task(main._until(stopping, queue.run(work, 1), queue))
        await asyncio.sleep(1)  # virtual
        stopping.set()
        return await stop, virtual_time.now() - 1

    with capture_logs():
        return virtual_time.run(story())


def test_a_clean_stop_lets_work_under_way_end() -> None:
    async def takes_four_seconds(_: object) -> None:
        await asyncio.sleep(4)  # virtual

    whole, seconds = stopped(takes_four_seconds)

    assert whole
    assert 2.9 < seconds < 3.1


def test_work_that_does_not_end_is_cut_off_and_the_lease_is_not_let_go() -> None:
    async def hangs(_: object) -> None:
        await asyncio.sleep(1000)  # virtual

    whole, seconds = stopped(hangs)

    assert not whole, "a request of it may still be carried out"
    assert 9.9 < seconds < 10.1


def test_idle_operators_stop_at_once() -> None:
    async def nothing(_: object) -> None:
        return

    assert stopped(nothing)[1] < 0.1


def test_a_generator_that_cannot_be_closed_at_the_end_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """As kopf's watch, now and then (found by the sweep)."""

    async def stubborn() -> AsyncIterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("generator didn't stop after athrow()")

    async def operate() -> None:
        await anext(generator)
        main._nothing_matters_any_more()

    generator = stubborn()
    with capture_logs() as logs:
        asyncio.run(operate())

    assert [line["log_level"] for line in logs] == ["debug"]
    assert not caplog.records
