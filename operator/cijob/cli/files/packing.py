"""Files out of a job that holds its container: which there are, and those that are wanted, as one archive that was looked at."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from cijob import names
from cijob.cli.console import plain
from cijob.cli.errors import CliError
from cijob.cli.files import archive, patterns
from cijob.cli.files.bundle import mib
from cijob.cli.files.execute import Result, execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path
    from typing import IO

    from cijob.cli.api import Api
    from cijob.cli.files.archive import Kept, Kind

_MOST_LISTED: Final = 64 * 1024 * 1024
#: Bytes around the contents that tar may need for each entry, long names included, and for the last record.
_PER_ENTRY, _AROUND = 10 * 1024, 64 * 1024
#: GNU tar: some files changed while they were read.
_CHANGED: Final = 1


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in the working directory, relative to it."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What patterns of a job mean.

    Attributes:
        known: names of the files that were brought in, None where none were: `untracked` means all others.
        working_dir: the job's.
    """

    known: frozenset[str] | None
    working_dir: str

    def choose(
        self, listing: Listing, paths: Sequence[str], exclude: Sequence[str] = (), *, untracked: bool = False
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of what is meant, sorted, and the patterns that matched nothing, `untracked` among them. Pure."""
        inside = [one for one in paths if not patterns.is_outside(one, self.working_dir)]
        found = patterns.choose(listing.files, listing.folders, inside, exclude, self.working_dir)
        outside = tuple(one for one in paths if one not in inside)
        chosen, unmatched = set(found.names), (*outside, *found.unmatched)
        if untracked and self.known is None:
            unmatched = (*unmatched, "untracked")
        elif untracked and self.known is not None:
            others = [name for name in listing.files if name not in self.known and not patterns.is_gits(name)]
            chosen |= set(patterns.choose(others, (), ["**"], exclude, self.working_dir).names)
        return tuple(sorted(chosen)), unmatched


@dataclass(frozen=True, slots=True)
class Place:
    """The container of a job, in the Pod of an attempt."""

    api: Api
    namespace: str
    pod: str

    async def run(
        self,
        command: Sequence[str],
        *,
        stdin: AsyncIterator[bytes] | None = None,
        on_output: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> Result:
        """Run a command there. Raises what `execute` raises."""
        where = self.api, self.namespace, self.pod, names.CONTAINER_JOB
        return await execute(*where, command, stdin=stdin, on_output=on_output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How files are fetched.

    Attributes:
        kind: what they are, for people.
        most_bytes, most_entries: bounds.
        progress: called with what is done, and bytes so far and in all (0: unknown).
    """

    kind: Kind
    most_bytes: int
    most_entries: int
    progress: Callable[[str, int, int], None]


async def listed(place: Place) -> Listing:
    """What is in the working directory.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: it has no tar, or something went wrong in it.
    """
    output = bytearray()

    async def add(data: bytes) -> None:
        if len(output) + len(data) > _MOST_LISTED:
            raise CliError(
                f"the names of the files in the working directory are more than {mib(_MOST_LISTED)}",
                "Have the job remove what nobody needs.",
            )
        output.extend(data)

    _expect(await place.run(shell("list.sh"), on_output=add), 0, "files")
    return parse(bytes(output))


def parse(output: bytes) -> Listing:
    """The output of list.sh.

    Raises:
        CliError: it is no such output.
    """
    folders, middle, rest = output.partition(b"\0\0")
    if not middle or not output.endswith(b"\0"):
        raise CliError("the job's files could not be listed: its shell answered something else")
    return Listing(_names(folders), _names(rest))


def _names(records: bytes) -> tuple[str, ...]:
    found = (archive.plain_name(os.fsdecode(one)) for one in records.split(b"\0"))
    return tuple(name for name in found if name not in ("", "."))


async def fetch(place: Place, chosen: Sequence[str], texts: Sequence[str], target: Path, packing: Packing) -> Kept:
    """Have files archived, and keep of the archive what was asked for, in `target`; of `texts` the contents are given.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: something went wrong in it, or the files are above a limit.
        OSError: they cannot be kept here.
    """
    kind, asked = packing.kind, tuple(dict.fromkeys((*chosen, *texts)))
    if len(asked) > packing.most_entries:
        raise CliError(
            f"the {kind.what} are {len(asked)} files, and {packing.most_entries} are allowed",
            "Archive them in the job.",
        )
    raw = target.with_suffix(".part")
    try:
        with raw.open("wb") as file:
            await _pack(place, asked, _Bounded(file, packing, _PER_ENTRY * len(asked) + _AROUND))
        wanted = frozenset(chosen), frozenset(texts)
        return await asyncio.to_thread(archive.keep, raw, target, *wanted, packing.most_bytes, kind)
    finally:
        raw.unlink(missing_ok=True)


@dataclass(slots=True)
class _Bounded:
    """A file that takes so many bytes, those around the contents added, and no more."""

    file: IO[bytes]
    packing: Packing
    around: int
    done: int = 0

    async def add(self, data: bytes) -> None:
        """Write some more."""
        self.done += len(data)
        if self.done > self.packing.most_bytes + self.around:
            raise self.packing.kind.too_large(self.packing.most_bytes)
        self.file.write(data)
        self.packing.progress(f"taking {self.packing.kind.what}", self.done, 0)


async def _pack(place: Place, asked: Sequence[str], target: _Bounded) -> None:
    async def send() -> AsyncIterator[bytes]:
        yield b"".join(b"./" + os.fsencode(name) + b"\0" for name in asked)

    _expect(await place.run(shell("pack.sh"), stdin=send(), on_output=target.add), _CHANGED, target.packing.kind.what)


def shell(name: str, *arguments: str) -> list[str]:
    """The command that runs one of the shell files beside this module."""
    return ["/bin/sh", "-c", read(name), f"cijob-{name}", *arguments]


def read(name: str) -> str:
    """The text of a shell file beside this module."""
    return files("cijob.cli.files").joinpath(name).read_text(encoding="utf-8")


def _expect(result: Result, most: int, what: str) -> None:
    if result.code > most:
        said = plain(result.stderr.decode(errors="replace")).strip().splitlines()
        raise CliError(f"the {what} could not be taken: {said[-1] if said else f'tar ended with {result.code}'}")
