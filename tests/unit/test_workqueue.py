"""The work queue: one worker per key, events coalesced, retries later and later, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cijob.cache import Key
from cijob.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A: Key = ("ns", "a")
B: Key = ("ns", "b")
SOON = 30.0
"""Seconds after which a test gives up: far more than anything here takes."""


class Worker:
    """Work that a test watches: each piece lasts until the test lets it end."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Key] = asyncio.Queue()
        self.running: list[Key] = []
        self.most: dict[Key, int] = {}
        self.most_at_once = 0
        self._may_end: dict[Key, asyncio.Semaphore] = {}

    async def __call__(self, key: Key) -> None:
        self.running.append(key)
        self.most[key] = max(self.most.get(key, 0), self.running.count(key))
        self.most_at_once = max(self.most_at_once, len(self.running))
        self.begun.put_nowait(key)
        try:
            await self._gate(key).acquire()
        finally:
            self.running.remove(key)

    async def begins(self) -> Key:
        """The next piece of work that begins."""
        return await asyncio.wait_for(self.begun.get(), SOON)

    def let_end(self, key: Key) -> None:
        """Let one piece of work on a key end, now or when it begins."""
        self._gate(key).release()

    def _gate(self, key: Key) -> asyncio.Semaphore:
        return self._may_end.setdefault(key, asyncio.Semaphore(0))


@asynccontextmanager
async def running(queue: WorkQueue, worker: Worker, workers: int = 4) -> AsyncIterator[None]:
    """The queue at work."""
    task = asyncio.create_task(queue.run(worker, workers))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settle() -> None:
    """Let everything happen that can happen without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_key_is_worked_on_by_one_worker_at_a_time() -> None:
    queue, worker = WorkQueue(), Worker()
    async with running(queue, worker):
        queue.add(A)
        assert await worker.begins() == A
        queue.add(A)
        await settle()
        assert worker.running == [A]

        worker.let_end(A)
        assert await worker.begins() == A, "what came meanwhile is worked on afterwards"
        worker.let_end(A)
        await settle()
    assert worker.most == {A: 1}


async def test_events_are_coalesced() -> None:
    queue, worker = WorkQueue(), Worker()
    for _ in range(100):
        queue.add(A)
    assert len(queue) == 1
    async with running(queue, worker):
        await worker.begins()
        for _ in range(100):
            queue.add(A)
        worker.let_end(A)
        await worker.begins()
        worker.let_end(A)
        await settle()
        assert worker.begun.empty()
        assert len(queue) == 0


async def test_keys_are_worked_on_side_by_side_up_to_the_number_of_workers() -> None:
    queue, worker = WorkQueue(), Worker()
    keys = [("ns", str(number)) for number in range(5)]
    async with running(queue, worker, workers=3):
        for key in keys:
            queue.add(key)
        assert [await worker.begins() for _ in range(3)] == keys[:3]
        await settle()
        assert worker.begun.empty()
        assert len(queue) == 5

        worker.let_end(keys[1])
        assert await worker.begins() == keys[3]
    assert worker.most_at_once == 3


async def test_a_defect_that_one_key_brings_out_stops_neither_others_nor_its_retry() -> None:
    queue, done = WorkQueue(jitter=lambda: 0.0), asyncio.Queue[Key]()

    async def work(key: Key) -> None:
        if key == A:
            raise ZeroDivisionError
        done.put_nowait(key)

    with capture_logs() as logs:
        task = asyncio.create_task(queue.run(work, workers=1))
        queue.add(A)
        queue.add(B)
        assert await asyncio.wait_for(done.get(), SOON) == B
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert [(entry["key"], entry["log_level"], entry["seconds"]) for entry in logs] == [("ns/a", "error", 0.1)]
    assert "report" in logs[0]["event"]
    assert queue.retry(A) == 0.2, "it counts as a failure"


async def test_retries_come_later_and_later_up_to_a_minute() -> None:
    queue = WorkQueue(jitter=lambda: 1.0)

    delays = [queue.retry(A) for _ in range(12)]

    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0, 60.0])
    assert queue.retry(B) == pytest.approx(0.2), "each key has its own failures"
    for _ in range(2000):
        assert queue.retry(A) == 60.0


async def test_retries_are_spread_over_half_of_their_delay() -> None:
    """Many keys that fail together must not come back together."""
    assert WorkQueue(jitter=lambda: 0.0).retry(A) == pytest.approx(0.1)
    assert WorkQueue(jitter=lambda: 0.5).retry(A) == pytest.approx(0.15)
    queue = WorkQueue()
    delays = {queue.retry(("ns", str(number))) for number in range(200)}
    assert all(0.1 <= delay <= 0.2 for delay in delays)
    assert max(delays) - min(delays) > 0.05


async def test_a_retry_waits_at_least_as_long_as_the_server_asks() -> None:
    queue = WorkQueue(jitter=lambda: 0.0)

    assert queue.retry(A, at_least=7.0) == 7.0
    assert queue.retry(A, at_least=0.01) == pytest.approx(0.2)


@pytest.mark.parametrize("earlier", ["event", "timer", "both"])
async def test_nothing_comes_before_the_time_that_the_server_asked_for(earlier: str) -> None:
    """Not even an event or a timer that was there before."""
    queue, worker = WorkQueue(), Worker()
    loop = asyncio.get_running_loop()
    if earlier != "event":
        queue.add_in(A, 0.01)
    queue.retry(A, 0.3)
    until = loop.time() + 0.29
    if earlier != "timer":
        queue.add(A)
    async with running(queue, worker):
        assert await worker.begins() == A
        assert loop.time() >= until
        worker.let_end(A)


async def test_patience_with_one_key_holds_up_no_other() -> None:
    queue, worker = WorkQueue(), Worker()
    queue.retry(A, 30.0)
    queue.add(A)
    queue.add(B)
    async with running(queue, worker):
        assert await worker.begins() == B
        worker.let_end(B)


async def test_patience_has_an_end_whatever_the_server_asks_for() -> None:
    assert WorkQueue().retry(A, 1e9) == 300.0


async def test_success_and_removal_end_the_patience() -> None:
    queue, worker = WorkQueue(), Worker()
    queue.retry(A, 30.0)
    queue.succeeded(A)
    queue.retry(B, 30.0)
    queue.forget(B)
    queue.add(A)
    queue.add(B)
    async with running(queue, worker):
        assert {await worker.begins(), await worker.begins()} == {A, B}
        worker.let_end(A)
        worker.let_end(B)


async def test_success_forgets_failures() -> None:
    queue = WorkQueue(jitter=lambda: 1.0)
    for _ in range(5):
        queue.retry(A)

    queue.succeeded(A)
    assert queue.retry(A) == pytest.approx(0.2)
    queue.forget(A)
    assert queue.retry(A) == pytest.approx(0.2)


async def test_a_key_comes_at_its_time() -> None:
    queue, worker = WorkQueue(), Worker()
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with running(queue, worker):
        queue.add_in(B, 0.04)
        queue.add_in(A, 0.02)
        assert await worker.begins() == A
        assert loop.time() - start >= 0.02
        assert await worker.begins() == B
        assert loop.time() - start >= 0.04


async def test_a_time_that_is_over_is_now() -> None:
    queue, worker = WorkQueue(), Worker()
    async with running(queue, worker):
        queue.add_in(A, -5)
        assert await worker.begins() == A


async def test_a_key_has_one_timer_and_the_earlier_time_holds() -> None:
    queue, worker = WorkQueue(), Worker()
    now = asyncio.get_running_loop().time()
    async with running(queue, worker):
        queue.add_at(A, now + 3600)
        queue.add_at(A, now + 0.01)
        queue.add_at(A, now + 1800)
        assert await worker.begins() == A
        worker.let_end(A)
        await settle()
        assert queue._timers == {}

        queue.add_at(A, now + 0.02)
        assert await worker.begins() == A, "a timer that was replaced does not block the next"


async def test_a_forgotten_key_does_not_come() -> None:
    queue, worker = WorkQueue(), Worker()
    async with running(queue, worker):
        queue.add_in(A, 0.01)
        queue.forget(A)
        queue.add_in(B, 0.02)
        assert await worker.begins() == B
        await settle()
        assert worker.begun.empty()


async def test_draining_lets_work_end_and_begins_none() -> None:
    queue, worker = WorkQueue(), Worker()
    async with running(queue, worker, workers=1):
        queue.add(A)
        await worker.begins()
        queue.add(A)
        queue.add(B)
        drained = asyncio.create_task(queue.drain(SOON))
        await settle()
        assert not drained.done()

        worker.let_end(A)
        assert await asyncio.wait_for(drained, SOON)
        await settle()
        assert worker.begun.empty()
        assert worker.running == []


async def test_draining_does_not_wait_for_ever() -> None:
    queue, worker = WorkQueue(), Worker()
    async with running(queue, worker):
        queue.add(A)
        await worker.begins()
        assert not await queue.drain(0.01)


async def test_an_idle_queue_is_drained_at_once() -> None:
    queue = WorkQueue()
    queue.add(A)

    assert await queue.drain(0)


async def test_the_oldest_work_tells_since_when() -> None:
    queue, worker = WorkQueue(), Worker()
    assert queue.oldest_work() is None
    async with running(queue, worker):
        before = asyncio.get_running_loop().time()
        queue.add(A)
        await worker.begins()
        first = queue.oldest_work()
        queue.add(B)
        await worker.begins()
        assert first is not None
        assert before <= first <= asyncio.get_running_loop().time()
        assert queue.oldest_work() == first
        worker.let_end(A)
        worker.let_end(B)
        await settle()
        assert queue.oldest_work() is None
