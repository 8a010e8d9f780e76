"""Whether the files of a cache are still those that were brought in: then there is nothing to save.

Told by names, sizes and the seconds of the last change, as rsync does. GitLab's runner looks at the time only
(`isFileChanged` in `commands/helpers/file_archiver.go`, gitlabhq/gitlab-runner at d79f3e7b).
"""

from __future__ import annotations

import asyncio
import os
import tarfile
from typing import TYPE_CHECKING, Final

from cijob.cli.files.packing import shell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from pathlib import Path

    from cijob.cli.files.packing import Place

#: Bytes of stat.sh's output that are read; with more, the cache is saved again.
_MOST_READ: Final = 64 * 1024 * 1024

Stats = dict[str, tuple[int, int]]
"""Sizes in bytes, and seconds since 1970, of files and symbolic links by name."""


async def unchanged(place: Place, chosen: Collection[str], archive: Path) -> bool:
    """Whether what was chosen in a job is what is in an archive that was brought into it.

    Raises:
        ApiError: the container cannot be reached, or is gone.
    """
    try:
        names, stats = await asyncio.to_thread(read, archive)
    except (OSError, tarfile.TarError):
        return False
    if names != set(chosen):
        return False
    return not stats or await _stats(place, stats) == stats


def read(archive: Path) -> tuple[set[str], Stats]:
    """The names in an archive, and what is known of those that are no folders.

    Raises:
        OSError, tarfile.TarError: it cannot be read.
    """
    names: set[str] = set()
    stats: Stats = {}
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            names.add(member.name)
            if member.islnk():  # a second name of a file
                stats[member.name] = stats.get(member.linkname, (0, 0))
            elif member.issym():
                stats[member.name] = len(os.fsencode(member.linkname)), int(member.mtime)
            elif member.isreg():
                stats[member.name] = member.size, int(member.mtime)
    return names, stats


async def _stats(place: Place, names: Mapping[str, object]) -> Stats:
    """What stat.sh says of files in a job; empty where it cannot say it."""
    output = bytearray()

    async def send() -> AsyncIterator[bytes]:
        yield b"".join(b"./" + os.fsencode(name) + b"\0" for name in names)

    async def add(data: bytes) -> None:
        if len(output) <= _MOST_READ:
            output.extend(data)

    result = await place.run(shell("stat.sh"), stdin=send(), on_output=add)
    return parse(bytes(output)) if result.code == 0 else {}


def parse(output: bytes) -> Stats:
    """The output of stat.sh; what is no such line is left out."""
    found: Stats = {}
    for line in output.split(b"\n"):
        match line.split(b" ", 2):
            case [size, second, name] if size.isdigit() and second.isdigit():
                found[os.fsdecode(name).removeprefix("./")] = int(size), int(second)
            case _:
                pass
    return found
