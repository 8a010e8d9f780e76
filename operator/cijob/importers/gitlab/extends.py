"""`extends`: jobs with what they take from others. As gitlabhq/gitlabhq, lib/gitlab/ci/config/extendable/entry.rb, does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob.importers.gitlab.model import Finding, Severity
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, deep_merge, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.importers.gitlab.model import Place

MAX_LEVELS = 11
"""Jobs in a chain of `extends`, the last one included (docs.gitlab.com/ci/yaml/#extends)."""


def resolve(config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> Mapping:
    """All entries of the file extended; mappings are merged at every depth, the last of several bases wins.

    Args:
        config: all of the files.
        left_out: includes that were not fetched: a base that is not there may be in one of them and is no error then.
        findings: what is wrong is added here.
    """
    return _Extending(config, left_out, findings).all()


class _Extending:
    def __init__(self, config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> None:
        self._config = config
        self._left_out = left_out
        self._findings = findings
        self._done: dict[str, Mapping] = {}

    def all(self) -> Mapping:
        out = self._config.copy()
        for name, value in self._config.items():
            if isinstance(value, Mapping):
                out[name] = self._entry(name, ())
        return out

    def _entry(self, name: str, path: tuple[str, ...]) -> Mapping:
        """One entry extended.

        Args:
            name: its name; it is a mapping.
            path: those that extend it, the outermost first.
        """
        if name in self._done:
            return self._done[name]
        value: Mapping = self._config[name]
        place, path = place_of(value, "extends"), (*path, name)
        merged = Mapping(value.place)
        for base in self._names(value, place, name):
            if base in path:
                circle = " extends ".join([*path[path.index(base) :], base])
                self._error(place, name, f"extends goes round in a circle: {circle}")
            elif len(path) >= MAX_LEVELS:
                self._error(
                    place, path[0], f"extends has more than {MAX_LEVELS} levels: {' extends '.join([*path, base])}"
                )
            elif self._is_there(base, place, name):
                merged = deep_merge(merged, self._entry(base, path))
        extended = deep_merge(merged, value)
        self._done[name] = extended
        return extended

    def _names(self, value: Mapping, place: Place, job: str) -> list[str]:
        names = value.get("extends")
        names = [] if names is None else names if isinstance(names, list) else [names]
        if not all(isinstance(one, str) for one in names):
            self._error(place, job, "extends takes the name of a job, or a list of names")
            return []
        return names

    def _is_there(self, base: str, place: Place, job: str) -> bool:
        if isinstance(self._config.get(base), Mapping):
            return True
        if base in self._config:
            self._error(place, job, f"{base} is no job: its value is not a mapping")
        elif self._left_out:
            message = (
                f"there is no {base} here; it may be in what is included in {self._left_out[0]} and was not fetched"
            )
            self._findings.append(Finding(Severity.WARNING, place, "extends", message, job))
        else:
            jobs = [name for name, value in self._config.items() if isinstance(value, Mapping) and name != job]
            self._error(place, job, f"there is no {base}{did_you_mean(base, jobs)}")
        return False

    def _error(self, place: Place, job: str, message: str) -> None:
        self._findings.append(Finding(Severity.ERROR, place, "extends", message, job))
