"""`parallel`: one job as several, named as GitLab names them (lib/gitlab/ci/config/normalizer of gitlabhq/gitlabhq)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Sequence_
from cijob.importers.gitlab.scalars import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.findings import Report

_MOST: Final = 200
_EXPRESSION: Final = re.compile(r"\$\[\[\s*matrix\.([\w-]+)\s*\]\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Instance:
    """One of a job's instances.

    Attributes:
        name: `test`, `test 1/3` or `test: [linux, 3.12]`.
        index: from 1; 0 where the job is not parallel.
        total: how many there are.
        variables: of the matrix.
    """

    name: str
    index: int = 0
    total: int = 1
    variables: dict[str, str] = field(default_factory=dict)


def spread(name: str, value: Any, report: Report) -> list[Instance]:  # noqa: ANN401  a value of YAML
    """The instances of a job with this `parallel`; one where it has none, or none that can be read."""
    if value is None:
        return [Instance(name)]
    if isinstance(value, Mapping):
        rows = combinations(value.get("matrix"))
        if rows is None:
            report.error(("parallel", "matrix"), "is not a list of mappings from variables to values")
            return [Instance(name)]
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        if value <= _MOST:
            return [Instance(f"{name} {index}/{value}", index, value) for index in range(1, value + 1)]
        rows = []
    else:
        report.error(("parallel",), f"{value!r} is neither a number from 1 to {_MOST} nor a matrix")
        return [Instance(name)]
    if not 1 <= len(rows) <= _MOST:
        report.error(("parallel",), f"a job can have 1 to {_MOST} instances")
        return [Instance(name)]
    return [
        Instance(f"{name}: [{', '.join(row.values())}]", index, len(rows), row)
        for index, row in enumerate(rows, start=1)
    ]


def combinations(matrix: Any) -> list[dict[str, str]] | None:  # noqa: ANN401  a value of YAML
    """The variables of each instance, in order; None where it is no matrix. More than there may be are not all made."""
    if not isinstance(matrix, list) or not all(isinstance(row, Mapping) for row in matrix):
        return None
    found: list[dict[str, str]] = []
    for row in matrix:
        columns = [_texts(values) for values in row.values()]
        if not columns or any(not column for column in columns):
            return None
        found += [dict(zip(row, values, strict=True)) for values in islice(product(*columns), _MOST + 1)]
        if len(found) > _MOST:
            break
    return found


def _texts(values: Any) -> list[str]:  # noqa: ANN401  a value of YAML
    given = values if isinstance(values, list) else [values]
    return [text_of(one) for one in given] if all(isinstance(one, str | int | float) for one in given) else []


def filled(needs: Any, variables: AbstractMapping[str, str], report: Report) -> Any:  # noqa: ANN401  a value of YAML
    """`needs` with the values of one instance for its matrix expressions, `$[[ matrix.NAME ]]`.

    docs.gitlab.com/ci/yaml/matrix_expressions/, and lib/gitlab/ci/config/interpolation/matrix_interpolator.rb of
    gitlabhq/gitlabhq at 9f2fc39e.
    """

    def value(one: re.Match[str]) -> str:
        if one[1] not in variables:
            report.error(("needs",), f"{one[0]}: the job's matrix has no {one[1]}{did_you_mean(one[1], variables)}")
        return variables.get(one[1], one[0])

    match needs:
        case str():
            return _EXPRESSION.sub(value, needs)
        case Mapping():
            return Mapping(
                needs.place, {key: filled(one, variables, report) for key, one in needs.items()}, needs.places
            )
        case Sequence_():
            return Sequence_(needs.place, [filled(one, variables, report) for one in needs], needs.places)
        case _:
            return needs
