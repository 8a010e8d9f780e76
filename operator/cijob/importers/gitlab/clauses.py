"""What a rule asks: `if`, `changes` and `exists`."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cijob.importers.gitlab.expressions import evaluate
from cijob.importers.gitlab.globs import path_pattern
from cijob.importers.gitlab.model import Severity, TooMuch
from cijob.importers.gitlab.nodes import Mapping, place_of
from cijob.importers.gitlab.predefined import MERGE_REQUEST, decides_in_gitlab, state
from cijob.importers.gitlab.variables import expand, not_set, unknown_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Place, Request
    from cijob.importers.gitlab.nodes import Node


#: Pipelines that are for some change; in others all has changed (docs.gitlab.com/ci/yaml/#ruleschanges).
_WITH_CHANGES = frozenset({"push", MERGE_REQUEST, "external_pull_request_event"})


class Say(Protocol):
    """Takes what there is to say."""

    def __call__(self, severity: Severity, place: Place, key: str, message: str) -> None:
        """Of which key, and where it stands."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions are about: the job's variables, the state of the repository, its files.

    `partial`: variables of whose values not all is known, each with the names that are not set.
    """

    variables: AbstractMapping[str, str]
    request: Request
    files: Files
    partial: AbstractMapping[str, tuple[str, ...]]


def holds(rule: Node, facts: Facts, say: Say) -> bool:
    """Whether all that a rule asks is so. Each part is looked at, so that mistakes are found before they matter."""
    answers = [
        _if(rule, facts, say) if rule.get("if") is not None else True,
        changed(rule, facts, say) if rule.get("changes") is not None else True,
        _exists(rule, facts, say) if rule.get("exists") is not None else True,
    ]
    return all(answers)


def _if(rule: Node, facts: Facts, say: Say) -> bool:
    text = rule["if"]
    if not isinstance(text, str):
        say(Severity.ERROR, place_of(rule, "if"), "if", f"has to be an expression such as $CI_COMMIT_TAG, not {text!r}")
        return False
    try:
        return evaluated(text, facts, lambda message: say(Severity.WARNING, place_of(rule, "if"), "if", message))
    except ValueError as error:
        say(Severity.ERROR, place_of(rule, "if"), "if", str(error))
        return False
    except TooMuch as error:
        raise TooMuch(str(error), place_of(rule, "if")) from None


def evaluated(text: str, facts: Facts, tell: Callable[[str], None]) -> bool:
    """Whether an expression holds; tells of what only GitLab knows and the answer depends on.

    Raises:
        ValueError: it is none; the message is a sentence.
    """
    asked = _Asked(facts.variables)
    holds_here = evaluate(text, asked)
    missing = dict.fromkeys(part for name in asked.names for part in facts.partial.get(name, (name,)))
    unknown = [name for name in missing if name not in facts.variables and decides_in_gitlab(name)]
    if unknown:
        tell(not_set(unknown, f", and so this {'holds' if holds_here else 'does not hold'};"))
    return holds_here


class _Asked(AbstractMapping[str, str]):
    """Variables, and in `names` those that were asked for, in order."""

    def __init__(self, variables: AbstractMapping[str, str]) -> None:
        self._variables = variables
        self.names: dict[str, None] = {}

    def __getitem__(self, name: str) -> str:
        self.names[name] = None
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def changed(node: Node, facts: Facts, say: Say) -> bool:
    """Whether `changes` of a rule, of `only` or of `except` holds: true where what changed is not known, as in GitLab."""
    changes = node["changes"]
    if isinstance(changes, Mapping) and not _default_branch(changes.get("compare_to"), facts):
        place = place_of(changes, "compare_to")
        message = "the changes are those against the default branch, whatever compare_to says"
        say(Severity.WARNING, place, "changes:compare_to", message)
    globs = _globs(node, "changes", facts, say)
    if globs is None:
        say(Severity.ERROR, place_of(node, "changes"), "changes", "has to be a list of paths")
        return False
    paths = facts.request.ref.changed
    compared = isinstance(changes, Mapping) and changes.get("compare_to") is not None
    if paths is None or not (compared or state(facts.request).source in _WITH_CHANGES):
        return True
    patterns = [path_pattern(glob) for glob in globs]
    return any(pattern.fullmatch(path) for path in paths for pattern in patterns)


def _default_branch(compare_to: Any, facts: Facts) -> bool:  # noqa: ANN401 - a value of YAML
    """Whether `compare_to` is what the changes are told against anyway."""
    if compare_to is None:
        return True
    branch = expand(str(compare_to), facts.variables).removeprefix("refs/heads/")
    return branch == facts.request.ref.default_branch


def _exists(rule: Node, facts: Facts, say: Say) -> bool:
    exists = rule["exists"]
    if isinstance(exists, Mapping) and "project" in exists:
        message = "files of another project are not looked for: taken to be missing"
        say(Severity.WARNING, place_of(exists, "project"), "exists:project", message)
        return False
    globs = _globs(rule, "exists", facts, say)
    if globs is None:
        say(Severity.ERROR, place_of(rule, "exists"), "exists", "has to be a list of paths")
        return False
    return any(facts.files.glob(glob) for glob in globs)


def _globs(node: Node, key: str, facts: Facts, say: Say) -> list[str] | None:
    """The paths of `changes` or `exists`, with their variables; None where they are none."""
    value = node[key]
    paths = value.get("paths") if isinstance(value, Mapping) else value
    if isinstance(paths, str):
        paths = [paths]
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        return None
    unknown = dict.fromkeys(name for path in paths for name in unknown_in(path, facts.variables))
    if names := [name for name in unknown if decides_in_gitlab(name)]:
        say(Severity.WARNING, place_of(node, key), key, not_set(names))
    globs = [expand(path, facts.variables) for path in paths]
    if absolute := next((glob for glob in globs if glob.startswith("/")), ""):
        message = f"{absolute} matches nothing, as in GitLab: write it without the / at its start"
        say(Severity.NOTE, place_of(node, key), key, message)
    return globs
