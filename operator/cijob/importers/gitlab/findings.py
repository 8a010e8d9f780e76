"""Findings: how the converter collects them, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.model import Finding, Severity
from cijob.importers.gitlab.nodes import Mapping, Sequence_, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cijob.importers.gitlab.model import Place


@dataclass(slots=True)
class Report:
    """Collects the findings of one job, or of the pipeline (`job` is empty then).

    Paths name where in `config` the matter is: `("services", 2, "command")`. What is not there has the place of what is
    above it; a variable that the job does not set itself is looked for in `of_all`, the pipeline's.
    """

    job: str
    place: Place
    config: Mapping
    of_all: Mapping | None = None
    findings: list[Finding] = field(default_factory=list)

    def error(self, path: tuple[str | int, ...], message: str) -> None:
        """Nothing can be made of it."""
        self._add(Severity.ERROR, path, message)

    def warning(self, path: tuple[str | int, ...], message: str) -> None:
        """It was left out, or means something else here."""
        self._add(Severity.WARNING, path, message)

    def note(self, path: tuple[str | int, ...], message: str) -> None:
        """It looks different and does the same."""
        self._add(Severity.NOTE, path, message)

    def _add(self, severity: Severity, path: tuple[str | int, ...], message: str) -> None:
        key = ":".join(step for step in path if isinstance(step, str))
        self.findings.append(Finding(severity, self._place(path), key, message, self.job))

    def _place(self, path: tuple[str | int, ...]) -> Place:
        node: Any = self.config
        place = self.place
        own = self.config.get("variables")
        match path:
            case ("variables", str(name)) if not (isinstance(own, Mapping) and name in own):
                if self.of_all is not None and name in self.of_all:
                    return place_of(self.of_all, name)
            case _:
                pass
        for step in path:
            match node, step:
                case Mapping(), str() if step in node:
                    place, node = place_of(node, step), node[step]
                case Sequence_(), int() if step < len(node):
                    place, node = place_of(node, step), node[step]
                case _:
                    break
        return place


def failed(findings: Iterable[Finding]) -> bool:
    """Whether an error is among them."""
    return any(one.severity is Severity.ERROR for one in findings)


def incomplete(findings: Iterable[Finding]) -> set[str]:
    """Names of the jobs of which something was left out that may matter."""
    return {one.job for one in findings if one.severity is Severity.WARNING and one.job}


def told(findings: Iterable[Finding]) -> list[str]:
    """A line for each finding, in the order of the files: what is said of several jobs alike is said once.

    `.gitlab-ci.yml:12: not converted: cache: nothing is kept between runs (build, test)`
    """
    jobs: dict[tuple[Severity, Place, str, str], list[str]] = {}
    for one in findings:
        names = jobs.setdefault((one.severity, one.place, one.key, one.message), [])
        if one.job and one.job not in names:
            names.append(one.job)
    order = sorted(jobs, key=lambda found: (found[1].file, found[1].line))
    return [_line(*found, jobs[found]) for found in order]


def _line(severity: Severity, place: Place, key: str, message: str, jobs: list[str]) -> str:
    of = (
        f" ({', '.join(jobs[:_SHOWN])}{f' and {len(jobs) - _SHOWN} more' if len(jobs) > _SHOWN else ''})"
        if jobs
        else ""
    )
    return f"{place}: {severity}: {f'{key}: ' if key else ''}{message}{of}"


_SHOWN = 3
"""Jobs that a line names."""
