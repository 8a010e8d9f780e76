"""The API server as the tests and the fake kubelet see it: plain calls, and a cache that follows a kind of object."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.faults.upstream import Upstream

Body = dict[str, Any]

CIJOBS = "/apis/cijob.dev/v1alpha1"
LEASES = "/apis/coordination.k8s.io/v1"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
#: Phases of a CiJob that has its verdict.
FINISHED = frozenset({"Succeeded", "Failed", "Cancelled"})


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Calls that bypass the proxy; `async with` opens and closes the connections."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._upstream.ssl),
            headers={**self._upstream.headers, "User-Agent": "fault-tests"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, body: object = None, content: str = "application/json") -> Body:
        """One request.

        Raises:
            Refused: the API server answered with an error.
        """
        data = None if body is None else json.dumps(body).encode()
        async with self._open(method, path, data, content) as answer:
            text = await answer.text()
            if not answer.ok:
                raise Refused(answer.status, text[:500])
            return dict(json.loads(text)) if text.startswith("{") else {"text": text}

    async def watch(self, path: str, version: str, take: Callable[[str, Body], None]) -> None:
        """Hand on the events of a watch until the server ends it."""
        query = f"{path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}"
        async with self._open("GET", query, None, "application/json") as answer:
            buffered = b""
            async for chunk in answer.content.iter_any():
                *lines, buffered = (buffered + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    take(event["type"], event["object"])

    def _open(self, method: str, path: str, data: bytes | None, content: str) -> Any:  # noqa: ANN401  aiohttp's own manager
        assert self._session is not None
        url = URL(self._upstream.url + path, encoded=True)
        return self._session.request(method, url, data=data, headers={"Content-Type": content})


class Follower:
    """Objects of one kind in all namespaces, kept up to date for as long as `run` runs."""

    def __init__(self, api: Api, path: str, take: Callable[[str, Body], None] = lambda *_: None) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self._api = api
        self._path = path
        self._take = take
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            listed = await self._api.call("GET", self._path)
            present = {_key(item): item for item in listed["items"]}
            for key, item in list(self.objects.items()):
                if key not in present:
                    self._event("DELETED", item)
            for item in present.values():
                self._event("MODIFIED" if _key(item) in self.objects else "ADDED", item)
            await self._api.watch(self._path, listed["metadata"]["resourceVersion"], self._event)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on the objects holds, for at most so long; gives whether it does."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    def _event(self, kind: str, body: Body) -> None:
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            self.objects.pop(_key(body), None)
        else:
            self.objects[_key(body)] = body
        self._take(kind, body)
        self._changed.set()
        self._changed = asyncio.Event()


def pool(name: str, **capacity: int) -> Body:
    """A BuildPool; without limits unless it says so."""
    return {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "BuildPool",
        "metadata": {"name": name},
        "spec": {"capacity": capacity},
    }


def _key(body: Body) -> tuple[str, str]:
    return body["metadata"].get("namespace", ""), body["metadata"]["name"]
