"""The caches of one job, in and out of it: what is brought, what is to be saved, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cijob.cli.files.archive import CACHES
from cijob.cli.files.packing import Packing, fetch
from cijob.cli.files.unchanged import unchanged
from cijob.importers.gitlab.model import When

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cijob.cli.files.packing import Listing, Place, Scope
    from cijob.importers.gitlab.model import Cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What is brought into a job of one cache.

    Attributes:
        key: that it was found under.
        archive: a tar archive that stays where it is for as long as the run.
        size: bytes, unpacked.
    """

    key: str
    archive: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSave:
    """A cache that is to be saved.

    Attributes:
        cache: which.
        target: the archive that is to be written.
        before: what was brought in of it, under its own key.
    """

    cache: Cache
    target: Path
    before: Restored | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What became of a cache that was to be saved.

    Attributes:
        cache: which.
        archive: what is to be kept; None where there was nothing, nothing new, or where it could not be taken.
        unchanged: whether its files are what was brought in.
        size: bytes, unpacked.
        problem: a sentence why it could not be taken, or empty.
    """

    cache: Cache
    archive: Path | None = None
    size: int = 0
    unchanged: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """The caches of one job.

    Attributes:
        restored: what is brought in, in this order.
        to_save: what may be saved behind the script.
        most_bytes, most_entries: bounds of all that is saved together, and of each.
    """

    restored: tuple[Restored, ...] = ()
    to_save: tuple[ToSave, ...] = ()
    most_bytes: int = 0
    most_entries: int = 100_000


def wanted(when: When, *, success: bool) -> bool:
    """Whether files are for a script that ended so: `artifacts:when` and `cache:when`."""
    return when is When.ALWAYS or when is (When.ON_SUCCESS if success else When.ON_FAILURE)


async def save(place: Place, listing: Listing, one: ToSave, scope: Scope, packing: Packing) -> Saved:
    """Have the files of a cache archived, unless they are what was brought in.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: something went wrong in it, or the files are above a limit.
        OSError: they cannot be kept here.
    """
    chosen, _ = scope.choose(listing, one.cache.paths, untracked=one.cache.untracked)
    if not chosen:
        return Saved(cache=one.cache)
    if one.before is not None and await unchanged(place, chosen, one.before.archive):
        return Saved(cache=one.cache, size=one.before.size, unchanged=True)
    kept = await fetch(place, chosen, (), one.target, packing)
    return Saved(cache=one.cache, archive=one.target, size=kept.size)


def packing_for(caching: Caching, used: int, progress: Callable[[str, int, int], None]) -> Packing:
    """How the next cache is fetched, after those of a job that have so many bytes."""
    return Packing(
        kind=replace(CACHES, allowed=caching.most_bytes),
        most_bytes=max(caching.most_bytes - used, 0),
        most_entries=caching.most_entries,
        progress=progress,
    )
