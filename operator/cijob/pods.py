"""The list-and-watch of our Pods: events into the cache, keys into the queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from cijob.errors import ApiError, ApiExpired
from cijob.observation import ObservedPod, observe_pod
from cijob.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable

    from cijob.cluster import Cluster
    from cijob.reconciler import Reconciler
    from cijob.transport import Body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.2
_LAST_PAUSE = 30.0


class PodWatch:
    """Keeps the cache's Pods in step with one namespace, or with all."""

    def __init__(
        self, cluster: Cluster, reconciler: Reconciler, namespace: str | None, enqueue: Callable[[ObservedPod], None]
    ) -> None:
        self.synced = asyncio.Event()
        #: The last try to list or watch, whatever became of it.
        self.turns = Pulse()
        #: The last event, bookmark or list.
        self.heard = Pulse()
        self._cluster = cluster
        self._reconciler = reconciler
        self._namespace = namespace
        self._enqueue = enqueue

    async def run(self) -> None:
        """List, then watch, for ever; after trouble later and later, but at least every 30 s."""
        pause = _FIRST_PAUSE
        version: int | None = None
        while True:
            self.turns.beat()
            try:
                if version is None:
                    version = await self.relist()
                    self.synced.set()
                async for event in self._cluster.watch_pods(self._namespace, version):
                    version = self._take(event)
                    pause = _FIRST_PAUSE
            except ApiExpired:
                version = None
            except ApiError as error:
                log.warning("cannot watch Pods: trying again", error=error.message, seconds=pause)
                await asyncio.sleep(pause)  # a bounded pause between tries, not a wait for anything
                pause = min(_LAST_PAUSE, 2 * pause)
            else:
                await asyncio.sleep(_FIRST_PAUSE)  # a watch that ends at once must not make a busy loop

    async def relist(self) -> int:
        """Compare the cache with a consistent list; gives the list's version."""
        bodies, version = await self._cluster.list_pods(self._namespace)
        self.heard.beat()
        listed = [observe_pod(body) for body in bodies]
        news, missing = self._reconciler.pods.replace(listed, version)
        for pod in listed:
            if (pod.namespace, pod.name) in news:
                self._enqueue(pod)
        for pod in missing:
            if self._namespace in {None, pod.namespace} and await self._reconciler.lists.confirm_pod_gone(pod):
                self._enqueue(pod)
        return version

    def _take(self, event: Body) -> int:
        self.turns.beat()
        self.heard.beat()
        body = event["object"]
        if event["type"] != "BOOKMARK":
            pod = observe_pod(body)
            pods = self._reconciler.pods
            if pods.remove(pod) if event["type"] == "DELETED" else pods.observe(pod):
                self._enqueue(pod)
        return int(body["metadata"]["resourceVersion"])
