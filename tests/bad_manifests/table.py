"""What a bad manifest is: a change of a good one, and what the refusal says."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

GOOD: dict[str, Any] = {
    "apiVersion": "cijob.dev/v1alpha1",
    "kind": "CiJob",
    "metadata": {"generateName": "manifest-"},
    "spec": {"image": "ubuntu:25.10", "script": ["echo hello"]},
}
NO_SCRIPT: dict[str, Any] = {"script": None, "command": ["/app/test"]}
"""The change that turns the good CiJob into one with a command."""


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A change of the good CiJob's spec (None removes a field) and what is said of it."""

    what: str
    spec: Any = field(default_factory=dict)
    at: str = "spec"
    """Path of the field that the message names."""
    server: str
    """Fragment of the API server's message."""
    operator: str | None = ""
    """Fragment of the operator's message: the server's where it is empty; None where only the server refuses."""
    metadata: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The whole bad CiJob."""
        changed = merged(GOOD, {"spec": self.spec} if isinstance(self.spec, dict) else {})
        if not isinstance(self.spec, dict):
            changed["spec"] = self.spec
        return merged(changed, {"metadata": self.metadata})


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A copy of a manifest with a change merged in, as a JSON merge patch does."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def both(what: str, at: str, says: str, spec: dict[str, Any]) -> Bad:
    """A manifest that the API server and the operator refuse in the same words."""
    return Bad(what=what, at=at, server=says, spec=spec)
