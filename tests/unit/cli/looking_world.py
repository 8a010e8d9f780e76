"""A FAKE API server over HTTP, for the commands that look: it answers paths with what a test put there, and has no rights."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from kubernetes.aio import client

from cijob.cli import console
from cijob.cli.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Body = dict[str, Any]

FORBIDDEN = 403
NOT_FOUND = 404


class Server:
    """Answers by path, without the query; what it does not know is 404."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.lists: dict[str, list[Body]] = {}
        self.texts: dict[str, str] = {}
        #: Status and message by path.
        self.refused: dict[str, tuple[int, str]] = {}
        #: What was asked, in order: path and query.
        self.asked: list[tuple[str, dict[str, str]]] = []

    def refuse(self, path: str, status: int = FORBIDDEN, message: str | None = None) -> None:
        """Answer a path with an error; 403 in the API server's own words."""
        resource = path.rpartition("/")[2]
        said = message or f'{resource} is forbidden: User "ann" cannot list resource "{resource}" in API group ""'
        self.refused[path] = (status, said)

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        self.asked.append((path, dict(request.query)))
        if path in self.refused:
            status, message = self.refused[path]
            return _status(status, message)
        if path in self.objects:
            return web.json_response(self.objects[path])
        if path in self.lists:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": self.lists[path]})
        if path in self.texts:
            return web.Response(text=self.texts[path])
        return _status(NOT_FOUND, f"{path} not found")

    @asynccontextmanager
    async def api(self, namespace: str = "team-a") -> AsyncIterator[Api]:
        """A client of it."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        api = Api(client.ApiClient(client.Configuration(host=f"http://{host}:{port}")), namespace)
        try:
            yield api
        finally:
            await api.aclose()
            await runner.cleanup()


def _status(code: int, message: str) -> web.Response:
    reason = {FORBIDDEN: "Forbidden", NOT_FOUND: "NotFound"}.get(code, "InternalError")
    body = {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)


@contextmanager
def fresh_consoles() -> Iterator[None]:
    """Has the consoles made anew, so that pytest's capture sees what they print, and once more for whoever comes after."""
    for cached in (console.out, console.err):
        cached.cache_clear()
    yield
    for cached in (console.out, console.err):
        cached.cache_clear()
