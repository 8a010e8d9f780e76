"""Images: names taken apart as Docker does, pull policies, platforms. What the job's image and those of services share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab.job import no_text
from cijob.importers.gitlab.variables import expand

if TYPE_CHECKING:
    from cijob.importers.gitlab.findings import Report
    from cijob.importers.gitlab.job import Job
    from cijob.importers.gitlab.model import Spec

_POLICIES: Final = {"always": "Always", "if-not-present": "IfNotPresent", "never": "Never"}
_PLATFORMS: Final = {
    "linux/amd64": "linux/amd64",
    "linux/x86_64": "linux/amd64",
    "linux/arm64": "linux/arm64",
    "linux/arm64/v8": "linux/arm64",
    "linux/aarch64": "linux/arm64",
}
_TAG: Final = re.compile(r":([^:/@]*)(@.*)?$|(@.*)$")


def split(image: str) -> tuple[str, str]:
    """Repository (with its registry) and tag of an image; the tag is empty where there is none."""
    found = _TAG.search(image)
    return (image[: found.start()], found[1] or "") if found else (image, "")


def name(job: Job, value: Any, path: tuple[str | int, ...], lack: str) -> str:  # noqa: ANN401  a value of YAML
    """The name of an image, its variables expanded; empty where there is none, which is an error that says `lack`."""
    if value is not None and not isinstance(value, str):
        job.report.error(path, no_text(value))
        return ""
    found = expand(value or "", job.variables)
    if not found:
        job.report.error(path, f"{lack}{job.unknown(value)}")
    return found


def pull_policy(value: Any, report: Report, path: tuple[str | int, ...]) -> Spec:  # noqa: ANN401  a value of YAML
    """`imagePullPolicy`, where one is given."""
    policies = value if isinstance(value, list) else [value]
    if value is None or not policies:
        return {}
    unknown = [one for one in policies if str(one) not in _POLICIES]
    if unknown:
        report.error(path, f"{unknown[0]!r} is no pull policy: write always, if-not-present or never")
        return {}
    if len(policies) > 1:
        report.warning(path, f"only the first counts, {policies[0]}: what follows it is for when a pull fails")
    return {"imagePullPolicy": _POLICIES[policies[0]]}


def platform(value: Any, report: Report, path: tuple[str | int, ...]) -> Spec:  # noqa: ANN401  a value of YAML
    """`platform`, where one is given."""
    if value is None:
        return {}
    known = _PLATFORMS.get(str(value))
    if known is None:
        report.warning(path, f"{value} is no platform of a CiJob: those are linux/amd64 and linux/arm64")
        return {}
    return {"platform": known}


def words(value: Any, report: Report, path: tuple[str | int, ...]) -> list[str]:  # noqa: ANN401  a value of YAML
    """A program or its arguments; empty where none is given."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return [str(one) for one in value]
    report.error(path, "is not a list of words")
    return []
