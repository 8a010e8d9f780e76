"""From a pipeline's file and the options of `cijob run` to what is to be run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cijob.cli.errors import CliError, Exit
from cijob.cli.pipeline.selection import named, select
from cijob.cli.repository import ref_of
from cijob.importers.gitlab.files import LocalFiles
from cijob.importers.gitlab.findings import told
from cijob.importers.gitlab.model import ImportFailed, Request, Severity
from cijob.importers.gitlab.pipeline import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from cijob.cli.runoptions import RunOptions
    from cijob.importers.gitlab.model import Pipeline


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        pipeline: the jobs that were chosen, and what these need.
        number: CI_PIPELINE_ID, and the value of the label on all CiJobs of the run.
        folder: whose files the jobs get.
        play: names of jobs that a person starts.
    """

    pipeline: Pipeline
    number: int
    folder: Path
    play: frozenset[str]


def plan(options: RunOptions, tell: Callable[[str], None]) -> Plan:
    """Reads the pipeline; what was found on the way is told, a line each.

    Raises:
        CliError: nothing can be made of the file; or, with --strict, something in it was not converted.
    """
    file = Path(options.file or "")
    folder = options.workspace or file.parent
    # Includes are looked for in the workspace; a pipeline that lies elsewhere has its own.
    root = folder if file.resolve().is_relative_to(folder.resolve()) else file.parent
    number = _number()
    request = Request(
        file=str(file.resolve().relative_to(root.resolve())),
        ref=ref_of(folder, branch=options.branch, tag=options.tag),
        variables=options.variables,
        pools=options.pools,
        pipeline_id=number,
        git_url=options.git_url or "",
        git_ref=options.git_ref or "",
        git_secret=options.git_secret or "",
    )
    pipeline = _loaded(root, request, file, tell)
    for line in told(pipeline.findings):
        tell(line)
    left_out = [one for one in pipeline.findings if one.severity is Severity.WARNING]
    if options.strict and left_out:
        raise CliError(
            f"{file}: {len(left_out)} {'thing was' if len(left_out) == 1 else 'things were'} not converted, "
            "and --strict wants all of it",
            "Without --strict the rest runs.",
        )
    # Who names a manual job wants it to run.
    play = named(pipeline, [*options.manual, *options.jobs])
    if options.jobs:
        pipeline = select(pipeline, named(pipeline, options.jobs))
    return Plan(pipeline, number, folder, play)


def _loaded(root: Path, request: Request, file: Path, tell: Callable[[str], None]) -> Pipeline:
    try:
        return load(LocalFiles(root), request)
    except ImportFailed as failed:
        errors = [one for one in failed.findings if one.severity is Severity.ERROR]
        for line in told(failed.findings):
            tell(line)
        raise CliError(
            f"{file} makes no pipeline: {len(errors)} {'error' if len(errors) == 1 else 'errors'}",
            "",
            Exit.FAILED,
        ) from failed


def _number() -> int:
    """Milliseconds since 1970: a number that grows, as GitLab's do, and that no other run in a namespace has."""
    return time.time_ns() // 1_000_000
