"""The nearest of some names, for what was misspelt. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_CLOSE = 0.7
"""Of difflib's ratio: `tset` is 0.75 of `test`, `style` 0.6 of `types`."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `name` probably means, or None."""
    by_folded = {one.casefold(): one for one in names}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=_CLOSE)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean build?`, or nothing."""
    found = nearest(name, names)
    return "" if found is None else f"; did you mean {found}?"
