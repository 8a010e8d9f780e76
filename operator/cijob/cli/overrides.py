"""From a manifest and the options of `cijob run` to the CiJob that is created. Pure."""

from __future__ import annotations

import re
import shlex
from copy import deepcopy
from difflib import get_close_matches
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError

from cijob import names
from cijob.cli.errors import CliError
from cijob.cli.jsonvalues import check_values
from cijob.models import CiJobSpec
from cijob.problems import sentences
from cijob.validation import validate_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.cli.runoptions import RunOptions
    from cijob.transport import Body

_STEP: Final = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")
_INDEX: Final = re.compile(r"\[(\d+)\]")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
#: Characters of a generateName, so that the whole name fits into a label.
_STEM: Final = 40
#: More than a manifest can need; `--set a[999999999]=x` must not fill the memory.
_MOST_ENTRIES: Final = 1000


def of_image(image: str, words: tuple[str, ...]) -> Body:
    """The CiJob of `--image IMAGE -- WORDS`: one word is a line of the script, several are a command and its arguments."""
    script = [words[0] if len(words) == 1 else shlex.join(words)]
    stem = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"generateName": f"{_name(stem)}-"},
        "spec": {"image": image, "script": script},
    }


def completed(manifest: Body, options: RunOptions, path: str = "") -> Body:
    """The CiJob with what the options say, under a name; `path`: the manifest's, of which a missing name is made.

    Raises:
        CliError: an option cannot be applied, or the result cannot be run; every problem of the spec is named.
    """
    job = deepcopy(manifest)
    job["metadata"] = dict(job.get("metadata") or {})
    job["spec"] = dict(job.get("spec") or {})
    if not job["metadata"].get("name") and not job["metadata"].get("generateName"):
        job["metadata"]["generateName"] = f"{_name(PurePath(path).name.partition('.')[0])}-"
    if options.variables:
        job["spec"]["variables"] = {**(job["spec"].get("variables") or {}), **options.variables}
    if options.timeout:
        job["spec"]["timeout"] = options.timeout
    if options.git_url:
        git: Body = {"url": options.git_url}
        git |= {"ref": options.git_ref} if options.git_ref else {}
        git |= {"credentialsSecretRef": {"name": options.git_secret}} if options.git_secret else {}
        job["spec"]["source"] = {"git": git}
    for text in options.sets:
        job = _with(job, text)
    check(job["spec"])
    return job


def check(spec: Body) -> None:
    """Whether a spec can be run, as far as that can be told without the cluster.

    Raises:
        CliError: it cannot; one sentence for each problem.
    """
    problems = list(unknown_fields(spec))
    try:
        problems += validate_spec(CiJobSpec.model_validate(spec))
    except ValidationError as error:
        problems += sentences(error, "spec")
    if len(problems) == 1:
        raise CliError(problems[0])
    if problems:
        raise CliError("the CiJob cannot be run:\n" + "\n".join(f"  {problem}" for problem in problems))


def unknown_fields(spec: object, model: type[BaseModel] = CiJobSpec, path: str = "spec") -> Iterator[str]:
    """A sentence for each field that a CiJob does not have, with the nearest that it has."""
    if not isinstance(spec, dict):
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in spec.items():
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            meant = f"did you mean {near[0]}?" if near else f"`kubectl explain cij.{path}` lists those that there are"
            yield f"{path}.{key}: there is no such field: {meant}"
            continue
        below = _model(fields[key].annotation)
        if below is None:
            continue
        if isinstance(value, list):
            for index, one in enumerate(value):
                yield from unknown_fields(one, below, f"{path}.{key}[{index}]")
        else:
            yield from unknown_fields(value, below, f"{path}.{key}")


def _model(annotation: object) -> type[BaseModel] | None:
    """The model in a field's type, through tuples, unions and annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model(one)) is not None), None)


def _with(job: Body, text: str) -> Body:
    """The CiJob with one `--set PATH=VALUE`. A value is YAML, but text where the field holds text."""
    path, equals, raw = text.partition("=")
    steps = _steps(path)
    if not equals or not steps:
        raise CliError(f"--set {text}: write it as PATH=VALUE, such as --set timeout=10m")
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise CliError(f"--set {text}: the value is no YAML: {' '.join(str(error).split())}") from error
    changed = _put(job, steps, value, text)
    if not isinstance(value, str) and steps[0] == "spec" and _wants_text(changed["spec"], tuple(steps[1:])):
        return _put(job, steps, raw, text)
    check_values(value, f"--set {text}")
    return changed


def _steps(path: str) -> list[str | int]:
    """`services[0].image` as spec, services, 0, image."""
    steps: list[str | int] = []
    for part in path.split("."):
        found = _STEP.fullmatch(part.strip())
        if found is None:
            return []
        steps += [found[1], *map(int, _INDEX.findall(found[2]))]
    return steps if steps[0] in {"spec", "metadata"} else ["spec", *steps]


def _put(job: Body, steps: list[str | int], value: object, text: str) -> Body:
    job = deepcopy(job)
    at: Any = job
    for step, following in pairwise(steps):
        _reach(at, step, text)
        if at[step] is None:
            at[step] = [] if isinstance(following, int) else {}
        at = at[step]
    _reach(at, steps[-1], text)
    at[steps[-1]] = value
    return job


def _reach(at: object, step: str | int, text: str) -> None:
    """Makes a place for the step, empty where there was nothing."""
    if isinstance(step, int) and isinstance(at, list) and step < _MOST_ENTRIES:
        at += [None] * (step + 1 - len(at))
    elif isinstance(step, str) and isinstance(at, dict):
        at.setdefault(step, None)
    else:
        raise CliError(f"--set {text}: there is no {step} in what the CiJob has there")


def _wants_text(spec: Body, steps: tuple[str | int, ...]) -> bool:
    try:
        CiJobSpec.model_validate(spec)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return any(one["type"] == "string_type" and one["loc"][: len(steps)] == steps for one in found)
    return False


def _name(text: str) -> str:
    """A text as the beginning of a CiJob's name."""
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-")[:_STEM].strip("-") or "run"
