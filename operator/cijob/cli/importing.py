"""Pipelines of GitLab CI as commands read them: which files count, and how findings are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from cijob.cli.console import err, plain
from cijob.cli.errors import CliError
from cijob.importers.gitlab.files import LocalFiles
from cijob.importers.gitlab.findings import told
from cijob.importers.gitlab.model import ImportFailed, Severity
from cijob.importers.gitlab.pipeline import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cijob.importers.gitlab.model import Finding, Pipeline, Request

#: What GitLab calls a pipeline's file unless it is told otherwise.
USUAL: Final = ".gitlab-ci.yml"
_STYLES: Final = {Severity.ERROR: "bad", Severity.WARNING: "waiting", Severity.NOTE: "quiet"}


def root_of(file: Path) -> Path:
    """The folder that a pipeline's `include: local` and `rules:exists` mean by `/`.

    It is the file's own where it has the usual name, for that stands at a repository's root; else the root of the git
    work tree that it is in, if it is in one.
    """
    folder = file.resolve().parent
    if file.name == USUAL:
        return folder
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def import_pipeline(root: Path, request: Request) -> Pipeline:
    """The pipeline of a file; what is wrong with it is told before this fails.

    Raises:
        CliError: there is none.
    """
    try:
        return load(LocalFiles(root), request)
    except ImportFailed as failure:
        tell(failure.findings)
        errors = sum(one.severity is Severity.ERROR for one in failure.findings)
        count = "an error" if errors == 1 else f"{errors} errors"
        raise CliError(
            f"{request.file} is no pipeline that could run: {count}, named above",
            "`cijob convert` checks it again without running anything.",
        ) from failure


def tell(findings: Iterable[Finding]) -> None:
    """Findings on the standard error, a line each, with file and line."""
    findings = list(findings)
    for severity in (Severity.NOTE, Severity.WARNING, Severity.ERROR):
        for line in told(one for one in findings if one.severity is severity):
            err().print(Text(plain(line), style=_STYLES[severity]), soft_wrap=True)
