"""The CiJob that runs another one's spec again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cijob import names

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names the CiJob that this one repeats.
ANNOTATION_RETRY_OF: Final = f"{names.GROUP}/retry-of"
#: Not the job's but the way's by which it came: a tool that finds its mark on another object would take it for its own.
_OF_TOOLS: Final = (f"{names.GROUP}/", "kubectl.kubernetes.io/", "argocd.argoproj.io/", "meta.helm.sh/")
#: What has been asked of the old one only.
_OF_THE_RUN: Final = frozenset({"cancel", "suspend"})


def manifest_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest, ready to be created, of a raw CiJob: its spec without cancel and suspend, under a new name."""
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
        "spec": {key: value for key, value in job["spec"].items() if key not in _OF_THE_RUN},
    }


def stem(meta: Mapping[str, Any]) -> str:
    """The generateName of a CiJob's like: its own, or its name with a dash; a retry of a retry does not grow."""
    return str(meta.get("generateName") or f"{meta['name']}-")


def _own(pairs: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (pairs or {}).items() if not key.startswith(_OF_TOOLS)}
