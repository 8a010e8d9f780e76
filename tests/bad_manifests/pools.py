"""BuildPools that must be refused, and how much of it the operator says too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cijob import limits as say
from tests.bad_manifests.table import Bad, merged

GOOD_POOL: dict[str, Any] = {
    "apiVersion": "cijob.dev/v1alpha1",
    "kind": "BuildPool",
    "metadata": {"name": "builders"},
    "spec": {"capacity": {"running": 4}},
}


@dataclass(frozen=True, kw_only=True)
class BadPool(Bad):
    """A change of the good BuildPool's spec and what is said of it."""

    good: dict[str, Any] = field(default_factory=lambda: GOOD_POOL)

    def manifest(self) -> dict[str, Any]:
        """The whole bad BuildPool."""
        return merged(self.good, {"spec": self.spec, "metadata": self.metadata})


def _both(what: str, at: str, says: str, spec: dict[str, Any]) -> BadPool:
    """A pool that the API server and the operator refuse in the same words."""
    return BadPool(what=what, at=at, server=says, spec=spec)


def _server(what: str, at: str, says: str, spec: dict[str, Any]) -> BadPool:
    """A pool that only the API server refuses: the operator can live with it."""
    return BadPool(what=what, at=at, server=says, spec=spec, operator=None)


def _at(path: str, value: object) -> dict[str, Any]:
    """The spec with one field: `spec.a.b` to `{a: {b: value}}`."""
    for key in reversed(path.split(".")[1:]):
        value = {key: value}
    return value if isinstance(value, dict) else {}


_DURATIONS = ("spec.defaults.timeout", "spec.defaults.queueTimeout", "spec.limits.timeout", "spec.nodeLostGrace")
_RESOURCES = ("spec.defaults.resources", "spec.defaults.docker.resources")
_AMOUNTS = ("spec.limits.resources", "spec.limits.docker.resources")
_COUNTS = ("spec.capacity.running", "spec.capacity.perNamespace", "spec.limits.retries", "spec.defaults.retry.limit")

POOLS: list[BadPool] = [
    *(
        _both(
            f"toleration {one}",
            "spec.placement.tolerations[0]",
            say.SAY_TOLERATION,
            _at("spec.placement.tolerations", [one]),
        )
        for one in ({}, {"operator": "Equal", "value": "x"}, {"key": "", "effect": "NoSchedule"})
    ),
    *(_both(f"{path} in words", path, say.SAY_DURATION, _at(path, "an hour")) for path in _DURATIONS),
    *(_both(f"{path} of 0s", path, say.SAY_TIMEOUT, _at(path, "0s")) for path in _DURATIONS),
    *(_both(f"{path} above a week", path, say.SAY_TIMEOUT, _at(path, "169h")) for path in _DURATIONS),
    *(
        BadPool(
            what=f"negative {path}",
            at=path,
            spec=_at(path, -1),
            server="should be greater than or equal to 0",
            operator="must be 0 or more",
        )
        for path in _COUNTS
    ),
    *(
        _both(f"a misspelt limit in {path}", f"{path}.limits", say.SAY_RESOURCE, _at(f"{path}.limits", {"ram": "1Gi"}))
        for path in _RESOURCES
    ),
    *(
        _both(
            f"MB for a unit in {path}",
            f"{path}.limits[memory]",
            say.SAY_QUANTITY,
            _at(f"{path}.limits", {"memory": "1MB"}),
        )
        for path in _RESOURCES
    ),
    *(
        _both(
            f"a request above its limit in {path}",
            f"{path}.requests",
            say.SAY_REQUEST,
            _at(path, {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}),
        )
        for path in _RESOURCES
    ),
    *(
        _both(f"MB for a unit in {path}", f"{path}[cpu]", say.SAY_QUANTITY, _at(path, {"cpu": "1MB"}))
        for path in _AMOUNTS
    ),
    *(_server(f"a misspelt one of {path}", path, say.SAY_RESOURCE, _at(path, {"ram": "1Gi"})) for path in _AMOUNTS),
    *(
        _both(f"MB for a unit in {path}", path, say.SAY_QUANTITY, _at(path, "10GB"))
        for path in ("spec.limits.docker.storage", "spec.defaults.docker.storage.size")
    ),
    _both(
        "a RuntimeClass without its name",
        "spec.docker",
        say.SAY_RUNTIME_CLASS,
        {"docker": {"isolation": "RuntimeClass"}, "placement": {"nodeSelector": {"a": "b"}}},
    ),
    *(
        _both(f"{field} {key}", "spec.podMetadata", say.SAY_POD_METADATA, {"podMetadata": {field: {key: "x"}}})
        for field in ("labels", "annotations")
        for key in (
            "cijob.dev/pool",
            "app.kubernetes.io/managed-by",
            "karpenter.sh/do-not-disrupt",
            "x.k8s.io/a",
            "k8s.io/a",
        )
    ),
    *(
        BadPool(
            what=f"{path} {value!r}", at=path, spec=_at(path, value), server="Unsupported value", operator="must be"
        )
        for path, value in (
            ("spec.stopPolicy", "hold"),
            ("spec.docker.isolation", "Rootless"),
            ("spec.onNodeLost", "retry"),
        )
    ),
    _server("an image with a space", "spec.images[0]", say.SAY_IMAGE, {"images": ["ubuntu: 25.10"]}),
    _server(
        "a daemon's image with a space", "spec.docker.image", say.SAY_IMAGE, _at("spec.docker.image", "docker dind")
    ),
    _server(
        "a mirror without http", "spec.docker.mirrors[0]", say.SAY_MIRROR, _at("spec.docker.mirrors", ["mirror:5000"])
    ),
    _server(
        "an insecure registry with http",
        "spec.docker.insecureRegistries[0]",
        say.SAY_REGISTRY,
        _at("spec.docker.insecureRegistries", ["http://registry"]),
    ),
    _server(
        "addresses in words",
        "spec.docker.addressPools[0].base",
        say.SAY_CIDR,
        _at("spec.docker.addressPools", [{"base": "10.210", "size": 24}]),
    ),
    BadPool(
        what="half a pool of addresses",
        at="spec.docker.addressPools[0].size",
        spec=_at("spec.docker.addressPools", [{"base": "10.210.0.0/16"}]),
        server="Required value",
        operator="is missing",
    ),
    BadPool(
        what="an MTU below IPv4's least",
        at="spec.docker.mtu",
        spec=_at("spec.docker.mtu", 100),
        server="should be greater than or equal to 576",
        operator="must be 576 or more",
    ),
    _server("a misspelt field", "", 'unknown field "spec.capacity.runing"', _at("spec.capacity.runing", 1)),
    BadPool(
        what="a name with a dot",
        at="metadata",
        spec={},
        metadata={"name": "team.builders"},
        server=say.SAY_NAME,
        operator=None,
    ),
]
