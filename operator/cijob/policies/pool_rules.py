"""What a pool makes of a CiJob: its defaults filled in, its limits where none was set, and what it does not allow.

| | a job that says nothing gets | a job that says more than the limit |
| --- | --- | --- |
| `timeout`, `ttlSecondsAfterFinished` | the pool's default, else the operator's; never above the limit | `NotAllowed` |
| limits of cpu, memory and ephemeral-storage, `docker.storage.size` | the pool's default, else the pool's limit | `NotAllowed` |
| limits of other resources | the pool's default | `NotAllowed` |
| requests of resources | the pool's default, else the operator's; never above the job's own limit | `NotAllowed` |
| `retry` | the pool's default; never above the limit | `NotAllowed` |
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cijob.corev1 import Resources
from cijob.parts import Storage
from cijob.pool import PoolDefaults, PoolLimits
from cijob.quantities import parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.models import CiJobSpec
    from cijob.parts import Docker, Retry
    from cijob.pool import BuildPoolSpec, LabelSelector
    from cijob.settings import Settings

_HUB: Final = "docker.io"
#: A job that does not ask for another resource, such as a GPU, gets none, whatever the most is that it might have.
_FILLED: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_NO_DEFAULTS: Final = PoolDefaults()
_NO_LIMITS: Final = PoolLimits()


def with_life(spec: CiJobSpec, pool: BuildPoolSpec, settings: Settings, *, over: bool = False) -> CiJobSpec:
    """The spec with the times and the retries that it has in a pool: what the job left open is the pool's choice.

    Of a job that is over, a time to live that was raised since counts up to the pool's limit.
    """
    defaults, limits = pool.defaults, pool.limits
    if defaults == _NO_DEFAULTS and limits == _NO_LIMITS:
        return spec
    changes: dict[str, Any] = {
        "timeout": spec.timeout or _shorter(defaults.timeout, f"{settings.default_timeout_seconds}s", limits.timeout),
        "queue_timeout": spec.queue_timeout or defaults.queue_timeout,
        "retry": _retry(spec.retry, pool),
        "ttl_seconds_after_finished": _ttl(spec, pool, settings, over=over),
    }
    return spec.model_copy(update=changes)


def with_resources(spec: CiJobSpec, pool: BuildPoolSpec) -> CiJobSpec:
    """The spec with the resources that it has in a pool. It must be a good one: its quantities are read."""
    defaults, limits = pool.defaults, pool.limits
    if defaults == _NO_DEFAULTS and limits == _NO_LIMITS:
        return spec
    daemon = limits.docker.resources if limits.docker is not None else None
    changes: dict[str, Any] = {
        "resources": _resources(spec.resources, defaults.resources, limits.resources),
        "docker": _docker(spec.docker, pool, daemon) if spec.docker.enabled else spec.docker,
    }
    if spec.services:
        changes["services"] = tuple(
            service.model_copy(update={"resources": _resources(service.resources, None, limits.resources)})
            for service in spec.services
        )
    return spec.model_copy(update=changes)


def with_pool_settings(settings: Settings, pool: BuildPoolSpec) -> Settings:
    """The operator's settings for the Pods of a pool."""
    docker = pool.docker
    given: dict[str, Any] = {}
    if docker.image is not None:
        given["dind_image"] = docker.image
    if docker.mirrors is not None:
        given["registry_mirrors"] = docker.mirrors
    if docker.insecure_registries is not None:
        given["insecure_registries"] = docker.insecure_registries
    if docker.mtu is not None:
        given["mtu"] = str(docker.mtu)
    if docker.address_pools is not None:
        given["address_pools"] = tuple(f"{one.base}/{one.size}" for one in docker.address_pools)
    if pool.on_node_lost is not None:
        given["on_node_lost"] = str(pool.on_node_lost)
    if pool.node_lost_grace is not None:
        given["node_lost_grace_seconds"] = parse_duration(pool.node_lost_grace)
    return replace(settings, **given) if given else settings


def not_allowed(spec: CiJobSpec, pool: BuildPoolSpec) -> list[str]:
    """What a pool does not let a job have: `field: its value; the limit` each. The spec is the job's own."""
    return [*_too_long(spec, pool), *_too_much(spec, pool), *_too_often(spec, pool), *_other_images(spec, pool)]


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a namespace with these labels may use the pool."""
    if selector is None:
        return True
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    for rule in selector.match_expressions or ():
        there, value = rule.key in labels, labels.get(rule.key)
        fits = {
            "In": there and value in rule.values,
            "NotIn": not there or value not in rule.values,
            "Exists": there,
            "DoesNotExist": not there,
        }
        if not fits[rule.operator]:
            return False
    return True


def full_name(image: str) -> str:
    """An image's name as Docker completes it: `ubuntu` is `docker.io/library/ubuntu:latest`.

    Source: distribution/reference (ParseNormalizedNamed).
    """
    first, slash, rest = image.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = _HUB, image
    if first in {_HUB, "index.docker.io"}:
        first, rest = _HUB, rest if "/" in rest else f"library/{rest}"
    tagged = "@" in rest or ":" in rest.rpartition("/")[2]
    return f"{first}/{rest}" if tagged else f"{first}/{rest}:latest"


def _too_long(spec: CiJobSpec, pool: BuildPoolSpec) -> Iterator[str]:
    limits = pool.limits
    if limits.timeout and spec.timeout and parse_duration(spec.timeout) > parse_duration(limits.timeout):
        yield f"spec.timeout: {spec.timeout}; at most {limits.timeout}"
    ttl, most = spec.ttl_seconds_after_finished, limits.ttl_seconds_after_finished
    if most is not None and ttl is not None and ttl > most:
        yield f"spec.ttlSecondsAfterFinished: {ttl}; at most {most}"


def _too_much(spec: CiJobSpec, pool: BuildPoolSpec) -> Iterator[str]:
    limits = pool.limits
    yield from _above(spec.resources, limits.resources, "spec.resources")
    for index, service in enumerate(spec.services or ()):
        yield from _above(service.resources, limits.resources, f"spec.services[{index}].resources")
    if limits.docker is not None:
        yield from _above(spec.docker.resources, limits.docker.resources, "spec.docker.resources")
        size, most = spec.docker.storage.size if spec.docker.storage else None, limits.docker.storage
        if size and most and parse_quantity(size) > parse_quantity(most):
            yield f"spec.docker.storage.size: {size}; at most {most}"


def _above(resources: Resources | None, most: Mapping[str, str] | None, path: str) -> Iterator[str]:
    for field, amounts in (("requests", resources and resources.requests), ("limits", resources and resources.limits)):
        for name, amount in (amounts or {}).items():
            limit = (most or {}).get(name)
            if limit is not None and parse_quantity(amount) > parse_quantity(limit):
                yield f"{path}.{field}.{name}: {amount}; at most {limit}"


def _too_often(spec: CiJobSpec, pool: BuildPoolSpec) -> Iterator[str]:
    most = pool.limits.retries
    if most is None:
        return
    for field, count in (("limit", spec.retry.limit), ("infra_limit", spec.retry.infra_limit)):
        if field in spec.retry.model_fields_set and count > most:
            yield f"spec.retry.{'limit' if field == 'limit' else 'infraLimit'}: {count}; at most {most}"


def _other_images(spec: CiJobSpec, pool: BuildPoolSpec) -> Iterator[str]:
    if pool.images is None:
        return
    images = [("spec.image", spec.image)]
    images += [(f"spec.services[{index}].image", service.image) for index, service in enumerate(spec.services or ())]
    for path, image in images:
        if not any(_glob(pattern).fullmatch(name) for pattern in pool.images for name in (image, full_name(image))):
            yield f"{path}: {image}; one of {', '.join(pool.images)}"


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


def _shorter(default: str | None, otherwise: str, most: str | None) -> str:
    chosen = default or otherwise
    return chosen if most is None or parse_duration(chosen) <= parse_duration(most) else most


def _resources(own: Resources | None, default: Resources | None, most: Mapping[str, str] | None) -> Resources | None:
    own_limits, own_requests = ((own and own.limits) or {}), ((own and own.requests) or {})
    filled = {name: amount for name, amount in (most or {}).items() if name in _FILLED}
    limits = {**filled, **_within((default and default.limits) or {}, most), **own_limits}
    requests = {**_within((default and default.requests) or {}, most), **own_requests}
    for name, amount in requests.items():
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            # A request of the job's own moves a limit that is not; a default request keeps below every limit.
            if name in own_requests and name not in own_limits:
                limits[name] = amount
            else:
                requests[name] = limits[name]
    return Resources(requests=requests or None, limits=limits or None) if limits or requests else own


def _within(amounts: Mapping[str, str], most: Mapping[str, str] | None) -> dict[str, str]:
    """A pool's defaults, none above its limits."""
    return {name: _less(amount, (most or {}).get(name)) for name, amount in amounts.items()}


def _less(amount: str, most: str | None) -> str:
    return amount if most is None or parse_quantity(amount) <= parse_quantity(most) else most


def _docker(own: Docker, pool: BuildPoolSpec, most: Mapping[str, str] | None) -> Docker:
    default, limits = pool.defaults.docker, pool.limits.docker
    resources = _resources(own.resources, default.resources if default else None, most)
    largest = limits.storage if limits is not None else None
    storage = own.storage or (default.storage if default else None)
    if largest is not None and (storage is None or storage.size is None):
        storage = Storage(size=largest, medium=storage.medium if storage else None)
    elif storage is not None and storage.size is not None:
        storage = storage.model_copy(update={"size": _less(storage.size, largest)})
    return own.model_copy(update={"resources": resources, "storage": storage})


def _retry(own: Retry, pool: BuildPoolSpec) -> Retry:
    default, most, changes = pool.defaults.retry, pool.limits.retries, {}
    for field in ("limit", "infra_limit"):
        if field not in own.model_fields_set:
            chosen = getattr(default, field) if default is not None else None
            count = getattr(own, field) if chosen is None else chosen
            changes[field] = count if most is None else min(count, most)
    return own.model_copy(update=changes)


def _ttl(spec: CiJobSpec, pool: BuildPoolSpec, settings: Settings, *, over: bool) -> int:
    own, default = spec.ttl_seconds_after_finished, pool.defaults.ttl_seconds_after_finished
    if own is not None and not over:
        return own
    most = pool.limits.ttl_seconds_after_finished
    chosen = next(value for value in (own, default, settings.default_ttl_seconds) if value is not None)
    return chosen if most is None else min(chosen, most)
