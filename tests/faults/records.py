"""What passed through the proxy: the base of what tests say about requests and events."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PARSED: Final = 1024 * 1024
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PATH: Final = re.compile(
    r"^/(?:api/v1|apis/(?P<group>[^/?]+)/[^/?]+)(?:/namespaces/(?P<namespace>[^/?]+)(?=/))?"
    r"/(?P<resource>[^/?]+)(?:/(?P<name>[^/?]+)(?:/(?P<subresource>[^/?]+))?)?(?:\?.*)?$"
)


@dataclass(slots=True)
class Record:
    """One request."""

    #: Number of the request, from 1, and seconds of the loop's clock when it came.
    number: int
    at: float
    method: str
    #: Path and query, as in the request line.
    path: str
    agent: str
    #: The parsed body where it is JSON and small, else None.
    body: Any = None
    #: What the server answered; None while it has not, or if the request never reached it.
    status: int | None = None
    #: What the client was told; None if nothing.
    answered: int | None = None
    #: The faults that struck it, in words.
    faults: tuple[str, ...] = ()

    @property
    def watch(self) -> bool:
        """Whether it asks for a watch."""
        return self.method == "GET" and re.search(r"[?&]watch=(true|1)\b", self.path, re.IGNORECASE) is not None

    @property
    def full_list(self) -> bool:
        """Whether it asks for objects, and not just for a look at the first."""
        return (
            self.method == "GET" and not self.watch and not self.name and re.search(r"[?&]limit=1\b", self.path) is None
        )

    @property
    def write(self) -> bool:
        """Whether it may change something."""
        return self.method in _WRITES

    @property
    def landed(self) -> bool:
        """Whether the server did what was asked."""
        return self.status is not None and self.status < 300

    @property
    def target(self) -> str:
        """Resource and subresource, such as cijobs/status; empty for what is no resource."""
        found = _PATH.match(self.path)
        return "/".join(filter(None, (found["resource"], found["subresource"]))) if found else ""

    @property
    def name(self) -> str:
        """Name of the object: of the path, or of the body for a new one."""
        found = _PATH.match(self.path)
        if found and found["name"]:
            return found["name"]
        return str(self.body.get("metadata", {}).get("name", "")) if isinstance(self.body, dict) else ""

    def __str__(self) -> str:
        told = f"{self.status}" if self.answered == self.status else f"{self.status}, told {self.answered}"
        faults = f" [{', '.join(self.faults)}]" if self.faults else ""
        return f"{self.number}. {self.method} {self.target or self.path} {self.name} -> {told}{faults}"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch, bookmarks and errors excluded."""

    #: Number among the events of its kind, from 1, over all watches.
    number: int
    type: str
    kind: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.number} ({self.type} {self.name} at {self.version})"


class Journal:
    """All requests and events so far, to be read at any time."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.events: list[Event] = []
        self._numbers: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def see(self, line: bytes) -> Event | None:
        """Note an event of a watch; None for what does not count as one."""
        event = parsed(line)
        if not isinstance(event, dict) or event.get("type") in {None, "BOOKMARK", "ERROR"}:
            return None
        body = event["object"]
        kind, meta = body.get("kind", ""), body.get("metadata", {})
        self._numbers[kind] += 1
        seen = Event(self._numbers[kind], event["type"], kind, meta.get("name", ""), meta.get("resourceVersion", ""))
        self.events.append(seen)
        return seen

    def notify(self) -> None:
        """Wake whoever waits for what has just been noted."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on what is noted holds, for at most so long; gives whether it does."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True


def parsed(body: bytes) -> Any:  # noqa: ANN401  any JSON
    """A body that is JSON and small; None for others."""
    if not body or len(body) > _MOST_PARSED:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
