"""A MODEL of an API server that keeps one Lease, of the wires to it, and of processes that want to lead.

Requests and answers take time and may be lost on their way; a request that its sender gave up is carried out all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cijob import election
from cijob.cluster import Cluster
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from cijob.leader import Elector, Place
from tests.unit.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cijob.transport import Body

PLACE = Place("ns", "lease")
NEVER = 10_000.0


@dataclass(frozen=True)
class Fate:
    """What happens to one request: seconds there and back; NEVER: it is lost."""

    there: float = 0.01
    back: float = 0.01


PROMPT = Fate()


@dataclass
class Server:
    """The Lease, and who took it over from whom."""

    lease: Body | None = None
    version: int = 0
    down: bool = False
    #: Called as the Lease gets another holder, before it is stored: the one before (empty: nobody) and the next.
    on_change: Callable[[str, str], None] = lambda _before, _after: None

    def get(self) -> Body:
        """GET."""
        if self.lease is None:
            raise ApiNotFound(404, "NotFound", "no lease")
        return copy.deepcopy(self.lease)

    def create(self, body: Body) -> Body:
        """POST."""
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "it is there")
        return self._store(body)

    def replace(self, body: Body) -> Body:
        """PUT with a resourceVersion."""
        if self.get()["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ApiConflict(409, "Conflict", "the object has been modified")
        return self._store(body)

    @property
    def holder(self) -> str:
        """Who holds the Lease."""
        return "" if self.lease is None else self.lease["spec"]["holderIdentity"]

    def _store(self, body: Body) -> Body:
        after = body["spec"]["holderIdentity"]
        if after != self.holder:
            self.on_change(self.holder, after)
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"] |= {"resourceVersion": str(self.version), "uid": "u"}
        return copy.deepcopy(self.lease)


class Wire(Cluster):
    """One process's connection to the API server."""

    def __init__(self, server: Server, fates: Sequence[Fate] = ()) -> None:  # no super(): there is no client behind it
        self.cut = False
        self._server = server
        self._fates = list(fates)
        self._under_way: set[asyncio.Task[Body]] = set()

    async def get_lease(self, namespace: str, name: str) -> Body:
        """GET."""
        assert (namespace, name) == (PLACE.namespace, PLACE.name)
        return await self._call(self._server.get)

    async def create_lease(self, lease: Body) -> Body:
        """POST."""
        return await self._call(lambda: self._server.create(lease))

    async def replace_lease(self, lease: Body) -> Body:
        """PUT."""
        return await self._call(lambda: self._server.replace(lease))

    async def _call(self, request: Callable[[], Body]) -> Body:
        if self._server.down:
            raise ApiUnavailable(0, "", "connection refused")
        fate = self._fates.pop(0) if self._fates else PROMPT
        fate = Fate(NEVER, NEVER) if self.cut else fate

        async def at_the_server() -> Body:
            await asyncio.sleep(fate.there)
            return request()

        task = asyncio.create_task(at_the_server())
        self._under_way.add(task)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # its sender may be gone
        answer = await asyncio.shield(task)
        await asyncio.sleep(NEVER if self.cut else fate.back)
        return answer


@dataclass
class Process:
    """A process that takes part, and writes to the cluster several times a second while it leads."""

    name: str
    wire: Wire
    #: Its clock: so many seconds ahead, and so much faster than the world's.
    ahead: float = 0.0
    rate: float = 1.0
    #: Called at each write.
    on_write: Callable[[Process], None] = lambda _: None
    lost: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.elector = Elector(self.wire, PLACE, self.name, self._lose, self.clock)

    def clock(self) -> float:
        """Its own time."""
        return self.ahead + self.rate * now()

    def start(self) -> Process:
        """Take part."""
        self.tasks = [asyncio.create_task(self.elector.run()), asyncio.create_task(self._work())]
        return self

    @property
    def runs(self) -> bool:
        """Whether it is there."""
        return bool(self.tasks) and not self.lost

    @property
    def leads(self) -> bool:
        """Whether it may write."""
        return self.runs and election.may_write(self.elector._me, self.clock())

    @property
    def stops_within(self) -> float:
        """Seconds of the world's after which it leads no more, if it cannot renew; negative: it stopped so long ago."""
        return (self.elector._me.deadline - self.clock()) / self.rate if self.runs else -NEVER

    async def kill(self) -> None:
        """Kill -9."""
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.tasks = []

    async def stop(self) -> None:
        """A clean stop."""
        if self.runs:
            await self.kill()
            await self.elector.release()

    def _lose(self, why: str) -> None:
        self.lost.append(why)

    async def _work(self) -> None:
        await self.elector.leads.wait()
        while not self.lost:
            self.elector.check()
            if not self.lost:
                self.on_write(self)
            await asyncio.sleep(0.3)  # the pace of the model's work, in virtual time


async def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Virtual seconds until something is so; an error if it is not in time."""
    start = now()
    while not condition():
        assert now() - start <= seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)  # virtual
    return now() - start
