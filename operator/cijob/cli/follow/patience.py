"""How long and how often something is tried again."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from cijob.errors import ApiUnavailable

#: Seconds without a good answer after which an API server counts as gone.
LIMIT: Final = 300.0
#: Seconds of trouble that are not worth a word.
_BLINK: Final = 2.0
_FIRST: Final = 0.2
_MOST: Final = 10.0
#: The longest wait that a server may ask for.
_MOST_ASKED: Final = 30.0


class Patience:
    """Waits between tries: from 0.2 s, doubled each time, to 10 s, a third more or less: many may wait for one server.

    `trouble` hears of failures, in words, when they have lasted for 2 s: once until a good answer.
    """

    def __init__(self, limit: float = LIMIT, trouble: Callable[[str], None] = lambda _text: None) -> None:
        self._limit = limit
        self._trouble = trouble
        self._since: float | None = None
        self._wait = _FIRST
        self._told = False

    def succeeded(self) -> None:
        """A good answer: all starts anew."""
        self._since, self._wait, self._told = None, _FIRST, False

    async def failed(self, error: ApiUnavailable) -> None:
        """Wait before the next try; raises the error when the time for tries is over."""
        now = asyncio.get_running_loop().time()
        self._since = self._since if self._since is not None else now
        if now - self._since > self._limit:
            raise error
        if now - self._since >= _BLINK and not self._told:
            self._told = True
            self._trouble(f"no answer from the API server, trying again ({error.message})")
        asked = min(error.retry_after or 0.0, _MOST_ASKED)
        await asyncio.sleep(max(asked, self._wait * random.uniform(0.7, 1.3)))  # noqa: S311  no secret
        self._wait = min(self._wait * 2, _MOST)
