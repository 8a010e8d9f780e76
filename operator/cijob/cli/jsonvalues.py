"""What of YAML the API takes: the values of JSON. Pure."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Final

from cijob.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Deeper than any object of the API; an alias in what it names has no end.
_DEEPEST: Final = 100
#: Values of all documents together. Aliases of aliases make more of them than a file has bytes.
_MOST: Final = 1_000_000
#: Bits of the largest number that readers of JSON agree on.
_BITS: Final = 64


def check_values(value: object, named: str, path: str = "") -> None:
    """Refuses what JSON has no word for: bytes, sets, dates, keys that are no text, numbers that are none.

    Args:
        value: a document, as PyYAML's safe loader gives it.
        named: what the user calls it.
        path: where the value stands, if it is not the whole.

    Raises:
        CliError: there is such a value; the message has its path.
    """
    _check(value, named, path, 0, count())


def _check(value: object, named: str, path: str, depth: int, seen: Iterator[int]) -> None:
    if depth > _DEEPEST:
        raise CliError(f"{named}: {_short(path)}: more than {_DEEPEST} levels deep, or an alias that holds itself")
    if next(seen) >= _MOST:
        raise CliError(f"{named}: more than {_MOST} values: its aliases multiply them")
    match value:
        case list():
            for index, one in enumerate(value):
                _check(one, named, f"{path}[{index}]", depth + 1, seen)
        case dict():
            for key, one in value.items():
                if not isinstance(key, str):
                    raise CliError(
                        f"{named}: {_short(path) or 'its outermost map'}: the key {key!r} is no text",
                        "Put it in quotes.",
                    )
                _check(one, named, f"{path}.{key}" if path else key, depth + 1, seen)
        case _:
            if _is_scalar(value):
                return
            raise CliError(
                f"{named}: {_short(path) or 'all of it'}: {_kind(value)} is nothing that JSON, and so the API, has",
                "Put it in quotes if it is meant as a text.",
            )


def _is_scalar(value: object) -> bool:
    match value:
        case None | bool() | str():
            return True
        case int():
            return value.bit_length() <= _BITS
        case float():
            return math.isfinite(value)
        case _:
            return False


def _kind(value: object) -> str:
    match value:
        case int() | float():
            return "such a number"
        case bytes():
            return "!!binary"
        case set():
            return "!!set"
        case _:
            return f"a value of the type {type(value).__name__}"


def _short(path: str) -> str:
    return path if len(path) <= _DEEPEST else f"{path[:_DEEPEST]}..."
