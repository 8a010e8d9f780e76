"""Paths of a job's files: the globs of `artifacts` and `cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job


def paths(job: Job, value: Any, *path: str | int, what: str) -> tuple[str, ...]:  # noqa: ANN401  a value of YAML
    """Globs below the working directory; absolute ones may begin with it. What leads out of it is told of.

    Args:
        job: whose files they are.
        value: a path or a list of paths; None is none.
        path: where it stands: `"artifacts", "paths"`.
        what: what the files are, for people.
    """
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
            message = f"{text} is left out: {what} are files of {job.request.working_dir}"
            job.report.warning((*path, index), message)
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
