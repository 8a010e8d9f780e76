"""kopf's part: events of CiJobs and BuildPools into the caches and the queue.

No logic here, and nothing that can fail. All are coroutines: kopf would run plain functions in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from cijob import names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cijob.cache import Store
    from cijob.transport import Body
    from cijob.workqueue import WorkQueue


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf keeps no last state of our objects: we only want events, and the diff costs half of each event's time."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ANN401, ARG002
        """Nothing is essential."""
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002
        """Nothing was stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is stored."""


def registry(
    jobs: Store[Body],
    pools: Store[Body],
    queue: WorkQueue,
    configure: Callable[[kopf.OperatorSettings], None],
    connect: Callable[[kopf.ConnectionInfo], Awaitable[kopf.AiohttpSession]],
) -> kopf.OperatorRegistry:
    """The handlers, bound to caches and a queue.

    `configure` gets kopf's settings as it starts; `connect` makes kopf's connection.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:  # noqa: ANN401
        settings.posting.enabled = False
        settings.scanning.disabled = True  # it would need rights on CRDs and namespaces
        settings.peering.standalone = True
        settings.persistence.diffbase_storage = NoDiffBase()
        settings.queueing.worker_limit = None  # idle workers would keep their slots
        settings.queueing.idle_timeout = 0.5
        settings.networking.request_timeout = 30
        settings.networking.connect_timeout = 10
        settings.watching.connect_timeout = 10
        configure(settings)

    @kopf.on.login(registry=handlers)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:  # noqa: ANN401
        info = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        return await connect(info) if info is not None else None

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def on_job(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401
        body: Body = dict(event["object"])
        meta = body["metadata"]
        if jobs.remove(body) if event["type"] == "DELETED" else jobs.observe(body):
            queue.add((meta["namespace"], meta["name"]))

    @kopf.on.event(names.GROUP, names.VERSION, names.POOL_PLURAL, registry=handlers)
    async def on_pool(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401
        pool: Body = dict(event["object"])
        if event["type"] == "DELETED":
            pools.remove(pool)
        else:
            pools.observe(pool)

    return handlers
