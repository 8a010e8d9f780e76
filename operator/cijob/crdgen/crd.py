"""The CustomResourceDefinition of CiJob as a value."""

from __future__ import annotations

from typing import Any

from cijob.crdgen.rules import RULES
from cijob.crdgen.schema import Schema, structural
from cijob.models import DEFAULT_WORKING_DIR, CiJobSpec, CiJobStatus
from cijob.names import DEFAULT_POOL, GROUP, KIND, PLURAL, VERSION


def _keyed(key: str) -> Schema:
    """A list whose items have a key: the API server refuses a second one, in linear time (a rule could not)."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


_EXTRAS: dict[str, Schema] = {
    "spec.poolName": {"default": DEFAULT_POOL},
    "spec.workingDir": {"default": DEFAULT_WORKING_DIR},
    # Reads show a phase from the first moment on, without a write of the operator.
    "status": {"default": {"phase": "Pending"}},
    "status.conditions": _keyed("type"),
    "spec.retry.when.reasons": {"x-kubernetes-list-type": "set"},
    "spec.retry.when.exitCodes": {"x-kubernetes-list-type": "set"},
    "spec.env": _keyed("name"),
    "spec.services": _keyed("name"),
    "spec.services[].env": _keyed("name"),
    "spec.services[].ports": {"x-kubernetes-list-type": "set"},
    "spec.imagePullSecrets": _keyed("name"),
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
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["cij"],
                "categories": ["ci"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def documented() -> dict[str, Schema]:
    """The schemas of spec and status with the operator's defaults, which the API server does not fill in."""
    return _parts(("default",))


def _parts(also: tuple[str, ...] = ()) -> dict[str, Schema]:
    return {
        "spec": structural(CiJobSpec, "spec", RULES, _EXTRAS, also),
        "status": structural(CiJobStatus, "status", RULES, _EXTRAS, also),
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
        "selectableFields": [{"jsonPath": ".spec.poolName"}, {"jsonPath": ".status.phase"}],
        "schema": {"openAPIV3Schema": _schema()},
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return column | {"priority": priority} if priority else column


def _schema() -> Schema:
    return {
        "description": "One run of a CI job: a Pod with a container for its commands and, beside it, a Docker daemon of "
        "its own. The outcome is in the status.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            # kubectl explain and strict clients know these three by themselves; they stand here for the rules below.
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"type": "object"},
            **_parts(),
        },
        "x-kubernetes-validations": [rule.as_dict() for rule in RULES[""]],
    }
