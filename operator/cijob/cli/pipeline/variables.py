"""Variables that a job of a pipeline leaves for later ones: files of `artifacts:reports:dotenv`. Pure.

The form is GitLab's, read in `app/services/ci/parse_dotenv_artifact_service.rb` of gitlabhq/gitlabhq at 1410f851: a line is
`NAME=value` without quotes or comments, spaces around both are cut off, and a value may refer to other variables. Where
GitLab refuses the whole file, here a line that is none is left out and told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cijob.importers.gitlab.model import TooMuch
from cijob.importers.gitlab.variables import Variable, VariableCycle, resolve
from cijob.limits import RESERVED_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cijob.importers.gitlab.model import Spec
    from cijob.importers.gitlab.variables import Layer

#: GitLab's own limit of one file, and its highest of variables in it.
DOTENV_BYTES: Final = 5 * 1024
DOTENV_VARIABLES: Final = 150
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_dotenv(text: bytes, file: str) -> tuple[dict[str, str], list[str]]:
    """The variables of a file, and a sentence for each line that is none."""
    if len(text) > DOTENV_BYTES:
        return {}, [f"{file}: a dotenv file may have {DOTENV_BYTES // 1024} KiB: it was left out"]
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.decode("utf-8-sig", errors="replace").split("\n"), 1):
        name, equals, value = (part.strip() for part in line.partition("="))
        problem = _problem(name, equals, value)
        if not line.strip():
            continue
        if problem:
            problems.append(f"{file}:{number}: {problem}: the line was left out")
        elif name not in found and len(found) == DOTENV_VARIABLES:
            problems.append(f"{file}:{number}: a file may have {DOTENV_VARIABLES} variables: the rest was left out")
            break
        else:
            found[name] = value
    return found, problems


def _problem(name: str, equals: str, value: str) -> str:
    if not equals:
        return "a line of a dotenv file is NAME=value"
    if not _NAME.fullmatch(name):
        return "names start with a letter or _ and hold letters, digits and _ only"
    if name.startswith(RESERVED_PREFIX):
        return f"names that start with {RESERVED_PREFIX} belong to the operator"
    return "a value may not hold a NUL character" if "\0" in value else ""


def with_dotenv(
    spec: Spec, given: Iterable[Mapping[str, str]], user: Mapping[str, str], layers: tuple[Layer, ...] = ()
) -> Spec:
    """The spec with the variables that earlier jobs left: above the job's own, below those that the user gave.

    What refers to them has their values, as in GitLab, which expands all of a job's variables together.

    Args:
        spec: of the job.
        given: of each job whose artifacts it gets, in the pipeline's order; a later one's value counts.
        user: what `--var` says, which the spec has.
        layers: the job's own variables as the file has them; those of the spec, as they are, where there are none.
    """
    left = {name: text for variables in given for name, text in variables.items() if name not in user}
    if not left:
        return spec
    own = dict(spec.get("variables", {}))
    layers = layers or (own,)
    try:
        before = resolve(*layers, user)
        now = resolve(*layers, {name: Variable(text) for name, text in left.items()}, user)
    except (VariableCycle, TooMuch):  # GitLab, too, takes values as they are then
        return {**spec, "variables": own | left}
    # What the spec has beside the file's variables, and what it has made of them, stays.
    changed = {name: now[name] for name, value in own.items() if name in now and before.get(name) == value}
    return {**spec, "variables": own | changed | {name: now[name] for name in left}}
