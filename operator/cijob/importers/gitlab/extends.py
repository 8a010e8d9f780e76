"""`extends`: jobs with what they take from others. As gitlabhq/gitlabhq, lib/gitlab/ci/config/extendable/entry.rb, does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cijob.importers.gitlab.includes import unfetched
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


@dataclass(frozen=True, slots=True)
class _Extended:
    """One entry with what it extends.

    Attributes:
        value: all its keys.
        levels: entries in its longest chain, itself included.
        missing: bases, of it and of its bases, that are not at hand, and where they are named.
    """

    value: Mapping
    levels: int
    missing: tuple[tuple[Place, str], ...]


class _Extending:
    def __init__(self, config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> None:
        self._config = config
        self._left_out = left_out
        self._findings = findings
        self._done: dict[str, _Extended] = {}

    def all(self) -> Mapping:
        out = self._config.copy()
        for name, value in self._config.items():
            if isinstance(value, Mapping):
                extended = self._entry(name, ())
                out[name] = extended.value
                if not name.startswith("."):  # a hidden job that nobody extends does no harm
                    self._name_missing(name, extended)
        return out

    def _name_missing(self, job: str, extended: _Extended) -> None:
        for place, base in dict.fromkeys(extended.missing):
            message = f"there is no {base} here; it may be in {unfetched(self._left_out)}"
            self._findings.append(Finding(Severity.WARNING, place, "extends", message, job))

    def _entry(self, name: str, path: tuple[str, ...]) -> _Extended:
        """One entry extended.

        Args:
            name: its name; it is a mapping.
            path: those that extend it, the outermost first.
        """
        if name in self._done:
            return self._done[name]
        value: Mapping = self._config[name]
        place, path = place_of(value, "extends"), (*path, name)
        merged, levels, missing = Mapping(value.place), 1, list[tuple["Place", str]]()
        for base in self._names(value, place, name):
            if base not in self._config and self._left_out:
                missing.append((place, base))
            elif self._is_there(base, place, name) and self._ends(base, place, path):
                extended = self._entry(base, path)
                merged = deep_merge(merged, extended.value)
                levels = max(levels, extended.levels + 1)
                missing += extended.missing
        if levels == MAX_LEVELS + 1:
            self._error(place, name, f"more than {MAX_LEVELS} levels")
        self._done[name] = _Extended(deep_merge(merged, value), levels, tuple(missing))
        return self._done[name]

    def _names(self, value: Mapping, place: Place, job: str) -> list[str]:
        names = value.get("extends")
        names = [] if names is None else names if isinstance(names, list) else [names]
        if not all(isinstance(one, str) for one in names):
            self._error(place, job, "has to be the name of a job, or a list of names")
            return []
        return names

    def _is_there(self, base: str, place: Place, job: str) -> bool:
        if isinstance(self._config.get(base), Mapping):
            return True
        if base in self._config:
            self._error(place, job, f"{base} is no job: its value is not a mapping")
        else:
            jobs = [name for name, value in self._config.items() if isinstance(value, Mapping) and name != job]
            self._error(place, job, f"there is no {base}{did_you_mean(base, jobs)}")
        return False

    def _ends(self, base: str, place: Place, path: tuple[str, ...]) -> bool:
        """Whether a base does not extend, in the end, what extends it."""
        if base in path:
            circle = " extends ".join([*path[path.index(base) :], base])
            self._error(place, path[-1], f"goes round in a circle: {circle}")
        return base not in path

    def _error(self, place: Place, job: str, message: str) -> None:
        self._findings.append(Finding(Severity.ERROR, place, "extends", message, job))
