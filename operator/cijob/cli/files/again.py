"""What is done beside a job's script, over connections that break."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

#: Seconds between tries over a broken connection.
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
#: What kubelets and runtimes say of a container that has ended.
_GONE: Final = ("container not found", "not running", "not created or running", "task not found", "no running task")


async def again_and_again(act: Callable[[], Awaitable[T]]) -> T:
    """What an act gives, over connections that break; some times only, and never to a container that is gone.

    Raises:
        ApiError: what the last one raised.
    """
    for pause in PAUSES:
        try:
            return await act()
        except ApiUnavailable as error:
            if is_gone(error):
                raise
            await asyncio.sleep(pause)
    return await act()


def is_gone(error: ApiError) -> bool:
    """Whether the container has ended, or its Pod is gone."""
    return isinstance(error, ApiNotFound) or any(one in error.message for one in _GONE)
