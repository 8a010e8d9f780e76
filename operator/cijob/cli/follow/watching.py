"""What the API server stores, kept current: list, watch, and again when that breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cijob.cli.follow.patience import Patience
from cijob.errors import ApiExpired, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cijob.cli.api import Api
    from cijob.transport import Body

Objects = dict[str, "Body"]
"""Objects by name."""


async def keep_current(
    api: Api,
    path: str,
    selector: Mapping[str, str],
    changed: Callable[[Objects], None],
    trouble: Callable[[str], None] = lambda _text: None,
) -> NoReturn:
    """Calls `changed` with all objects of a kind (path) and selector, at first and after each change, for ever.

    `trouble` hears of connections that could not be made for 2 s.

    Raises:
        ApiUnavailable: the API server was gone for five minutes.
        ApiError: it refuses.
    """
    patience = Patience(trouble=trouble)
    while True:
        try:
            items, version = await api.list_all(path, selector)
            objects: Objects = {one["metadata"]["name"]: one for one in items}
            changed(objects)
            async for event in api.watch(path, version, selector):
                patience.succeeded()
                _apply(objects, event)
                changed(objects)
            patience.succeeded()
        except ApiExpired:
            continue
        except ApiUnavailable as error:
            await patience.failed(error)


def _apply(objects: Objects, event: Body) -> None:
    body, name = event["object"], event["object"].get("metadata", {}).get("name", "")
    match event["type"]:
        case "ADDED" | "MODIFIED":
            objects[name] = body
        case "DELETED":
            objects.pop(name, None)
        case _:  # a bookmark
            pass
