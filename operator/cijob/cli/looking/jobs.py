"""CiJobs as rows of a table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cijob.cli.console import PHASES
from cijob.cli.printing import NOTHING, Cell, Table, age, duration, moment
from cijob.names import DEFAULT_POOL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from cijob.transport import Body

FINISHED: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
"""Phases that are final."""

_COLUMNS: Final = ("NAME", "PHASE", "REASON", "EXIT", "ATTEMPT", "POOL", "DURATION")
_WIDE: Final = ("POD", "NODE", "STARTED", "FINISHED")

Key = tuple[str, str]
"""Namespace and name of a CiJob."""


def key_of(job: Body) -> Key:
    """Namespace and name."""
    return job["metadata"]["namespace"], job["metadata"]["name"]


def phase_of(job: Body) -> str:
    """The phase; Pending where no operator has written one yet."""
    return str(status_of(job).get("phase") or "Pending")


def status_of(job: Body) -> dict[str, Any]:
    """The status; empty where there is none yet."""
    return dict(job.get("status") or {})


def pool_of(job: Body) -> str:
    """The pool that the CiJob names."""
    return str(job["spec"].get("poolName") or DEFAULT_POOL)


def in_order(jobs: Iterable[Body]) -> list[Body]:
    """The newest last, as a log has it."""
    return sorted(jobs, key=lambda job: (job["metadata"].get("creationTimestamp", ""), key_of(job)))


def having(jobs: Iterable[Body], phases: Collection[str]) -> list[Body]:
    """Those in one of the phases; all where none is named."""
    return [job for job in jobs if not phases or phase_of(job) in phases]


def headers(*, namespaces: bool = False, wide: bool = False) -> tuple[str, ...]:
    """The columns, as `kubectl get cijobs` has them, and how long the job took."""
    return (*(["NAMESPACE"] if namespaces else []), *_COLUMNS, *(_WIDE if wide else ()), "AGE")


def row(job: Body, now: datetime, *, namespaces: bool = False, wide: bool = False) -> tuple[Cell, ...]:
    """The cells of a CiJob under these columns."""
    meta, status, phase = job["metadata"], status_of(job), phase_of(job)
    cells: list[Cell] = [meta["namespace"]] if namespaces else []
    cells += [meta["name"], (phase, PHASES.get(phase, "")), reason_of(job)]
    cells += [_number(status, "exitCode"), _number(status, "attempt"), pool_of(job), took(job, now)]
    if wide:
        cells += [str(status.get("podName") or ""), str(status.get("nodeName") or "")]
        cells += [age(moment(status.get(key)), now) for key in ("startTime", "completionTime")]
    return (*cells, age(moment(meta.get("creationTimestamp")), now))


def table(jobs: Iterable[Body], now: datetime, *, namespaces: bool = False, wide: bool = False) -> Table:
    """CiJobs in the order in which they come."""
    made = Table(*headers(namespaces=namespaces, wide=wide))
    for job in jobs:
        made.add(*row(job, now, namespaces=namespaces, wide=wide))
    return made


def reason_of(job: Body) -> str:
    """The status's reason, or that the job is being stopped or deleted."""
    if phase_of(job) not in FINISHED:
        if job["metadata"].get("deletionTimestamp"):
            return "Deleting"
        if job["spec"].get("cancel"):
            return "Cancelling"
    return str(status_of(job).get("reason") or "")


def took(job: Body, now: datetime) -> str:
    """How long the attempt has run, or ran."""
    status = status_of(job)
    started = moment(status.get("startTime"))
    if started is None:
        return NOTHING
    return duration(((moment(status.get("completionTime")) or now) - started).total_seconds())


def _number(status: dict[str, Any], field: str) -> str:
    value = status.get(field)
    return "" if value is None else str(value)
