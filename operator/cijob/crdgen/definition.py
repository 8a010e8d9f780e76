"""What every CustomResourceDefinition of ours has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.names import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.crdgen.rules import Rule
    from cijob.crdgen.schema import Schema


def keyed(key: str) -> Schema:
    """A list whose items have a key: the API server refuses a second one, in linear time (a rule could not)."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What is a kind's own."""

    kind: str
    plural: str
    short: str
    scope: str
    description: str
    #: The schemas of spec and status.
    parts: dict[str, Schema]
    #: What holds for the object as a whole.
    rules: Sequence[Rule]
    columns: list[dict[str, Any]]
    #: Paths of fields that `--field-selector` knows.
    selectable: Sequence[str] = ()

    def crd(self) -> dict[str, Any]:
        """The CustomResourceDefinition."""
        names = {
            "kind": self.kind,
            "listKind": f"{self.kind}List",
            "plural": self.plural,
            "singular": self.kind.lower(),
            "shortNames": [self.short],
            "categories": ["ci"],
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {"group": GROUP, "names": names, "scope": self.scope, "versions": [self._version()]},
        }

    def _version(self) -> dict[str, Any]:
        paths = [{"jsonPath": path} for path in self.selectable]
        return {
            "name": VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": self.columns,
            **({"selectableFields": paths} if paths else {}),
            "schema": {"openAPIV3Schema": self._schema()},
        }

    def _schema(self) -> Schema:
        return {
            "description": self.description,
            "type": "object",
            "required": ["spec"],
            "properties": {
                # kubectl explain and strict clients know these three by themselves; they stand here for the rules below.
                "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
                "kind": {"type": "string", "description": self.kind},
                "metadata": {"type": "object"},
                **self.parts,
            },
            "x-kubernetes-validations": [rule.as_dict() for rule in self.rules],
        }
