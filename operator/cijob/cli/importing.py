"""Pipelines of GitLab CI as commands read them: which files count, and how findings are told."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.text import Text

from cijob.cli.console import err, plain
from cijob.cli.errors import CliError
from cijob.cli.manifest import PIPELINE
from cijob.cli.repository import files_of, in_words, last_commit
from cijob.importers.gitlab.files import LocalFiles
from cijob.importers.gitlab.findings import told
from cijob.importers.gitlab.model import ImportFailed, Severity
from cijob.importers.gitlab.pipeline import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cijob.importers.gitlab.model import Finding, Pipeline, Place, Ref, Request

#: What GitLab calls a pipeline's file unless it is told otherwise.
_STYLES: Final = {Severity.ERROR: "bad", Severity.WARNING: "waiting", Severity.NOTE: "quiet"}


def root_of(file: Path) -> Path:
    """The folder that a pipeline's `include: local` and `rules:exists` mean by `/`.

    It is the file's own where it has the usual name, for that stands at a repository's root; else the root of the git
    work tree that it is in, if it is in one.
    """
    folder = file.resolve().parent
    if file.name == PIPELINE:
        return folder
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def import_pipeline(root: Path, request: Request) -> Pipeline:
    """The pipeline of a file, its places with paths from the current folder or absolute ones; what is wrong is told before this fails.

    Raises:
        CliError: there is none.
    """
    root = root.resolve()
    way = os.path.relpath(root) if root.is_relative_to(Path.cwd()) else str(root)
    try:
        pipeline = load(LocalFiles(root, files_of(root), partial(last_commit, root)), request)
    except ImportFailed as failure:
        tell(_from_here(failure.findings, way))
        errors = sum(one.severity is Severity.ERROR for one in failure.findings)
        count = "an error" if errors == 1 else f"{errors} errors"
        raise CliError(
            f"{os.path.normpath(os.path.join(way, request.file))} is no pipeline that could run: {count}, named above",  # noqa: PTH118  text
            "Mend what is named; `cijob convert` checks it without running anything.",
        ) from failure
    return replace(
        pipeline,
        jobs=tuple(replace(job, place=_place(job.place, way)) for job in pipeline.jobs),
        findings=_from_here(pipeline.findings, way),
    )


def _from_here(findings: tuple[Finding, ...], way: str) -> tuple[Finding, ...]:
    return tuple(replace(one, place=_place(one.place, way)) for one in findings)


def _place(place: Place, way: str) -> Place:
    """A place in a file below the root, where `way` leads from the current folder to the root."""
    return replace(place, file=os.path.normpath(os.path.join(way, place.file)))  # noqa: PTH118  text


def tell_ref(ref: Ref) -> None:
    """On the standard error, what the pipeline is for."""
    err().print(Text(plain(f"cijob: {in_words(ref)}"), style="quiet"), soft_wrap=True)


def tell(findings: Iterable[Finding]) -> None:
    """Findings on the standard error, a line each, with file and line."""
    findings = list(findings)
    for severity in (Severity.NOTE, Severity.WARNING, Severity.ERROR):
        for line in told(one for one in findings if one.severity is severity):
            err().print(Text(plain(line), style=_STYLES[severity]), soft_wrap=True)
