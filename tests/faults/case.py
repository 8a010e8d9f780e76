"""One CiJob of a world, or some that share a pool, from the user's side: what is done to it, and what it has come to."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.faults.api import CIJOBS, FINISHED, MERGE_PATCH, Body, Refused, pool

if TYPE_CHECKING:
    from tests.faults.kubelet import Play
    from tests.faults.records import Event, Record
    from tests.faults.world import Seat, World

#: Seconds until the lists that a quiet operator makes anyway; it may have been killed just before.
_SETTLE_SECONDS: Final = 60


@dataclass(slots=True, eq=False)
class Case:
    """One CiJob, from the user's side."""

    world: World
    name: str
    namespace: str
    pool: str
    #: UIDs of the CiJobs that bore the name.
    uids: list[str] = field(default_factory=list)
    #: The operator that leads in the end, where it is not the one that led at the beginning.
    heir: Seat | None = None
    #: Others that compete for the pool; what is said of writes, events, Pods and the end is then said of all.
    rivals: list[Case] = field(default_factory=list)
    #: Whether a leader fell with the POST of a Pod under way: the one that a pool may have beyond its capacity.
    excused: bool = False

    @property
    def everyone(self) -> list[Case]:
        return [self, *self.rivals]

    @property
    def owners(self) -> list[str]:
        """UIDs of all CiJobs that there were."""
        return [uid for one in self.everyone for uid in one.uids]

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def path(self) -> str:
        return f"{CIJOBS}/namespaces/{self.namespace}/cijobs"

    @property
    def job(self) -> Body | None:
        """The CiJob as the API server has it, None if it is not there."""
        return self.world.lab.jobs.objects.get(self.key)

    @property
    def pods(self) -> list[Body]:
        """All Pods of the name that are there."""
        return [pod for uid in self.uids for pod in self.world.lab.kubelet.there[uid].values()]

    @property
    def phase(self) -> str:
        """The phase of the CiJob that bears the name now."""
        job = self.job
        current = job is not None and job["metadata"]["uid"] == self.uids[-1]
        return str((job or {}).get("status", {}).get("phase", "")) if current else ""

    @property
    def pattern(self) -> str:
        """A regular expression for the names of the CiJob, of its rivals and of all that is named after them; not the pool's."""
        return rf"^{re.escape(self.name)}([-.]|$)"

    def writes(self) -> list[Record]:
        """The operators' writes about this CiJob that reached the server."""
        found = [
            one
            for seat in self.world.seats
            for one in seat.proxy.records
            if one.write and one.status is not None and re.match(self.pattern, one.name)
        ]
        return sorted(found, key=lambda one: one.at)

    def events(self) -> list[Event]:
        """The events about this CiJob and its Pods that the operator was sent."""
        return [one for one in self.world.proxy.events if re.match(self.pattern, one.name)]

    def verdicts(self) -> list[str]:
        """The different final statuses that were written: one for each CiJob of the name that ended."""
        found: dict[str, None] = {}
        for write in self.writes():
            if write.target == "cijobs/status" and write.landed:
                uid, status = _status_patch(write.body)
                if status.get("phase") in FINISHED:
                    told = " ".join(str(status.get(key)) for key in ("phase", "reason", "exitCode"))
                    found[f"{self.owners.index(uid) + 1}: {told}"] = None
        return sorted(found)

    # --- what a user does ---------------------------------------------------------------------------------------------

    async def create(self, play: Play, **spec: Any) -> None:  # noqa: ANN401  any field of the API
        """Create the CiJob; its Pods will do as `play` says."""
        self.world.lab.kubelet.plays[self.key] = play
        body = {
            "apiVersion": "cijob.dev/v1alpha1",
            "kind": "CiJob",
            "metadata": {"name": self.name},
            "spec": {"image": "busybox", "script": ["true"], "poolName": self.pool, **spec},
        }
        created = await self.world.lab.api.call("POST", self.path, body)
        uid = created["metadata"]["uid"]
        self.uids.append(uid)
        await self.world.lab.jobs.until(lambda: uid in self.world.lab.seen, _SETTLE_SECONDS)

    async def change(self, **spec: Any) -> None:  # noqa: ANN401  any field of the API
        """Change fields of its spec."""
        await self.world.lab.api.call("PATCH", f"{self.path}/{self.name}", {"spec": spec}, MERGE_PATCH)

    async def compete(self, play: Play, **capacity: int) -> None:
        """Create it in a pool of its own, then one more in its namespace, and one in the namespace beside."""
        self.pool = f"{self.world.namespace}-{self.name}"
        await self.world.lab.api.call("POST", f"{CIJOBS}/buildpools", pool(self.pool, **capacity))
        self.rivals = [
            Case(self.world, f"{self.name}-{place}", namespace, self.pool)
            for place, namespace in zip(("second", "beside"), self.world.namespaces, strict=True)
        ]
        for one in self.everyone:
            await one.create(play)

    async def delete(self) -> None:
        """Delete it, its rivals and their pool, as kubectl does, without waiting."""
        for one in self.everyone:
            with contextlib.suppress(Refused):
                await self.world.lab.api.call("DELETE", f"{one.path}/{one.name}?propagationPolicy=Background")
        if self.rivals:
            await self.world.lab.api.call("DELETE", f"{CIJOBS}/buildpools/{self.pool}")

    async def until(self, phase: str, seconds: float) -> None:
        """Wait for a phase; a job that ended without it counts too, so that the oracle can say how."""
        await self.world.lab.jobs.until(lambda: self.phase in {phase, *FINISHED}, seconds)

    async def at_rest(self, seconds: float) -> bool:
        """Wait until its story, and its rivals', is over: finished or gone, no Pod alive, nothing left for the operator to do.

        The operator has compared everything with two lists of each kind by then.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        pods = self.world.lab.kubelet.pods
        everyone = self.everyone
        ended = self.world.lab.jobs.until(
            lambda: all(one.job is None or one.phase in FINISHED for one in everyone), seconds
        )
        if not await ended:
            return False
        if not await pods.until(
            lambda: not any(_alive(pod) for one in everyone for pod in one.pods), deadline - loop.time()
        ):
            return False
        seat = self.heir or self.world.leader
        if not await seat.proxy.until(seat.leads, deadline - loop.time()):
            return False
        since = loop.time()
        return await seat.proxy.until(lambda: self._compared(seat, since), min(_SETTLE_SECONDS, deadline - since))

    def _compared(self, seat: Seat, since: float) -> bool:
        recent = itertools.takewhile(lambda one: one.at >= since, reversed(seat.proxy.records))
        lists = [one.target for one in recent if one.full_list and one.answered == 200 and not one.faults]
        # Who begins to lead decides after the second list of Pods only.
        new = self.heir is not None or seat.operator.starts > 1
        namespaces = len(self.world.namespaces)
        return lists.count("pods") >= (4 if new else 2) * namespaces and lists.count("cijobs") >= 2 * namespaces

    # --- what it has come to ------------------------------------------------------------------------------------------

    def end_state(self) -> Body:
        """What users see in the end, without what differs from run to run (times, UIDs, names made from them)."""
        job = self.job
        status = dict((job or {}).get("status", {}))
        own = {key: value for key, value in status.items() if key in _COMPARED}
        own["conditions"] = sorted(
            f"{one['type']}={one['status']} {one['reason']}" for one in status.get("conditions", ())
        )
        return {
            "job": own if job is not None else "gone",
            "current": job is None or job["metadata"]["uid"] == self.uids[-1],
            "pods": sorted(json.dumps(_pod_state(pod), sort_keys=True) for pod in self.pods),
            "rivals": [one.end_state() for one in self.rivals],
        }

    def pods_ever(self) -> list[int]:
        """How many Pods each CiJob ever had."""
        return [len(self.world.lab.kubelet.ever[uid]) for uid in self.owners]

    def most_alive(self) -> int:
        """The most Pods of one CiJob that lived at once."""
        return max(self.world.lab.kubelet.most_alive[uid] for uid in self.owners)

    def most_in_pool(self) -> int:
        """The most Pods of its pool that lived at once, where it has one of its own; the one excused is left out."""
        if not self.rivals:
            return 0
        return self.world.lab.kubelet.most_in_pool[self.pool] - self.excused


_COMPARED: Final = ("phase", "reason", "message", "exitCode", "attempt", "retries")


def _status_patch(patch: list[Body]) -> tuple[str, Body]:
    """UID and status of the operator's JSON Patch."""
    by_path = {one["path"]: one["value"] for one in patch}
    return str(by_path["/metadata/uid"]), dict(by_path["/status"])


def _alive(pod: Body) -> bool:
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _pod_state(pod: Body) -> Body:
    meta, status = pod["metadata"], pod.get("status", {})
    return {
        "attempt": meta["labels"].get("cijob.dev/attempt"),
        "stop": meta.get("annotations", {}).get("cijob.dev/stop"),
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "deleted": "deletionTimestamp" in meta,
    }
