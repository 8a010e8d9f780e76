"""Objects as they change: list, watch, and start again where a connection breaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cijob.cli.follow.patience import LIMIT, Patience
from cijob.errors import ApiExpired, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from cijob.cli.api import Api
    from cijob.transport import Body

#: Seconds between two turns, where a server that goes down, or a proxy, ends each watch at once.
_PAUSE: Final = 0.5


async def observed(
    api: Api,
    path: str,
    selector: Mapping[str, str],
    *,
    limit: float = LIMIT,
    trouble: Callable[[str], None] = lambda _text: None,
) -> AsyncGenerator[list[Body]]:
    """All objects of a kind (path) that a selector chooses: at first, and after each change. Never ends.

    A connection that breaks, and a server that refuses for a while (429, 5xx), end nothing: it is listed anew, after a
    pause that grows to 10 s while there is no answer. `trouble` hears of it in words, as `Patience` has it.

    Raises:
        ApiError: the API server refuses, or has not answered for `limit` seconds.
    """
    clock, patience = asyncio.get_running_loop().time, Patience(limit, trouble)
    while True:
        began = clock()
        try:
            items, version = await api.list_all(path, selector)
            known = {item["metadata"]["uid"]: item for item in items}
            patience.succeeded()
            yield list(known.values())
            async for event in api.watch(path, version, selector):
                if _apply(known, event):
                    yield list(known.values())
        except ApiExpired:
            pass  # the list that comes next is newer
        except ApiUnavailable as error:
            await patience.failed(error)
        if clock() - began < _PAUSE:
            await asyncio.sleep(_PAUSE)


def _apply(known: dict[str, Body], event: Body) -> bool:
    """Take an event in; whether it told anything."""
    uid = event["object"].get("metadata", {}).get("uid", "")
    if event["type"] == "DELETED":
        known.pop(uid, None)
    elif event["type"] in {"ADDED", "MODIFIED"}:
        known[uid] = event["object"]
    return bool(event["type"] != "BOOKMARK")
