"""CiJobs as they change: lists and watches of a FAKE API, which fail as a test says."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli import watching
from cijob.cli.follow import patience
from cijob.cli.watching import observed
from cijob.errors import ApiError, ApiExpired, ApiUnavailable
from tests.unit.builders import a_cijob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Body = dict[str, Any]
GONE = ApiUnavailable(0, "", "gone", retry_after=0)


def job(name: str, version: int) -> Body:
    return a_cijob().with_meta(name=name, uid=name, resourceVersion=str(version)).body


def event(kind: str, name: str, version: int) -> Body:
    return {"type": kind, "object": job(name, version)}


class FakeApi:
    """FAKE: gives lists, and events until an error, in the order in which a test put them."""

    def __init__(self, lists: list[tuple[list[Body], int] | ApiError], watches: list[list[Body | ApiError]]) -> None:
        self.lists, self.watches = lists, watches
        self.since: list[int] = []

    async def list_all(self, _path: str, _selector: Mapping[str, str]) -> tuple[list[Body], int]:
        found = self.lists.pop(0)
        if isinstance(found, ApiError):
            raise found
        return found

    async def watch(self, _path: str, version: int, _selector: Mapping[str, str]) -> AsyncIterator[Body]:
        self.since.append(version)
        for one in self.watches.pop(0):
            if isinstance(one, ApiError):
                raise one
            yield one


async def seen(api: FakeApi, count: int, **more: Any) -> list[dict[str, str]]:  # noqa: ANN401  of `observed`
    """The first so many observations: versions by name."""
    found: list[dict[str, str]] = []
    async with aclosing(observed(api, "/apis/x/cijobs", {}, **more)) as observations:  # type: ignore[arg-type]  # a FAKE
        async for bodies in observations:
            found.append({one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in bodies})
            if len(found) == count:
                return found
    raise AssertionError("observations end")


async def test_a_change_is_seen_and_a_bookmark_is_none() -> None:
    events: list[Body | ApiError] = [
        event("BOOKMARK", "", 6),
        event("ADDED", "b", 7),
        event("MODIFIED", "a", 8),
        event("DELETED", "b", 9),
    ]
    api = FakeApi([([job("a", 1)], 5)], [events])
    assert await seen(api, 4) == [{"a": "1"}, {"a": "1", "b": "7"}, {"a": "8", "b": "7"}, {"a": "8"}]


async def test_what_changed_while_a_watch_was_broken_is_seen_and_trouble_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_BLINK", 0.0)
    monkeypatch.setattr(watching, "_PAUSE", 0.0)
    told: list[str] = []
    lists: list[tuple[list[Body], int] | ApiError] = [([], 5), GONE, GONE, ([job("b", 8)], 9)]
    api = FakeApi(lists, [[event("ADDED", "a", 7), GONE], [event("ADDED", "c", 10)]])
    assert await seen(api, 4, trouble=told.append) == [{}, {"a": "7"}, {"b": "8"}, {"b": "8", "c": "10"}]
    assert api.since == [5, 9]
    assert told == ["no answer from the API server, trying again (gone)"]


async def test_a_watch_that_never_works_is_a_list_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE", 0.0)
    api = FakeApi([([job("a", 1)], 1), ([job("a", 2)], 2), ([job("a", 3)], 3)], [[GONE], [GONE], [GONE]])
    assert await seen(api, 3, limit=0.0) == [{"a": "1"}, {"a": "2"}, {"a": "3"}]


async def test_a_version_that_is_too_old_is_listed_anew_and_what_went_meanwhile_is_gone() -> None:
    api = FakeApi([([job("a", 1), job("b", 2)], 5), ([job("b", 2)], 50)], [[ApiExpired(410, "Expired", "old")]])
    assert await seen(api, 2) == [{"a": "1", "b": "2"}, {"b": "2"}]


async def test_a_refusal_ends_it() -> None:
    with pytest.raises(ApiError, match="no right"):
        await seen(FakeApi([ApiError(403, "Forbidden", "no right")], []), 1)


async def test_patience_has_an_end() -> None:
    with pytest.raises(ApiUnavailable, match="gone"):
        await seen(FakeApi([GONE, GONE, GONE], []), 1, limit=0.0)
