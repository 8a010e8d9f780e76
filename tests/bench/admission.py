"""What whose-turn-is-it costs, with few and with many in the queue: `PYTHONPATH=operator:. python -m tests.bench.admission`.

Pure: no cluster, no network. A step is what the end of one job brings: its place is freed, the next job is given a turn and
its place reserved; and another job joins the queue.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cijob.policies.admission import Admission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.cache import Key

_T0: Final = datetime(2026, 1, 31, tzinfo=UTC)
_STEPS: Final = 5_000
_NAMESPACES: Final = (3, 300)
_QUEUED: Final = (100, 1_000, 10_000, 100_000)
_RUNNING: Final = 64


def jobs(chance: random.Random, namespaces: int) -> Iterator[tuple[Key, int, datetime]]:
    """An endless flood: key, priority, creation."""
    number = 0
    while True:
        number += 1
        key = f"team-{chance.randrange(namespaces)}", f"job-{number}"
        yield key, chance.randrange(-1000, 1001), _T0 + timedelta(seconds=number)


def measure(queued: int, namespaces: int) -> list[float]:
    """Microseconds of CPU of each step: others on the machine do not count."""
    chance = random.Random(42)  # noqa: S311  a simulation, no secret
    pool, flood, running, taken = Admission(running=_RUNNING), jobs(chance, namespaces), [], []
    for _ in range(queued + _RUNNING):
        pool.wait(*next(flood))
    while (job := pool.admit()) is not None:
        pool.occupy(job)
        running.append(job)
    for _ in range(_STEPS):
        at, new = chance.randrange(len(running)), next(flood)
        began = time.thread_time_ns()
        pool.release(running[at])
        job = pool.admit()
        if job is None:
            raise RuntimeError("a place was free and nobody had a turn")
        pool.occupy(job)
        pool.wait(*new)
        taken.append((time.thread_time_ns() - began) / 1000)
        running[at] = job
    if (pool.occupied, pool.queued) != (_RUNNING, queued):
        raise RuntimeError("the numbers do not add up")
    return taken


def main() -> None:
    """The table."""
    print("microseconds of CPU a step (one ends, the next has its turn, one joins)")
    print(f"{'namespaces':>10} {'queued':>8} {'p50':>7} {'p99':>7} {'mean':>7}")
    for namespaces in _NAMESPACES:
        for queued in _QUEUED:
            taken = sorted(measure(queued, namespaces))
            p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
            print(f"{namespaces:>10} {queued:>8,} {p50:>7.1f} {p99:>7.1f} {statistics.fmean(taken):>7.1f}")


if __name__ == "__main__":
    main()
