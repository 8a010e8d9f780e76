"""A `.gitlab-ci.yml` read as GitLab reads it: includes, `extends`, `!reference` and `default` are resolved here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cijob.importers.gitlab.nodes import Mapping, Node, Reference, Sequence_, place_of

if TYPE_CHECKING:
    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Finding, Place, Request

__all__ = ["Document", "Mapping", "Node", "RawJob", "Reference", "Sequence_", "place_of", "read"]


@dataclass(frozen=True, slots=True)
class RawJob:
    """One job that is not hidden.

    Attributes:
        name: as it is written.
        place: where its name stands.
        config: its keys, with those of `default` that it inherits; `extends` is gone, `inherit` is still there for
            `inherit:variables`. `stage` is always set. `script`, `before_script` and `after_script` are flat lists of
            strings.
    """

    name: str
    place: Place
    config: Node


@dataclass(frozen=True, slots=True)
class Document:
    """The whole of a pipeline's files.

    Attributes:
        stages: in order; `.pre` first and `.post` last, whether they have jobs or not.
        workflow: the mapping `workflow`, or None.
        variables: those of all jobs by name, as they are written: a scalar or a mapping (`value`, `description`, `expand`...).
        jobs: in the order in which they stand.
        findings: what there is to say, from all files; there may be an ERROR among them.
    """

    stages: tuple[str, ...]
    workflow: Node | None
    variables: Mapping
    jobs: tuple[RawJob, ...]
    findings: list[Finding] = field(default_factory=list)


def read(files: Files, request: Request) -> Document:
    """The pipeline of a file and of what it includes.

    Raises:
        ImportFailed: a file is missing or no YAML, or its parts do not fit together.
    """
    raise NotImplementedError
