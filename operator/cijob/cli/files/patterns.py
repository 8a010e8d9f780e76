"""Which of a job's files its artifacts are: the globs of `artifacts:paths`, as GitLab Runner reads them. Pure.

Source: GitLab Runner's `commands/helpers/file_archiver.go` (gitlabhq/gitlab-runner at 03170b5c) with bmatcuk/doublestar: `*` and `?` stay within a name and match
hidden ones too, `**` as a whole name is any number of folders, `{a,b/c}` are alternatives; a path that is a folder means all
that is in it; `exclude` means only what it matches itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from cijob.importers.gitlab.globs import FOLDERS, STAR, alternatives, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CLASS: Final = re.compile(r"\[([!^]?)((?:\\.|[^\]\\])+)\]")

_MEMBER: Final = re.compile(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Names of files and of empty folders, sorted, and the patterns that matched nothing."""

    names: tuple[str, ...]
    unmatched: tuple[str, ...]


def choose(
    files: Iterable[str], folders: Iterable[str], patterns: Sequence[str], exclude: Sequence[str], working_dir: str
) -> Chosen:
    """What the patterns mean of what there is; all names are relative to `working_dir`, which patterns may start with."""
    excluded = [re.compile(expression(relative(pattern, working_dir))) for pattern in exclude]
    all_files = sorted(name for name in files if not any(one.fullmatch(name) for one in excluded))
    parents = {name[:end] for name in (*all_files, *folders) for end in _slashes(name)}
    everything = (*all_files, *sorted(set(folders) - parents))
    names: set[str] = set()
    unmatched = []
    for pattern in patterns:
        compiled = re.compile(f"(?:{expression(relative(pattern, working_dir))})(?:/.*)?", re.DOTALL)
        found = {name for name in everything if compiled.fullmatch(name)}
        names |= found
        if not found:
            unmatched.append(pattern)
    return Chosen(tuple(sorted(names)), tuple(unmatched))


def relative(pattern: str, working_dir: str) -> str:
    """A pattern without what stands for the working directory at its start, and without slashes at its end."""
    if pattern == working_dir or pattern.startswith(working_dir + "/"):
        pattern = pattern[len(working_dir) + 1 :]
    while pattern.startswith("./"):
        pattern = pattern[2:]
    pattern = pattern.rstrip("/")
    return "**" if pattern in ("", ".") else pattern


def is_outside(pattern: str, working_dir: str) -> bool:
    """Whether a pattern means something that is not in the working directory, and so can never be taken."""
    rest = relative(pattern, working_dir)
    return rest.startswith("/") or ".." in rest.split("/")


def is_gits(name: str) -> bool:
    """Whether a name is that of the repository's own `.git`, or of something in it."""
    return name == ".git" or name.startswith(".git/")


@cache
def expression(pattern: str) -> str:
    """The regular expression of a glob."""
    return "|".join(_expression(one) for one in alternatives(pattern))


def _expression(pattern: str) -> str:
    """That of one without braces."""
    if pattern == "**":
        return "(?s:.*)"
    if pattern.endswith("/**"):  # `a/**` is also `a` itself
        return f"(?s:{joined(_parts(pattern[:-3]))}(?:/.*)?)"
    return f"(?s:{joined(_parts(pattern))})"


def _parts(pattern: str) -> Iterator[str]:
    """The parts of a glob, as `joined` takes them."""
    *folders, last = pattern.split("/")
    for folder in folders:
        if folder == "**":
            yield FOLDERS
        else:
            yield from _name(folder)
            yield "/"
    yield from _name(last)


def _name(part: str) -> Iterator[str]:
    """Those of what stands between slashes."""
    at = 0
    while at < len(part):
        char = part[at]
        found = _CLASS.match(part, at) if char == "[" else None
        if found is not None:
            yield _class(found[2], negated=bool(found[1]))
            at = found.end()
            continue
        if char == "\\" and at + 1 < len(part):
            at += 1
            yield re.escape(part[at])
        elif char == "*":
            yield STAR
        elif char == "?":
            yield "[^/]"
        else:
            yield re.escape(char)
        at += 1


def _class(members: str, *, negated: bool) -> str:
    """The expression of what stands between brackets: single characters and ranges; never a slash."""
    found = ""
    for one in _MEMBER.finditer(members):
        first, last = one[1].removeprefix("\\"), (one[2] or one[1]).removeprefix("\\")
        if first <= last:
            found += f"{re.escape(first)}-{re.escape(last)}"
    if not found:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{found}]"


def _slashes(name: str) -> Iterable[int]:
    return (at for at, char in enumerate(name) if char == "/")
