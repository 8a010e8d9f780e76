"""CiJobs as they change: a list and a watch that goes on over broken connections."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from cijob.cli.looking.jobs import Key, key_of
from cijob.errors import ApiExpired, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from cijob.transport import Body

#: Seconds without the API server after which a watch gives up.
PATIENCE: Final = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Source(Protocol):
    """Where CiJobs come from; `cli.api.Api` is one."""

    async def list_jobs(
        self, namespace: str | None, selector: Mapping[str, str] | None = None
    ) -> tuple[list[Body], int]:
        """All of a namespace, or of all of them, and the version of the list."""

    def watch_jobs(
        self, namespace: str | None, version: int, selector: Mapping[str, str] | None = None
    ) -> AsyncIterator[Body]:
        """Watch events from a version on."""


@dataclass(frozen=True, slots=True)
class Change:
    """A CiJob that is new or other than before; or one that is gone, as it was last seen."""

    job: Body
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, which tests replace."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


async def changes(
    source: Source,
    namespace: str | None,
    selector: Mapping[str, str],
    *,
    trouble: Callable[[str], None],
    clock: Clock | None = None,
) -> AsyncIterator[list[Change]]:
    """First all that there are, then what changes, for as long as somebody asks.

    Args:
        source: the API server.
        namespace: None for all.
        selector: labelSelector, fieldSelector.
        trouble: told once, in words, each time that the API server is away.
        clock: time; the process's own when unset.

    Raises:
        ApiError: the first list failed, the API server refused, or it was away for `PATIENCE` seconds.
    """
    clock = clock or Clock()
    items, version = await source.list_jobs(namespace, selector)
    known = {key_of(job): job for job in items}
    yield [Change(job) for job in known.values()]
    answered, pause, told, again = clock.now(), _FIRST_PAUSE, False, False
    while True:
        try:
            if again:
                items, version = await source.list_jobs(namespace, selector)
                found = _difference(known, items)
                known, again = {key_of(job): job for job in items}, False
                answered, pause, told = clock.now(), _FIRST_PAUSE, False
                if found:
                    yield found
            async for event in source.watch_jobs(namespace, version, selector):
                answered, pause, told = clock.now(), _FIRST_PAUSE, False
                version = int(event["object"]["metadata"]["resourceVersion"])
                change = _applied(known, event)
                if change is not None:
                    yield [change]
            answered = clock.now()  # the API server ends every watch after a while
        except ApiExpired:
            again = True
        except ApiUnavailable as error:
            if clock.now() - answered >= PATIENCE:
                raise
            if not told:
                trouble(error.message)
            told = True
            await clock.pause(error.retry_after or pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)


def _applied(known: dict[Key, Body], event: Body) -> Change | None:
    """What a watch event changes; it is entered into `known`. None for a bookmark, and for what is known already."""
    job = event["object"]
    if event["type"] == "BOOKMARK":
        return None
    if event["type"] == "DELETED":
        known.pop(key_of(job), None)
        return Change(job, gone=True)
    before = known.get(key_of(job))
    known[key_of(job)] = job
    return None if before is not None and _version(before) == _version(job) else Change(job)


def _difference(known: Mapping[Key, Body], items: list[Body]) -> list[Change]:
    """What changed while nobody watched."""
    now = {key_of(job): job for job in items}
    gone = [Change(job, gone=True) for key, job in known.items() if key not in now]
    new = [key for key, job in now.items() if key not in known or _version(known[key]) != _version(job)]
    return gone + [Change(now[key]) for key in new]


def _version(job: Body) -> str:
    return str(job["metadata"]["resourceVersion"])
