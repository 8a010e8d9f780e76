"""The CustomResourceDefinition of CiJob as a value."""

from __future__ import annotations

from typing import Any

from cijob.crdgen.definition import Definition, keyed
from cijob.crdgen.rules import RULES
from cijob.crdgen.schema import Schema, structural
from cijob.models import DEFAULT_WORKING_DIR, CiJobSpec, CiJobStatus
from cijob.names import DEFAULT_POOL, KIND, PLURAL

_EXTRAS: dict[str, Schema] = {
    "spec.poolName": {"default": DEFAULT_POOL},
    "spec.workingDir": {"default": DEFAULT_WORKING_DIR},
    # Reads show a phase from the first moment on, without a write of the operator.
    "status": {"default": {"phase": "Pending"}},
    "status.conditions": keyed("type"),
    "spec.retry.when.reasons": {"x-kubernetes-list-type": "set"},
    "spec.retry.when.exitCodes": {"x-kubernetes-list-type": "set"},
    "spec.env": keyed("name"),
    "spec.services": keyed("name"),
    "spec.services[].env": keyed("name"),
    "spec.services[].ports": {"x-kubernetes-list-type": "set"},
    "spec.imagePullSecrets": keyed("name"),
}

_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Reason", "string", ".status.reason", 0),
    ("Exit", "integer", ".status.exitCode", 0),
    ("Attempt", "integer", ".status.attempt", 0),
    ("Pool", "string", ".spec.poolName", 0),
    ("Pod", "string", ".status.podName", 1),
    ("Node", "string", ".status.nodeName", 1),
    ("Started", "date", ".status.startTime", 1),
    ("Finished", "date", ".status.completionTime", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def cijob_crd() -> dict[str, Any]:
    """The CRD that `crds/` holds."""
    return Definition(
        kind=KIND,
        plural=PLURAL,
        short="cij",
        scope="Namespaced",
        description="One run of a CI job: a Pod with a container for its commands and, beside it, a Docker daemon of "
        "its own. The outcome is in the status.",
        parts=_parts(),
        rules=RULES[""],
        columns=[_column(*column) for column in _COLUMNS],
        selectable=(".spec.poolName", ".status.phase"),
    ).crd()


def documented() -> dict[str, Schema]:
    """The schemas of spec and status with the operator's defaults, which the API server does not fill in."""
    return _parts(("default",))


def _parts(also: tuple[str, ...] = ()) -> dict[str, Schema]:
    return {
        "spec": structural(CiJobSpec, "spec", RULES, _EXTRAS, also),
        "status": structural(CiJobStatus, "status", RULES, _EXTRAS, also),
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | {"priority": priority} if priority else column
