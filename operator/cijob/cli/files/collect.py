"""Takes the artifacts of a job that holds its container for it: chooses, has them archived, looks at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cijob.cli.files.archive import ARTIFACTS
from cijob.cli.files.packing import Packing, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cijob.cli.files.packing import Listing, Place, Scope
    from cijob.importers.gitlab.model import Artifacts

ARCHIVE: Final = "artifacts.tar"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be taken, of what, and where it goes.

    Attributes:
        artifacts: what GitLab would keep.
        scope: what the patterns of the job mean.
        into: an existing folder.
        most_bytes, most_entries: bounds.
    """

    artifacts: Artifacts
    scope: Scope
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


async def collect(place: Place, listing: Listing, wish: Wish, progress: Callable[[str, int, int], None]) -> Taken:
    """Take what is wished for.

    Raises:
        ApiError: the container cannot be reached, or is gone.
        CliError: something went wrong in it, or the artifacts are above a limit.
        OSError: they cannot be kept here.
    """
    chosen, texts, unmatched = choose(wish, listing)
    if not chosen and not texts:
        return Taken(unmatched=unmatched)
    target = wish.into / ARCHIVE
    packing = Packing(kind=ARTIFACTS, most_bytes=wish.most_bytes, most_entries=wish.most_entries, progress=progress)
    kept = await fetch(place, chosen, texts, target, packing)
    return Taken(
        archive=target if kept.names else None,
        names=tuple(sorted(kept.names)),
        size=kept.size,
        dotenv=kept.texts,
        unmatched=unmatched,
    )


def choose(wish: Wish, listing: Listing) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names for the archive, names of dotenv files, and patterns that matched nothing. Pure."""
    artifacts = wish.artifacts
    chosen, unmatched = wish.scope.choose(listing, artifacts.paths, artifacts.exclude, untracked=artifacts.untracked)
    texts, unread = wish.scope.choose(listing, artifacts.dotenv)
    return chosen, texts, (*unmatched, *unread)
