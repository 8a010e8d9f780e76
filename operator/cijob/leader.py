"""Leader election: the process's part in it (the rules and the arithmetic are in `election`)."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from cijob import election
from cijob.errors import ApiConflict, ApiError, ApiNotFound
from cijob.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cijob.cluster import Cluster

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Counts while the machine sleeps too, where the system has such a clock: a laptop that wakes up leads no more.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
#: How often a release is tried.
_RELEASES: Final = 3


def clock() -> float:
    """Seconds on a clock that nobody sets."""
    return time.clock_gettime(_CLOCK)


def identity() -> str:
    """A name for this process that no other has, nor the same container after a restart."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the Lease is."""

    namespace: str
    name: str


class Elector:
    """Takes part in the election for as long as it runs.

    `lost` is called with the reason when this process led and may do so no longer. It must end the process at once.
    """

    def __init__(
        self,
        cluster: Cluster,
        place: Place,
        name: str,
        lost: Callable[[str], None],
        clock: Callable[[], float] = clock,
    ) -> None:
        #: Set once this process leads. It never leads no more and goes on: then it ends.
        self.leads = asyncio.Event()
        #: The last step, whatever became of it.
        self.turns = Pulse()
        self._cluster = cluster
        self._place = place
        self._lost = lost
        self._clock = clock
        self._me = election.Candidate(identity=name)
        self._holder = ""

    async def run(self) -> None:
        """Take part until cancelled, or until the Lease is lost."""
        while True:
            self.turns.beat()
            match election.next_step(self._me, self._clock()):
                case election.Wait(until=until):
                    await asyncio.sleep(until - self._clock())  # until the next turn: a period, not a guess
                case election.Look():
                    await self._look()
                case election.Write():
                    await self._write()
                case election.Lost(why=why):
                    self._lost(why)
                    return

    def check(self) -> None:
        """To be called right before each write to the cluster: ends the process if it may not write.

        The timer in `run` may come late, in a process that was stopped or had no CPU; this does not.
        """
        if not election.may_write(self._me, self._clock()):
            self._lost("its time was over before a write")

    async def release(self) -> None:
        """Let another lead at once. To be called when `run` has ended and nothing writes any more."""
        for _ in range(_RELEASES):
            if not election.may_write(self._me, self._clock()):
                return
            if not self._me.known:  # the last renewal may have been cut off, and done all the same
                await self._look()
            if not self._me.holds:
                return
            spec = election.release(self._me, datetime.now(UTC))
            with self._trying("cannot release the Lease"):
                async with self._limit():
                    await self._cluster.replace_lease(self._body(spec))
                self._me = election.released(self._me)
                log.info("released the Lease")

    async def _look(self) -> None:
        with self._trying("cannot read the Lease: trying again"):
            async with self._limit():
                try:
                    body = await self._cluster.get_lease(self._place.namespace, self._place.name)
                except ApiNotFound:
                    body = None
            self._me = election.looked(self._me, election.read(body) if body else None, self._clock())
            self._tell()

    async def _write(self) -> None:
        body, sent = self._body(election.claim(self._me, datetime.now(UTC))), self._clock()
        write = self._cluster.create_lease if self._me.lease is None else self._cluster.replace_lease
        with self._trying("cannot write the Lease: trying again"):
            async with self._limit():
                answer = await write(body)
            self._me = election.wrote(self._me, election.read(answer), sent)
            self._tell()
            self.leads.set()

    @contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ApiError, TimeoutError) as error:
            if self._is_conflict(error):
                self._me = election.conflicted(self._me, self._clock())
                return
            self._me = election.failed(self._me, self._clock())
            log.warning(what, error=_described(error), leads=self.leads.is_set())

    def _is_conflict(self, error: ApiError | TimeoutError) -> bool:
        """Whether the Lease is not what it was taken for. A 404 of a creation means that the namespace is not there."""
        if isinstance(error, ApiNotFound):
            return self._me.lease is not None
        return isinstance(error, ApiConflict) or (isinstance(error, ApiError) and error.reason == "AlreadyExists")

    def _limit(self) -> asyncio.Timeout:
        """No call outlives a leader's deadline."""
        left = self._me.deadline - self._clock() if self.leads.is_set() else election.CALL
        return asyncio.timeout(min(election.CALL, left))

    def _body(self, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = dict(self._me.lease.metadata) if self._me.lease is not None else {}
        metadata |= {"namespace": self._place.namespace, "name": self._place.name}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _tell(self) -> None:
        holder = self._me.lease.holder if self._me.lease is not None else ""
        if holder != self._holder:
            self._holder = holder
            log.info("this process leads" if self._me.holds else "another process leads", leader=holder)


def _described(error: ApiError | TimeoutError) -> str:
    return error.message if isinstance(error, ApiError) else f"no answer within {election.CALL:.0f} s"
