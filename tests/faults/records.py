"""What passed through the proxy: the base of what tests say about requests and events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

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
