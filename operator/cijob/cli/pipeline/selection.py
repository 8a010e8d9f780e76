"""Some jobs of a pipeline, by the names that a person typed. Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from cijob.cli.errors import CliError, Exit
from cijob.importers.gitlab.model import When

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cijob.importers.gitlab.model import Pipeline, PipelineJob

#: What `parallel` and `parallel:matrix` add to a job's name: ` 1/3` and `: [linux, 3.12]`.
_COPY: Final = re.compile(r" \d+/\d+$|: \[.*\]$", re.DOTALL)


def named(pipeline: Pipeline, wanted: Iterable[str]) -> frozenset[str]:
    """The jobs that names mean: those of the very names, or all that `parallel` made of a job of such a name.

    Raises:
        CliError: there is no such job in the pipeline.
    """
    found: set[str] = set()
    for name in wanted:
        jobs = {job.name for job in pipeline.jobs if name in _names(job.name)}
        if not jobs:
            raise _no_such_job(pipeline, name)
        found |= jobs
    return frozenset(found)


def check_needs(pipeline: Pipeline, jobs: frozenset[str], play: frozenset[str]) -> None:
    """Refuses jobs that would be skipped since they need one that a person starts.

    Args:
        pipeline: with all that the jobs need.
        jobs: those that are wanted.
        play: those that a person starts.

    Raises:
        CliError: there is one.
    """
    by_name = {job.name: job for job in pipeline.jobs}
    todo, seen = sorted(jobs), set[str]()
    while todo:
        job = by_name[todo.pop()]
        seen.add(job.name)
        needs = [need.job for need in job.needs or () if need.job in by_name]
        for name in needs:
            if by_name[name].when is When.MANUAL and name not in play:
                raise CliError(
                    f"{job.name} needs {name}, which is manual",
                    f"Start that, too: --manual {shlex.quote(name)}",
                    Exit.USAGE,
                )
        todo += [name for name in needs if name not in seen]


def select(pipeline: Pipeline, jobs: frozenset[str]) -> Pipeline:
    """The pipeline with these jobs and what they need: their `needs`, and the jobs whose artifacts they get.

    What was found in other jobs is left out, too.
    """
    by_name = {job.name: job for job in pipeline.jobs}
    chosen: set[str] = set()
    todo = set(jobs)
    while todo:
        chosen |= todo
        needed = {name for one in todo for name in _needed(by_name[one], by_name)}
        todo = needed - chosen
    kept = tuple(job for job in pipeline.jobs if job.name in chosen)
    stages = tuple(stage for stage in pipeline.stages if any(job.stage == stage for job in kept))
    findings = tuple(one for one in pipeline.findings if not one.job or one.job in chosen)
    return replace(pipeline, jobs=kept, stages=stages, findings=findings)


def _needed(job: PipelineJob, jobs: dict[str, PipelineJob]) -> set[str]:
    needs = {need.job for need in job.needs or ()}
    return {name for name in needs if name in jobs} | {
        name for name in job.takes if name in jobs and jobs[name].artifacts is not None
    }


def _no_such_job(pipeline: Pipeline, name: str) -> CliError:
    known = list(dict.fromkeys(_COPY.sub("", job.name) for job in pipeline.jobs))
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Its jobs are: {', '.join(known)}."
    if any(name in _names(absent) for absent in pipeline.absent):
        hint = "By its conditions it does not run now: choose another pipeline with --branch, --tag or --var."
    return CliError(f"there is no job {name!r} in this pipeline", hint, Exit.USAGE)


def _names(job: str) -> tuple[str, str]:
    """A job's own name, and that of all its copies."""
    return job, _COPY.sub("", job)
