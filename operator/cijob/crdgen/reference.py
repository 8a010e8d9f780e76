"""docs/reference.md and docs/reference-buildpool.md: the API as pages, from the same schema as the CRDs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cijob.crdgen.crd import cijob_crd, documented
from cijob.crdgen.pool import pool_crd, pool_documented
from cijob.crdgen.rules import MUTABLE
from cijob.names import API_VERSION, KIND, POOL_KIND
from cijob.reasons import INFRASTRUCTURE, MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.crdgen.schema import Schema

_TYPES = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}
_PLURALS = {"text": "texts", "whole number": "whole numbers", "object": "objects", "quantity": "quantities"}
_LISTS = {"map": "one per `{}`", "set": "each once"}
_UNITS = {"Length": " characters", "Items": " entries", "Properties": " entries", "imum": ""}
_HEAD = """\
# Reference of {kind}

<!-- Generated from operator/cijob/{source} by `make crds` (python -m cijob.crdgen --write): change it there. -->

Every field of `{api_version}`, kind `{kind}`, with its type, bounds and default. In italics below some: what the API server
answers to a value that it refuses. {more}
"""
_MORE = """\
`kubectl explain cij.spec` prints the same descriptions, [usage.md](usage.md) tells how the
fields work together, and [examples/](../examples) has each of them in use."""
_MORE_OF_POOLS = """\
`kubectl explain bp.spec` prints the same descriptions, and [pools.md](pools.md) tells
how the fields work together."""


def reference() -> str:
    """The page of CiJob."""
    head = _HEAD.format(kind=KIND, source="models.py", api_version=API_VERSION, more=_MORE)
    return "\n".join([head, _kubectl(cijob_crd()), *_all(documented()), _reasons()])


def pool_reference() -> str:
    """The page of BuildPool."""
    head = _HEAD.format(kind=POOL_KIND, source="pool.py", api_version=API_VERSION, more=_MORE_OF_POOLS)
    return "\n".join([head, _kubectl(pool_crd()), *_all(pool_documented())])


def _all(parts: dict[str, Schema]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name, node in parts.items():
        yield from _sections(name, node, seen)


def _sections(path: str, node: Schema, seen: dict[str, str]) -> Iterator[str]:
    """The section of an object, then those of the objects below it; one that was there before is only referred to."""
    rules = node.get("x-kubernetes-validations", ())
    said = [_said(rule) for rule in rules if "fieldPath" not in rule]
    lines = [f"## {path}", "", node["description"], "", *said, *([""] if said else [])]
    below: list[tuple[str, Schema]] = []
    for name, child in node["properties"].items():
        section = ""
        if target := _object(f"{path}.{name}", child):
            section = seen.setdefault(_shape(target[1]), target[0])
            below += [target] if section == target[0] else []
        own = [rule for rule in rules if rule.get("fieldPath") == f".{name}"]
        lines += _field(name, child, section, [*own, *_rules(child)], required=name in node.get("required", ()))
    yield "\n".join([*lines, ""])
    for where, child in below:
        yield from _sections(where, child, seen)


def _object(path: str, node: Schema) -> tuple[str, Schema] | None:
    """The object that a field holds, itself or in a list, with its path."""
    if "items" in node:
        return _object(f"{path}[]", node["items"])
    return (path, node) if "properties" in node else None


def _shape(node: Schema) -> str:
    """What two objects have in common that need one section only."""
    return json.dumps({key: value for key, value in node.items() if key not in ("description", "default")})


def _field(name: str, node: Schema, section: str, rules: list[Schema], *, required: bool) -> Iterator[str]:
    facts = [_type(node), *(["required"] if required else []), *_bounds(node)]
    if isinstance(default := node.get("default"), str | int) and default != "":
        facts.append(f"default `{json.dumps(default) if isinstance(default, bool) else default}`")
    link = f" See [{section}](#{re.sub('[^a-z]', '', section.lower())})." if section else ""
    yield f"- **`{name}`** ({', '.join(facts)}): {node['description']}{link}"
    for line in dict.fromkeys(_said(rule) for rule in rules if not _fixed(name, rule)):
        yield f"  {line}"


def _type(node: Schema) -> str:
    if "x-kubernetes-int-or-string" in node:
        return "quantity"
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" if value else "empty" for value in node["enum"])
    if inner := _inner(node):
        kind = "list" if "items" in node else "map"
        return f"{kind}, each {_type(inner)}" if "enum" in inner else f"{kind} of {_PLURALS[_type(inner)]}"
    return "time" if node.get("format") == "date-time" else _TYPES[node["type"]]


def _bounds(node: Schema) -> list[str]:
    """The bounds of a field, and of each text or number in its list or map."""
    if "x-kubernetes-int-or-string" in node or "enum" in node:
        return []
    found = [_range(node.get(f"min{what}"), node.get(f"max{what}"), unit) for what, unit in _UNITS.items()]
    if (kind := node.get("x-kubernetes-list-type")) in _LISTS:
        found.append(_LISTS[kind].format("".join(node.get("x-kubernetes-list-map-keys", ()))))
    inner = _inner(node)
    each = _bounds(inner) if inner and "properties" not in inner else []
    return [*filter(None, found), *(f"each {bound}" for bound in each)]


def _inner(node: Schema) -> Schema:
    """What a list or a map holds; empty for all else."""
    return node.get("items") or node.get("additionalProperties") or {}


def _range(least: int | None, most: int | None, unit: str) -> str:
    if most is None:
        return "" if least is None else f"at least {least}{unit}"
    return f"at most {most}{unit}" if least is None else f"{least} to {most}{unit}"


def _rules(node: Schema) -> list[Schema]:
    """The rules of a field and of what its list or map holds; those of an object stand in its own section."""
    own = [] if "properties" in node else node.get("x-kubernetes-validations", [])
    return [*own, *(_rules(inner) if (inner := _inner(node)) else [])]


def _said(rule: Schema) -> str:
    return f"- *{_escaped(rule['message'])}*"


def _escaped(text: str) -> str:
    return re.sub(r"([*\\_\[\]<>])", r"\\\1", text)


def _fixed(name: str, rule: Schema) -> bool:
    """Whether a rule only says that a field cannot change, as most cannot."""
    return "oldSelf" in rule["rule"] and name not in MUTABLE


def _kubectl(crd: dict[str, Any]) -> str:
    """What kubectl knows beside the fields."""
    spec, version = crd["spec"], crd["spec"]["versions"][0]
    names = [spec["names"]["plural"], *spec["names"]["shortNames"]]
    columns = [
        [column["name"] for column in version["additionalPrinterColumns"] if column.get("priority", 0) == wide]
        for wide in (0, 1)
    ]
    wide = f"; with `-o wide` also {', '.join(columns[1])}" if columns[1] else ""
    selectors = [f"`--field-selector {field['jsonPath'][1:]}=...`" for field in version.get("selectableFields", ())]
    return "\n".join(
        [
            "## kubectl",
            "",
            f"- Names: {_code(names)}; `kubectl get {spec['names']['categories'][0]}` lists them too.",
            f"- Columns: {', '.join(columns[0])}{wide}.",
            *([f"- Selectors: {', '.join(selectors)}, beside `metadata.name` and labels."] if selectors else []),
            "",
        ]
    )


def _code(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _reasons() -> str:
    """All reasons of a status with their first sentence."""
    lines = [
        f"- **`{reason}`**{' (infrastructure)' if reason in INFRASTRUCTURE else ''}: {_escaped(text)}"
        for reason, text in MESSAGES.items()
    ]
    head = "The words in `status.reason`, and how `status.message` begins. Those of the infrastructure count under `spec.retry.infraLimit`."
    return "\n".join(["## Reasons", "", head, "", *lines, ""])
