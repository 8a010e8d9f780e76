"""Watches that freeze, break and fail, against a FAKE API server: a web server on the loopback interface.

Timeouts are shortened a hundredfold; what they really are is a test of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client
from structlog.testing import capture_logs

from cijob import jobs, pods, transport
from cijob.cluster import Cluster
from cijob.jobs import JobWatch
from cijob.pods import PodWatch
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit.builders import JOB_KEY, POD_KEY, Body, a_cijob, a_pod, at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

JOBS = "/apis/cijob.dev/v1alpha1"
VERBS = ["get", "list", "watch", "patch", "delete"]
SERVED: dict[str, Body] = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {
        "resources": [
            {
                "name": "namespaces",
                "singularName": "namespace",
                "namespaced": False,
                "kind": "Namespace",
                "verbs": VERBS,
            }
        ]
    },
    "/apis": {
        "groups": [
            {
                "name": "cijob.dev",
                "versions": [{"groupVersion": "cijob.dev/v1alpha1", "version": "v1alpha1"}],
                "preferredVersion": {"groupVersion": "cijob.dev/v1alpha1", "version": "v1alpha1"},
            }
        ]
    },
    JOBS: {
        "resources": [
            {"name": "cijobs", "singularName": "cijob", "namespaced": True, "kind": "CiJob", "verbs": VERBS},
            {
                "name": "buildpools",
                "singularName": "buildpool",
                "namespaced": False,
                "kind": "BuildPool",
                "verbs": VERBS,
            },
        ]
    },
}
POOL = {
    "type": "ADDED",
    "object": {"metadata": {"name": "default", "uid": "p", "resourceVersion": "1001"}, "spec": {}},
}
ERROR = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcdserver: leader changed"}}


class Server:
    """A FAKE API server: empty lists, and watches that follow a script, each of which is silent at its end."""

    def __init__(self, *watches: list[Body]) -> None:
        self.script = list(watches)
        self.watches: list[float] = []
        self.lists = 0
        #: So many requests are refused.
        self.away = 0
        self._over = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Its address."""
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        async with TestServer(application) as server:
            try:
                yield str(server.make_url("")).rstrip("/")
            finally:
                self._over.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.away > 0:
            self.away -= 1
            return web.json_response({"kind": "Status", "code": 503, "message": "away"}, status=503)
        if request.path in SERVED:
            return web.json_response(SERVED[request.path])
        if request.query.get("watch") == "true":
            return await self._watch(request)
        self.lists += not request.path.endswith("buildpools")
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1000"}})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path.endswith("buildpools"):
            await response.write(json.dumps(POOL).encode() + b"\n")
            await self._over.wait()
            return response
        self.watches.append(asyncio.get_running_loop().time())
        for event in self.script.pop(0) if self.script else ():
            await response.write(json.dumps(event).encode() + b"\n")
        await self._over.wait()
        return response


def added(body: Body) -> list[Body]:
    return [{"type": "ADDED", "object": body}]


JOB = added(a_cijob().with_meta(resourceVersion="1005").body)
POD = added(a_pod().version(1005).body)


class Operator:
    """Both watches."""

    def __init__(self, api: Cluster) -> None:
        self.queue = WorkQueue()
        self.reconciler = Reconciler(api, self.queue, Settings(), lambda: at(0))
        self.started = 0
        self.ended = asyncio.Event()
        self.jobs = JobWatch(self.reconciler.jobs, self.reconciler.pools, self.queue, (), self._start, self.ended.set)
        self.pods = PodWatch(api, self.reconciler, None, lambda _: None)

    def _start(self) -> None:
        self.started += 1


@asynccontextmanager
async def operator(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    """An operator whose KUBECONFIG names the server."""
    async with server.running() as address:
        config = folder / "kubeconfig"
        here = {"name": "here", "cluster": {"server": address}}
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        user = {"name": "me", "user": {"token": "t"}}
        config.write_text(
            json.dumps({"clusters": [here], "contexts": [context], "users": [user], "current-context": "here"})
        )
        monkeypatch.setenv("KUBECONFIG", str(config))
        api = Cluster(client.ApiClient(client.Configuration(host=address)))
        try:
            yield Operator(api)
        finally:
            await api.aclose()


@asynccontextmanager
async def running(watch: JobWatch | PodWatch) -> AsyncIterator[None]:
    """While the watch runs."""
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  a poll with a limit
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of all times, or so."""
    monkeypatch.setattr(transport, "_WATCH", aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=0.75))
    monkeypatch.setattr(pods, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(jobs, "_INACTIVE", 0.66)
    monkeypatch.setattr(jobs, "_SILENT", 2.5)
    monkeypatch.setattr(jobs, "_LOOK", 0.05)
    monkeypatch.setattr(jobs, "_PAUSES", (0.01, 0.02))


def test_a_watch_that_is_dead_is_opened_anew_within_90_seconds(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("monkeypatch").undo()
    assert transport._WATCH.sock_read is not None
    assert 60 < transport._WATCH.sock_read + pods._FIRST_PAUSE < 90, "a bookmark comes every minute"
    assert 60 <= jobs._WATCH < jobs._INACTIVE < jobs._SILENT
    assert jobs._SILENT + jobs._LOOK < 90
    assert jobs._PAUSES[-1] + 30 < jobs._SILENT, "while it tries again, it is not silent"


async def test_a_pod_watch_that_freezes_is_opened_anew_and_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server([], POD)
    with capture_logs() as logs:
        async with operator(server, tmp_path, monkeypatch) as it, running(it.pods):
            await until(lambda: it.reconciler.pods.get(POD_KEY))

            assert it.pods.turns.age() < 1
    assert server.lists == 1
    assert 0.7 < server.watches[1] - server.watches[0] < 5
    assert [line["log_level"] for line in logs][:1] == ["warning"]


async def test_a_job_watch_that_freezes_is_opened_anew_and_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server([], JOB)
    async with operator(server, tmp_path, monkeypatch) as it, running(it.jobs):
        await until(lambda: it.reconciler.jobs.get(JOB_KEY))

        await until(lambda: it.reconciler.admitter.pool("default"))
        assert it.started == 1, "kopf mended it by itself"
        assert it.jobs.heard[None].age() < 5
    assert 0.6 < server.watches[1] - server.watches[0] < 5


@pytest.mark.parametrize(
    ("served", "problem"),
    [
        pytest.param(True, "kopf", id="an error that is none of the ordinary ones"),
        pytest.param(False, "kopf asked for nothing", id="a kind that is not served as kopf starts"),
    ],
)
async def test_a_job_watch_that_is_dead_for_good_ends_the_process_with_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool, problem: str
) -> None:
    server = Server([ERROR], JOB)
    if not served:
        monkeypatch.setitem(SERVED, JOBS, {"resources": []})
    with capture_logs() as logs:
        async with operator(server, tmp_path, monkeypatch) as it, running(it.jobs):
            async with asyncio.timeout(30):
                await it.ended.wait()

            assert it.jobs.problem is not None
            assert it.jobs.problem.startswith(problem)
    (line,) = logs
    assert line["event"] == "the watch of CiJobs is dead: this process ends, another takes over"
    assert line["problem"] == it.jobs.problem


async def test_an_api_server_that_answers_503_for_long_is_asked_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(JOB)
    async with operator(server, tmp_path, monkeypatch) as it, running(it.jobs):
        server.away = 40
        await until(lambda: it.reconciler.jobs.get(JOB_KEY))

        assert server.away == 0
        assert it.started == 1
