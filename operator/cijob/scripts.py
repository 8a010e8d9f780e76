"""The files of one job: its script entries as the shell that `prelude.sh` reads, and the settings of its builders. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL_IN_DOUBLE_QUOTES: Final = re.compile(r'[\\"$`]')
#: An entry that may go on in the next one: `if true; then`, `for one in *; do`, `f() {`, `a &&`, `a |`.
_OPEN: Final = re.compile(r"(?:\b(?:then|do|else|in)|[{(|]|&&)\s*\Z")
#: One that another line behind it may change: a here-document without its end, a line that goes on.
_UNSURE: Final = re.compile(r"<<|\\\Z")


def script_file(before: Iterable[str], script: Iterable[str]) -> str:
    """The entries of beforeScript and script: one shell runs them all."""
    return _entries("before", before, last=False) + _entries("script", script)


def after_file(after: Iterable[str]) -> str:
    """The entries of afterScript."""
    return _entries("after", after)


def buildkit_file(mirrors: Sequence[str], insecure: Sequence[str]) -> str:
    """The mirrors of Docker Hub (URLs) and registries without TLS (host:port) for builders that buildx starts.

    They are containers with a BuildKit of their own, which knows nothing of dockerd's flags. Empty for no settings.
    Source: docs.docker.com/build/buildkit/configure and toml-configuration.
    """
    hosts = [mirror.partition("://")[2].rstrip("/") for mirror in mirrors]
    plain = [mirror.partition("://")[2].partition("/")[0] for mirror in mirrors if mirror.startswith("http://")]
    lines = ['[registry."docker.io"]', f"  mirrors = {json.dumps(hosts)}"] if hosts else []
    for host in dict.fromkeys((*plain, *insecure)):
        lines += [f"[registry.{json.dumps(host)}]", "  http = true"]
        lines += (
            ["  insecure = true"] if host in insecure else []
        )  # TLS without a known issuer, as dockerd means it too
    return "".join(f"{line}\n" for line in lines)


def quote(text: str) -> str:
    """A text without NUL as one word of POSIX shell, at most 7/4 as long (`shlex.quote` may take 5 times as much).

    Single quotes cost 4 characters for each `'` inside, double quotes 2 for each of four others: the shorter one.
    """
    single = "'" + text.replace("'", r"'\''") + "'"
    double = '"' + _SPECIAL_IN_DOUBLE_QUOTES.sub(r"\\\g<0>", text) + '"'
    return min(single, double, key=len)


def _entries(part: str, entries: Iterable[str], *, last: bool = True) -> str:
    """Two lines of shell for each: its announcement, and its run from one quoted word, so that none can spill into the next."""
    known = list(entries)
    return "".join(
        f"cijob_entry {part} {number} {_lines(entry)} {quote(entry)} {_kind(entry, last and number == len(known))}\n"
        'eval "$cijob_text"\n'
        for number, entry in enumerate(known, start=1)
    )


def _kind(entry: str, last: bool) -> str:  # noqa: FBT001  private
    """What `prelude.sh` has to look out for."""
    if last:
        return "last"
    if _OPEN.search(entry):
        return "open"
    return "unsure" if _UNSURE.search(entry) else "whole"


def _lines(entry: str) -> int:
    return entry.rstrip("\n").count("\n") + 1
