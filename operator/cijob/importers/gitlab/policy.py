"""`only` and `except`, the deprecated conditions. docs.gitlab.com/ci/yaml/deprecated_keywords/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.clauses import changed, evaluated
from cijob.importers.gitlab.model import Severity, TooMuch
from cijob.importers.gitlab.nodes import Mapping, place_of
from cijob.importers.gitlab.predefined import MERGE_REQUEST, predefined, state
from cijob.importers.gitlab.regexps import compile_regexp, found_in, is_regexp
from cijob.importers.gitlab.variables import not_set

if TYPE_CHECKING:
    from cijob.importers.gitlab.clauses import Facts, Say
    from cijob.importers.gitlab.nodes import Node

_KEYS = ("refs", "variables", "changes", "kubernetes")
_DEFAULT = ["branches", "tags"]
_PATH = "CI_PROJECT_PATH"
# Words for CI_PIPELINE_SOURCE, beside the source itself.
_SOURCES = {
    "api": "api",
    "chat": "chat",
    "external": "external",
    "external_pull_requests": "external_pull_request_event",
    "merge_requests": MERGE_REQUEST,
    "pipelines": "pipeline",
    "pushes": "push",
    "schedules": "schedule",
    "triggers": "trigger",
    "web": "web",
}


def included(config: Node, facts: Facts, say: Say, *, workflow_rules: bool) -> bool:
    """Whether a job without `rules` runs: all of `only` holds, and nothing of `except`.

    A job that has no conditions runs for branches and tags; with `workflow:rules`, in every pipeline.
    """
    only = config.get("only")
    wanted = _specs(config, "only", say)
    if only is None and not workflow_rules:
        wanted = {"refs": _DEFAULT}
    elif isinstance(only, Mapping):
        wanted = {"refs": _DEFAULT, **wanted}
    unwanted = _specs(config, "except", say)
    answers = [_holds(config, "only", key, one, facts, say) for key, one in wanted.items()]
    refusals = [_holds(config, "except", key, one, facts, say) for key, one in unwanted.items()]
    return all(answers) and not any(refusals)


def _specs(config: Node, key: str, say: Say) -> dict[str, Any]:
    """The parts of `only` or `except`: a list is one of refs."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"refs": value}
    for unknown in value.keys() - set(_KEYS):
        say(Severity.ERROR, place_of(value, unknown), f"{key}:{unknown}", f"{key} does not know the key {unknown}")
    return {part: value[part] for part in _KEYS if value.get(part) is not None}


def _holds(config: Node, key: str, part: str, value: Any, facts: Facts, say: Say) -> bool:  # noqa: ANN401
    place = place_of(config, key)
    if part == "changes":
        return changed(
            config[key], facts, lambda severity, where, inner, text: say(severity, where, f"{key}:{inner}", text)
        )
    if part == "kubernetes":
        say(Severity.WARNING, place, f"{key}:kubernetes", "no cluster of GitLab's is asked: taken not to be there")
        return False
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        say(Severity.ERROR, place, f"{key}:{part}", "has to be a text or a list of texts")
        return False

    def _variables(text: str) -> bool:
        return evaluated(text, facts, lambda message: say(Severity.WARNING, place, f"{key}:variables", message))

    try:
        # Each is looked at: a mistake is found before it matters.
        answers = [_variables(text) if part == "variables" else _ref(text, facts) for text in texts]
        if part == "refs" and _PATH not in facts.variables and any(map(_project, texts)):
            say(
                Severity.WARNING,
                place,
                f"{key}:refs",
                not_set([_PATH], ", and so it is taken to be the one that is named;"),
            )
    except ValueError as error:
        say(Severity.ERROR, place, f"{key}:{part}", str(error))
        return False
    except TooMuch as error:
        raise TooMuch(str(error), place) from None
    return any(answers)


def _project(text: str) -> str:
    """The path of the project that a text of `refs` is for, as `main@group/project` says; empty for any."""
    return "" if is_regexp(text) else text.partition("@")[2]


def _ref(text: str, facts: Facts) -> bool:
    """Whether what the pipeline runs for is what a word, a name or a /pattern/ of `refs` says, with or without @project."""
    ref = state(facts.request)
    known = predefined(facts.request)
    path = _project(text)
    if path and path != facts.variables.get(_PATH, path):
        return False
    word = text.removesuffix(f"@{path}")
    name = known["CI_COMMIT_REF_NAME"]
    if word == "tags" and ref.tag:
        return True
    if word == "branches" and not ref.tag and ref.source != MERGE_REQUEST:
        return True
    if ref.source in {word, _SOURCES.get(word)}:
        return True
    if ref.source == MERGE_REQUEST:  # its name is no branch's to GitLab: lib/gitlab/ci/build/policy/refs.rb
        return False
    return found_in(compile_regexp(word), name) if is_regexp(word) else word == name
