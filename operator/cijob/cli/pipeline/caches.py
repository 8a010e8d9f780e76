"""The caches of a pipeline's jobs: found on this machine before a job starts, kept there when it has ended.

A cache only saves time: whatever is wrong with one is told, and fails no job.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cijob.cli.errors import CliError
from cijob.cli.files.archive import CACHES
from cijob.cli.files.bundle import mib
from cijob.cli.files.cachestore import CacheStore, folder_of
from cijob.cli.files.caching import Caching, Restored, ToSave
from cijob.cli.files.execute import check as may_execute
from cijob.errors import ApiError

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.cli.api import Api
    from cijob.cli.files.caching import Saved
    from cijob.cli.pipeline.boards import Board
    from cijob.cli.pipeline.plan import Plan
    from cijob.cli.runoptions import RunOptions
    from cijob.importers.gitlab.model import Cache, PipelineJob


@dataclass(frozen=True, slots=True)
class Found:
    """The caches of one job before it starts: what goes in, and what there is to tell of it."""

    caching: Caching
    told: tuple[str, ...] = ()


class Caches:
    """The caches of one run, once it is opened. To be closed.

    `limit` is how many bytes a job's caches may have together, unpacked. `board` is told what is wrong, and in a line for
    each job what became of its caches.
    """

    def __init__(self, project: Path, limit: int, board: Board) -> None:
        self._project, self._limit, self._board = project, limit, board
        self._store: CacheStore | None = None

    @classmethod
    def of(cls, planned: Plan, options: RunOptions, board: Board) -> Caches:
        """Those of a pipeline; opened if its jobs have any and the options keep them."""
        made = cls(planned.folder, options.cache_limit, board)
        if options.caches and any(job.caches for job in planned.pipeline.jobs):
            made.open()
        return made

    async def check(self, api: Api) -> None:
        """Leaves the caches out where the user may not move files, or not read in the log when they can be taken."""
        if self._store is None:
            return
        try:
            await may_execute(api, api.namespace)
            if not await api.may("get", "pods/log", namespace=api.namespace):
                self.leave_out(f"you may not read logs in the namespace {api.namespace}")
        except (CliError, ApiError) as error:
            self.leave_out(error.message)

    def open(self) -> None:
        """Restores and saves from now on, if this machine can."""
        try:
            self._store = CacheStore(folder_of(os.environ), self._project)
        except OSError as error:
            self.leave_out(f"{error.filename} cannot be used: {error.strerror}")

    def leave_out(self, why: str) -> None:
        """Neither restores nor saves any more; why not is told."""
        self._board.note(f"caches are neither restored nor saved: {why}")
        self.close()

    def close(self) -> None:
        """Let go of what was found."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def find(self, job: PipelineJob) -> Found:
        """What a job is given, and what may be saved of it."""
        store = self._store
        if store is None or not job.caches:
            return Found(Caching())
        restored: dict[int, Restored] = {}
        told: list[str] = []
        for index, cache in enumerate(job.caches):
            if not cache.pulls:
                continue
            found = self._found(store, job, cache)
            used = sum(one.size for one in restored.values())
            if found is not None and found.size > self._limit - used:
                self._board.note(
                    f"{job.name}: the cache {found.key} is not restored: its {mib(found.size)} are above --cache-limit"
                )
                continue
            told.append(_told(cache, found))
            if found is not None:
                restored[index] = found
        to_save = tuple(
            ToSave(cache=cache, target=store.target(), before=_own(cache, restored.get(index)))
            for index, cache in enumerate(job.caches)
            if cache.pushes
        )
        return Found(Caching(restored=tuple(restored.values()), to_save=to_save, most_bytes=self._limit), tuple(told))

    def _found(self, store: CacheStore, job: PipelineJob, cache: Cache) -> Restored | None:
        try:
            found, damaged = store.find((cache.key, *cache.fallback_keys))
        except OSError as error:
            self._board.note(f"{job.name}: the cache {cache.key} is not restored: {error.strerror}")
            return None
        for key in damaged:
            self._board.note(f"{job.name}: the cache {key} was damaged, and is gone")
        return found

    def keep(self, job: PipelineJob, found: Found, saved: tuple[Saved, ...], not_restored: str) -> None:
        """Keep what was taken of a job, and tell in a line about all of its caches."""
        if not_restored:
            self._board.note(f"{job.name}: its caches were not restored: {not_restored}")
        told = list(() if not_restored else found.told)
        for one in saved:
            if one.problem:
                self._board.note(f"{job.name}: the cache {one.cache.key} was not saved: {one.problem}")
            elif one.unchanged:
                told.append(f"{one.cache.key} unchanged")
            elif one.archive is None:
                told.append(f"{one.cache.key} not saved, as it has no files")
            elif self._kept(job, one.cache.key, one.archive):
                told.append(f"{one.cache.key} saved ({mib(one.size)})")
        if told:
            self._board.note(f"{job.name}: caches: {', '.join(told)}")

    def _kept(self, job: PipelineJob, key: str, archive: Path) -> bool:
        if self._store is None:
            return False
        try:
            self._store.put(key, archive)
        except OSError as error:
            self._board.note(f"{job.name}: the cache {key} was not saved: {CACHES.not_kept(error)}")
            return False
        return True


def _own(cache: Cache, found: Restored | None) -> Restored | None:
    """What was found, if it is this cache's and no other's that stands in for it."""
    return found if found is not None and found.key == cache.key else None


def _told(cache: Cache, found: Restored | None) -> str:
    """What became of a cache that was to be restored."""
    if found is None:
        return f"{cache.key} not found"
    size = mib(found.size)
    return f"{cache.key} restored ({size})" if _own(cache, found) else f"{found.key} restored for {cache.key} ({size})"
