"""What the checks look at: answers of the API server, each as it came or as it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cijob.errors import ApiError
    from cijob.transport import Body

Schemas = Mapping[str, Mapping[str, Any]]


class Result(StrEnum):
    """How a check went."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        result: how it went.
        what: a sentence without a full stop.
        hint: what to do; empty where nothing is to be done.
    """

    result: Result
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that a user may do or not: the verb, the resource (of the group, with its subresource), a name."""

    verb: str
    resource: str
    group: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f" {self.name}" if self.name else "")


@dataclass(frozen=True, slots=True)
class Operator:
    """A Deployment of the operator, and whether its leader is at work.

    Attributes:
        name: as `namespace/name`.
        ready: replicas that are ready.
        serves: the namespaces that it serves; empty: all.
        leader: who holds the Lease; empty: nobody.
        alive: whether the Lease was renewed just now; None: it may not be read.
    """

    name: str
    ready: int
    serves: tuple[str, ...] = ()
    leader: str = ""
    alive: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a cluster, for one namespace and one pool.

    Attributes:
        server: the API server's address.
        version: Kubernetes' major and minor version.
        namespace, pool: those that are meant.
        now: the time on the API server's clock, if a dry run told it, else here.
        served: resources of our group.
        schemas: the schemas of our kinds that the API server has, by kind.
        operators: those that are found.
        labels: of the namespace.
        jobs: CiJobs in the namespace.
        pod: None if a privileged Pod would be let in.
        job: None if a CiJob would be.
        user: the user's name; empty if the API server does not say.
        rights: what the user may do.
        pools: raw BuildPools.
        nodes: raw Nodes.
    """

    server: str
    version: tuple[int, int]
    namespace: str
    pool: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    served: frozenset[str] | ApiError = frozenset()
    schemas: Schemas | ApiError = field(default_factory=dict)
    operators: tuple[Operator, ...] | ApiError = ()
    labels: Mapping[str, str] | ApiError = field(default_factory=dict)
    jobs: tuple[Body, ...] | ApiError = ()
    pod: ApiError | None = None
    job: ApiError | None = None
    user: str = ""
    rights: Mapping[Right, bool] | ApiError = field(default_factory=dict)
    pools: tuple[Body, ...] | ApiError = ()
    nodes: tuple[Body, ...] | ApiError = ()


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(Result.OK, what)


def failed(what: str, hint: str = "") -> Finding:
    """CiJobs cannot run, or nobody can follow them."""
    return Finding(Result.FAILED, what, hint)


def warning(what: str, hint: str = "") -> Finding:
    """CiJobs run, but not all is as it should be."""
    return Finding(Result.WARNING, what, hint)


def unknown(what: str, error: ApiError | None = None, hint: str = "") -> Finding:
    """Nobody can say; mostly for want of a right."""
    silent = 0
    why = ""
    if error is not None and error.forbidden:
        why = ": you may not see that"
    elif error is not None:
        why = f": {error.message.strip()}" if error.status != silent else ": no answer"
    return Finding(Result.UNKNOWN, what + why, hint)
