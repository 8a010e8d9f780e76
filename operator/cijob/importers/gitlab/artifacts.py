"""`artifacts`: the files that a job leaves for later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.model import Artifacts, When
from cijob.importers.gitlab.nodes import Mapping

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job

_WHEN = {one.value: one for one in (When.ON_SUCCESS, When.ON_FAILURE, When.ALWAYS)}


def artifacts(job: Job) -> Artifacts | None:
    """The artifacts of a job; None where it leaves none."""
    given = job.config.get("artifacts")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        job.report.error(("artifacts",), "is not a mapping: write the files below artifacts:paths")
        return None
    when = str(given.get("when") or When.ON_SUCCESS)
    if when not in _WHEN:
        job.report.error(("artifacts", "when"), f"{when!r} is none of on_success, on_failure and always")
        return None
    reports = given.get("reports")
    found = Artifacts(
        paths=_paths(job, given.get("paths"), "artifacts", "paths"),
        exclude=_paths(job, given.get("exclude"), "artifacts", "exclude"),
        when=_WHEN[when],
        untracked=job.switch("artifacts", "untracked"),
        dotenv=_paths(
            job, reports.get("dotenv") if isinstance(reports, Mapping) else None, "artifacts", "reports", "dotenv"
        ),
    )
    return found if found.paths or found.untracked or found.dotenv else None


def _paths(job: Job, value: Any, *path: str) -> tuple[str, ...]:  # noqa: ANN401  a value of YAML
    """Globs below the working directory; absolute ones may begin with it."""
    if value is None:
        return ()
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in given):
        job.report.error(path, "is not a list of paths")
        return ()
    found = []
    for index, one in enumerate(given):
        text = _below(job.text(one, *path, index), job.request.working_dir)
        if text.startswith("/") or ".." in text.split("/"):
            job.report.warning((*path, index), f"{text} is left out: artifacts are files of {job.request.working_dir}")
        else:
            found.append(text)
    return tuple(found)


def _below(path: str, folder: str) -> str:
    """A path as seen from a folder, which it may begin with; `.` is the folder itself."""
    if path == folder or path.startswith(f"{folder}/"):
        path = path[len(folder) + 1 :]
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path or "."
