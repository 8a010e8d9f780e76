"""The rules of a CiJob's spec as the operator checks them.

The API server checks most of them first (`crdgen/rules.py`); here they catch what was stored before a rule existed or
passed a server that counts characters where bytes matter.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cijob import limits as say
from cijob.quantities import parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cijob.corev1 import EnvFromSource, EnvVar, EnvVarSource, Resources
    from cijob.models import CiJobSpec, Docker, Retry

_IMAGE = re.compile(say.IMAGE)
_VARIABLE = re.compile(say.VARIABLE)
_DATA_KEY = re.compile(say.DATA_KEY)
_OBJECT_NAME = re.compile(say.OBJECT_NAME)
_JOB_NAME = re.compile(say.JOB_NAME)
_FIELD_PATH = re.compile(say.FIELD_PATH)
_RESOURCE_FIELD = re.compile(say.RESOURCE_FIELD)
_RESOURCE = re.compile(say.RESOURCE)
_WORKING_DIR = re.compile(say.WORKING_DIR)
_DOTTED_DIR = re.compile(say.DOTTED_DIR, re.DOTALL)
_SYSTEM_DIR = re.compile(say.SYSTEM_DIR, re.DOTALL)


def validate_name(name: str) -> list[str]:
    """What is wrong with a CiJob's name, which labels of its Pod must hold; empty when all is well."""
    return [] if _JOB_NAME.fullmatch(name) else [say.SAY_NAME]


def validate_spec(spec: CiJobSpec) -> list[str]:
    """What makes a spec impossible to run: `path: what is wrong; what to write` each, none when all is well."""
    return [f"spec{path}: {message}" for path, message in _problems(spec)]


def _problems(spec: CiJobSpec) -> Iterator[tuple[str, str]]:
    """Pairs of a path below spec and a sentence."""
    if spec.pool_name != "default":
        yield ".poolName", say.SAY_POOL
    if not _IMAGE.fullmatch(spec.image):
        yield ".image", say.SAY_IMAGE
    yield from _commands(spec)
    yield from _scripts(spec)
    yield from _variables(spec)
    for index, source in enumerate(spec.env_from or ()):
        yield from _env_from(source, f".envFrom[{index}]")
    yield from _working_dir(spec.working_dir)
    yield from _resources(spec.resources, ".resources")
    yield from _docker(spec.docker)
    yield from _retry(spec.retry)
    if spec.timeout is not None:
        yield from _duration(spec.timeout, ".timeout", (say.MIN_TIMEOUT, say.MAX_TIMEOUT), say.SAY_TIMEOUT)


def _commands(spec: CiJobSpec) -> Iterator[tuple[str, str]]:
    if (spec.script is None) == (spec.command is None):
        yield "", say.SAY_ONE_OF
    if spec.command is None:
        if spec.args is not None:
            yield ".args", say.SAY_ARGS
        return
    beside = {
        "beforeScript": spec.before_script is not None,
        "afterScript": spec.after_script is not None,
        "shell": "shell" in spec.model_fields_set,
    }
    for field in (field for field, given in beside.items() if given):
        yield f".{field}", say.SAY_SCRIPT_ONLY.format(field, field)
    if spec.command[0] == "":
        yield ".command", say.SAY_COMMAND


def _scripts(spec: CiJobSpec) -> Iterator[tuple[str, str]]:
    """NUL characters and the size of all text lists."""
    scripts = {"script": spec.script, "beforeScript": spec.before_script, "afterScript": spec.after_script}
    for field, entries in {**scripts, "command": spec.command, "args": spec.args}.items():
        for index, entry in enumerate(entries or ()):
            yield from _nul(entry, f".{field}[{index}]")
    if sum(_bytes(entry) for entries in scripts.values() for entry in entries or ()) > say.SCRIPT_BYTES:
        yield ".script", say.SAY_SCRIPT_BYTES


def _variables(spec: CiJobSpec) -> Iterator[tuple[str, str]]:
    variables, env = spec.variables or {}, spec.env or ()
    for name, value in variables.items():
        yield from _env_name(name, ".variables")
        yield from _env_value(name, value, f".variables[{name}]")
    for index, entry in enumerate(env):
        yield from _env(entry, f".env[{index}]")
    if any(count > 1 for count in Counter(entry.name for entry in env).values()):
        yield ".env", say.SAY_TWICE
    if any(entry.name in variables for entry in env):
        yield ".env", say.SAY_BOTH
    pairs = [*variables.items(), *((entry.name, entry.value or "") for entry in env)]
    if sum(_bytes(name) + _bytes(value) for name, value in pairs) > say.ENV_BYTES:
        yield "", say.SAY_ENV_BYTES


def _env(entry: EnvVar, path: str) -> Iterator[tuple[str, str]]:
    yield from _env_name(entry.name, f"{path}.name")
    if entry.value is not None:
        yield from _env_value(entry.name, entry.value, f"{path}.value")
        if entry.value_from is not None:
            yield path, say.SAY_VALUE
    if entry.value_from is not None:
        yield from _value_from(entry.value_from, f"{path}.valueFrom")


def _value_from(source: EnvVarSource, path: str) -> Iterator[tuple[str, str]]:
    given = (source.secret_key_ref, source.config_map_key_ref, source.field_ref, source.resource_field_ref)
    if sum(one is not None for one in given) != 1:
        yield path, say.SAY_VALUE_FROM
    for field, key in (("secretKeyRef", source.secret_key_ref), ("configMapKeyRef", source.config_map_key_ref)):
        if key is not None and not _OBJECT_NAME.fullmatch(key.name):
            yield f"{path}.{field}.name", say.SAY_OBJECT_NAME
        if key is not None and not _DATA_KEY.fullmatch(key.key):
            yield f"{path}.{field}.key", say.SAY_DATA_KEY
    if source.field_ref is not None and not _FIELD_PATH.fullmatch(source.field_ref.field_path):
        yield f"{path}.fieldRef.fieldPath", say.SAY_FIELD_PATH
    if source.resource_field_ref is not None:
        if not _RESOURCE_FIELD.fullmatch(source.resource_field_ref.resource):
            yield f"{path}.resourceFieldRef.resource", say.SAY_RESOURCE_FIELD
        yield from _quantities({".divisor": source.resource_field_ref.divisor or "1"}, f"{path}.resourceFieldRef")


def _env_from(source: EnvFromSource, path: str) -> Iterator[tuple[str, str]]:
    if (source.secret_ref is None) == (source.config_map_ref is None):
        yield path, say.SAY_ENV_FROM
    if source.prefix:
        yield from _env_name(source.prefix, f"{path}.prefix")
    for field, ref in (("secretRef", source.secret_ref), ("configMapRef", source.config_map_ref)):
        if ref is not None and not _OBJECT_NAME.fullmatch(ref.name):
            yield f"{path}.{field}.name", say.SAY_OBJECT_NAME


def _working_dir(path: str) -> Iterator[tuple[str, str]]:
    if not _WORKING_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_WORKING_DIR
    if _DOTTED_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_DOTTED_DIR
    if _SYSTEM_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_SYSTEM_DIR


def _resources(resources: Resources | None, path: str) -> Iterator[tuple[str, str]]:
    if resources is None:
        return
    requests, limits = resources.requests or {}, resources.limits or {}
    malformed: list[tuple[str, str]] = []
    for field, amounts in (("requests", requests), ("limits", limits)):
        if not all(map(_RESOURCE.fullmatch, amounts)):
            yield f"{path}.{field}", say.SAY_RESOURCE
        malformed += _quantities({f".{field}[{name}]": amount for name, amount in amounts.items()}, path)
    yield from malformed
    both = requests.keys() & limits.keys()
    if not malformed and any(parse_quantity(requests[name]) > parse_quantity(limits[name]) for name in both):
        yield f"{path}.requests", say.SAY_REQUEST


def _docker(docker: Docker) -> Iterator[tuple[str, str]]:
    if not docker.enabled and docker.model_fields_set & {"endpoint", "resources", "storage", "start_timeout"}:
        yield ".docker", say.SAY_DOCKER_OFF
    yield from _resources(docker.resources, ".docker.resources")
    if docker.storage is not None and docker.storage.size is not None:
        path = ".docker.storage.size"
        malformed = list(_quantities({path: docker.storage.size}, ""))
        yield from malformed
        if not malformed and not parse_quantity(docker.storage.size):
            yield path, say.SAY_STORAGE_SIZE
    bounds = (say.MIN_START_TIMEOUT, say.MAX_START_TIMEOUT)
    yield from _duration(docker.start_timeout, ".docker.startTimeout", bounds, say.SAY_START_TIMEOUT)


def _retry(retry: Retry) -> Iterator[tuple[str, str]]:
    if retry.when is not None and not retry.limit:
        yield ".retry", say.SAY_RETRY_LIMIT
    if retry.when is not None and retry.when.reasons is None and retry.when.exit_codes is None:
        yield ".retry.when", say.SAY_RETRY_WHEN


def _quantities(amounts: Mapping[str, str], path: str) -> Iterable[tuple[str, str]]:
    for below, amount in amounts.items():
        try:
            parse_quantity(amount)
        except ValueError as error:
            yield f"{path}{below}", str(error)


def _duration(text: str, path: str, bounds: tuple[str, str], message: str) -> Iterator[tuple[str, str]]:
    shortest, longest = map(parse_duration, bounds)
    try:
        if not shortest <= parse_duration(text) <= longest:
            yield path, message
    except ValueError as error:
        yield path, str(error)


def _env_name(name: str, path: str) -> Iterator[tuple[str, str]]:
    if not _VARIABLE.fullmatch(name):
        yield path, say.SAY_VARIABLE
    if name.startswith(say.RESERVED_PREFIX):
        yield path, say.SAY_RESERVED


def _env_value(name: str, value: str, path: str) -> Iterator[tuple[str, str]]:
    yield from _nul(value, path)
    if _bytes(name) + _bytes(value) > say.ENV_STRING_BYTES:
        yield path, say.SAY_ENV_STRING


def _nul(text: str, path: str) -> Iterator[tuple[str, str]]:
    if "\0" in text:
        yield path, say.SAY_NUL


def _bytes(text: str) -> int:
    return len(text.encode())
