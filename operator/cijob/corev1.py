"""The parts of Kubernetes' core/v1 that a CiJob may use: an allowlist, not the whole of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of all API types: frozen, camelCase on the wire, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


Quantity = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        coerce_numbers_to_str=True,
        json_schema_extra={"x-kubernetes-int-or-string": True},
    ),
]
"""A Kubernetes quantity as text; the API also takes a whole number."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an object in the CiJob's namespace."""

DataKey = Annotated[str, Field(min_length=1, max_length=253)]
"""A key of a Secret or a ConfigMap."""

EnvName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of an environment variable."""


class SecretKeyRef(Model):
    """One key of a Secret."""

    name: ObjectName
    """Name of the Secret, in the CiJob's own namespace."""
    key: DataKey
    """The key whose value is taken."""
    optional: StrictBool | None = None
    """Whether the job may start without the Secret or the key. False when unset."""


class ConfigMapKeyRef(Model):
    """One key of a ConfigMap."""

    name: ObjectName
    """Name of the ConfigMap, in the CiJob's own namespace."""
    key: DataKey
    """The key whose value is taken."""
    optional: StrictBool | None = None
    """Whether the job may start without the ConfigMap or the key. False when unset."""


class FieldRef(Model):
    """A field of the job's Pod."""

    field_path: Annotated[str, Field(min_length=1, max_length=512)]
    """Path of the field: metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'],
    metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or
    status.podIPs."""


class ResourceFieldRef(Model):
    """A request or limit of a container of the job's Pod."""

    container_name: Literal["job", "dind"] | None = None
    """The container that is asked: job (the script's) or dind (the Docker daemon's). The variable's own when unset."""
    resource: Annotated[str, Field(min_length=1, max_length=128)]
    """What is asked: limits or requests, a dot, then cpu, memory or ephemeral-storage, such as limits.memory."""
    divisor: Quantity | None = None
    """The unit of the result, such as 1Mi for a number of mebibytes. 1 when unset."""


class EnvVarSource(Model):
    """Where the value of an environment variable comes from: exactly one of its fields is set."""

    secret_key_ref: SecretKeyRef | None = None
    """The value is a key of a Secret."""
    config_map_key_ref: ConfigMapKeyRef | None = None
    """The value is a key of a ConfigMap."""
    field_ref: FieldRef | None = None
    """The value is a field of the job's Pod."""
    resource_field_ref: ResourceFieldRef | None = None
    """The value is a request or limit of a container of the job's Pod."""


class EnvVar(Model):
    """An environment variable, as in a Pod."""

    name: EnvName
    """Name of the variable. Names that start with CIJOB_ belong to the operator."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """The value. As in a Pod, $(NAME) is replaced by an earlier variable and $$ stands for one $; variables is the field
    for text that must stay as it is. Empty when value and valueFrom are unset."""
    value_from: EnvVarSource | None = None
    """Where the value comes from, instead of value. Exactly one of its fields is needed."""


class SecretRef(Model):
    """A whole Secret."""

    name: ObjectName
    """Name of the Secret, in the CiJob's own namespace."""
    optional: StrictBool | None = None
    """Whether the job may start without the Secret. False when unset."""


class ConfigMapRef(Model):
    """A whole ConfigMap."""

    name: ObjectName
    """Name of the ConfigMap, in the CiJob's own namespace."""
    optional: StrictBool | None = None
    """Whether the job may start without the ConfigMap. False when unset."""


class EnvFromSource(Model):
    """A Secret or a ConfigMap whose keys all become environment variables."""

    prefix: Annotated[str, Field(max_length=253)] | None = None
    """Text put before each key, such as APP_. None when unset."""
    secret_ref: SecretRef | None = None
    """The Secret. Exactly one of secretRef and configMapRef is needed."""
    config_map_ref: ConfigMapRef | None = None
    """The ConfigMap. Exactly one of secretRef and configMapRef is needed."""


ResourceList = Annotated[dict[Annotated[str, Field(min_length=1, max_length=253)], Quantity], Field(max_length=16)]
"""Amounts by resource name."""


class Resources(Model):
    """What a container asks for and may use at most, as in a Pod."""

    requests: ResourceList | None = None
    """What the scheduler sets aside, by resource name: cpu, memory, ephemeral-storage, or a vendor's such as
    nvidia.com/gpu. For cpu, memory and ephemeral-storage the operator's default when unset."""
    limits: ResourceList | None = None
    """What it may use at most, by resource name. More cpu is not given, what takes more memory is killed, and more
    ephemeral-storage ends the job. None when unset."""
