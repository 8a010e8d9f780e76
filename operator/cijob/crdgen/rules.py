"""The API server's own checks: CEL rules by the path of the field that they stand on.

Rules about presence stand on the object that holds the field, so that they see it appear and go. Paths are those of the
schema: `[]` is an item of a list, `{}` a value of a map.
"""

from __future__ import annotations

from dataclasses import dataclass

from cijob import limits as say
from cijob.models import CiJobSpec
from cijob.quantities import DURATION, QUANTITY

MUTABLE = frozenset({"cancel", "priority", "suspend", "ttlSecondsAfterFinished"})
"""Fields of the spec that may change after the creation."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of x-kubernetes-validations."""

    rule: str
    message: str
    field: str = ""
    """The field below the rule's own place that the message is shown with."""

    def as_dict(self) -> dict[str, str]:
        """The entry as the schema holds it."""
        entry = {"rule": self.rule, "message": self.message}
        return entry | {"fieldPath": f".{self.field}"} if self.field else entry


def matches(pattern: str, subject: str = "self") -> str:
    """The CEL expression of a pattern that matches the whole of a text."""
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"{subject}.matches('^({escaped})$')"


#: Lists with keys are equal in any order, but here the order matters: $(NAME) sees only what stands before it, and the
#: first Secret is special. By field, what shows the order.
_ORDERED = {
    "env": "e, e.name",
    "services": "s, [s.name] + (has(s.env) ? s.env.map(e, e.name) : [])",
    "imagePullSecrets": "s, s.name",
}


def _immutable(field: str) -> Rule:
    same = f"self.{field} == oldSelf.{field}"
    if field in _ORDERED:
        order = _ORDERED[field]
        same = f"({same} && self.{field}.map({order}) == oldSelf.{field}.map({order}))"
    return Rule(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})",
        f"{field} cannot change: a CiJob is one run; create another one, with generateName for a name of its own",
        field,
    )


def _script_only(field: str) -> Rule:
    return Rule(f"!has(self.{field}) || !has(self.command)", say.SAY_SCRIPT_ONLY.format(field, field), field)


def duration(shortest: str, longest: str, message: str) -> tuple[Rule, ...]:
    """The rules of a duration with bounds."""
    valid = f"{matches(DURATION)} && size(self) > 0"
    bounds = f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')"
    return (Rule(valid, say.SAY_DURATION), Rule(f"!({valid}) || ({bounds})", message))


def _total(*terms: str) -> str:
    """The sum over optional fields: a term is `field: expression of the field's size`."""
    pairs = (term.split(": ", 1) for term in terms)
    return " + ".join(f"(has(self.{field}) ? {size} : 0)" for field, size in pairs)


_SCRIPT_SIZE = _total(
    *(f"{field}: self.{field}.map(e, size(e)).sum()" for field in ("script", "beforeScript", "afterScript"))
)
_ENV_SIZE = _total(
    "variables: self.variables.map(k, size(k) + size(self.variables[k])).sum()",
    "env: self.env.map(e, size(e.name) + (has(e.value) ? size(e.value) : 0)).sum()",
)
_NUL = (Rule(r"!self.contains('\u0000')", say.SAY_NUL),)
_OBJECT_NAME = (Rule(matches(say.OBJECT_NAME), say.SAY_OBJECT_NAME),)
_DATA_KEY = (Rule(matches(say.DATA_KEY), say.SAY_DATA_KEY),)
AMOUNT = (Rule(f"type(self) == int ? self >= 0 : {matches(QUANTITY)}", say.SAY_QUANTITY),)
RESOURCE_NAMES = (Rule(f"self.all(k, {matches(say.RESOURCE, 'k')})", say.SAY_RESOURCE),)


def resources(path: str) -> dict[str, tuple[Rule, ...]]:
    """The rules of requests and limits at a path."""
    request, limit = (f"quantity(string(self.{side}[k]))" for side in ("requests", "limits"))
    within = (
        "!has(self.requests) || !has(self.limits) || "
        f"self.requests.all(k, !(k in self.limits) || {request}.compareTo({limit}) <= 0)"
    )
    return {
        path: (Rule(within, say.SAY_REQUEST, "requests"),),
        f"{path}.requests": RESOURCE_NAMES,
        f"{path}.limits": RESOURCE_NAMES,
        f"{path}.requests{{}}": AMOUNT,
        f"{path}.limits{{}}": AMOUNT,
    }


_BOTH = Rule(
    "!has(self.variables) || !has(self.env) || self.env.all(e, !(e.name in self.variables))", say.SAY_BOTH, "env"
)

_SPEC = (
    Rule("has(self.script) != has(self.command)", say.SAY_ONE_OF),
    Rule("!has(self.args) || has(self.command)", say.SAY_ARGS, "args"),
    *(_script_only(field) for field in ("beforeScript", "afterScript", "shell")),
    Rule(f"{_SCRIPT_SIZE} <= {say.SCRIPT_BYTES}", say.SAY_SCRIPT_BYTES, "script"),
    _BOTH,
    Rule(f"{_ENV_SIZE} <= {say.ENV_BYTES}", say.SAY_ENV_BYTES),
    Rule(
        f"!has(self.services) || self.services.all(s, !has(s.ports) || !({say.DOCKER_PORT} in s.ports)) || (has(self.docker) && "
        "(has(self.docker.enabled) && !self.docker.enabled || has(self.docker.endpoint) && self.docker.endpoint == 'Unix'))",
        say.SAY_DOCKER_PORT,
        "services",
    ),
    *(_immutable(field.alias or name) for name, field in CiJobSpec.model_fields.items() if field.alias not in MUTABLE),
    Rule(
        "!has(oldSelf.cancel) || (has(self.cancel) && (self.cancel == oldSelf.cancel || self.cancel == 'Immediate'))",
        "cancel is never taken back: it may only go from Graceful to Immediate",
        "cancel",
    ),
)


def _env(path: str) -> dict[str, tuple[Rule, ...]]:
    """The rules of `variables` and `env` below a path."""
    return {
        f"{path}.variables": (
            Rule(f"self.all(k, {matches(say.VARIABLE, 'k')})", say.SAY_VARIABLE),
            Rule(f"self.all(k, !k.startsWith('{say.RESERVED_PREFIX}'))", say.SAY_RESERVED),
        ),
        f"{path}.variables{{}}": _NUL,
        f"{path}.env[]": (Rule("!has(self.value) || !has(self.valueFrom)", say.SAY_VALUE),),
        f"{path}.env[].name": (
            Rule(matches(say.VARIABLE), say.SAY_VARIABLE),
            Rule(f"!self.startsWith('{say.RESERVED_PREFIX}')", say.SAY_RESERVED),
        ),
        f"{path}.env[].value": _NUL,
        f"{path}.env[].valueFrom": (
            Rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef), has(self.resourceFieldRef)]"
                ".exists_one(given, given)",
                say.SAY_VALUE_FROM,
            ),
        ),
        f"{path}.env[].valueFrom.secretKeyRef.name": _OBJECT_NAME,
        f"{path}.env[].valueFrom.secretKeyRef.key": _DATA_KEY,
        f"{path}.env[].valueFrom.configMapKeyRef.name": _OBJECT_NAME,
        f"{path}.env[].valueFrom.configMapKeyRef.key": _DATA_KEY,
        f"{path}.env[].valueFrom.fieldRef.fieldPath": (Rule(matches(say.FIELD_PATH), say.SAY_FIELD_PATH),),
        f"{path}.env[].valueFrom.resourceFieldRef.resource": (
            Rule(matches(say.RESOURCE_FIELD), say.SAY_RESOURCE_FIELD),
        ),
        f"{path}.env[].valueFrom.resourceFieldRef.divisor": AMOUNT,
    }


_ENV_FROM = {
    "spec.envFrom[]": (Rule("has(self.secretRef) != has(self.configMapRef)", say.SAY_ENV_FROM),),
    "spec.envFrom[].prefix": (
        Rule(f"self == '' || {matches(say.VARIABLE)}", say.SAY_VARIABLE),
        Rule(f"!self.startsWith('{say.RESERVED_PREFIX}')", say.SAY_RESERVED),
    ),
    "spec.envFrom[].secretRef.name": _OBJECT_NAME,
    "spec.envFrom[].configMapRef.name": _OBJECT_NAME,
}

_SERVICES = {
    "spec.services": (
        Rule(
            "self.all(a, !has(a.ports) || a.ports.all(p, self.exists_one(b, has(b.ports) && p in b.ports)))",
            say.SAY_ONE_PORT,
        ),
    ),
    "spec.services[]": (_BOTH,),
    "spec.services[].name": (
        Rule(matches(say.JOB_NAME), say.SAY_SERVICE_NAME),
        Rule(f"!(self in {list(say.RESERVED_SERVICES)})", say.SAY_SERVICE_RESERVED),
    ),
    "spec.services[].image": (Rule(matches(say.IMAGE), say.SAY_IMAGE),),
    **{f"spec.services[].{field}[]": _NUL for field in ("command", "args", "ready")},
    **{f"spec.services[].{field}": (Rule("self[0] != ''", say.SAY_COMMAND),) for field in ("command", "ready")},
    **_env("spec.services[]"),
    "spec.services[].startTimeout": duration(say.MIN_SERVICE_TIMEOUT, say.MAX_SERVICE_TIMEOUT, say.SAY_SERVICE_TIMEOUT),
    **resources("spec.services[].resources"),
}

_GIT = {
    "spec.source.git": (Rule("!has(self.credentialsSecretRef) || !self.url.startsWith('http://')", say.SAY_GIT_PLAIN),),
    "spec.source.git.url": (Rule(matches(say.GIT_URL), say.SAY_GIT_URL),),
    "spec.source.git.ref": (Rule(matches(say.GIT_REF), say.SAY_GIT_REF),),
    "spec.source.git.credentialsSecretRef.name": _OBJECT_NAME,
}

RULES: dict[str, tuple[Rule, ...]] = {
    "": (Rule(matches(say.JOB_NAME, "self.metadata.name"), say.SAY_NAME),),
    "spec": _SPEC,
    "spec.poolName": (Rule(matches(say.JOB_NAME), say.SAY_POOL),),
    "spec.image": (Rule(matches(say.IMAGE), say.SAY_IMAGE),),
    **{f"spec.{field}[]": _NUL for field in ("script", "beforeScript", "afterScript", "command", "args")},
    "spec.command": (Rule("self[0] != ''", say.SAY_COMMAND),),
    **_env("spec"),
    **_ENV_FROM,
    **_GIT,
    **_SERVICES,
    "spec.imagePullSecrets[].name": _OBJECT_NAME,
    "spec.workingDir": (
        Rule(matches(say.WORKING_DIR), say.SAY_WORKING_DIR),
        Rule(f"!{matches(say.DOTTED_DIR)}", say.SAY_DOTTED_DIR),
        Rule(f"!{matches(say.SYSTEM_DIR)}", say.SAY_SYSTEM_DIR),
    ),
    **resources("spec.resources"),
    "spec.docker": (
        Rule(
            "!has(self.enabled) || self.enabled || "
            "!(has(self.endpoint) || has(self.resources) || has(self.storage) || has(self.startTimeout))",
            say.SAY_DOCKER_OFF,
        ),
    ),
    **resources("spec.docker.resources"),
    "spec.docker.storage.size": (
        *AMOUNT,
        Rule("quantity(string(self)).isGreaterThan(quantity('0'))", say.SAY_STORAGE_SIZE),
    ),
    "spec.docker.startTimeout": duration(say.MIN_START_TIMEOUT, say.MAX_START_TIMEOUT, say.SAY_START_TIMEOUT),
    "spec.retry": (Rule("!has(self.when) || (has(self.limit) && self.limit > 0)", say.SAY_RETRY_LIMIT),),
    "spec.retry.when": (Rule("has(self.reasons) || has(self.exitCodes)", say.SAY_RETRY_WHEN),),
    "spec.timeout": duration(say.MIN_TIMEOUT, say.MAX_TIMEOUT, say.SAY_TIMEOUT),
    "spec.queueTimeout": duration(say.MIN_TIMEOUT, say.MAX_TIMEOUT, say.SAY_TIMEOUT),
}
