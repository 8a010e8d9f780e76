"""From a `.gitlab-ci.yml` to a pipeline of CiJobs: the whole of the importer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cijob.importers.gitlab import document, keys, needs, rules
from cijob.importers.gitlab.drafts import Draft, Drafter
from cijob.importers.gitlab.findings import failed
from cijob.importers.gitlab.model import Finding, ImportFailed, Pipeline, PipelineJob, Place, Severity, TooMuch
from cijob.importers.gitlab.nodes import place_of
from cijob.importers.gitlab.predefined import predefined
from cijob.importers.gitlab.variables import VariableCycle, expand, read, resolve

if TYPE_CHECKING:
    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.matrix import Instance
    from cijob.importers.gitlab.model import Request
    from cijob.importers.gitlab.variables import Variable


def load(files: Files, request: Request) -> Pipeline:
    """The pipeline that GitLab would make of a file for the state of the repository that is asked for.

    Raises:
        ImportFailed: GitLab would refuse the file or make no pipeline of it, or one of its jobs can be no CiJob.
    """
    try:
        return _load(files, request)
    except TooMuch as error:
        raise ImportFailed((Finding(Severity.ERROR, error.place or Place(request.file, 1), "", str(error)),)) from None


def _load(files: Files, request: Request) -> Pipeline:
    found = document.read(files, request)
    _fail(found.findings)
    whole = _whole(found, files, request)
    drafter = Drafter(files, request, found.variables, whole.variables, workflow_rules=whole.ruled)
    drafts = _once([draft for raw in found.jobs for draft in drafter.drafts(raw)])
    jobs = _linked(drafts, found)
    findings = [*whole.findings, *(one for draft in drafts for one in draft.report.findings)]
    absent = [one for one in drafts if one.job is None and not (one.left_out or failed(one.report.findings))]
    findings += [*_without_daemon(jobs), *_not_now(absent, request)]
    _fail(findings)
    findings += _none(jobs, drafts, request)
    _fail(findings)
    stages = tuple(stage for stage in found.stages if stage not in _EDGES or any(job.stage == stage for job in jobs))
    return Pipeline(
        name=whole.name,
        stages=stages,
        jobs=tuple(jobs),
        absent=tuple(draft.name for draft in absent),
        findings=tuple(findings),
    )


_EDGES = (".pre", ".post")


@dataclass(frozen=True, slots=True)
class _Whole:
    """What holds for all jobs: the pipeline's name, the variables of `workflow:rules`, whether it has `workflow:rules`.

    `findings` are those of the document and of its own keys.
    """

    name: str
    variables: dict[str, Variable]
    ruled: bool
    findings: tuple[Finding, ...]


def _whole(found: document.Document, files: Files, request: Request) -> _Whole:
    """The pipeline's own keys.

    Raises:
        ImportFailed: there is no pipeline, by `workflow:rules`, or its variables cannot be read.
    """
    variables, findings = read(found.variables)
    findings = [*found.findings, *findings]
    findings += keys.check_variables(found.variables)
    try:
        seen = resolve(predefined(request), variables, request.variables)
    except VariableCycle as error:
        findings.append(Finding(Severity.ERROR, place_of(found.variables), "variables", str(error)))
        raise ImportFailed(tuple(findings)) from None
    workflow = found.workflow
    decision = rules.decide_whole(workflow, "workflow:rules", seen, request, files)
    findings += decision.findings
    if workflow is None:
        return _Whole("", {}, ruled=False, findings=tuple(findings))
    findings += keys.check_workflow(workflow)
    if not decision.included:
        message = f"workflow:rules make no pipeline for {_state(request)}: choose another with --branch, --tag or --var"
        findings.append(Finding(Severity.ERROR, place_of(workflow, "rules"), "workflow:rules", message))
    _fail(findings)
    name = expand(str(workflow.get("name") or ""), seen)
    return _Whole(name, decision.variables, workflow.get("rules") is not None, tuple(findings))


def _once(drafts: list[Draft]) -> list[Draft]:
    """Of several jobs of one name the last, in the first one's place, as GitLab keeps jobs by their names (`test 1/2`...)."""
    found: dict[str, Draft] = {}
    for draft in drafts:
        if earlier := found.get(draft.name):
            draft.report.findings[:0] = earlier.report.findings
            draft.report.note(
                (), f"{draft.name} is there twice: this one counts, not that of line {earlier.raw.place.line}"
            )
        found[draft.name] = draft
    return list(found.values())


def _linked(drafts: list[Draft], found: document.Document) -> list[PipelineJob]:
    """The jobs that run, each with what it needs and whose artifacts it takes, in the order of stages."""
    stages = found.stages
    running = sorted((draft for draft in drafts if draft.job is not None), key=lambda draft: stages.index(draft.stage))
    jobs = needs.Jobs(
        instances=_by_name(drafts),
        stages={draft.name: stages.index(draft.stage) for draft in running},
        left_out=frozenset(draft.raw.name for draft in drafts if draft.left_out),
        unread=any(one.severity is Severity.WARNING and one.key.startswith("include:") for one in found.findings),
    )
    leave = frozenset(draft.name for draft in running if draft.job and draft.job.artifacts)
    linked: list[PipelineJob] = []
    for draft in running:
        if draft.job is not None:
            dependencies = draft.raw.config.get("dependencies")
            needs.check_dependencies(dependencies, draft.needs, draft.report)
            job = replace(draft.job, needs=needs.needs(draft.needs, jobs.stages[draft.name], jobs, draft.report))
            took = needs.takes(job, dependencies, jobs, leave, draft.report)
            linked.append(replace(job, takes=took))
    if running and (circle := needs.circle(linked)):
        first = next(draft for draft in running if draft.name == circle[0])
        first.report.error(("needs",), f"these need each other in a circle: {', '.join(circle)}")
    return linked


def _by_name(drafts: list[Draft]) -> dict[str, list[Instance]]:
    found: dict[str, list[Instance]] = {}
    for draft in drafts:
        found.setdefault(draft.raw.name, []).append(draft.instance)
    return found


def _without_daemon(jobs: list[PipelineJob]) -> list[Finding]:
    """Says once that a job without docker:dind has no Docker daemon."""
    names = [job.name for job in jobs if job.spec.get("docker") == {"enabled": False}]
    if not names:
        return []
    place = next(job.place for job in jobs if job.name == names[0])
    message = "no docker:dind among its services and no docker in its script, and so no Docker daemon beside it"
    return [Finding(Severity.NOTE, place, "services", message, name) for name in names]


def _not_now(absent: list[Draft], request: Request) -> list[Finding]:
    """Says once which jobs are not in this pipeline."""
    message = f"by their conditions these do not run for {_state(request)}"
    return [Finding(Severity.NOTE, absent[0].raw.place, "", message, draft.name) for draft in absent]


def _none(jobs: list[PipelineJob], drafts: list[Draft], request: Request) -> list[Finding]:
    """Says so where there is no pipeline for want of jobs."""
    if any(job.stage not in _EDGES for job in jobs):
        return []
    what = "only jobs of .pre and .post run" if jobs else "no job runs"
    hint = "choose another with --branch, --tag or --var"
    if any(draft.left_out for draft in drafts):
        what = f"{what} here"
        hint = "those that GitLab would run besides are left out, as no CiJob can be made of them"
    message = f"{what} for {_state(request)}: {hint}"
    return [Finding(Severity.ERROR, Place(request.file, 1), "", message)]


def _state(request: Request) -> str:
    """What a pipeline is asked for."""
    ref = request.ref
    name = f"the tag {ref.tag}" if ref.tag else f"the branch {ref.branch or ref.default_branch}"
    return f"{name} ({ref.source})"


def _fail(findings: list[Finding]) -> None:
    """Ends with all that was found where an error is among it.

    Raises:
        ImportFailed: there is one.
    """
    if failed(findings):
        raise ImportFailed(tuple(findings))
