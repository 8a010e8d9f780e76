"""The work of `cijob convert`: CiJobs out of a pipeline of GitLab CI, as YAML or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from cijob import names
from cijob.cli.console import plain
from cijob.cli.errors import CliError, Exit
from cijob.cli.importing import import_pipeline, root_of, tell, tell_ref
from cijob.cli.pipeline.jobs import ANNOTATION_JOB, ANNOTATION_STAGE, stem
from cijob.cli.pipeline.selection import named
from cijob.cli.repository import is_detached, ref_of
from cijob.cli.yamltext import Dumper, dump
from cijob.importers.gitlab.findings import incomplete
from cijob.importers.gitlab.model import Request, Severity, When

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.importers.gitlab.model import Finding, PipelineJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `cijob convert`; `git` is URL, ref and Secret, empty where unset."""

    file: Path
    output: str = "yaml"
    strict: bool = False
    jobs: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    default_image: str = ""
    branch: str | None = None
    tag: str | None = None
    git: tuple[str, str, str] = ("", "", "")
    output_dir: Path | None = None


def convert(wanted: Wanted) -> int:
    """Converts a file; gives the exit code.

    Raises:
        CliError: nothing can be made of it, or the files cannot be written.
    """
    _check(wanted)
    root = root_of(wanted.file)
    request = _request(wanted, root)
    if is_detached(request.ref) or not (request.ref.branch or request.ref.tag):
        tell_ref(request.ref)
    pipeline = import_pipeline(root, request)
    chosen = named(pipeline, wanted.jobs) if wanted.jobs else {job.name for job in pipeline.jobs}
    jobs = [job for job in pipeline.jobs if job.name in chosen]
    findings = [one for one in pipeline.findings if not wanted.jobs or not one.job or one.job in chosen]
    if wanted.output_dir is not None:
        _write(jobs, wanted.output, wanted.output_dir)
    elif wanted.output == "json":
        click.echo(_json([_body(job) for job in jobs]))
    else:
        click.echo("---\n".join(_yaml(job) for job in jobs), nl=False)
    tell(findings)
    if left := _left_to_run(jobs):
        click.echo(f"Not in these CiJobs: {', '.join(left)}.", err=True)
    click.echo(_summary(jobs, findings), err=True)
    lost = any(one.severity is Severity.WARNING for one in findings)
    return Exit.FAILED if wanted.strict and lost else Exit.OK


def _check(wanted: Wanted) -> None:
    """Refuses what cannot be meant.

    Raises:
        CliError: there is no such file, or options contradict each other.
    """
    if wanted.branch and wanted.tag:
        raise CliError("--branch and --tag exclude each other", "A pipeline runs for one of the two.", Exit.USAGE)
    if any(wanted.git[1:]) and not wanted.git[0]:
        raise CliError("--git-ref and --git-secret belong to --git-url", "Name the repository, too.", Exit.USAGE)
    if not wanted.file.is_file():
        what = "is a folder" if wanted.file.is_dir() else "is no file" if wanted.file.exists() else "is not there"
        raise CliError(f"{wanted.file} {what}", "Name the pipeline's file: `cijob convert path/to/.gitlab-ci.yml`.")


def _request(wanted: Wanted, root: Path) -> Request:
    url, ref, secret = wanted.git
    return Request(
        file=wanted.file.resolve().relative_to(root).as_posix(),
        ref=ref_of(root, branch=wanted.branch, tag=wanted.tag),
        variables=wanted.variables,
        pools=wanted.pools,
        default_image=wanted.default_image,
        git_url=url,
        git_ref=ref,
        git_secret=secret,
    )


def _body(job: PipelineJob) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "generateName": f"{stem(job.name)}-",
            "annotations": {ANNOTATION_JOB: job.name, ANNOTATION_STAGE: job.stage},
        },
        "spec": job.spec,
    }


class _Dumper(Dumper):
    """Lists indented as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  PyYAML's own
        super().increase_indent(flow, False)  # noqa: FBT003


def _yaml(job: PipelineJob) -> str:
    body = dump(_body(job), _Dumper, sort_keys=False)
    return f"# {plain(' '.join(f'{job.name}, of the stage {job.stage}: {job.place}'.split()))}\n{body}"


def _json(bodies: list[dict[str, Any]]) -> str:
    whole = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": bodies}
    return json.dumps(whole, indent=4)


def _write(jobs: list[PipelineJob], output: str, folder: Path) -> None:
    """A file for each job, named to sort in the order of the pipeline; their names go to the standard output.

    Raises:
        CliError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index, job in enumerate(jobs, start=1):
            file = folder / f"{index:0{len(str(len(jobs)))}}-{stem(job.name)}.{output}"
            file.write_text(_yaml(job) if output == "yaml" else _json([_body(job)]) + "\n", encoding="utf-8")
            click.echo(str(file))
    except OSError as error:
        raise CliError(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def _left_to_run(jobs: list[PipelineJob]) -> list[str]:
    """What of the jobs no CiJob can say, and who keeps to it."""
    kept = {
        "the order of stages": len({job.stage for job in jobs}) > 1,
        "needs": any(job.needs for job in jobs),
        "when": any(job.when is not When.ON_SUCCESS for job in jobs),
        "artifacts": any(job.artifacts or job.takes for job in jobs),
        "cache": any(job.caches for job in jobs),
        "allow_failure": any(job.allow_failure for job in jobs),
        "resource_group": any(job.resource_group for job in jobs),
    }
    names = [name for name, there in kept.items() if there]
    files = any(job.wants_files and "source" not in job.spec for job in jobs)
    return [
        *([f"{', '.join(names)} (`cijob run` keeps to it)"] if names else []),
        *(["the repository's files (--git-url, or `cijob run`)"] if files else []),
    ]


def _summary(jobs: list[PipelineJob], findings: list[Finding]) -> str:
    """How many jobs convert completely; those that were left out count, too."""
    every, lost = {job.name for job in jobs}, incomplete(findings)
    total = len(every | lost)
    whole = len(every - lost)
    return f"{whole} of {total} job{'' if total == 1 else 's'} convert{'s' if whole == 1 else ''} completely"
