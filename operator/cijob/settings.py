"""Settings of the operator process, read once from the environment (`CIJOB_OPERATOR_*`), as the chart writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cijob.errors import ConfigurationError
from cijob.quantities import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "CIJOB_OPERATOR_"
_WEEK: Final = 7 * 86400
_YEAR: Final = 365 * 86400


def _image(value: str) -> str:
    if not value.strip():
        raise ValueError("must name an image")
    return value.strip()


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", value):
        raise ValueError("must be a name as Kubernetes has them, such as cijob-operator")
    return value


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.strip().isdecimal() or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return parse


def _mtu(value: str) -> str:
    return str(_number(576, 65535)(value)) if value.strip() else ""


def _address_pools(value: str) -> tuple[str, ...]:
    for pool in _words(value):
        network, _, size = pool.rpartition("/")
        try:
            fits = ip_network(network).prefixlen <= int(size) <= ip_network(network).max_prefixlen
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{pool} must be a network and the size of its parts, such as 10.210.0.0/16/24")
    return _words(value)


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return parse


def _resources(value: str) -> Mapping[str, str]:
    pairs = [word.partition("=") for word in _words(value)]
    for name, _, quantity in pairs:
        if not name or not quantity:
            raise ValueError("must look like cpu=100m,memory=128Mi")
        parse_quantity(quantity)
    return MappingProxyType({name: quantity for name, _, quantity in pairs})


def _setting(parse: Callable[[str], Any], default: str) -> Any:  # noqa: ANN401  a field of any type
    return field(default_factory=lambda: parse(default), metadata={"parse": parse})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What who installs the operator may choose. Each field is the variable `CIJOB_OPERATOR_<NAME>`."""

    dind_image: str = _setting(_image, "docker:29-dind")
    dind_image_pull_policy: str = _setting(_one_of("Always", "IfNotPresent", "Never"), "IfNotPresent")
    #: Has git and ssh; empty: the image of the daemon, which has both, and which the node has already.
    git_image: str = _setting(str.strip, "")
    git_image_pull_policy: str = _setting(_one_of("Always", "IfNotPresent", "Never"), "IfNotPresent")
    #: URLs of pull-through mirrors of Docker Hub that each daemon uses.
    registry_mirrors: tuple[str, ...] = _setting(_words, "")
    #: host:port of registries that each daemon may speak plain HTTP to.
    insecure_registries: tuple[str, ...] = _setting(_words, "")
    #: MTU of Docker's networks in bytes; empty: that of the Pod's own interface.
    mtu: str = _setting(_mtu, "")
    #: CIDR/size of the networks that Docker makes, such as 10.210.0.0/16/24; empty: Docker's own choice.
    address_pools: tuple[str, ...] = _setting(_address_pools, "")
    job_requests: Mapping[str, str] = _setting(_resources, "cpu=100m,memory=128Mi,ephemeral-storage=256Mi")
    dind_requests: Mapping[str, str] = _setting(_resources, "cpu=100m,memory=256Mi,ephemeral-storage=1Gi")
    service_requests: Mapping[str, str] = _setting(_resources, "cpu=100m,memory=128Mi,ephemeral-storage=256Mi")
    default_timeout_seconds: int = _setting(_number(1, _WEEK), "3600")
    default_ttl_seconds: int = _setting(_number(0, _YEAR), "86400")
    #: How long a Pod gets to end after SIGTERM: the after script and the daemon's shutdown fit in.
    termination_grace_seconds: int = _setting(_number(1, _WEEK), "60")
    #: How long an image may fail to be pulled, or a Secret be missing, before that is the verdict.
    waiting_grace_seconds: int = _setting(_number(0, _WEEK), "120")
    #: What to do about a job whose node is unreachable: wait until its Pod is gone, or run the job again elsewhere.
    on_node_lost: str = _setting(_one_of("Wait", "Retry"), "Wait")
    #: How long after the end of a deleted Pod's grace period its node counts as lost, with Retry.
    node_lost_grace_seconds: int = _setting(_number(0, _WEEK), "300")
    #: The namespaces that the operator serves; empty: all.
    namespaces: tuple[str, ...] = _setting(_words, "")
    #: The Lease by which one process leads: all that serve the same CiJobs must name the same.
    lease_namespace: str = _setting(_name, "default")
    lease_name: str = _setting(_name, "cijob-operator")
    relist_seconds: int = _setting(_number(1, _WEEK), "300")
    health_port: int = _setting(_number(1, 65535), "8080")
    log_format: str = _setting(_one_of("json", "console"), "json")
    log_level: str = _setting(_one_of("debug", "info", "warning", "error"), "info")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from environment variables; what is not set has its default.

        Raises:
            ConfigurationError: a variable is unknown or its value unusable; the message names it.
        """
        known = {PREFIX + spec.name.upper(): spec for spec in fields(cls)}
        values: dict[str, Any] = {}
        for variable, value in environment.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                raise ConfigurationError(
                    f"{variable} is not a setting of the operator: remove it, or write one of {', '.join(sorted(known))}"
                )
            spec = known[variable]
            try:
                values[spec.name] = spec.metadata["parse"](value)
            except ValueError as error:
                raise ConfigurationError(f"{variable}={value!r} cannot be used: {error}") from error
        return cls(**values)
