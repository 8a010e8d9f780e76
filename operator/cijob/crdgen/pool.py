"""The CustomResourceDefinition of BuildPool as a value, and the API server's own checks of one."""

from __future__ import annotations

from typing import Any

from cijob import limits as say
from cijob.crdgen.definition import Definition, keyed
from cijob.crdgen.rules import AMOUNT, RESOURCE_NAMES, Rule, duration, matches, resources
from cijob.crdgen.schema import Schema, structural
from cijob.names import POOL_KIND, POOL_PLURAL
from cijob.pool import BuildPoolSpec, BuildPoolStatus

_TIMEOUT = duration(say.MIN_TIMEOUT, say.MAX_TIMEOUT, say.SAY_TIMEOUT)
_OWN_KEYS = " && ".join(f"!k.split('/')[0].endsWith('{domain}')" for domain in say.RESERVED_DOMAINS)
_KEYS = (Rule(f"self.all(k, {_OWN_KEYS})", say.SAY_POD_METADATA),)

_RULES: dict[str, tuple[Rule, ...]] = {
    "": (Rule(matches(say.JOB_NAME, "self.metadata.name"), say.SAY_NAME),),
    "spec": (
        Rule(
            "!has(self.docker) || !has(self.docker.isolation) || self.docker.isolation != 'RuntimeClass' || "
            "(has(self.placement) && has(self.placement.runtimeClassName))",
            say.SAY_RUNTIME_CLASS,
            "docker",
        ),
    ),
    "spec.defaults.timeout": _TIMEOUT,
    "spec.defaults.queueTimeout": _TIMEOUT,
    "spec.limits.timeout": _TIMEOUT,
    "spec.nodeLostGrace": _TIMEOUT,
    **resources("spec.defaults.resources"),
    **resources("spec.defaults.docker.resources"),
    "spec.defaults.docker.storage.size": AMOUNT,
    **{
        path: rules
        for base in ("spec.limits.resources", "spec.limits.docker.resources")
        for path, rules in ((base, RESOURCE_NAMES), (f"{base}{{}}", AMOUNT))
    },
    "spec.limits.docker.storage": AMOUNT,
    "spec.images[]": (Rule(matches(say.IMAGE), say.SAY_IMAGE),),
    "spec.docker.image": (Rule(matches(say.IMAGE), say.SAY_IMAGE),),
    "spec.docker.mirrors[]": (Rule(matches(say.MIRROR), say.SAY_MIRROR),),
    "spec.docker.insecureRegistries[]": (Rule(matches(say.REGISTRY), say.SAY_REGISTRY),),
    "spec.docker.addressPools[].base": (Rule("isCIDR(self)", say.SAY_CIDR),),
    "spec.placement.tolerations[]": (
        Rule("has(self.key) && self.key != '' || has(self.operator) && self.operator == 'Exists'", say.SAY_TOLERATION),
    ),
    "spec.podMetadata.labels": _KEYS,
    "spec.podMetadata.annotations": _KEYS,
}

_EXTRAS: dict[str, Schema] = {
    "status": {"default": {"running": 0, "queued": 0}},
    "status.conditions": keyed("type"),
}

_COLUMNS = (
    {"name": "Running", "type": "integer", "jsonPath": ".status.running"},
    {"name": "Queued", "type": "integer", "jsonPath": ".status.queued"},
    {"name": "Capacity", "type": "integer", "jsonPath": ".spec.capacity.running"},
    {"name": "Policy", "type": "string", "jsonPath": ".spec.stopPolicy"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)


def pool_crd() -> dict[str, Any]:
    """The CRD that `crds/` holds."""
    return Definition(
        kind=POOL_KIND,
        plural=POOL_PLURAL,
        short="bp",
        scope="Cluster",
        description="Capacity for CiJobs that a platform team offers: how many run at once, where, with which rules.",
        parts=_parts(),
        rules=_RULES[""],
        columns=[dict(column) for column in _COLUMNS],
    ).crd()


def pool_documented() -> dict[str, Schema]:
    """The schemas of spec and status with the operator's defaults, which the API server does not fill in."""
    return _parts(("default",))


def _parts(also: tuple[str, ...] = ()) -> dict[str, Schema]:
    return {
        "spec": structural(BuildPoolSpec, "spec", _RULES, _EXTRAS, also),
        "status": structural(BuildPoolStatus, "status", _RULES, _EXTRAS, also),
    }
