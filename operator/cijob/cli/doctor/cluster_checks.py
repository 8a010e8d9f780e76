"""Checks of the cluster: its version, the CRDs, the operator. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.cli.doctor.facts import failed, ok, unknown, warning
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.cli.doctor.facts import Facts, Finding, Operator, Schemas

OLDEST: Final = (1, 33)
#: An operator that works looks at a new CiJob within seconds.
_UNSEEN: Final = timedelta(minutes=1)
#: So many fields are named.
_SHOWN: Final = 3
_INSTALL: Final = "helm install cijob charts/cijob --namespace cijob-system --create-namespace"
_UPGRADE: Final = "helm upgrade cijob charts/cijob --namespace cijob-system --reuse-values"


def version(facts: Facts) -> Iterator[Finding]:
    """Kubernetes is new enough for native sidecars."""
    text, oldest = ".".join(map(str, facts.version)), ".".join(map(str, OLDEST))
    if facts.version >= OLDEST:
        yield ok(f"Kubernetes {text} at {facts.server} ({oldest} or later is needed)")
    else:
        yield failed(
            f"Kubernetes {text} at {facts.server} is too old",
            f"Upgrade the cluster to {oldest} or later: the Docker daemon beside a job is a native sidecar.",
        )


def crds(facts: Facts, ours: Schemas) -> Iterator[Finding]:
    """The CRDs are there, and know the fields that this command line knows."""
    if isinstance(facts.served, ApiError):
        absent = facts.served.status == 404  # noqa: PLR2004  HTTP's own
        yield failed("the CRDs are not installed", _INSTALL) if absent else unknown("CRDs", facts.served)
        return
    missing = [plural for plural in (names.PLURAL, names.POOL_PLURAL) if plural not in facts.served]
    if missing:
        yield failed(f"the CRD of {' and '.join(missing)} is not installed", _UPGRADE)
        return
    if isinstance(facts.schemas, ApiError):
        yield unknown("CRDs are installed; whether they are current", facts.schemas)
        return
    lacking, more = fields_apart(ours, facts.schemas)
    if lacking:
        yield failed(
            f"the CRDs are older than this cijob: they lack {_some(lacking)}",
            f"{_UPGRADE}, or use the cijob of the operator's version.",
        )
    elif more:
        yield warning(f"the CRDs are newer than this cijob: it does not know {_some(more)}", "Upgrade cijob.")
    else:
        yield ok("CRDs of CiJobs and BuildPools are installed and current")


def operator(facts: Facts) -> Iterator[Finding]:
    """An operator is at work, and serves the namespace."""
    unseen = list(_unseen(facts))
    if isinstance(facts.operators, ApiError):
        if not unseen:
            yield unknown(
                "the operator", facts.operators, "A CiJob that stays Pending would show that none is at work."
            )
    elif not facts.operators:
        yield failed("no operator is installed", _INSTALL)
    else:
        for one in facts.operators:
            yield from _one_operator(one)
        if not any(not one.serves or facts.namespace in one.serves for one in facts.operators):
            yield failed(
                f"no operator serves the namespace {facts.namespace}",
                "Use one of "
                + ", ".join(sorted({name for one in facts.operators for name in one.serves}))
                + ", or add it to the chart's value `namespaces`.",
            )
    yield from unseen


def _one_operator(one: Operator) -> Iterator[Finding]:
    namespace, _, name = one.name.partition("/")
    look = f"kubectl --namespace {namespace} logs deployment/{name}"
    if not one.ready:
        yield failed(f"the operator {one.name} has no replica that is ready", look)
    elif one.alive is None:
        yield ok(f"operator {one.name}: {one.ready} ready")
    elif one.alive:
        yield ok(f"operator {one.name}: {one.ready} ready, {one.leader.partition('_')[0]} leads")
    else:
        yield failed(f"the operator {one.name} does nothing: nobody renews its Lease", look)


def _unseen(facts: Facts) -> Iterator[Finding]:
    """A CiJob that nobody has looked at shows that there is no operator, to those too who may not see it."""
    if isinstance(facts.jobs, ApiError):
        return
    waiting = [
        job["metadata"]["name"]
        for job in facts.jobs
        if (job.get("status") or {}).get("phase", "Pending") == "Pending"
        and not (job.get("status") or {}).get("reason")
        and facts.now - datetime.fromisoformat(job["metadata"]["creationTimestamp"]) > _UNSEEN
    ]
    if waiting:
        yield failed(
            f"no operator looks at the CiJobs in the namespace {facts.namespace}: {_some(waiting)}",
            "Ask who runs the cluster whether the operator runs, and serves this namespace.",
        )


def fields_apart(ours: Schemas, theirs: Schemas) -> tuple[list[str], list[str]]:
    """Fields, such as `CiJob.spec.timeout`, that only we know; and those that only they know."""
    here, there = _paths(ours), _paths(theirs)
    return sorted(_topmost(here - there)), sorted(_topmost(there - here))


def _paths(schemas: Schemas) -> set[str]:
    found: set[str] = set()
    for kind, schema in schemas.items():
        for part in ("spec", "status"):
            _walk(schema.get("properties", {}).get(part, {}), f"{kind}.{part}", found)
    return found


def _walk(schema: Mapping[str, Any], path: str, found: set[str]) -> None:
    found.add(path)
    for name, child in schema.get("properties", {}).items():
        _walk(child, f"{path}.{name}", found)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            _walk(inner, path, found)


def _topmost(paths: set[str]) -> set[str]:
    """Without what lies below another of them."""
    return {path for path in paths if path.rpartition(".")[0] not in paths}


def _some(texts: list[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
