"""Keeps the statuses of BuildPools true, with few writes: at most one for each in a few seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from cijob.errors import ApiError, ApiNotFound
from cijob.pool import StopPolicy
from cijob.status import stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cijob.admitter import Admitter
    from cijob.cache import Store
    from cijob.cluster import Cluster
    from cijob.pool import BuildPool, PoolCondition
    from cijob.transport import Body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Seconds between two writes of a pool's status.
PERIOD: Final = 3.0
_STATES: Final = {
    StopPolicy.NONE: ("True", "Open", "Jobs are admitted."),
    StopPolicy.HOLD: ("False", "Held", "No job starts; what runs goes on."),
    StopPolicy.HOLD_AND_DRAIN: ("False", "Draining", "No job starts, and what runs is stopped."),
}


class PoolReporter:
    """Writes what the admitter counts."""

    def __init__(self, cluster: Cluster, pools: Store[Body], admitter: Admitter, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._pools = pools
        self._admitter = admitter
        self._clock = clock

    async def run(self) -> None:
        """Report for as long as the process leads."""
        while True:
            await self.report()
            await asyncio.sleep(PERIOD)  # the period itself

    async def report(self) -> None:
        """Write the status of each pool whose numbers are not those that it says."""
        changed, self._admitter.changed = self._admitter.changed, set()
        for name in sorted(changed):
            pool = self._admitter.pool(name)
            if pool is None:
                continue
            status = self._status(pool)
            if status == _said(pool):
                continue
            patch: list[Body] = [
                {"op": "test", "path": "/metadata/uid", "value": pool.uid},
                {"op": "add", "path": "/status", "value": self._stamped(pool, status)},
            ]
            try:
                self._pools.observe(await self._cluster.patch_pool_status(name, patch))
            except ApiNotFound:
                continue
            except ApiError as error:
                log.warning("could not write a pool's status: trying again", pool=name, error=error.message)
                self._admitter.changed.add(name)

    def _status(self, pool: BuildPool) -> dict[str, Any]:
        admission = self._admitter.admission(pool.name)
        state, reason, message = _STATES[pool.spec.stop_policy]
        return {
            "running": admission.occupied,
            "queued": admission.queued,
            "ready": (state, reason, message),
            "observedGeneration": pool.generation,
        }

    def _stamped(self, pool: BuildPool, status: dict[str, Any]) -> Body:
        """The status as the API has it; the condition keeps its time unless its state changed."""
        state, reason, message = status["ready"]
        before = _ready(pool)
        since = before.last_transition_time if before is not None and before.status == state else None
        condition = {
            "type": "Ready",
            "status": state,
            "reason": reason,
            "message": message,
            "observedGeneration": pool.generation,
            "lastTransitionTime": stamp(since or self._clock()),
        }
        numbers = {key: status[key] for key in ("running", "queued", "observedGeneration")}
        return numbers | {"conditions": [condition]}


def _ready(pool: BuildPool) -> PoolCondition | None:
    return next(iter(pool.status.conditions), None)


def _said(pool: BuildPool) -> dict[str, Any]:
    """The status that the pool has, in the form that `_status` gives."""
    ready = _ready(pool)
    return {
        "running": pool.status.running,
        "queued": pool.status.queued,
        "ready": (ready.status, ready.reason, ready.message) if ready is not None else None,
        "observedGeneration": pool.status.observed_generation,
    }
