"""GitLab's two kinds of path patterns, as regular expressions. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAR: Final = "[^/]*?"
"""What `*` is: anything within a name."""

FOLDERS: Final = "(?:[^/]+/)*?"
"""What `**/` is: any number of folders, none included."""

ANY: Final = ".*?"
"""What `**` of `include:local` is: anything."""

_SPECIAL = frozenset("*?[]{}\\")
_MAX_ALTERNATIVES = 1024
_BRACES = re.compile(r"\\.|[{,}]", re.DOTALL)
_FOLDERS = re.compile(r"(?:\*\*/)+")
_STARS = re.compile(r"\*+")
_BRACKET = re.compile(r"\[([!^]?)([^\]]+)\]")


@lru_cache(maxsize=1024)
def path_pattern(glob: str) -> re.Pattern[str]:
    """A pattern of `rules:exists` and `rules:changes`, for `fullmatch` of a path.

    Ruby's File.fnmatch with FNM_PATHNAME, FNM_DOTMATCH and FNM_EXTGLOB, as docs.gitlab.com/ci/yaml/#ruleschanges says:
    `*` and `?` do not cross a `/`, `**/` stands for any number of folders, none included, names that start with a dot
    count, `{a,b}` is one of several. A pattern that is not well-formed matches only itself.
    """
    try:
        return re.compile("|".join(joined(_parts(one)) for one in alternatives(glob)), re.DOTALL)
    except re.error:
        return re.compile(re.escape(glob))


@lru_cache(maxsize=1024)
def include_pattern(path: str) -> re.Pattern[str]:
    """A path of `include:local`, for `fullmatch`: `**` is anything, `*` anything but `/`; nothing else is special.

    As search_files_by_wildcard_path of GitLab's app/models/repository.rb has it.
    """
    stars = {"**": ANY, "*": STAR}
    return re.compile(joined(stars.get(part) or re.escape(part) for part in re.findall(r"\*\*|\*|[^*]", path)))


def literal_folder(pattern: str) -> str:
    """The folder that everything that matches is in: `ci/jobs` of `ci/jobs/*.yml`; empty for the root."""
    parts = pattern.split("/")[:-1]
    return "/".join(takewhile(lambda part: not _SPECIAL & set(part), parts))


def alternatives(glob: str) -> list[str]:
    """The globs that one with braces stands for; braces may be nested, after a backslash they are characters. At most 1,024."""
    found: list[str] = []
    waiting = [(glob, 0)]
    while waiting and len(found) < _MAX_ALTERNATIVES:
        one, start = waiting.pop()
        choices = _choices(one, start)
        if choices is None:
            found.append(one)
        else:
            waiting += reversed(choices)
    return found


def _choices(glob: str, start: int) -> list[tuple[str, int]] | None:
    """What the first braces from `start` on stand for, each with where to look on; None where there are none."""
    depth, edges = 0, list[int]()
    for found in _BRACES.finditer(glob, start):
        index, char = found.start(), found[0]
        if char == "{":
            depth += 1
        if depth == 1 and char in "{,}":
            edges.append(index)
        if char == "}" and depth:
            depth -= 1
            if depth == 0:
                head, tail = glob[: edges[0]], glob[index + 1 :]
                between = islice(pairwise(edges), _MAX_ALTERNATIVES)
                return [(head + glob[left + 1 : right] + tail, len(head)) for left, right in between]
    return None


def joined(parts: Iterable[str]) -> str:
    """A regular expression, for `fullmatch`, of the parts of a glob: STAR, FOLDERS, ANY and expressions of one character.

    What stands between two of the first three is looked for where it comes first, and never elsewhere: that is enough, as
    all that may follow can then follow, and it bounds the time where trying all places would not (`*a*a*a*a*b`).
    """
    chunks: list[tuple[str, list[str]]] = [("", [""])]
    for part in parts:
        if part in (FOLDERS, ANY):
            chunks.append((part, [""]))
        elif part == STAR:
            chunks[-1][1].append("")
        else:
            chunks[-1][1][-1] += part
    (crossing, (first, *others)) = chunks.pop()
    last = f"{STAR}{others.pop()}" if others else ""
    return "".join(f"(?>{_first(*one)})" for one in chunks) + _first(crossing, [first, *others]) + last


def _first(crossing: str, pieces: list[str]) -> str:
    """The pieces between single stars, each where it comes first."""
    return crossing + pieces[0] + "".join(f"(?>{STAR}{piece})" for piece in pieces[1:])


def _parts(glob: str) -> Iterator[str]:
    """Those of one glob without braces."""
    at = 0
    while at < len(glob):
        char = glob[at]
        if (folders := _FOLDERS.match(glob, at)) and (at == 0 or glob[at - 1] == "/"):
            yield FOLDERS
            at = folders.end()
        elif stars := _STARS.match(glob, at):
            yield STAR
            at = stars.end()
        elif char == "?":
            yield "[^/]"
            at += 1
        elif bracket := _BRACKET.match(glob, at):
            yield _set(bracket[1], bracket[2])
            at = bracket.end()
        elif char == "\\" and at + 1 < len(glob):
            yield re.escape(glob[at + 1])
            at += 2
        else:
            yield re.escape(char)
            at += 1


def _set(negation: str, inner: str) -> str:
    """A set of characters; it never matches a `/`."""
    safe = inner.replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
    return f"(?!/)[{'^' if negation else ''}{safe}]"
