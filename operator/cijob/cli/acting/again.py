"""The CiJob that runs another one's spec again. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.cli.files.ownlines import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names the CiJob that this one repeats.
ANNOTATION_RETRY_OF: Final = f"{names.GROUP}/retry-of"
#: Not the job's but the way's by which it came: a tool that finds its mark on another object would take it for its own.
_OF_TOOLS: Final = (f"{names.GROUP}/", "kubectl.kubernetes.io/", "argocd.argoproj.io/", "meta.helm.sh/")
#: What has been asked of the old one only.
_OF_THE_RUN: Final = frozenset({"cancel", "suspend"})
#: The end of a generated name (`creation.generated_name`).
_GENERATED: Final = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}$")


def manifest_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest, ready to be created, of a raw CiJob: its spec without cancel and suspend, under a new name.

    Entries that wait for the command which made the old one are left out: nobody would answer them.
    """
    meta = job["metadata"]
    annotations = {**_own(meta.get("annotations")), ANNOTATION_RETRY_OF: meta["name"]}
    labels = _own(meta.get("labels"))
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "generateName": stem(meta),
            **({"labels": labels} if labels else {}),
            "annotations": annotations,
        },
        "spec": _alone({key: value for key, value in job["spec"].items() if key not in _OF_THE_RUN}),
    }


def had_files(job: Mapping[str, Any]) -> bool:
    """Whether files were brought into the job by the command that made it."""
    return any(_waits(entry) for entry in job["spec"].get("beforeScript") or ())


def gave_artifacts(job: Mapping[str, Any]) -> bool:
    """Whether the command that made the job took artifacts out of it."""
    return any(_waits(entry) for entry in job["spec"].get("afterScript") or ())


def _alone(spec: dict[str, Any]) -> dict[str, Any]:
    for field in ("beforeScript", "afterScript"):
        entries = [entry for entry in spec.pop(field, None) or () if not _waits(entry)]
        spec |= {field: entries} if entries else {}
    return spec


def _waits(entry: str) -> bool:
    return entry.startswith(MARK)


def stem(meta: Mapping[str, Any]) -> str:
    """The generateName of a CiJob's like: its own, or its name without what a generated one ends with.

    So the name of a retry's retry is no longer than that of a retry.
    """
    return str(meta.get("generateName") or f"{_GENERATED.sub('', meta['name'])}-")


def _own(pairs: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (pairs or {}).items() if not key.startswith(_OF_TOOLS)}
