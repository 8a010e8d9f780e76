"""Checks of the parts that a spec repeats: variables, resources, quantities, durations, names, texts.

Each gives pairs of a path below spec and a sentence, none when all is well.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cijob import limits as say
from cijob.quantities import parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.corev1 import EnvVar, EnvVarSource, Resources

    Problems = Iterator[tuple[str, str]]

_VARIABLE = re.compile(say.VARIABLE)
_DATA_KEY = re.compile(say.DATA_KEY)
_OBJECT_NAME = re.compile(say.OBJECT_NAME)
_FIELD_PATH = re.compile(say.FIELD_PATH)
_RESOURCE_FIELD = re.compile(say.RESOURCE_FIELD)
_RESOURCE = re.compile(say.RESOURCE)
_IMAGE = re.compile(say.IMAGE)


def variables(literal: Mapping[str, str] | None, env: tuple[EnvVar, ...] | None, path: str) -> Problems:
    """What is wrong with `variables` and `env` of a container below a path."""
    values, entries = literal or {}, env or ()
    for name, value in values.items():
        yield from env_name(name, f"{path}.variables")
        yield from _env_value(name, value, f"{path}.variables[{name}]")
    for index, entry in enumerate(entries):
        yield from _env(entry, f"{path}.env[{index}]")
    if any(count > 1 for count in Counter(entry.name for entry in entries).values()):
        yield f"{path}.env", say.SAY_TWICE
    if any(entry.name in values for entry in entries):
        yield f"{path}.env", say.SAY_BOTH
    pairs = [*values.items(), *((entry.name, entry.value or "") for entry in entries)]
    if sum(bytes_of(name) + bytes_of(value) for name, value in pairs) > say.ENV_BYTES:
        yield path, say.SAY_ENV_BYTES


def _env(entry: EnvVar, path: str) -> Problems:
    yield from env_name(entry.name, f"{path}.name")
    if entry.value is not None:
        yield from _env_value(entry.name, entry.value, f"{path}.value")
        if entry.value_from is not None:
            yield path, say.SAY_VALUE
    if entry.value_from is not None:
        yield from _value_from(entry.value_from, f"{path}.valueFrom")


def _value_from(source: EnvVarSource, path: str) -> Problems:
    given = (source.secret_key_ref, source.config_map_key_ref, source.field_ref, source.resource_field_ref)
    if sum(one is not None for one in given) != 1:
        yield path, say.SAY_VALUE_FROM
    for field, key in (("secretKeyRef", source.secret_key_ref), ("configMapKeyRef", source.config_map_key_ref)):
        if key is not None:
            yield from object_name(key.name, f"{path}.{field}.name")
        if key is not None and not _DATA_KEY.fullmatch(key.key):
            yield f"{path}.{field}.key", say.SAY_DATA_KEY
    if source.field_ref is not None and not _FIELD_PATH.fullmatch(source.field_ref.field_path):
        yield f"{path}.fieldRef.fieldPath", say.SAY_FIELD_PATH
    if source.resource_field_ref is not None:
        if not _RESOURCE_FIELD.fullmatch(source.resource_field_ref.resource):
            yield f"{path}.resourceFieldRef.resource", say.SAY_RESOURCE_FIELD
        yield from quantities({".divisor": source.resource_field_ref.divisor or "1"}, f"{path}.resourceFieldRef")


def image(name: str, path: str) -> Problems:
    """What is wrong with the name of an image."""
    if not _IMAGE.fullmatch(name):
        yield path, say.SAY_IMAGE


def object_name(name: str, path: str) -> Problems:
    """What is wrong with the name of an object."""
    if not _OBJECT_NAME.fullmatch(name):
        yield path, say.SAY_OBJECT_NAME


def resources(given: Resources | None, path: str) -> Problems:
    """What is wrong with requests and limits."""
    if given is None:
        return
    requests, limits = given.requests or {}, given.limits or {}
    malformed: list[tuple[str, str]] = []
    for field, amounts in (("requests", requests), ("limits", limits)):
        if not all(map(_RESOURCE.fullmatch, amounts)):
            yield f"{path}.{field}", say.SAY_RESOURCE
        malformed += quantities({f".{field}[{name}]": amount for name, amount in amounts.items()}, path)
    yield from malformed
    both = requests.keys() & limits.keys()
    if not malformed and any(parse_quantity(requests[name]) > parse_quantity(limits[name]) for name in both):
        yield f"{path}.requests", say.SAY_REQUEST


def quantities(amounts: Mapping[str, str], path: str) -> Problems:
    """What is wrong with quantities, by their path below a path."""
    for below, amount in amounts.items():
        try:
            parse_quantity(amount)
        except ValueError as error:
            yield f"{path}{below}", str(error)


def duration(text: str, path: str, bounds: tuple[str, str], message: str) -> Problems:
    """What is wrong with a duration, whose bounds are durations too."""
    shortest, longest = map(parse_duration, bounds)
    try:
        if not shortest <= parse_duration(text) <= longest:
            yield path, message
    except ValueError as error:
        yield path, str(error)


def env_name(name: str, path: str) -> Problems:
    """What is wrong with the name of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        yield path, say.SAY_VARIABLE
    if name.startswith(say.RESERVED_PREFIX):
        yield path, say.SAY_RESERVED


def _env_value(name: str, value: str, path: str) -> Problems:
    yield from nul(value, path)
    if bytes_of(name) + bytes_of(value) > say.ENV_STRING_BYTES:
        yield path, say.SAY_ENV_STRING


def nul(text: str, path: str) -> Problems:
    """What no text of a Pod may hold."""
    if "\0" in text:
        yield path, say.SAY_NUL


def bytes_of(text: str) -> int:
    """The size of a text in UTF-8."""
    return len(text.encode())
