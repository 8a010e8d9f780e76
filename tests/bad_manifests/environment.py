"""Variables and what they are taken from."""

from __future__ import annotations

from typing import Any

from cijob import limits as say
from tests.bad_manifests.table import Bad, both


def _env(**entry: object) -> dict[str, Any]:
    return {"env": [{"name": "TOKEN", **entry}]}


def _from(**source: object) -> dict[str, Any]:
    return _env(valueFrom=source)


ENV: list[Bad] = [
    Bad(
        what="variable is a number",
        spec={"variables": {"DEPTH": 1}},
        at="spec.variables",
        server="must be of type string",
        operator="must be text (quote it",
    ),
    Bad(
        what="variables are a list",
        spec={"variables": ["A=1"]},
        at="spec.variables",
        server="must be of type object",
        operator="must be a map",
    ),
    Bad(
        what="257 variables",
        spec={"variables": {f"V{index}": "" for index in range(257)}},
        at="spec.variables",
        server="must have at most 256 items",
        operator="has more than 256 entries",
    ),
    Bad(
        what="an endless variable",
        spec={"variables": {"LONG": "x" * 32769}},
        at="spec.variables",
        server="may not be more than 32768",
        operator="is longer than 32768 characters",
    ),
    both(
        "variables over 256 KiB together",
        "spec",
        say.SAY_ENV_BYTES,
        {"variables": {f"V{index}": "x" * 32768 for index in range(8)}},
    ),
    both("variable starts with a digit", "spec.variables", say.SAY_VARIABLE, {"variables": {"1ST": "x"}}),
    both("variable with a space", "spec.variables", say.SAY_VARIABLE, {"variables": {"MY VAR": "x"}}),
    both("variable with a line break", "spec.variables", say.SAY_VARIABLE, {"variables": {"A\n": "x"}}),
    both("variable of the operator", "spec.variables", say.SAY_RESERVED, {"variables": {"CIJOB_NAME": "x"}}),
    both("NUL in a variable", "spec.variables[A]", say.SAY_NUL, {"variables": {"A": "\0"}}),
    Bad(
        what="env without a name",
        spec={"env": [{"value": "1"}]},
        at="spec.env[0].name",
        server="Required value",
        operator="is missing",
    ),
    Bad(
        what="env is text",
        spec={"env": "A=1"},
        at="spec.env",
        server="must be of type array",
        operator="must be a list",
    ),
    both("env with a bad name", "spec.env[0].name", say.SAY_VARIABLE, {"env": [{"name": "A=B", "value": "1"}]}),
    both("env of the operator", "spec.env[0].name", say.SAY_RESERVED, {"env": [{"name": "CIJOB_UID", "value": "1"}]}),
    Bad(
        what="env twice",
        spec={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        at="spec.env",
        server='spec.env[1]: Duplicate value: {"name":"A"}',
        operator=say.SAY_TWICE,
    ),
    both(
        "in variables and in env",
        "spec.env",
        say.SAY_BOTH,
        {"variables": {"A": "1"}, "env": [{"name": "A", "value": "2"}]},
    ),
    both("NUL in env", "spec.env[0].value", say.SAY_NUL, _env(value="\0")),
    both(
        "value and valueFrom",
        "spec.env[0]",
        say.SAY_VALUE,
        _env(value="x", valueFrom={"secretKeyRef": {"name": "registry", "key": "token"}}),
    ),
    both("valueFrom nothing", "spec.env[0].valueFrom", say.SAY_VALUE_FROM, _from()),
    both(
        "valueFrom two",
        "spec.env[0].valueFrom",
        say.SAY_VALUE_FROM,
        _from(secretKeyRef={"name": "a", "key": "b"}, configMapKeyRef={"name": "a", "key": "b"}),
    ),
    Bad(
        what="secret without a key",
        spec=_from(secretKeyRef={"name": "registry"}),
        at="spec.env[0].valueFrom.secretKeyRef.key",
        server="Required value",
        operator="is missing",
    ),
    both(
        "secret with a bad name",
        "spec.env[0].valueFrom.secretKeyRef.name",
        say.SAY_OBJECT_NAME,
        _from(secretKeyRef={"name": "Registry", "key": "token"}),
    ),
    both(
        "secret with a bad key",
        "spec.env[0].valueFrom.secretKeyRef.key",
        say.SAY_DATA_KEY,
        _from(secretKeyRef={"name": "registry", "key": "to/ken"}),
    ),
    both(
        "config map with a bad name",
        "spec.env[0].valueFrom.configMapKeyRef.name",
        say.SAY_OBJECT_NAME,
        _from(configMapKeyRef={"name": "a_b", "key": "token"}),
    ),
    both(
        "config map with a bad key",
        "spec.env[0].valueFrom.configMapKeyRef.key",
        say.SAY_DATA_KEY,
        _from(configMapKeyRef={"name": "a", "key": "a b"}),
    ),
    both(
        "a field that a Pod does not offer",
        "spec.env[0].valueFrom.fieldRef.fieldPath",
        say.SAY_FIELD_PATH,
        _from(fieldRef={"fieldPath": "spec.containers"}),
    ),
    both(
        "a resource that is none",
        "spec.env[0].valueFrom.resourceFieldRef.resource",
        say.SAY_RESOURCE_FIELD,
        _from(resourceFieldRef={"resource": "memory"}),
    ),
    both(
        "a divisor that is no quantity",
        "spec.env[0].valueFrom.resourceFieldRef.divisor",
        say.SAY_QUANTITY,
        _from(resourceFieldRef={"resource": "limits.memory", "divisor": "MB"}),
    ),
    Bad(
        what="a resource of an unknown container",
        spec=_from(resourceFieldRef={"resource": "limits.memory", "containerName": "main"}),
        at="spec.env[0].valueFrom.resourceFieldRef.containerName",
        server='supported values: "job", "dind"',
        operator="must be one of: 'job' or 'dind'",
    ),
    both("envFrom nothing", "spec.envFrom[0]", say.SAY_ENV_FROM, {"envFrom": [{"prefix": "A_"}]}),
    both(
        "envFrom two",
        "spec.envFrom[0]",
        say.SAY_ENV_FROM,
        {"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "a"}}]},
    ),
    both(
        "envFrom with a bad prefix",
        "spec.envFrom[0].prefix",
        say.SAY_VARIABLE,
        {"envFrom": [{"secretRef": {"name": "a"}, "prefix": "1_"}]},
    ),
    both(
        "envFrom with the operator's prefix",
        "spec.envFrom[0].prefix",
        say.SAY_RESERVED,
        {"envFrom": [{"secretRef": {"name": "a"}, "prefix": "CIJOB_"}]},
    ),
    both(
        "envFrom a bad secret",
        "spec.envFrom[0].secretRef.name",
        say.SAY_OBJECT_NAME,
        {"envFrom": [{"secretRef": {"name": "-a"}}]},
    ),
    both(
        "envFrom a bad config map",
        "spec.envFrom[0].configMapRef.name",
        say.SAY_OBJECT_NAME,
        {"envFrom": [{"configMapRef": {"name": "A"}}]},
    ),
]
