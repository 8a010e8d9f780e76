"""Takes the artifacts of a job that holds its container for it: asks what is there, chooses, has it archived, looks at it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
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
    from cijob.importers.gitlab.model import Artifacts

ARCHIVE: Final = "artifacts.tar"
_RAW: Final = "artifacts.part"
_MOST_LISTED: Final = 64 * 1024 * 1024
#: Bytes around the contents that tar may need for each entry, long names included, and for the last record.
_PER_ENTRY, _AROUND = 10 * 1024, 64 * 1024
#: GNU tar: some files changed while they were read.
_CHANGED: Final = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be taken, of what, and where it goes.

    Attributes:
        artifacts: what GitLab would keep.
        known: names of the files that were brought in, None where none were: `untracked` means all others.
        working_dir: the job's.
        into: an existing folder.
        most_bytes, most_entries: bounds.
    """

    artifacts: Artifacts
    known: frozenset[str] | None
    working_dir: str
    into: Path
    most_bytes: int
    most_entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken of a job.

    Attributes:
        archive: a tar archive for `Bundle.with_archives` and `archive.unpack`; None where there was nothing to take.
        names: of its files, folders and links, sorted.
        size: bytes, unpacked.
        dotenv: names and texts of the files of `reports: dotenv`.
        unmatched: patterns that matched nothing, and `untracked`.
        problem: a sentence why the artifacts could not be taken, or empty.
    """

    archive: Path | None = None
    names: tuple[str, ...] = ()
    size: int = 0
    dotenv: dict[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in the working directory, relative to it."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


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


async def collect(place: Place, wish: Wish, progress: Callable[[str, int, int], None]) -> Taken:
    """Take what is wished for.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: it has no tar, something went wrong in it, or the artifacts are above a limit.
    """
    listing = parse(await _list(place))
    chosen, texts, unmatched = choose(wish, listing)
    asked = tuple(dict.fromkeys((*chosen, *texts)))
    if not asked:
        return Taken(unmatched=unmatched)
    if len(asked) > wish.most_entries:
        raise CliError(
            f"the artifacts are {len(asked)} files, and {wish.most_entries} are allowed", "Archive them in the job."
        )
    raw, target = wish.into / _RAW, wish.into / ARCHIVE
    try:
        most = wish.most_bytes + _PER_ENTRY * len(asked) + _AROUND
        with raw.open("wb") as file:
            await _pack(place, asked, _Bounded(file, most, wish.most_bytes, progress))
        kept = await asyncio.to_thread(archive.keep, raw, target, frozenset(chosen), frozenset(texts), wish.most_bytes)
    finally:
        raw.unlink(missing_ok=True)
    return Taken(
        archive=target if kept.names else None,
        names=tuple(sorted(kept.names)),
        size=kept.size,
        dotenv=kept.texts,
        unmatched=unmatched,
    )


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


def choose(wish: Wish, listing: Listing) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names for the archive, names of dotenv files, and patterns that matched nothing. Pure."""
    artifacts = wish.artifacts
    inside = [one for one in artifacts.paths if not patterns.is_outside(one, wish.working_dir)]
    found = patterns.choose(listing.files, listing.folders, inside, artifacts.exclude, wish.working_dir)
    texts = patterns.choose(listing.files, (), artifacts.dotenv, (), wish.working_dir)
    outside = tuple(one for one in artifacts.paths if one not in inside)
    chosen, unmatched = set(found.names), (*outside, *found.unmatched, *texts.unmatched)
    if artifacts.untracked and wish.known is None:
        unmatched = (*unmatched, "untracked")
    elif artifacts.untracked and wish.known is not None:
        others = [name for name in listing.files if name not in wish.known]
        chosen |= set(patterns.choose(others, (), ["**"], artifacts.exclude, wish.working_dir).names)
    return tuple(sorted(chosen)), texts.names, unmatched


@dataclass(slots=True)
class _Bounded:
    """A file that takes so many bytes and no more."""

    file: IO[bytes]
    most: int
    said: int
    progress: Callable[[str, int, int], None]
    done: int = 0

    async def add(self, data: bytes) -> None:
        """Write some more."""
        self.done += len(data)
        if self.done > self.most:
            raise CliError(archive.too_large(self.said), "Take less (artifacts:paths), or raise --artifacts-limit.")
        self.file.write(data)
        self.progress("taking artifacts", self.done, 0)


async def _list(place: Place) -> bytes:
    output = bytearray()

    async def add(data: bytes) -> None:
        if len(output) + len(data) > _MOST_LISTED:
            raise CliError(
                f"the names of the files in the working directory are more than {mib(_MOST_LISTED)}",
                "Have the job remove what nobody needs.",
            )
        output.extend(data)

    _expect(await place.run(shell("list.sh"), on_output=add), 0)
    return bytes(output)


async def _pack(place: Place, asked: Sequence[str], target: _Bounded) -> None:
    async def send() -> AsyncIterator[bytes]:
        yield b"".join(b"./" + os.fsencode(name) + b"\0" for name in asked)

    _expect(await place.run(shell("pack.sh"), stdin=send(), on_output=target.add), _CHANGED)


def shell(name: str, *arguments: str) -> list[str]:
    """The command that runs one of the shell files beside this module."""
    return ["/bin/sh", "-c", read(name), f"cijob-{name}", *arguments]


def read(name: str) -> str:
    """The text of a shell file beside this module."""
    return files("cijob.cli.files").joinpath(name).read_text(encoding="utf-8")


def _expect(result: Result, most: int) -> None:
    if result.code > most:
        said = plain(result.stderr.decode(errors="replace")).strip().splitlines()
        raise CliError(f"the artifacts could not be taken: {said[-1] if said else f'tar ended with {result.code}'}")
