"""`!reference [job, key...]`: values taken from elsewhere in the file, after `extends`.

As gitlabhq/gitlabhq, lib/gitlab/ci/config/yaml/tags/reference.rb, does it; at most 10 in a chain
(docs.gitlab.com/ci/yaml/yaml_optimization/#reference-tags).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.includes import unfetched
from cijob.importers.gitlab.model import Finding, Severity, TooMuch
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Reference, Sequence_, place_of
from cijob.importers.gitlab.rawjobs import GLOBAL_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

from cijob.importers.gitlab.model import Place

MAX_CHAIN = 10

MAX_VALUES = 100_000
"""Values that all references together stand for. GitLab bounds chains only, and the time of the whole."""

_NOTHING = object()
"""What a reference stands for that cannot be resolved: its key or item is left out."""


def resolve(config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> Mapping:
    """The files' mapping with what its references refer to in their place.

    Args:
        config: all of the files, extended.
        left_out: includes that were not fetched: what is not there may be in one of them and is no error then.
        findings: what is wrong is added here.

    Raises:
        TooMuch: that would be more than MAX_VALUES.
    """
    out = Mapping(config.place)
    resolving = _Resolving(config, left_out, findings)
    for name, value in config.items():
        resolved = resolving.entry("" if name in GLOBAL_KEYS else name, value)
        if resolved is not _NOTHING:
            out.put(name, resolved, place_of(config, name))
    return out


class _Resolving:
    """The references of the files' entries, one after the other."""

    def __init__(self, config: Mapping, left_out: Sequence[Place], findings: list[Finding]) -> None:
        self._config = config
        self._left_out = left_out
        self._findings = findings
        self._job = ""
        self._values = 0

    def entry(self, job: str, value: Any) -> Any:  # noqa: ANN401 - a value of YAML
        """The value of an entry; `job` is its name where it is one."""
        self._job = job
        return self.value(value, ())

    def value(self, value: Any, chain: tuple[Reference, ...]) -> Any:  # noqa: ANN401 - a value of YAML
        """A value with all references in it resolved; `chain`: those that led to it."""
        self._values += bool(chain)
        if self._values > MAX_VALUES:
            raise TooMuch(f"the references stand for more than {MAX_VALUES:,} values", chain[0].place)
        match value:
            case Mapping():
                out = Mapping(value.place)
                for key, one in value.items():
                    if (resolved := self.value(one, chain)) is not _NOTHING:
                        out.put(key, resolved, place_of(value, key))
                return out
            case Sequence_():
                items = Sequence_(value.place)
                for index, one in enumerate(value):
                    if (resolved := self.value(one, chain)) is not _NOTHING:
                        items.append(resolved)
                        items.places.append(place_of(value, index))
                return items
            case Reference():
                return self._reference(value, chain)
            case _:
                return value

    def _reference(self, reference: Reference, chain: tuple[Reference, ...]) -> Any:  # noqa: ANN401 - a value of YAML
        if any(one.path == reference.path for one in chain):
            return self._error(reference, f"{reference} refers to itself")
        if len(chain) >= MAX_CHAIN:
            return self._error(reference, f"{reference} is more than {MAX_CHAIN} references deep")
        node: Any = self._config
        for step in reference.path:
            if not isinstance(node, Mapping) or node.get(step) in (None, False):
                return self._missing(reference, step, node)
            node = node[step]
        return self.value(node, (*chain, reference))

    def _missing(self, reference: Reference, step: str, node: Any) -> object:  # noqa: ANN401 - a value of YAML
        if self._left_out and self._job.startswith("."):  # it is said of the jobs that take it
            return _NOTHING
        if self._left_out:
            message = f"{reference} is not here; it may be in {unfetched(self._left_out)}"
            self._findings.append(Finding(Severity.WARNING, reference.place, "!reference", message, self._job))
            return _NOTHING
        hint = did_you_mean(step, node) if isinstance(node, Mapping) and step not in node else ""
        return self._error(reference, f"{reference} refers to nothing: there is no {step}{hint}")

    def _error(self, reference: Reference, message: str) -> object:
        self._findings.append(Finding(Severity.ERROR, reference.place, "!reference", message, self._job))
        return _NOTHING
