"""Signs of life: when something last got anywhere."""

from __future__ import annotations

import asyncio


class Pulse:
    """Remembers the last sign of life, on the running loop's clock."""

    def __init__(self) -> None:
        self._last: float | None = None

    def beat(self) -> None:
        """A sign of life."""
        self._last = asyncio.get_running_loop().time()

    def age(self) -> float:
        """Seconds since the last sign; 0 before the first, since nothing can be late that has not begun."""
        return 0.0 if self._last is None else asyncio.get_running_loop().time() - self._last
