"""A `.gitlab-ci.yml` read as GitLab reads it: includes, `extends`, `!reference` and `default` are resolved here.

The order is that of gitlabhq/gitlabhq, lib/gitlab/ci/config.rb: `include`, then `extends`, then `!reference`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import extends, references
from cijob.importers.gitlab.includes import assemble, unfetched
from cijob.importers.gitlab.model import Finding, ImportFailed, Place, Severity
from cijob.importers.gitlab.nodes import Mapping, Node, Reference, Sequence_, flatten, place_of
from cijob.importers.gitlab.rawjobs import RawJob, raw_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Request

__all__ = ["Document", "Mapping", "Node", "RawJob", "Reference", "Sequence_", "place_of", "read"]

FIRST_STAGE, LAST_STAGE = ".pre", ".post"
DEFAULT_STAGES = ("build", "test", "deploy")


@dataclass(frozen=True, slots=True)
class Document:
    """The whole of a pipeline's files.

    Attributes:
        stages: in order; `.pre` first and `.post` last, whether they have jobs or not.
        workflow: the mapping `workflow`, or None.
        variables: those of all jobs by name, as they are written: a scalar or a mapping (`value`, `description`...).
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
        ImportFailed: a file is missing or no YAML, or its parts do not fit together. What is wrong with single jobs is
            among the document's findings instead.
    """
    findings: list[Finding] = []
    assembled = assemble(files, request, findings)
    _stop_at_errors(findings)
    config = extends.resolve(assembled.config, assembled.left_out, findings)
    config = references.resolve(config, assembled.left_out, findings)
    _stop_at_errors(findings)
    stages = _stages(config, assembled.left_out, findings)
    jobs = raw_jobs(config, stages, assembled.left_out, findings)
    if not jobs:
        findings.append(_no_jobs(Place(request.file, 1), assembled.left_out))
    variables = _mapping(config, "variables", findings)
    workflow = _mapping(config, "workflow", findings)
    if workflow is not None and isinstance(workflow.get("rules"), Sequence_):
        workflow = workflow.copy()
        workflow["rules"] = flatten(workflow["rules"])
    return Document(stages, workflow, Mapping(config.place) if variables is None else variables, jobs, findings)


def _no_jobs(start: Place, left_out: Sequence[Place]) -> Finding:
    message = "there is no job that is not hidden"
    if left_out:
        message += f" here; all may be in {unfetched(left_out)}"
    return Finding(Severity.ERROR, start, "", message)


def _stop_at_errors(findings: list[Finding]) -> None:
    if any(one.severity is Severity.ERROR for one in findings):
        raise ImportFailed(tuple(findings))


def _stages(config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> tuple[str, ...]:
    """The stages in order. As lib/gitlab/ci/config/edge_stages_injector.rb has them."""
    key = "types" if config.get("stages") is None else "stages"
    written = config.get(key)
    names: list[Any] = list(DEFAULT_STAGES)
    if isinstance(written, Sequence_) and written:
        names = flatten(written)
    elif written is not None and not isinstance(written, Sequence_):
        findings.append(Finding(Severity.ERROR, place_of(config, key), key, "has to be a list of names"))
    if written is None and left_out:
        names += _stages_of_jobs(config, left_out, findings)
    inner = dict.fromkeys(str(name) for name in names if name not in (FIRST_STAGE, LAST_STAGE))
    return FIRST_STAGE, *inner, LAST_STAGE


def _stages_of_jobs(config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> list[str]:
    """Stages that jobs name where the list of stages may be in a file that was not fetched."""
    known = {*DEFAULT_STAGES, FIRST_STAGE, LAST_STAGE}
    found: dict[str, Place] = {}
    for name, job in config.items():
        if isinstance(job, Mapping) and not name.startswith(".") and isinstance(job.get("stage"), str):
            found.setdefault(job["stage"], place_of(job, "stage"))
    for stage in [one for one in found if one not in known]:
        message = f"the order of the stage {stage} is not known, so that it is put last; stages may be in {unfetched(left_out)}"
        findings.append(Finding(Severity.WARNING, found[stage], "stages", message))
    return [one for one in found if one not in known]


def _mapping(config: Mapping, key: str, findings: list[Finding]) -> Mapping | None:
    value = config.get(key)
    if value is None or isinstance(value, Mapping):
        return value
    findings.append(Finding(Severity.ERROR, place_of(config, key), key, "has to be a mapping of keys to values"))
    return None
