"""From the raw body of a CiJob, as the API server sends it, to a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cijob.errors import InvalidSpec
from cijob.models import CiJob, CiJobHead, CiJobSpec, CiJobStatus
from cijob.pool import BuildPool, BuildPoolSpec, BuildPoolStatus
from cijob.problems import sentences
from cijob.validation import validate_pool

_NOTHING: Mapping[str, Any] = {}


def parse(body: Mapping[str, Any]) -> CiJob:
    """The CiJob of a body. Unknown fields are ignored; rules that span fields are left to `validation.validate_spec`.

    Raises:
        InvalidSpec: a field is missing or malformed; `parse_head` reads the rest then.
    """
    try:
        spec = CiJobSpec.model_validate(body.get("spec", _NOTHING))
    except ValidationError as error:
        raise InvalidSpec(sentences(error, "spec")) from None
    return CiJob(spec=spec, **_head(body))


def parse_head(body: Mapping[str, Any]) -> CiJobHead:
    """The head of a CiJob's body, whatever its spec holds.

    Raises:
        InvalidSpec: the metadata or the status is malformed, which no API server sends.
    """
    return CiJobHead(**_head(body))


def parse_pool(body: Mapping[str, Any]) -> BuildPool:
    """The BuildPool of a body. Unknown fields are ignored.

    Raises:
        InvalidSpec: a field is malformed.
    """
    try:
        spec = BuildPoolSpec.model_validate(body.get("spec") or _NOTHING)
        status = BuildPoolStatus.model_validate(body.get("status") or _NOTHING)
    except ValidationError as error:
        raise InvalidSpec(sentences(error, "spec")) from None
    problems = validate_pool(spec)
    if problems:
        raise InvalidSpec(problems)
    meta = body["metadata"]
    return BuildPool(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=int(meta["resourceVersion"]),
        generation=int(meta.get("generation", 0)),
        spec=spec,
        status=status,
    )


def _head(body: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a CiJobHead."""
    try:
        status = CiJobStatus.model_validate(body.get("status") or _NOTHING)
    except ValidationError as error:
        raise InvalidSpec(sentences(error, "status")) from None
    meta = body.get("metadata")
    if not isinstance(meta, Mapping):
        raise InvalidSpec(["metadata: is missing; write at least metadata.name"])
    try:
        return {
            "name": str(meta["name"]),
            "namespace": str(meta["namespace"]),
            "uid": str(meta["uid"]),
            "resource_version": int(meta["resourceVersion"]),
            "generation": int(meta.get("generation", 0)),
            "creation_timestamp": _time(meta.get("creationTimestamp")),
            "deletion_timestamp": _time(meta.get("deletionTimestamp")),
            "status": status,
        }
    except KeyError as error:
        raise InvalidSpec([f"metadata.{error.args[0]}: is missing"]) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidSpec([f"metadata: is malformed ({error})"]) from None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
