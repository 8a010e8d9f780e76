"""From a pydantic model to the structural OpenAPI v3 schema that a CustomResourceDefinition holds."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from cijob.crdgen.rules import Rule

Schema = dict[str, Any]

_KEPT = (
    *("type", "format", "enum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minimum", "maximum"),
)


def structural(
    model: type[BaseModel],
    root: str,
    rules: Mapping[str, tuple[Rule, ...]],
    extras: Mapping[str, Schema],
    also: tuple[str, ...] = (),
) -> Schema:
    """The schema of a model, references resolved, with rules and other entries (`extras`) put in by path.

    `also` names entries of the model's JSON schema to keep beside the usual ones.

    Raises:
        ValueError: the model holds something that a structural schema cannot say.
    """
    source = model.model_json_schema(by_alias=True)
    return _Walk(source.get("$defs", {}), rules, extras, (*_KEPT, *also)).node(source, root)


class _Walk:
    """One walk through a JSON schema; keeps what stays the same on the way down."""

    def __init__(
        self,
        definitions: Schema,
        rules: Mapping[str, tuple[Rule, ...]],
        extras: Mapping[str, Schema],
        kept: tuple[str, ...],
    ) -> None:
        self._definitions = definitions
        self._rules = rules
        self._extras = extras
        self._kept = kept

    def node(self, source: Schema, path: str) -> Schema:
        """The structural form of one node."""
        source = self._resolved(source, path)
        out: Schema = {}
        if "description" in source:
            out["description"] = " ".join(inspect.cleandoc(source["description"]).split())
        if "x-kubernetes-int-or-string" in source:
            out |= {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
            source = {key: value for key, value in source.items() if key not in ("type", "minLength")}
        out |= {key: source[key] for key in self._kept if key in source}
        out |= self._inside(source, path)
        out |= self._extras.get(path, {})
        if path in self._rules:
            out["x-kubernetes-validations"] = [rule.as_dict() for rule in self._rules[path]]
        return out

    def _inside(self, source: Schema, path: str) -> Schema:
        """The entries for what a list, a map or an object holds."""
        if source.get("type") == "array":
            return {"items": self.node(source["items"], f"{path}[]"), "x-kubernetes-list-type": "atomic"}
        if source.get("x-kubernetes-preserve-unknown-fields"):
            return {"x-kubernetes-preserve-unknown-fields": True}
        if "additionalProperties" in source:
            return {"additionalProperties": self.node(source["additionalProperties"], f"{path}{{}}")}
        if "properties" not in source:
            return {}
        fields = {name: self.node(child, f"{path}.{name}") for name, child in source["properties"].items()}
        required = {"required": source["required"]} if source.get("required") else {}
        return {"properties": fields, **required}

    def _resolved(self, source: Schema, path: str) -> Schema:
        """A node without references and without null: in Kubernetes an unset field is absent."""
        outer = {key: value for key, value in source.items() if key not in ("$ref", "anyOf")}
        if "$ref" in source:
            return self._resolved(self._definitions[source["$ref"].removeprefix("#/$defs/")] | outer, path)
        if "anyOf" in source:
            choices = [choice for choice in source["anyOf"] if choice != {"type": "null"}]
            if len(choices) != 1:
                raise ValueError(f"{path}: a structural schema has no unions")
            return self._resolved(choices[0] | outer, path)
        return source
