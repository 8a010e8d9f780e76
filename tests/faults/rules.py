"""What goes wrong, and when: the rules of the fault-injecting proxy."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.records import Event, Record

#: The API server's words for what it cannot do now (apimachinery's pkg/api/errors).
REASONS: Final = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class When(Enum):
    """On which side of the server's work a fault strikes."""

    #: The request never reaches the server.
    BEFORE = auto()
    #: The server has done what was asked, and answered.
    AFTER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests that a rule is for: the matching ones number `first` (from 1) to `first + times - 1`.

    All patterns are regular expressions and match anywhere; an empty one matches all. `times` of None means for ever.
    """

    method: str = ""
    #: Path and query, as in the request line.
    path: str = ""
    #: Name of the object, which a new one has in its body.
    name: str = ""
    agent: str = ""
    #: What the body says, as JSON.
    body: str = ""
    #: None: watches and others; True: watches only; False: others only.
    watch: bool | None = None
    first: int = 1
    times: int | None = 1

    def matches(self, record: Record) -> bool:
        """Whether the request is of this kind; its number is counted elsewhere."""
        return (
            self.watch in {None, record.watch}
            and re.search(self.method, record.method) is not None
            and re.search(self.path, record.path) is not None
            and re.search(self.name, record.name) is not None
            and re.search(self.agent, record.agent) is not None
            and (not self.body or re.search(self.body, json.dumps(record.body)) is not None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The events of watches that a rule is for, bookmarks excluded; counted like `Requests`, over all watches together."""

    kind: str = ""
    type: str = ""
    name: str = ""
    first: int = 1
    times: int | None = 1

    def matches(self, event: Event) -> bool:
        """Whether the event is of this kind; its number is counted elsewhere."""
        return (
            re.search(self.kind, event.kind) is not None
            and re.search(self.type, event.type) is not None
            and re.search(self.name, event.name) is not None
        )


# --- what can happen to a request, and to an event ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drop:
    """Cut the connection; for an event: leave it out."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait for some seconds first; an event holds up those after it, as on a slow connection."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function first, such as one that remembers what the server has now."""

    function: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kill:
    """Call a function that ends the client at once, then cut the connection."""

    function: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """Give an error in the server's place. After the write: what a gateway says that has lost patience."""

    status: int
    reason: str = ""
    message: str = "injected fault"
    #: Seconds; also sent as the header Retry-After.
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, object]:
        """The error as the API server words it."""
        details = {} if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason or REASONS.get(self.status, ""),
            "details": details,
            "code": self.status,
        }


@dataclass(frozen=True, slots=True)
class Stale:
    """Answer with what the server said earlier: the body for the request's path and query, where there is one."""

    answers: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Freeze:
    """Keep the connection open and send nothing more. A watch starts as usual first."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send an event twice."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the watch in order, before the event."""


@dataclass(frozen=True, slots=True)
class Expire:
    """End the watch with the error 410 Gone, before the event."""


RequestFault = Drop | Delay | Call | Kill | Answer | Stale | Freeze
EventFault = Drop | Delay | Call | Kill | Repeat | Close | Expire | Freeze


@dataclass(slots=True, eq=False)
class Rule:
    """One fault, armed: it counts what it matches. `when` says nothing about events, which have only one side."""

    on: Requests | Events
    fault: RequestFault | EventFault
    when: When = When.BEFORE
    #: How many requests or events were of its kind, and how many of them it struck.
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def strikes(self, item: Record | Event) -> bool:
        """Count a request or event; whether the fault is for it."""
        if not self.on.matches(item):  # type: ignore[arg-type]  # the proxy asks each kind of rule about its own kind
            return False
        self.seen += 1
        hit = self.on.first <= self.seen and (self.on.times is None or self.seen < self.on.first + self.on.times)
        self.struck += hit
        return hit
