"""A job as the converters of its parts see it: configuration, variables, and where findings go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.variables import expand, unknown_in

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.findings import Report
    from cijob.importers.gitlab.model import Request
    from cijob.importers.gitlab.nodes import Mapping


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
        names = unknown_in("" if value is None else str(value), self.variables)
        return f": {', '.join(f'${name}' for name in names)} is not set here, give it with --var" if names else ""

    def text(self, value: Any, *path: str | int) -> str:  # noqa: ANN401  a value of YAML
        """A value in which GitLab expands variables; what refers to unknown ones is told of."""
        text = "" if value is None else str(value)
        if missing := self.unknown(text):
            self.report.warning(path, f"not all of {text} is known{missing}")
        return expand(text, self.variables)

    def switch(self, *path: str) -> bool:
        """A key that is true or false; false where it is missing."""
        value: Any = self.config
        for step in path:
            value = value.get(step)
        if value is not None and not isinstance(value, bool):
            self.report.error(path, f"{path[-1]} is true or false")
        return value is True

    @property
    def script(self) -> str:
        """All lines that it runs."""
        return "\n".join(self.text_of(key) for key in ("before_script", "script", "after_script"))

    def text_of(self, key: str) -> str:
        """The lines of `script`, `before_script` or `after_script`."""
        part = self.config.get(key) or ()
        return "\n".join(str(line) for line in ([part] if isinstance(part, str) else part))
