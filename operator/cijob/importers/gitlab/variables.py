"""Variables as GitLab has them: which there are, which of several counts, and what `$NAME` in a value becomes. Pure.

GitLab expands twice: its server replaces the references that it knows, in the order in which variables need each other
(lib/gitlab/ci/variables/collection.rb of gitlabhq/gitlabhq); the runner then expands what is left, where `$$` is a `$` and an
unknown name is nothing (common/variables.go of GitLab Runner, with Go's os.Expand). Here it is done twice as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.model import Finding, Severity, TooMuch
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Sequence_, place_of
from cijob.importers.gitlab.predefined import of_some_pipelines, predefined, slug
from cijob.importers.gitlab.scalars import text_of
from cijob.limits import ENV_STRING_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from cijob.importers.gitlab.model import Place

__all__ = [
    "Layer",
    "Variable",
    "VariableCycle",
    "expand",
    "inherited",
    "lost",
    "names_in",
    "not_set",
    "predefined",
    "read",
    "resolve",
    "slug",
    "unknown_in",
]

# What the server sees; `$$` and `%%` are left to the runner.
_SERVER = re.compile(r"\$\$|%%|\$([A-Za-z_]\w*)|\$\{([A-Za-z_]\w*)\}|%([A-Za-z_]\w*)%", re.ASCII)
# What Go's os.Expand sees: a special name of one character, a name, or all between braces (so much, that braces without an
# end take no time).
_RUNNER = re.compile(r"\$(?:([*#$@!?\-0-9])|([A-Za-z_]\w*)|\{([^}]{0,255})\}|(\{))", re.ASCII)

# Characters of all values together that references are replaced in: more than a job can have (limits.ENV_BYTES).
_MOST_OF_ALL = 1024 * 1024

_PARTS = ("value", "description", "options", "expand")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the file: its text, and whether references in it are replaced (`expand: false` says no)."""

    value: str
    expand: bool = True


Layer = AbstractMapping[str, Variable | str]
"""Variables of one origin by name. A plain str is literal: a value from outside of the file, whose `$` stays a `$`."""


class VariableCycle(ValueError):
    """Variables refer to each other in a circle; the message is a sentence, as GitLab refuses them."""


def expand(text: str, variables: AbstractMapping[str, str]) -> str:
    """A text of the file (`image`, a path...) as the runner expands it: unknown is nothing, `$$` is `$`.

    Raises:
        TooMuch: it becomes longer than any variable can be.
    """
    return _replaced(_RUNNER, text, lambda one: _runner_value(one, variables))


def names_in(text: str) -> tuple[str, ...]:
    """The names that a text refers to, in order, each once."""
    return tuple(dict.fromkeys(_name(one) for one in _SERVER.finditer(text) if _name(one)))


def unknown_in(text: str, variables: AbstractMapping[str, str]) -> tuple[str, ...]:
    """The names that a text refers to and that are not set, though GitLab may have them: from a project's settings, say."""
    names = (one[2] or one[3] or "" for one in _RUNNER.finditer(text))
    return tuple(
        dict.fromkeys(
            name for name in names if name.isidentifier() and name not in variables and not of_some_pipelines(name)
        )
    )


def not_set(names: Collection[str], then: str = ",") -> str:
    """What is said of names that have no value here; `then` stands before what to do."""
    one = len(names) == 1
    listed = ", ".join(f"${name}" for name in names)
    return f"{listed} {'is' if one else 'are'} not set here{then} give {'it' if one else 'them'} with --var"


def lost(
    file: AbstractMapping[str, Variable], seen: AbstractMapping[str, str], below: AbstractMapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Variables of the file whose values refer to what is not set here, each with those names.

    Args:
        file: the file's.
        seen: all that are set, with their values.
        below: those that are set below the file's; `A: $A` refers to them.
    """
    found = {
        name: (
            *unknown_in(one.value, seen),
            *((name,) if name in names_in(one.value) and name not in below else ()),
        )
        for name, one in file.items()
        if one.expand
    }
    return {name: names for name, names in found.items() if names}


def resolve(*layers: Layer) -> dict[str, str]:
    """The values that a job sees.

    Args:
        layers: the weakest first. In GitLab's order: predefined, those of the file (global ones and the job's merged into
            one layer, `{**of_all, **of_job, **of_rule}`), the user's. A reference of a variable to its own name is the
            value of a layer below.

    Raises:
        VariableCycle: some refer to each other.
        TooMuch: their values are longer than any that a job can have.
    """
    items = [
        (depth, name, one if isinstance(one, Variable) else Variable(one, expand=False))
        for depth, layer in enumerate(layers)
        for name, one in layer.items()
    ]
    by_name: dict[str, list[int]] = {}
    for index, (_, name, _one) in enumerate(items):
        by_name.setdefault(name, []).append(index)
    served: dict[int, Variable] = {}
    length = 0
    for index in _order(items, by_name):
        _, _, one = items[index]
        served[index] = Variable(_served(one.value, by_name, served), one.expand) if one.expand else one
        length += len(served[index].value) if one.expand else 0
        if length > _MOST_OF_ALL:
            raise TooMuch(f"the values of the variables are longer than {_MOST_OF_ALL // 1024:,} KiB together")
    last = {name: served[indices[-1]] for name, indices in by_name.items()}
    known = {name: one.value for name, one in last.items()}
    return {name: expand(one.value, known) if one.expand else one.value for name, one in last.items()}


def _order(items: list[tuple[int, str, Variable]], by_name: dict[str, list[int]]) -> Iterable[int]:
    """The indices of items, each after those that it refers to."""
    graph = {
        index: [
            other
            for needed in (names_in(one.value) if one.expand else ())
            for other in by_name.get(needed, ())
            if needed != name or other < index
        ]
        for index, (_, name, one) in enumerate(items)
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names = dict.fromkeys(items[index][1] for index in error.args[1])
        raise VariableCycle(f"the variables {', '.join(names)} refer to each other in a circle") from None


def _served(text: str, by_name: dict[str, list[int]], served: dict[int, Variable]) -> str:
    """A value after the server's pass. What is literal gets past the runner's with its `$` doubled."""

    def value(one: re.Match[str]) -> str:
        found = next((served[index] for index in reversed(by_name.get(_name(one), [])) if index in served), None)
        if found is None:
            return one[0]
        return found.value if found.expand else found.value.replace("$", "$$")

    return _replaced(_SERVER, text, value)


def _replaced(references: re.Pattern[str], text: str, value: Callable[[re.Match[str]], str]) -> str:
    """A text with the values of its references, which are together no longer than one variable of a process on Linux."""
    room = ENV_STRING_BYTES

    def bounded(one: re.Match[str]) -> str:
        nonlocal room
        found = value(one)
        room -= len(found)
        if room < 0:
            raise TooMuch(f"the variables in {text[:40]!r} stand for more than {ENV_STRING_BYTES:,} characters")
        return found

    return references.sub(bounded, text)


def _runner_value(one: re.Match[str], variables: AbstractMapping[str, str]) -> str:
    special, name, braces, _open = one.groups()
    if special:
        return "$" if special == "$" else ""
    return variables.get(name or braces or "", "")


def _name(one: re.Match[str]) -> str:
    return one[1] or one[2] or one[3] or ""


def read(
    node: Any,  # noqa: ANN401 - a value of YAML
    key: str = "variables",
    job: str = "",
    place: Place | None = None,
) -> tuple[dict[str, Variable], list[Finding]]:
    """The variables of a mapping as the file has it (`variables:` of all, of a job, of a rule), and what is wrong with it.

    Args:
        node: a Mapping; None is none.
        key: how findings call it.
        job: the job that it belongs to.
        place: where it stands, for what is no mapping.
    """
    if node is None:
        return {}, []
    if not isinstance(node, Mapping):
        where = node.place if isinstance(node, Sequence_) else place
        message = "has to be a mapping of names to values"
        return {}, [Finding(Severity.ERROR, where, key, message, job)] if where else []
    found: dict[str, Variable] = {}
    findings: list[Finding] = []
    for name, one in node.items():
        try:
            found[name] = _variable(name, one)
        except ValueError as error:
            findings.append(Finding(Severity.ERROR, place_of(node, name), f"{key}:{name}", str(error), job))
    return found, findings


def _variable(name: str, one: Any) -> Variable:  # noqa: ANN401 - a value of YAML
    if isinstance(one, Mapping):
        if unknown := next((key for key in one if key not in _PARTS), None):
            raise ValueError(f"the variable {name} has no key {unknown}{did_you_mean(unknown, _PARTS)}")
        return Variable(_text(name, one.get("value")), expand=one.get("expand") is not False)
    return Variable(_text(name, one))


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - a value of YAML
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"the variable {name} has to be a text, a number, true or false")
    return text_of(value)


def inherited(variables: dict[str, Variable], setting: Any) -> dict[str, Variable]:  # noqa: ANN401 - a value of YAML
    """Those of the file's variables that a job gets, by its `inherit:variables`: true, false or a list of names."""
    if setting is False:
        return {}
    if isinstance(setting, list):
        return {name: one for name, one in variables.items() if name in setting}
    return dict(variables)
