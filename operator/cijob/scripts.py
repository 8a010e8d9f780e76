"""Script entries as the shell file that `prelude.sh` reads. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def script_file(before: Iterable[str], script: Iterable[str]) -> str:
    """The entries of beforeScript and script: one shell runs them all."""
    return _entries("before", before) + _entries("script", script)


def after_file(after: Iterable[str]) -> str:
    """The entries of afterScript."""
    return _entries("after", after)


def _entries(part: str, entries: Iterable[str]) -> str:
    """Two lines of shell for each: its announcement, and its text quoted, so that one entry cannot spill into the next."""
    return "".join(
        f"cijob_entry {part} {number} {shlex.quote(_title(entry))}\neval {shlex.quote(entry)}\n"
        for number, entry in enumerate(entries, start=1)
    )


def _title(entry: str) -> str:
    first, *rest = entry.splitlines() or [""]
    return f"{first} # {len(rest) + 1} lines" if rest else first
