"""GitLab's two kinds of path patterns, as regular expressions. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise, takewhile

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
        return re.compile("|".join(_translate(one) for one in alternatives(glob)), re.DOTALL)
    except re.error:
        return re.compile(re.escape(glob))


@lru_cache(maxsize=1024)
def include_pattern(path: str) -> re.Pattern[str]:
    """A path of `include:local`, for `fullmatch`: `**` is anything, `*` anything but `/`; nothing else is special.

    As search_files_by_wildcard_path of GitLab's app/models/repository.rb has it.
    """
    return re.compile(re.escape(path).replace(r"\*\*", ".*?").replace(r"\*", "[^/]*?"))


def literal_folder(pattern: str) -> str:
    """The folder that everything that matches is in: `ci/jobs` of `ci/jobs/*.yml`; empty for the root."""
    parts = pattern.split("/")[:-1]
    return "/".join(takewhile(lambda part: not _SPECIAL & set(part), parts))


def alternatives(glob: str) -> list[str]:
    """The globs that one with braces stands for; braces may be nested, after a backslash they are characters. At most 1,024."""
    depth, edges = 0, list[int]()
    for found in _BRACES.finditer(glob):
        index, char = found.start(), found[0]
        if char == "{":
            depth += 1
        if depth == 1 and char in "{,}":
            edges.append(index)
        if char == "}" and depth:
            depth -= 1
            if depth == 0:
                head, tail = glob[: edges[0]], glob[index + 1 :]
                choices = (glob[left + 1 : right] for left, right in pairwise(edges))
                return [full for one in choices for full in alternatives(head + one + tail)][:_MAX_ALTERNATIVES]
    return [glob]


def _translate(glob: str) -> str:
    """One glob without braces."""
    out, at = "", 0
    while at < len(glob):
        char = glob[at]
        if (folders := _FOLDERS.match(glob, at)) and (at == 0 or glob[at - 1] == "/"):
            out, at = out + "(?:[^/]+/)*", folders.end()
        elif stars := _STARS.match(glob, at):
            out, at = out + "[^/]*", stars.end()
        elif char == "?":
            out, at = out + "[^/]", at + 1
        elif bracket := _BRACKET.match(glob, at):
            out, at = out + _set(bracket[1], bracket[2]), bracket.end()
        elif char == "\\" and at + 1 < len(glob):
            out, at = out + re.escape(glob[at + 1]), at + 2
        else:
            out, at = out + re.escape(char), at + 1
    return out


def _set(negation: str, inner: str) -> str:
    """A set of characters; it never matches a `/`."""
    safe = inner.replace("\\", r"\\").replace("[", r"\[").replace("^", r"\^")
    return f"(?!/)[{'^' if negation else ''}{safe}]"
