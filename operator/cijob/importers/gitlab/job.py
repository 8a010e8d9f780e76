"""A job as the converters of its parts see it: configuration, variables, and where findings go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.nodes import Mapping, Sequence_
from cijob.importers.gitlab.scalars import text_of
from cijob.importers.gitlab.variables import expand, not_set, unknown_in

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.findings import Report
    from cijob.importers.gitlab.model import Request


def no_text(value: Any) -> str:  # noqa: ANN401  a value of YAML
    """What is said of a value where GitLab takes texts only."""
    match value:
        case Mapping():
            return "has to be a text, not a mapping"
        case Sequence_():
            return "has to be a text, not a list"
        case _:
            return f"{text_of(value)} is no text: put it in quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job after `parallel` and `rules`.

    Attributes:
        name: as GitLab shows it.
        config: its keys.
        variables: all that it sees, expanded.
        own: names of those that do not come from GitLab itself: the file's and the user's.
        request: what the pipeline is imported for.
        report: where findings go.
    """

    name: str
    config: Mapping
    variables: AbstractMapping[str, str]
    own: frozenset[str]
    request: Request
    report: Report

    def unknown(self, value: Any) -> str:  # noqa: ANN401  a value of YAML
        """What is missing in a text, as the end of a sentence; empty where nothing is."""
        names = unknown_in(value, self.variables) if isinstance(value, str) else ()
        return f": {not_set(names)}" if names else ""

    def text(self, value: Any, *path: str | int) -> str:  # noqa: ANN401  a value of YAML
        """A value in which GitLab expands variables; what refers to unknown ones, and what is no text, is told of."""
        if value is None:
            return ""
        if not isinstance(value, str):
            self.report.error(path, no_text(value))
            return ""
        if missing := self.unknown(value):
            self.report.warning(path, f"not all of {value} is known{missing}")
        return expand(value, self.variables)

    def switch(self, *path: str) -> bool:
        """A key that is true or false; false where it is missing."""
        value: Any = self.config
        for step in path:
            value = value.get(step)
        if value is not None and not isinstance(value, bool):
            self.report.error(path, "has to be true or false")
        return value is True

    @property
    def script(self) -> str:
        """All lines that it runs."""
        return "\n".join(self.text_of(key) for key in ("before_script", "script", "after_script"))

    def text_of(self, key: str) -> str:
        """The lines of `script`, `before_script` or `after_script`."""
        part = self.config.get(key) or ()
        return "\n".join(str(line) for line in ([part] if isinstance(part, str) else part))
