"""A FAKE API server over HTTP that keeps CiJobs, for the commands that change them; by `main` itself."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import uuid
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from aiohttp import web

from cijob.cli import console
from cijob.cli.app import main

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Body = dict[str, Any]

ROOT = Path(__file__).parents[3]
NAMESPACE = "team-a"
JOBS = f"/apis/cijob.dev/v1alpha1/namespaces/{NAMESPACE}/cijobs"


@dataclass(frozen=True)
class Answer:
    """How a process ended."""

    code: int
    out: str
    err: str


class FakeCluster:
    """CiJobs of one namespace; get, list, watch, create, cancel and delete as the API server has them."""

    def __init__(self) -> None:
        self.jobs: dict[str, Body] = {}
        #: Method and path of each request, in order.
        self.asked: list[tuple[str, str]] = []
        #: Status and Status body (or a text) instead of an answer, by method and path.
        self.refused: dict[tuple[str, str], tuple[int, str, str]] = {}
        #: So many watches are broken after their first event.
        self.breaks = 0
        self._version = 100
        self._changes: list[Body] = []
        self._changed = asyncio.Condition()

    async def put(self, name: str, *, spec: Body | None = None, status: Body | None = None, **meta: Any) -> Body:  # noqa: ANN401
        """Store a CiJob, or another state of one."""
        before = self.jobs.get(name)
        body = {
            "apiVersion": "cijob.dev/v1alpha1",
            "kind": "CiJob",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": before["metadata"]["uid"] if before else str(uuid.uuid4()),
                "creationTimestamp": "2026-01-31T12:00:00Z",
                **meta,
            },
            "spec": spec or {"image": "ubuntu:25.10", "script": ["true"]},
            "status": status or {"phase": "Pending"},
        }
        await self._store("MODIFIED" if before else "ADDED", body)
        return body

    async def remove(self, name: str) -> None:
        """Delete a CiJob."""
        await self._store("DELETED", self.jobs.pop(name))

    def refuse(self, method: str, path: str, status: int, message: str, reason: str = "Forbidden") -> None:
        """Answer with an error; without a reason as a server that is no API server."""
        self.refused[method, path] = (status, reason, message)

    async def watched(self) -> None:
        """Wait until somebody watches."""
        async with asyncio.timeout(30):
            while ("WATCH", JOBS) not in self.asked:
                async with self._changed:
                    await self._changed.wait()

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[Kit]:
        """The server, and a command line with a kubeconfig for it."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(kubeconfig_for(f"http://{host}:{port}")))
        try:
            yield Kit(kubeconfig)
        finally:
            await runner.cleanup()

    async def _store(self, kind: str, body: Body) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        if kind != "DELETED":
            self.jobs[body["metadata"]["name"]] = body
        async with self._changed:
            self._changes.append({"type": kind, "object": json.loads(json.dumps(body))})
            self._changed.notify_all()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = "WATCH" if "watch" in request.query else request.method
        self.asked.append((method, request.path))
        async with self._changed:
            self._changed.notify_all()
        if refusal := self.refused.get((method, request.path)):
            return _refusal(*refusal)
        if request.path == JOBS:
            return await self._jobs(request, method)
        name = request.path.removeprefix(JOBS + "/")
        if request.path.startswith(JOBS + "/") and name in self.jobs:
            return await self._job(request, name)
        if request.path.startswith(JOBS + "/"):
            return _refusal(404, "NotFound", f'cijobs.cijob.dev "{name}" not found')
        if request.path == f"/api/v1/namespaces/{NAMESPACE}":
            return web.json_response({"metadata": {"name": NAMESPACE}})
        return _refusal(404, "", "404 page not found\n")

    async def _jobs(self, request: web.Request, method: str) -> web.StreamResponse:
        if method == "WATCH":
            return await self._watch(request)
        if method == "POST":
            body: Body = await request.json()
            meta = body["metadata"]
            name = meta.get("name") or meta["generateName"] + "zz5zz"
            rest = {key: value for key, value in meta.items() if key not in {"name", "namespace"}}
            return web.json_response(await self.put(name, spec=body["spec"], **rest), status=201)
        found = [job for job in self.jobs.values() if _selected(job, request.query)]
        return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": found})

    async def _job(self, request: web.Request, name: str) -> web.StreamResponse:
        job = self.jobs[name]
        if request.method == "PATCH":
            test, add = await request.json()
            assert (test["path"], test["value"], add["path"]) == (
                "/metadata/uid",
                job["metadata"]["uid"],
                "/spec/cancel",
            )
            await self._store("MODIFIED", job | {"spec": job["spec"] | {"cancel": add["value"]}})
        elif request.method == "DELETE":
            if (await request.json())["preconditions"]["uid"] != job["metadata"]["uid"]:
                return _refusal(409, "Conflict", "the UID in the precondition is another")
            await self.remove(name)
        return web.json_response(self.jobs.get(name, job))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        since, sent = int(request.query["resourceVersion"]), 0
        while True:
            news = [one for one in self._changes if int(one["object"]["metadata"]["resourceVersion"]) > since]
            for event in news:
                since = int(event["object"]["metadata"]["resourceVersion"])
                if _selected(event["object"], request.query):
                    await response.write(json.dumps(event).encode() + b"\n")
                    sent += 1
            if self.breaks and sent:
                self.breaks -= 1
                assert request.transport is not None
                request.transport.abort()
                return response
            async with self._changed:
                await self._changed.wait()


@dataclass(frozen=True)
class Kit:
    """The command line, for one cluster."""

    kubeconfig: Path

    async def run(self, *arguments: str) -> Answer:
        """Run `cijob` by its entry point, in a thread of this process: Python starts once for all tests."""
        return await asyncio.to_thread(self._main, arguments)

    def _main(self, arguments: tuple[str, ...]) -> Answer:
        console.out.cache_clear()
        console.err.cache_clear()
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["cijob", *arguments]),
            mock.patch.dict(os.environ, {"KUBECONFIG": str(self.kubeconfig)}),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        console.out.cache_clear()
        console.err.cache_clear()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, out.getvalue(), err.getvalue())

    async def process(self, *arguments: str) -> Answer:
        """Run it as a process with its output in pipes."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Answer(process.returncode, out.decode(), err.decode())

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start such a process, and look later."""
        paths = {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(self.kubeconfig)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cijob.cli", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **paths, **environment},
        )


def kubeconfig_for(server: str, **more: Any) -> Body:  # noqa: ANN401  whatever a test puts there
    """A kubeconfig with one context, `there`."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "there",
        "clusters": [{"name": "there", "cluster": {"server": server}}],
        "users": [{"name": "ann", "user": {}}],
        "contexts": [{"name": "there", "context": {"cluster": "there", "user": "ann", "namespace": NAMESPACE}}],
        **more,
    }


def _selected(job: Body, query: Any) -> bool:  # noqa: ANN401  aiohttp's multidict
    name = query.get("fieldSelector", "").removeprefix("metadata.name=")
    labels = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
    meta = job["metadata"]
    return bool((not name or meta["name"] == name) and labels.items() <= meta.get("labels", {}).items())


def _refusal(status: int, reason: str, message: str) -> web.Response:
    if not reason:
        return web.Response(status=status, text=message)
    body = {"kind": "Status", "apiVersion": "v1", "code": status, "reason": reason, "message": message}
    return web.json_response(body, status=status)
