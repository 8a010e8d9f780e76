"""`artifacts`: the files that a job leaves for later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob.importers.gitlab.model import Artifacts, When
from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.paths import paths

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job

_WHAT = "artifacts"
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
    dotenv = reports.get("dotenv") if isinstance(reports, Mapping) else None
    found = Artifacts(
        paths=paths(job, given.get("paths"), "artifacts", "paths", what=_WHAT),
        exclude=paths(job, given.get("exclude"), "artifacts", "exclude", what=_WHAT),
        when=_WHEN[when],
        untracked=job.switch("artifacts", "untracked"),
        dotenv=paths(job, dotenv, "artifacts", "reports", "dotenv", what=_WHAT),
    )
    return found if found.paths or found.untracked or found.dotenv else None
