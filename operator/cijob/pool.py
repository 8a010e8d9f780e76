"""The BuildPool API, version cijob.dev/v1alpha1: capacity that a platform team offers, and its rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StrictInt

from cijob.corev1 import Model, Quantity, ResourceList, Resources
from cijob.models import Condition
from cijob.parts import Duration, Storage
from cijob.reasons import Reason

Count = Annotated[StrictInt, Field(ge=0, le=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=253)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]


class StopPolicy(StrEnum):
    """Whether a pool admits jobs, as in Kueue."""

    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


class Isolation(StrEnum):
    """What keeps the Docker daemon from its node."""

    PRIVILEGED = "Privileged"
    RUNTIME_CLASS = "RuntimeClass"


class OnNodeLost(StrEnum):
    """What happens to a job whose node is unreachable."""

    WAIT = "Wait"
    RETRY = "Retry"


class Capacity(Model):
    """How many jobs run at once."""

    running: Count | None = None
    """In all. No limit when unset."""
    per_namespace: Count | None = None
    """In one namespace. No limit when unset."""


class SelectorRequirement(Model):
    """A rule for one label."""

    key: LabelKey
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """In, NotIn, Exists or DoesNotExist."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=64)] = ()
    """The values of In and NotIn."""


class LabelSelector(Model):
    """Labels that a namespace has to have, all of them."""

    match_labels: Labels | None = None
    """Labels with their values."""
    match_expressions: Annotated[tuple[SelectorRequirement, ...], Field(max_length=16)] | None = None
    """Rules for labels."""


class DaemonDefaults(Model):
    """What the Docker daemon of a job gets that does not say otherwise."""

    resources: Resources | None = None
    """Requests and limits of the daemon and of all containers that it runs."""
    storage: Storage | None = None
    """The volume for its images, containers and volumes."""


class RetryDefaults(Model):
    """How often a job runs again that does not say otherwise."""

    limit: Annotated[StrictInt, Field(ge=0, le=10)] | None = None
    """After failures of its own."""
    infra_limit: Annotated[StrictInt, Field(ge=0, le=10)] | None = None
    """After trouble that is not its own."""


class PoolDefaults(Model):
    """What a job gets that does not say otherwise."""

    timeout: Duration | None = None
    """How long an attempt may take, such as 1h."""
    queue_timeout: Duration | None = None
    """How long a job may wait for its turn, such as 2h."""
    resources: Resources | None = None
    """Requests and limits of the job container, resource by resource."""
    docker: DaemonDefaults | None = None
    """What the Docker daemon gets."""
    retry: RetryDefaults | None = None
    """How often it runs again."""
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0, le=31536000)] | None = None
    """Seconds after the end until it is deleted."""


class DaemonLimits(Model):
    """The most that the Docker daemon of a job may ask for."""

    resources: ResourceList | None = None
    """By resource name."""
    storage: Quantity | None = None
    """The size of its volume, such as 100Gi."""


class PoolLimits(Model):
    """The most that a job may ask for. A job that asks for more is refused; one that does not say gets this at most."""

    timeout: Duration | None = None
    """Of spec.timeout."""
    resources: ResourceList | None = None
    """Of the job container and of each service, by resource name. What has no limit of its own gets this one."""
    docker: DaemonLimits | None = None
    """Of the Docker daemon. What has no limit of its own gets this one."""
    retries: Annotated[StrictInt, Field(ge=0, le=10)] | None = None
    """Of spec.retry.limit and of spec.retry.infraLimit."""
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0, le=31536000)] | None = None
    """Of spec.ttlSecondsAfterFinished."""


class AddressPool(Model):
    """A range of addresses for networks that Docker makes."""

    base: Annotated[str, Field(min_length=1, max_length=43)]
    """The whole range, such as 10.210.0.0/16."""
    size: Annotated[StrictInt, Field(ge=1, le=128)]
    """The size of each network in it, as a length of prefix such as 24."""


class PoolDocker(Model):
    """The Docker daemons of a pool."""

    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """The image of the daemon, pinned by digest best. The operator's when unset."""
    isolation: Isolation = Isolation.PRIVILEGED
    """Privileged (also when unset): a job's author is root on the nodes of the pool. RuntimeClass: the daemon is not
    privileged, and placement.runtimeClassName names a runtime that lets it work all the same, such as Sysbox or Kata."""
    mirrors: Annotated[tuple[Name, ...], Field(max_length=16)] | None = None
    """URLs of pull-through mirrors of Docker Hub, such as https://mirror.example.com. The operator's when unset."""
    insecure_registries: Annotated[tuple[Name, ...], Field(max_length=16)] | None = None
    """HOST:PORT of registries without TLS. The operator's when unset."""
    mtu: Annotated[StrictInt, Field(ge=576, le=65535)] | None = None
    """MTU of Docker's networks in bytes. That of the Pod's interface when unset."""
    address_pools: Annotated[tuple[AddressPool, ...], Field(max_length=16)] | None = None
    """Where Docker takes its networks from. Its own choice when unset."""


class Toleration(Model):
    """A taint of nodes that jobs of the pool put up with, as in a Pod."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """The taint's key; every key when unset, with the operator Exists."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists or Equal (also when unset)."""
    value: LabelValue | None = None
    """The taint's value, with Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; every effect when unset."""
    toleration_seconds: StrictInt | None = None
    """With NoExecute: how long."""


class Placement(Model):
    """The nodes of a pool."""

    node_selector: Labels | None = None
    """Labels that the nodes have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Taints of the nodes that keep everything else away."""
    affinity: (
        Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] | None
    ) = None
    """Further rules for the choice of a node, as in a Pod."""
    runtime_class_name: Name | None = None
    """The container runtime of the Pods."""
    priority_class_name: Name | None = None
    """The PriorityClass of the Pods."""


class PodMetadata(Model):
    """What each Pod of a pool carries, for cost accounting or a service mesh; the operator's own names are not possible."""

    labels: Labels | None = None
    """Labels."""
    annotations: Annotated[dict[LabelKey, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] | None = None
    """Annotations."""


class BuildPoolSpec(Model):
    """What the pool offers, and to whom."""

    capacity: Capacity = Capacity()
    """How many jobs run at once. No limit when unset."""
    stop_policy: StopPolicy = StopPolicy.NONE
    """Hold: no job starts, what runs goes on. HoldAndDrain: what runs is stopped too, and runs again once the pool is open.
    None when unset."""
    namespace_selector: LabelSelector | None = None
    """Labels of the namespaces whose jobs may run here. All when unset."""
    images: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...], Field(max_length=64)] | None = (
        None
    )
    """Images that jobs and services may have, by their full names, such as docker.io/library/ubuntu:* or
    registry.example.com/team/*; * stands for any text. All when unset."""
    defaults: PoolDefaults = PoolDefaults()
    """What a job gets that does not say otherwise."""
    limits: PoolLimits = PoolLimits()
    """The most that a job may ask for."""
    docker: PoolDocker = PoolDocker()
    """The Docker daemons of the pool."""
    placement: Placement = Placement()
    """The nodes of the pool."""
    pod_metadata: PodMetadata = PodMetadata()
    """What each Pod carries."""
    on_node_lost: OnNodeLost | None = None
    """Wait: a job whose node is unreachable waits until its Pod is gone. Retry: it runs again elsewhere, while the lost one
    may still run. The operator's default (Wait) when unset."""
    node_lost_grace: Duration | None = None
    """With Retry: how long after the end of the Pod's own grace, such as 5m. The operator's default (5m) when unset."""


class PoolCondition(Condition):
    """One aspect of the pool's state, as on other Kubernetes objects."""

    type: Literal["Ready"]
    """Ready."""


NO_RULES: Final = BuildPoolSpec()


class BuildPoolStatus(Model):
    """How the pool is used, written by the operator every few seconds at most."""

    running: StrictInt = 0
    """Pods of its jobs that have not ended."""
    queued: StrictInt = 0
    """Jobs that wait for their turn."""
    conditions: Annotated[tuple[PoolCondition, ...], Field(max_length=16)] = ()
    """Ready: whether jobs are admitted."""
    observed_generation: StrictInt | None = None
    """The metadata.generation that the status speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPool:
    """An observed BuildPool."""

    name: str
    uid: str
    resource_version: int
    generation: int
    spec: BuildPoolSpec
    status: BuildPoolStatus = field(default_factory=BuildPoolStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """The job's pool as one job sees it."""

    spec: BuildPoolSpec
    #: Whether the job's attempt has been given a turn.
    admitted: bool = True
    #: Why it has to wait; None if there is room, so that its turn comes at once or goes to another.
    reason: Reason | None = Reason.POOL_AT_CAPACITY
    #: Whether the pool is there for the job's namespace.
    selected: bool = True


OPEN: Final = PoolView(spec=NO_RULES)
"""A pool without limits and rules."""
