"""A work queue as in client-go: one worker per key at a time, events coalesced, retries later and later, with jitter."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cijob.cache import Key

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIRST_RETRY: Final = 0.2
_LAST_RETRY: Final = 60.0
_LONGEST_HOLD: Final = 300.0


class WorkQueue:
    """Keys to be worked on, now or at a later time.

    All times are those of the running loop's clock, in seconds.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        #: How often work was done again after trouble, and how often an internal error ended it.
        self.retried = 0
        self.broken = 0
        self._jitter = jitter
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._working: dict[Key, float] = {}
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, float] = {}
        self._held: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._wakeup = asyncio.Event()
        self._draining = False
        self._idle = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queued) + len(self._working)

    def add(self, key: Key) -> None:
        """Work on a key soon: after the work on it that is under way, if any, and once however often it is added."""
        if key in self._working:
            self._again.add(key)
        elif key in self._held and asyncio.get_running_loop().time() < self._held[key]:
            self.add_at(key, self._held[key])
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_at(self, key: Key, when: float) -> None:
        """Work on a key at a time. A key has one timer: the earlier time holds."""
        if when >= self._timers.get(key, float("inf")):
            return
        self._timers[key] = when
        heapq.heappush(self._heap, (when, next(self._order), key))
        self._wakeup.set()

    def add_in(self, key: Key, seconds: float) -> None:
        """Work on a key after a delay."""
        self.add_at(key, asyncio.get_running_loop().time() + max(0.0, seconds))

    def retry(self, key: Key, at_least: float = 0.0) -> float:
        """Work on a key again after its failure; gives the delay in seconds, which doubles with each failure up to a minute.

        `at_least` is what the API server asked for (Retry-After), up to five minutes: until then nothing else, such as an
        event or a timer that was set before, makes the key be worked on.
        """
        self.retried += 1
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** min(failures, 16))
        delay = max(min(at_least, _LONGEST_HOLD), delay * (0.5 + self._jitter() / 2))
        if at_least > 0:
            self._held[key] = asyncio.get_running_loop().time() + delay
        self.add_in(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)
        self._held.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget all about a key that is no more."""
        self._failures.pop(key, None)
        self._timers.pop(key, None)
        self._held.pop(key, None)

    def oldest_work(self) -> float | None:
        """Since when the longest-running work is under way; None if there is none."""
        return min(self._working.values(), default=None)

    async def drain(self, seconds: float) -> bool:
        """Begin no more work and wait for what is under way, for at most so long; gives whether it has ended."""
        self._draining = True
        if not self._working:
            return True
        self._idle.clear()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def run(self, work: Callable[[Key], Awaitable[None]], workers: int) -> None:
        """Do the work until cancelled, on at most so many keys at once. `work` handles its own errors."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_timers())
            for _ in range(workers):
                group.create_task(self._run_worker(work))

    async def _run_worker(self, work: Callable[[Key], Awaitable[None]]) -> None:
        while True:
            key = await self._ready.get()
            if self._draining:
                continue
            self._queued.discard(key)
            self._working[key] = asyncio.get_running_loop().time()
            try:
                await work(key)
            except Exception:  # a defect that one key brings out must not stop the work on all others
                self.broken += 1
                log.exception("internal error: please report it", key="/".join(key), seconds=self.retry(key))
            finally:
                self._done(key)

    def _done(self, key: Key) -> None:
        del self._working[key]
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        if not self._working:
            self._idle.set()

    async def _run_timers(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wakeup.clear()
            while self._heap and self._heap[0][0] <= loop.time():
                when, _, key = heapq.heappop(self._heap)
                if self._timers.get(key) == when:  # otherwise forgotten, or replaced by an earlier one
                    del self._timers[key]
                    self.add(key)
            pause = self._heap[0][0] - loop.time() if self._heap else None
            try:
                await asyncio.wait_for(self._wakeup.wait(), pause)
            except TimeoutError:
                continue
