"""A fake scheduler and kubelet: no container ever runs. It says of each Pod what a kubelet would say, quickly.

What it keeps of the real one: the order (sidecar before the job, the job's end before the Pod's), `job.sh`'s report as
the termination message, `activeDeadlineSeconds`, deletion with a grace period, and that phase and reason are withheld
until every container has ended. What a job does is a `Play`, by namespace and name of the CiJob.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tests.faults.api import MERGE_PATCH, Api, Body, Follower, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE: Final = "fake-node"
#: Seconds between two things that a kubelet says of a Pod.
_STEP: Final = 0.1
_TERMINAL: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What happens in a job's Pods."""

    exit_code: int = 0
    #: How long the script runs; None: until it is stopped.
    seconds: float | None = 0.3
    #: How long the daemon runs on after the script; None: until the Pod is stopped.
    lingers: float | None = _STEP
    #: The attempts whose Pod the node evicts in mid-run, for want of memory.
    evicted: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class _Pod:
    body: Body
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False
    job: Body = field(default_factory=dict)
    dind: Body = field(default_factory=dict)

    @property
    def path(self) -> str:
        meta = self.body["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    @property
    def deleted(self) -> bool:
        return self.gone or "deletionTimestamp" in self.body["metadata"]

    def overdue_in(self, now: datetime) -> float:
        """Seconds until the Pod's deadline."""
        limit, start = self.body["spec"].get("activeDeadlineSeconds"), self.body["status"].get("startTime")
        if limit is None or start is None:
            return float("inf")
        return float(limit - (now - datetime.fromisoformat(start)).total_seconds())


class Kubelet:
    """Plays all Pods of the cluster, and watches over them: who owns how many that live."""

    def __init__(self, api: Api) -> None:
        self.plays: dict[tuple[str, str], Play] = {}
        self.pods = Follower(api, "/api/v1/pods", self._take)
        #: By the CiJob's UID: its Pods that are there (by UID), the names of all it ever had, and the most that lived at once.
        self.there: dict[str, dict[str, Body]] = defaultdict(dict)
        self.ever: dict[str, list[str]] = defaultdict(list)
        self.most_alive: Counter[str] = Counter()
        #: By the pool's name: the most of its Pods that lived at once.
        self.most_in_pool: Counter[str] = Counter()
        self._api = api
        self._played: dict[str, _Pod] = {}
        self._alive: dict[str, set[str]] = defaultdict(set)
        self._in_pool: dict[str, set[str]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Play for ever."""
        try:
            await self.pods.run()
        finally:
            for task in self._tasks:
                task.cancel()

    def _take(self, event: str, body: Body) -> None:
        meta = body["metadata"]
        uid = meta["uid"]
        self._count(event, body)
        if uid not in self._played:
            if event == "DELETED":
                return
            self._played[uid] = _Pod(body)
            task = asyncio.create_task(self._play(self._played[uid]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        pod = self._played[uid]
        pod.body, pod.gone = body, event == "DELETED"
        pod.changed.set()

    def _count(self, event: str, body: Body) -> None:
        meta = body["metadata"]
        owner = next((one["uid"] for one in meta.get("ownerReferences", ()) if one.get("controller")), "")
        if meta["uid"] not in self._played:
            self.ever[owner].append(meta["name"])
        if event == "DELETED":
            self.there[owner].pop(meta["uid"], None)
        else:
            self.there[owner][meta["uid"]] = body
        pool = meta.get("labels", {}).get("cijob.dev/pool", "")
        for alive, most, key in (
            (self._alive[owner], self.most_alive, owner),
            (self._in_pool[pool], self.most_in_pool, pool),
        ):
            if event == "DELETED" or body["status"].get("phase") in _TERMINAL:
                alive.discard(meta["uid"])
            else:
                alive.add(meta["uid"])
            most[key] = max(most[key], len(alive))

    # --- one Pod ------------------------------------------------------------------------------------------------------

    async def _play(self, pod: _Pod) -> None:
        try:
            await self._acts(pod)
        except Refused as refusal:
            if refusal.status not in {404, 409}:  # it was deleted meanwhile
                raise

    async def _acts(self, pod: _Pod) -> None:
        meta = pod.body["metadata"]
        labels = meta.get("labels", {})
        play = self.plays.get((meta["namespace"], labels.get("cijob.dev/job", "")), Play())
        if await self._rest(pod, _STEP):
            return await self._end(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta["name"]},
            "target": {"kind": "Node", "name": NODE},
        }
        await self._api.call("POST", f"{pod.path}/binding", binding)
        started = _now()
        pod.job = {"waiting": {"reason": "PodInitializing"}}
        pod.dind = {"running": {"startedAt": started}}
        await self._say(pod, {"phase": "Pending", "startTime": started})
        if await self._rest(pod, _STEP):
            return await self._end(pod)
        pod.job = {"running": {"startedAt": _now()}}
        await self._say(pod, {"phase": "Running"})
        if await self._rest(pod, play.seconds):
            return await self._end(pod)
        if int(labels.get("cijob.dev/attempt", "1")) in play.evicted:
            return await self._evict(pod)
        pod.job = _terminated(pod.job, play.exit_code, _report(play.exit_code))
        await self._say(pod, {"phase": "Running"})
        await self._rest(pod, play.lingers)
        await self._end(pod)
        return None

    async def _rest(self, pod: _Pod, seconds: float | None) -> bool:
        """Let time pass; gives whether the Pod has to end."""
        until = float("inf") if seconds is None else asyncio.get_running_loop().time() + seconds
        while not pod.deleted:
            late = pod.overdue_in(datetime.now(UTC))
            left = min(until - asyncio.get_running_loop().time(), late)
            if left <= 0:
                return late <= 0
            pod.changed.clear()
            try:
                async with asyncio.timeout(None if left == float("inf") else left):
                    await pod.changed.wait()
            except TimeoutError:
                continue
        return True

    async def _end(self, pod: _Pod) -> None:
        """End what still runs, say how the Pod ended, and let a deleted one go."""
        if pod.gone:
            return
        late = pod.overdue_in(datetime.now(UTC)) <= 0
        if "running" in pod.job:
            pod.job = _terminated(pod.job, 143, _report(143, "TERM"))
        pod.dind = _terminated(pod.dind, 0, '{"ready":true}') if "running" in pod.dind else pod.dind
        if pod.body["spec"].get("nodeName"):
            code = pod.job.get("terminated", {}).get("exitCode", 1)
            status: Body = {"phase": "Failed" if code or late else "Succeeded"}
            if late:
                status |= {"reason": "DeadlineExceeded", "message": "Pod was active longer than the deadline"}
            await self._say(pod, status)
        await self._let_go(pod)

    async def _evict(self, pod: _Pod) -> None:
        pod.job = _terminated(pod.job, 137, "")
        pod.dind = _terminated(pod.dind, 137, "")
        await self._say(
            pod,
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"},
        )
        await self._let_go(pod)

    async def _let_go(self, pod: _Pod) -> None:
        """Once a Pod that has ended is deleted, the kubelet removes it for good."""
        while not pod.deleted:
            pod.changed.clear()
            await pod.changed.wait()
        if not pod.gone:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.body["metadata"]["uid"]}}
            await self._api.call("DELETE", pod.path, options)

    async def _say(self, pod: _Pod, status: Body, *conditions: Mapping[str, Any]) -> None:
        running = "running" in pod.job
        spec = pod.body["spec"]
        ready = {"type": "Ready", "status": str(running)}
        scheduled = {"type": "PodScheduled", "status": "True"}
        body = {
            "metadata": {"uid": pod.body["metadata"]["uid"]},
            "status": {
                **status,
                "conditions": [scheduled, ready, *conditions],
                "containerStatuses": [_container(one, pod.job) for one in spec["containers"]],
                "initContainerStatuses": [_container(one, pod.dind) for one in spec.get("initContainers", ())],
            },
        }
        await self._api.call("PATCH", f"{pod.path}/status", body, MERGE_PATCH)


def _container(spec: Body, state: Body) -> Body:
    up = "running" in state
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "fake",
        "ready": up,
        "started": up,
        "restartCount": 0,
        "state": state,
    }


def _terminated(state: Body, code: int, message: str) -> Body:
    began = state.get("running", {}).get("startedAt") or _now()
    reason = "Error" if code else "Completed"
    ended = {"exitCode": code, "reason": reason, "message": message, "startedAt": began, "finishedAt": _now()}
    return {"terminated": ended}


def _report(code: int, signal: str | None = None) -> str:
    """What `launcher/job.sh` leaves behind."""
    return json.dumps(
        {"exitCode": code, "part": "script", "entry": 1, "signal": signal, "daemon": "ready", "peakMemory": 4096}
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
