"""From a pipeline's file and the options of `cijob run` to what is to be run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cijob.cli.errors import CliError
from cijob.cli.importing import import_pipeline, root_of, tell, tell_ref
from cijob.cli.pipeline.selection import check_needs, named, select
from cijob.cli.repository import ref_of
from cijob.importers.gitlab.model import Request, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.cli.runoptions import RunOptions
    from cijob.importers.gitlab.model import Pipeline, Ref


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        pipeline: the jobs that were chosen, and what these need.
        number: CI_PIPELINE_ID, and the value of the label on all CiJobs of the run.
        folder: whose files the jobs get.
        play: names of jobs that a person starts.
        ref: what it runs for.
    """

    pipeline: Pipeline
    number: int
    folder: Path
    play: frozenset[str]
    ref: Ref


def plan(options: RunOptions, file: Path) -> Plan:
    """Reads a pipeline's file; what was found on the way is told on stderr.

    Raises:
        CliError: nothing can be made of the file; or, with --strict, something in it was not converted.
    """
    root = root_of(file)
    folder = options.workspace or root
    if file.resolve().is_relative_to(folder.resolve()):
        root = folder  # its includes are in the workspace, too
    number = _number()
    request = Request(
        file=file.resolve().relative_to(root.resolve()).as_posix(),
        ref=ref_of(folder, branch=options.branch, tag=options.tag),
        variables=options.variables,
        pools=options.pools,
        default_image=options.default_image or "",
        pipeline_id=number,
        git_url=options.git_url or "",
        git_ref=options.git_ref or "",
        git_secret=options.git_secret or "",
    )
    tell_ref(request.ref)
    pipeline = import_pipeline(root, request)
    # Who names a manual job wants it to run.
    play = named(pipeline, [*options.manual, *options.jobs])
    if options.jobs:
        wanted = named(pipeline, options.jobs)
        pipeline = select(pipeline, wanted)
        check_needs(pipeline, wanted, play)
    tell(pipeline.findings)
    _check(pipeline, file, strict=options.strict)
    return Plan(pipeline, number, folder, play, request.ref)


def _check(pipeline: Pipeline, file: Path, *, strict: bool) -> None:
    lost = sum(one.severity is Severity.WARNING for one in pipeline.findings)
    if strict and lost:
        raise CliError(
            f"{file}: {'one thing is' if lost == 1 else f'{lost} things are'} not converted, and --strict wants all of it",
            "What it is stands above. Without --strict the rest runs.",
        )


def _number() -> int:
    """Milliseconds since 1970: a number that grows, as GitLab's do, and that no other run in a namespace has."""
    return time.time_ns() // 1_000_000
