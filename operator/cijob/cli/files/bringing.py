"""Files into a job that waits for them: those of the repository, caches over them, artifacts of other jobs over these."""

from __future__ import annotations

import asyncio
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cijob.cli.console import plain
from cijob.cli.errors import CliError
from cijob.cli.files.again import again_and_again, is_gone
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.execute import refused
from cijob.cli.files.packing import shell
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from cijob.cli.files.caching import Caching
    from cijob.cli.files.packing import Place

_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """What is unpacked by one `tar`.

    Attributes:
        bundle: the files.
        what: what is being done then, for people.
        needed: whether the job fails without them.
    """

    bundle: Bundle
    what: str = "bringing files in"
    needed: bool = True


def parts(bundle: Bundle | None, caching: Caching | None) -> tuple[Part, ...]:
    """In GitLab's order: the repository, the caches, the artifacts. What there is none of is left out."""
    bundle = bundle or Bundle()
    caches = caching.restored if caching is not None else ()
    if not caches:
        return (Part(bundle),) if bundle.entries or bundle.archives else ()
    size = sum(entry.size for entry in bundle.entries)
    files = replace(bundle, archives=(), size=size)
    kept = Bundle(archives=tuple(one.archive for one in caches), size=sum(one.size for one in caches))
    artifacts = Bundle(archives=bundle.archives, size=bundle.size - size)
    return (
        *((Part(files),) if files.entries else ()),
        Part(kept, "bringing caches in", needed=False),
        *((Part(artifacts, "bringing artifacts in"),) if artifacts.archives else ()),
    )


async def bring(place: Place, token: str, given: tuple[Part, ...], progress: Callable[[str, int, int], None]) -> str:
    """Unpack all parts in the job, and tell it so; gives a sentence why one that is not needed could not be, or nothing.

    A container that ends meanwhile is no failure of ours: its log tells why.

    Raises:
        CliError: the files cannot be brought in. The job would wait for them in vain: cancel it.
    """
    problem = ""

    async def act() -> None:
        nonlocal problem
        mark: tuple[str, ...] = ("brought",)
        for part in given:
            if not (why := await _unpacked(place, part, progress)):
                continue
            if part.needed:  # the job ends with that, and its log says why
                mark = ("failed", why)
                break
            problem = plain(why)
        await place.run(shell("mark.sh", token, *mark))

    try:
        await again_and_again(act)
    except ApiError as error:
        if is_gone(error):
            return problem
        if error.forbidden:
            raise refused(error, place.namespace) from error
        raise CliError(f"the files could not be brought into the job: {error.message}") from error
    return problem


async def _unpacked(place: Place, part: Part, progress: Callable[[str, int, int], None]) -> str:
    """Why a part could not be unpacked, or nothing.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: a file that is needed cannot be read here.
    """
    try:
        result = await place.run(shell("unpack.sh"), stdin=_sent(part, progress))
    except (CliError, OSError, tarfile.TarError) as error:
        if part.needed:
            raise
        return str(error)
    if result.code == 0:
        return ""
    return result.stderr.decode(errors="replace").strip().partition("\n")[0] or f"tar ended with {result.code}"


async def _sent(part: Part, progress: Callable[[str, int, int], None]) -> AsyncIterator[bytes]:
    pieces, sent = _large(part.bundle.blocks()), 0
    total = part.bundle.archive_size
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
        sent += len(piece)
        progress(part.what, min(sent, total), total)


def _large(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a size that is worth a message."""
    piece = bytearray()
    for block in blocks:
        piece += block
        if len(piece) >= _CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
