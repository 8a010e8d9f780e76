"""CiJobs as they change: list, watch, and start again where a connection breaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cijob.errors import ApiExpired, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from cijob.cli.api import Api
    from cijob.transport import Body

#: Seconds without an answer of the API server after which a command gives up.
PATIENCE: Final = 300.0
_FIRST_PAUSE: Final = 0.5
_LAST_PAUSE: Final = 10.0


async def observed(
    api: Api,
    namespace: str | None,
    selector: Mapping[str, str],
    *,
    patience: float = PATIENCE,
    trouble: Callable[[str], None] | None = None,
) -> AsyncGenerator[list[Body]]:
    """All CiJobs that a selector (labelSelector, fieldSelector) chooses: at first, and after each change. Never ends.

    A connection that breaks, and a server that refuses for a while (429, 5xx), end nothing: it is asked again after a
    pause that grows to 10 s. `trouble` hears of it in words, once until the server answers again.

    Raises:
        ApiError: the API server refuses, or is silent for `patience` seconds.
    """
    clock = asyncio.get_running_loop().time
    answered, pause = clock(), _FIRST_PAUSE
    known: dict[str, Body] = {}
    version: int | None = None
    told = 0.0
    while True:
        try:
            if version is None:
                items, version = await api.list_jobs(namespace, selector)
                known = {item["metadata"]["uid"]: item for item in items}
                answered, pause = clock(), _FIRST_PAUSE
                yield list(known.values())
            began = clock()
            async for event in api.watch_jobs(namespace, version, selector):
                answered, pause = clock(), _FIRST_PAUSE
                version = int(event["object"]["metadata"]["resourceVersion"])
                if _apply(known, event):
                    yield list(known.values())
            answered = clock()  # a watch ends by itself every few minutes
            if answered - began < _FIRST_PAUSE:  # this one was ended by a server that goes down
                await asyncio.sleep(_FIRST_PAUSE)
        except ApiExpired:
            version = None
        except ApiUnavailable as error:
            if clock() - answered > patience:
                raise
            if trouble is not None and told != answered:
                trouble(error.message)
            told = answered
            wait = pause if error.retry_after is None else max(pause, error.retry_after)
            await asyncio.sleep(min(wait, _LAST_PAUSE))  # a bounded pause between tries
            pause = min(2 * pause, _LAST_PAUSE)


def _apply(known: dict[str, Body], event: Body) -> bool:
    """Take an event in; whether it told anything."""
    uid = event["object"].get("metadata", {}).get("uid", "")
    if event["type"] == "DELETED":
        known.pop(uid, None)
    elif event["type"] in {"ADDED", "MODIFIED"}:
        known[uid] = event["object"]
    return bool(event["type"] != "BOOKMARK")
