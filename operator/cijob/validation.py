"""What the API server cannot check, or does not where its rules were bypassed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cijob.models import CiJobSpec


def validate_spec(spec: CiJobSpec) -> list[str]:
    """What makes a spec impossible to run: one `path: what is wrong; what to write` each, none when all is well."""
    if (spec.script is None) == (spec.command is None):
        return ["spec: exactly one of script and command is needed; write script for shell commands"]
    return []
