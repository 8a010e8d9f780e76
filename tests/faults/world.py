"""A control plane with a fake kubelet, and pairs of namespaces in it that each have an operator, or two, behind proxies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.faults.api import CIJOBS, FINISHED, LEASES, Api, Body, Follower, pool
from tests.faults.case import Case
from tests.faults.controlplane import control_plane
from tests.faults.kubelet import Kubelet
from tests.faults.process import Operator
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.upstream import Upstream

#: Seconds until an operator has listed and watches; its start is slow where many start at once.
_START_SECONDS: Final = 60
#: How many each operator serves, and lists and watches one by one.
NAMESPACES: Final = 2


@dataclass(slots=True, eq=False)
class Lab:
    """What all cases share."""

    folder: Path
    upstream: Upstream
    api: Api
    kubelet: Kubelet = field(init=False)
    jobs: Follower = field(init=False)
    #: UIDs of all CiJobs that `jobs` ever had: what is not in there is not gone, but so new.
    seen: set[str] = field(default_factory=set)
    #: By UID: each CiJob as it was at the very version that had its verdict first.
    ended: dict[str, Body] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.kubelet = Kubelet(self.api)
        self.jobs = Follower(self.api, f"{CIJOBS}/cijobs", self._take)

    def _take(self, _: str, job: Body) -> None:
        uid = job["metadata"]["uid"]
        self.seen.add(uid)
        if job.get("status", {}).get("phase") in FINISHED:
            self.ended.setdefault(uid, job)

    @asynccontextmanager
    async def world(self, operators: int = 1) -> AsyncIterator[World]:
        """A new namespace, its neighbour and a pool, with an operator of their own that is ready, or more of which one leads."""
        world = World(self, f"faults-{next(self.numbers)}")
        namespace, neighbour = world.namespaces
        for name in world.namespaces:
            await self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        await self.api.call("POST", f"{CIJOBS}/buildpools", pool(namespace))
        async with contextlib.AsyncExitStack() as stack:
            for number in range(operators):
                folder = self.folder / f"{namespace}-{number}"
                folder.mkdir()
                proxy = await stack.enter_async_context(Proxy(self.upstream))
                operator = Operator(proxy.url, namespace, folder, partial(world.bury, number), neighbour)
                world.seats.append(Seat(proxy, operator))
                await stack.enter_async_context(operator)
            if not await world.ready():
                logs = "\n".join(seat.operator.log.read_text()[-3000:] for seat in world.seats)
                raise AssertionError(f"the operator does not watch after {_START_SECONDS} s:\n{logs}")
            yield world


@asynccontextmanager
async def lab(folder: Path) -> AsyncIterator[Lab]:
    """Start everything but operators."""
    async with control_plane(folder) as upstream, Api(upstream) as api:
        made = Lab(folder, upstream, api)
        tasks = [asyncio.create_task(made.kubelet.run()), asyncio.create_task(made.jobs.run())]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """One operator behind a proxy."""

    proxy: Proxy
    operator: Operator

    @property
    def led_at(self) -> float:
        """When it wrote the Lease last."""
        writes = (one.at for one in reversed(self.proxy.records) if one.target == "leases" and one.write and one.landed)
        return next(writes, 0.0)

    def leads(self) -> bool:
        """Whether the process that runs now has taken the Lease."""
        return self.led_at >= self.operator.began

    def watches(self) -> bool:
        """Whether the process that runs now has all of its watches: CiJobs and Pods of two namespaces, and pools."""
        recent = itertools.takewhile(lambda one: one.at >= self.operator.began, reversed(self.proxy.records))
        watched = {one.path.partition("?")[0] for one in recent if one.watch and one.answered == 200}
        return len(watched) == 2 * NAMESPACES + 1


@dataclass(slots=True, eq=False)
class World:
    """One namespace with its neighbour, their pool, which has the namespace's name, and their operators."""

    lab: Lab
    namespace: str
    seats: list[Seat] = field(default_factory=list)

    @property
    def namespaces(self) -> tuple[str, str]:
        """Its own, and its neighbour."""
        return self.namespace, f"{self.namespace}-beside"

    @property
    def leader(self) -> Seat:
        """The one that wrote the Lease last."""
        return max(self.seats, key=lambda seat: seat.led_at)

    @property
    def proxy(self) -> Proxy:
        return self.leader.proxy

    @property
    def operator(self) -> Operator:
        return self.leader.operator

    async def ready(self) -> bool:
        """Wait until all operators watch, and one of them leads."""
        for seat in self.seats:
            if not await seat.proxy.until(seat.watches, _START_SECONDS):
                return False
        return await self.proxy.until(self.leader.leads, _START_SECONDS)

    async def bury(self, number: int) -> None:
        """Make way for the next process: another takes the Lease in its own time; that of one who was alone is deleted."""
        others = [seat for place, seat in enumerate(self.seats) if place != number]
        for seat in others:
            await seat.proxy.until(seat.leads, _START_SECONDS)
        if not others:
            await self.lab.api.call("DELETE", f"{LEASES}/namespaces/{self.namespace}/leases")

    def complaints(self) -> list[str]:
        """What its operators complained of since the last call."""
        return [line for seat in self.seats for line in seat.operator.complaints()]

    def case(self, name: str) -> Case:
        """A CiJob of this world, under a name that no other has."""
        return Case(self, name, self.namespace, self.namespace)
