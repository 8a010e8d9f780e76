"""How objects and lists are printed: -o json, yaml and name as kubectl has them, and tables for people."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
from rich.cells import cell_len
from rich.text import Text

from cijob.cli.console import out, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cijob.transport import Body

Cell = str | tuple[str, str]
"""A text, or a text and the name of a style of `console`."""

#: What a cell without a value shows, so that columns can be counted in a pipe.
NOTHING: Final = "-"
#: Spaces between two columns, as kubectl has them.
_GAP: Final = 3
#: What json.dumps leaves as it is although terminals obey it.
_CONTROL: Final = re.compile(r"[\x7f-\x9f]")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR: Final = 365 * _DAY


class Table:
    """Rows under headers, with columns as kubectl prints them; on a terminal with colours.

    Lines are never cut or wrapped here: as with kubectl, a narrow terminal does that, and names stay whole.

    Args:
        headers: of the columns.
        widest: cells of the widest column; a longer text moves what stands behind it in its own row only.
    """

    def __init__(self, *headers: str, widest: int | None = None) -> None:
        self._headers, self._widest = headers, widest
        self._rows: list[tuple[Cell, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *cells: Cell) -> None:
        """One more row. Empty cells show a dash; control characters of others' texts are left out."""
        self._rows.append(tuple(_clean(cell) for cell in cells))

    def lines(self, *, headers: bool = True) -> list[Text]:
        """The table, a line each."""
        rows = [*([tuple((header, "heading") for header in self._headers)] if headers else []), *self._rows]
        widths = [max(cell_len(_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
        if self._widest is not None:
            widths = [min(width, self._widest) for width in widths]
        return [_line(row, widths) for row in rows]

    def print(self, *, headers: bool = True) -> None:
        """Print it to where a command's answer goes."""
        for line in self.lines(headers=headers):
            say(line)


class Stream:
    """Rows that come bit by bit: columns keep the widths that they had, and grow where they must."""

    def __init__(self, *headers: str, with_headers: bool = True) -> None:
        self._widths = [0] * len(headers)
        self._rows: list[tuple[Cell, ...]] = [tuple((header, "heading") for header in headers)] if with_headers else []

    def lines(self, rows: Iterable[Sequence[Cell]]) -> list[Text]:
        """The next lines, a row each; before the first of them the headers."""
        rows = [*self._rows, *(tuple(_clean(cell) for cell in row) for row in rows)]
        self._rows = []
        for row in rows:
            pairs = zip(self._widths, row, strict=True)
            self._widths = [max(width, cell_len(_text(cell))) for width, cell in pairs]
        return [_line(row, self._widths) for row in rows]


def say(line: Text | str = "") -> None:
    """A line of a command's answer, to the standard output: with its colours on a terminal, else plain."""
    console = out()
    if console.is_terminal:
        console.print(line, soft_wrap=True)
    else:  # click, unlike rich, lets a closed pipe be seen
        click.echo(str(line))


def show(bodies: Sequence[Body], output: str, *, one: bool = False) -> None:
    """Print objects to the standard output as -o wants them.

    Args:
        bodies: the objects.
        output: json, yaml or name.
        one: a single object that was asked for by name, which stands for itself and not in a list.
    """
    click.echo(formatted(bodies, output, one=one), nl=False)


def formatted(bodies: Sequence[Body], output: str, *, one: bool = False) -> str:
    """Objects as `show` prints them, with the newline at the end; nothing for the names of an empty list."""
    if output == "name":
        return "".join(f"{resource_name(body)}\n" for body in bodies)
    shown = [_shown(body) for body in bodies]
    whole: Any = shown[0] if one else {"apiVersion": "v1", "items": shown, "kind": "List"}
    if output == "json":
        text = json.dumps(whole, indent=4, sort_keys=True, ensure_ascii=False)
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
    from cijob.cli.yamltext import Dumper, dump

    return dump(whole, Dumper)


def resource_name(body: Body) -> str:
    """An object as kubectl names it: `cijob.cijob.dev/build-42`."""
    group = str(body["apiVersion"]).rpartition("/")[0]
    kind = str(body["kind"]).lower()
    return f"{kind}.{group}/{body['metadata']['name']}" if group else f"{kind}/{body['metadata']['name']}"


def moment(text: str | None) -> datetime | None:
    """A time as the API has it (RFC 3339); None where there is none."""
    return datetime.fromisoformat(text) if text else None


def age(since: datetime | None, now: datetime | None = None) -> str:
    """How long ago a time was, as kubectl writes it: `5m`; a dash for none."""
    if since is None:
        return NOTHING
    return duration(((now or datetime.now(UTC)) - since).total_seconds())


def duration(seconds: float) -> str:
    """A number of seconds in the two largest units that matter: 45s, 3m20s, 12m, 5h10m, 2d4h, 1y30d.

    As kubectl has it (HumanDuration in k8s.io/apimachinery/pkg/util/duration); of a clock that is ahead of ours: 0s.
    """
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    return _two(whole, _YEAR, "y", _DAY, "d") if whole < 8 * _YEAR else f"{whole // _YEAR}y"


def _two(seconds: int, large: int, its: str, small: int, other: str) -> str:
    count, rest = divmod(seconds, large)
    return f"{count}{its}{rest // small}{other}" if rest >= small else f"{count}{its}"


def _clean(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return _one_line(cell) or NOTHING
    return _one_line(cell[0]) or NOTHING, cell[1]


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _line(row: Sequence[Cell], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(row[:-1], widths, strict=False):
        line.append(_text(cell), style=None if isinstance(cell, str) else cell[1])
        line.append(" " * (max(0, width - cell_len(_text(cell))) + _GAP))
    line.append(_text(row[-1]), style=None if isinstance(row[-1], str) else row[-1][1])
    return line


def _shown(body: Body) -> Body:
    """An object without the bookkeeping of who wrote which field, which kubectl leaves out too."""
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}
