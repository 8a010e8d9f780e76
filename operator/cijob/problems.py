"""Sentences for people out of pydantic's errors: where it is, what is wrong, what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

MOST = 10
"""A message for people stops after so many problems."""

_SHOWN = 60
"""Characters of a map's key that a path repeats."""

_MAPS = frozenset({"variables", "requests", "limits"})
"""Fields whose keys are the user's."""

_EXPECTED = {
    "model_type": "a map of fields",
    "model_attributes_type": "a map of fields",
    "dict_type": "a map",
    "tuple_type": "a list",
    "string_type": "text (quote it if it looks like a number or a truth value)",
    "string_unicode": "text in Unicode",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "datetime_type": "a time such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "a time such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a time such as 2026-01-31T12:00:00Z",
}

_SENTENCES = {
    "missing": "is missing; it must be set",
    "enum": "must be one of: {expected}",
    "literal_error": "must be one of: {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters; make it shorter",
    "too_short": "is empty; write at least one entry or leave it out",
    "too_long": "has more than {max_length} entries; write fewer",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


def sentences(error: ValidationError, root: str) -> list[str]:
    """One `path: what is wrong; what to write` per problem, the first ten at most."""
    details = _worth_saying(error.errors(include_url=False, include_context=True, include_input=False))
    found = list(dict.fromkeys(f"{_path(root, detail['loc'])}: {_sentence(detail)}" for detail in details))
    if len(found) > MOST:
        return [*found[:MOST], f"{root}: {len(found) - MOST} more problems"]
    return found


def _worth_saying(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without the remark that a list is too short because its bad entries were left out."""
    above = {detail["loc"][:-1] for detail in details}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in above]


def _path(root: str, location: Iterable[int | str]) -> str:
    """`spec.env[0].name` of ("env", 0, "name"); pydantic marks a map's key by an extra "[key]"."""
    path, before = root, ""
    for step in map(str, location):
        # A pool's own limits are fields.
        if (before in _MAPS and path != "spec.limits") or step.isdecimal():
            path += f"[{step[:_SHOWN]}]"
        elif step != "[key]":
            path += f".{step}"
        before = step
    return path


def _sentence(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}"
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(**context)
    return detail["msg"][:1].lower() + detail["msg"][1:]
