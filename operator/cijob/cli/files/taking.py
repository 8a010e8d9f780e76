"""Artifacts and caches out of a job that holds its container for both: one listing, then one archive after the other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from cijob.cli.errors import CliError
from cijob.cli.files.again import again_and_again
from cijob.cli.files.archive import ARTIFACTS, CACHES
from cijob.cli.files.caching import Saved, packing_for, save, wanted
from cijob.cli.files.collect import Taken, collect
from cijob.cli.files.packing import listed, shell
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cijob.cli.files.archive import Kind
    from cijob.cli.files.caching import Caching, ToSave
    from cijob.cli.files.collect import Wish
    from cijob.cli.files.packing import Listing, Place, Scope

T = TypeVar("T")

#: Seconds that the job waits for its artifacts and caches to be taken, behind its afterScript.
TAKE_SECONDS: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What may be taken of a job: artifacts, caches, and what the patterns of both mean."""

    artifacts: Wish | None = None
    caching: Caching | None = None
    scope: Scope

    @property
    def to_save(self) -> tuple[ToSave, ...]:
        """The caches among them."""
        return () if self.caching is None else self.caching.to_save


@dataclass(slots=True)
class Hold:
    """A container that is held, until all that is wanted of it is taken.

    Attributes:
        place: the container.
        token: by which the job knows that it may go.
        success: whether its script succeeded.
        progress: called with what is done, and bytes so far and in all (0: unknown).
    """

    place: Place
    token: str
    success: bool
    progress: Callable[[str, int, int], None]
    _until: float = 0
    _listing: list[Listing] = field(default_factory=list)

    async def take(self, wishes: Wishes) -> tuple[Taken | None, tuple[Saved, ...]]:
        """Take what is wanted after this end of the script, in bounded time, and let the job go."""
        self._until = asyncio.get_running_loop().time() + TAKE_SECONDS
        taken = await self._artifacts(wishes.artifacts)
        saved = await self._caches(wishes)
        with suppress(ApiError):  # the job lets go by itself, later
            await again_and_again(lambda: self.place.run(shell("mark.sh", self.token, "taken")))
        return taken, saved

    async def _artifacts(self, wish: Wish | None) -> Taken | None:
        if wish is None or not wanted(wish.artifacts.when, success=self.success):
            return None

        async def act() -> Taken:
            return await collect(self.place, await self._files(), wish, self.progress)

        taken = await self._tried(act, ARTIFACTS)
        return Taken(problem=taken) if isinstance(taken, str) else taken

    async def _caches(self, wishes: Wishes) -> tuple[Saved, ...]:
        found: list[Saved] = []
        for one in wishes.to_save:
            if wanted(one.cache.when, success=self.success):
                saved = await self._cache(wishes, one, sum(other.size for other in found))
                found.append(Saved(cache=one.cache, problem=saved) if isinstance(saved, str) else saved)
        return tuple(found)

    async def _cache(self, wishes: Wishes, one: ToSave, used: int) -> Saved | str:
        assert wishes.caching is not None  # noqa: S101  it has `one`
        packing = packing_for(wishes.caching, used, self.progress)

        async def act() -> Saved:
            return await save(self.place, await self._files(), one, wishes.scope, packing)

        return await self._tried(act, CACHES)

    async def _files(self) -> Listing:
        """What is there, asked once: nothing writes any more."""
        if not self._listing:
            self._listing.append(await listed(self.place))
        return self._listing[0]

    async def _tried(self, act: Callable[[], Awaitable[T]], kind: Kind) -> T | str:
        """What an act gives, or a sentence why it could not be done."""
        try:
            async with asyncio.timeout_at(self._until):
                return await again_and_again(act)
        except ApiError as error:
            return error.message
        except CliError as error:
            return ". ".join(part for part in (error.message, error.hint) if part)
        except TimeoutError:
            return f"the {kind.what} could not be taken within {TAKE_SECONDS} s"
        except OSError as error:
            return kind.not_kept(error)
