"""The API client against a web server on the loopback interface: what it sends, and what it makes of each answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio import client

from cijob.cluster import Cluster, connect
from cijob.errors import ApiConflict, ApiError, ApiExpired, ApiNotFound, ApiUnavailable, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Answer = web.StreamResponse | tuple[int, Any]
CIJOBS = "/apis/cijob.dev/v1alpha1"


class Server:
    """A FAKE API server: gives its answers one after the other and notes what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[web.Request] = []
        self.bodies: list[Any] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        text = await request.text()
        self.bodies.append(json.loads(text) if text else None)
        answer = self.answers.pop(0)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer[1], status=answer[0])

    @property
    def asked(self) -> list[str]:
        """Method, path and query of all requests."""
        return [f"{request.method} {request.path_qs}" for request in self.requests]


@asynccontextmanager
async def talking_to(server: Server) -> AsyncIterator[Cluster]:
    """A client of a server."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(application) as running:
        cluster = Cluster(client.ApiClient(client.Configuration(host=str(running.make_url("")).rstrip("/"))))
        try:
            yield cluster
        finally:
            await cluster.aclose()


def refusal(code: int, reason: str = "", message: str = "", **details: object) -> tuple[int, Any]:
    """A `Status` as the API server sends it."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return code, {**body, "details": details} if details else body


async def error_of(answer: Answer) -> ApiError:
    """What an answer raises."""
    async with talking_to(Server(answer)) as cluster:
        with pytest.raises(ApiError) as caught:
            await cluster.get_pod("ns", "p")
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "BadRequest", "no"), ApiError),
        (refusal(401, "Unauthorized", "Unauthorized"), ApiError),
        (refusal(403, "Forbidden", "no"), ApiError),
        (refusal(404, "NotFound", "pods not found"), ApiNotFound),
        (refusal(409, "AlreadyExists", "exists"), ApiError),
        (refusal(409, "Conflict", "the object has been modified"), ApiConflict),
        (refusal(410, "Expired", "too old resource version"), ApiExpired),
        (refusal(422, "Invalid", "spec.x: Invalid value", kind="Pod", causes=[{"field": "x"}]), ApiError),
        (refusal(422, "Invalid", "the server rejected our request due to an error in our request"), ApiConflict),
        (refusal(429, "TooManyRequests", "slow down"), ApiUnavailable),
        (refusal(500, "InternalError", "etcd"), ApiUnavailable),
        (refusal(503, "ServiceUnavailable", "later"), ApiUnavailable),
        (refusal(504, "Timeout", "later"), ApiUnavailable),
    ],
    ids=lambda value: f"{value[0]} {value[1]['reason']}" if isinstance(value, tuple) else "",
)
async def test_each_refusal_has_its_kind(answer: tuple[int, Any], kind: type[ApiError]) -> None:
    error = await error_of(answer)

    assert type(error) is kind
    assert (error.status, error.reason, error.message) == (answer[0], answer[1]["reason"], answer[1]["message"])


async def test_a_refusal_keeps_its_causes_and_when_to_come_back() -> None:
    error = await error_of(
        refusal(
            403, "Forbidden", "no", causes=[{"reason": "NamespaceTerminating"}, {"message": "x"}], retryAfterSeconds=3
        )
    )

    assert (error.causes, error.retry_after) == (("NamespaceTerminating", ""), 3.0)


async def test_a_header_may_tell_when_to_come_back() -> None:
    error = await error_of(web.Response(status=429, text="busy", headers={"Retry-After": "7"}))

    assert isinstance(error, ApiUnavailable)
    assert error.retry_after == 7.0


@pytest.mark.parametrize("header", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
async def test_a_header_that_is_no_number_of_seconds_is_ignored(header: str) -> None:
    assert (await error_of(web.Response(status=503, headers={"Retry-After": header}))).retry_after is None


async def test_a_proxys_page_becomes_a_message() -> None:
    error = await error_of(web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html"))

    assert isinstance(error, ApiUnavailable)
    assert error.message == "<html>Bad Gateway</html>"


@pytest.mark.parametrize("text", ["<html>login</html>", "", "[]", "null", '{"half'])
async def test_an_answer_that_is_no_api_servers_is_no_answer(text: str) -> None:
    assert isinstance(await error_of(web.Response(text=text)), ApiUnavailable)


async def test_a_closed_port_is_no_answer() -> None:
    cluster = Cluster(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{unused_port()}")))
    try:
        with pytest.raises(ApiUnavailable, match=r"no answer from http://127\.0\.0\.1") as caught:
            await cluster.version()
    finally:
        await cluster.aclose()
    assert caught.value.status == 0


@pytest.mark.parametrize(
    ("major", "minor", "expected"), [("1", "36", (1, 36)), ("1", "33+", (1, 33)), ("1", "33.4-gke", (1, 33))]
)
async def test_the_version_is_read_as_vendors_write_it(major: str, minor: str, expected: tuple[int, int]) -> None:
    async with talking_to(Server((200, {"major": major, "minor": minor}))) as cluster:
        assert await cluster.version() == expected


@pytest.mark.parametrize("body", [{}, {"major": "", "minor": ""}, {"major": "one", "minor": "two"}])
async def test_something_else_than_an_api_server_has_no_version(body: dict[str, str]) -> None:
    async with talking_to(Server((200, body))) as cluster:
        with pytest.raises(ApiUnavailable, match="did not answer as an API server does"):
            await cluster.version()


async def test_a_list_is_read_page_by_page() -> None:
    server = Server(
        (200, {"metadata": {"continue": "more&more", "resourceVersion": "7"}, "items": [{"n": 1}]}),
        (200, {"metadata": {"resourceVersion": "7"}, "items": [{"n": 2}]}),
    )
    async with talking_to(server) as cluster:
        assert await cluster.list_pods(None) == ([{"n": 1}, {"n": 2}], 7)

    first, second = server.requests
    assert first.path == "/api/v1/pods"
    assert (
        first.query["labelSelector"] == second.query["labelSelector"] == "app.kubernetes.io/managed-by=cijob-operator"
    )
    assert "resourceVersion" not in first.query, "a consistent list names no version"
    assert second.query["continue"] == "more&more"


async def test_requests_go_where_they_should() -> None:
    server = Server(*[(200, {"metadata": {"resourceVersion": "1"}, "items": []})] * 9)
    pod = {"metadata": {"namespace": "ns", "name": "p"}}
    async with talking_to(server) as cluster:
        await cluster.list_jobs("ns")
        await cluster.list_jobs(None)
        await cluster.get_job("ns", "j")
        await cluster.create_pod(pod)
        await cluster.patch_pod("ns", "p", [{"op": "test"}])
        await cluster.patch_job_status("ns", "j", [{"op": "add"}])
        await cluster.delete_pod("ns", "p", "uid-1")
        await cluster.delete_job("ns", "j", "uid-2")
        await cluster.create_event({"metadata": {"namespace": "ns"}})

    assert server.asked == [
        f"GET {CIJOBS}/namespaces/ns/cijobs?limit=500",
        f"GET {CIJOBS}/cijobs?limit=500",
        f"GET {CIJOBS}/namespaces/ns/cijobs/j",
        "POST /api/v1/namespaces/ns/pods",
        "PATCH /api/v1/namespaces/ns/pods/p",
        f"PATCH {CIJOBS}/namespaces/ns/cijobs/j/status",
        "DELETE /api/v1/namespaces/ns/pods/p",
        f"DELETE {CIJOBS}/namespaces/ns/cijobs/j",
        "POST /api/v1/namespaces/ns/events",
    ]
    assert server.bodies[3] == pod
    patches = [request.headers["Content-Type"] for request in server.requests if request.method == "PATCH"]
    assert patches == ["application/json-patch+json"] * 2
    assert [server.bodies[index] for index in (4, 5)] == [[{"op": "test"}], [{"op": "add"}]]
    assert [server.bodies[index]["preconditions"] for index in (6, 7)] == [{"uid": "uid-1"}, {"uid": "uid-2"}]
    assert server.bodies[7]["propagationPolicy"] == "Background", "its Pods follow it"


async def test_the_probe_asks_for_one_of_each() -> None:
    server = Server((200, {}), (200, {}), (200, {}))
    async with talking_to(server) as cluster:
        await cluster.probe("ns")

    assert server.asked == [
        f"GET {CIJOBS}/buildpools?limit=1",
        f"GET {CIJOBS}/namespaces/ns/cijobs?limit=1",
        "GET /api/v1/namespaces/ns/pods?limit=1",
    ]


def line(kind: str, /, **body: object) -> bytes:
    """One event of a watch."""
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


class Stream(web.StreamResponse):
    """A watch that sends its pieces one by one, then ends, or breaks off."""

    def __init__(self, *pieces: bytes, breaks: bool = False) -> None:
        super().__init__()
        self.pieces, self.breaks = pieces, breaks

    async def prepare(self, request: web.BaseRequest) -> Any:  # noqa: ANN401  aiohttp's own
        """Send all."""
        writer = await super().prepare(request)
        for piece in self.pieces:
            await self.write(piece)
            await asyncio.sleep(0.002)  # so that the pieces stay pieces on their way
        if self.breaks:
            assert request.transport is not None
            request.transport.abort()
        return writer


async def events_of(stream: Answer) -> list[str]:
    """What a watch gives."""
    async with talking_to(Server(stream)) as cluster:
        return [f"{event['type']} {event['object'].get('n')}" async for event in cluster.watch_pods("ns", 42)]


async def test_a_watch_starts_where_the_list_ended() -> None:
    server = Server(Stream())
    async with talking_to(server) as cluster:
        assert [event async for event in cluster.watch_pods("ns", 42)] == []

    (request,) = server.requests
    assert request.path == "/api/v1/namespaces/ns/pods"
    assert dict(request.query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "42",
        "timeoutSeconds": "600",
        "labelSelector": "app.kubernetes.io/managed-by=cijob-operator",
    }


async def test_events_are_whole_however_they_arrive() -> None:
    big = line("MODIFIED", n=2, text="ü" * 300_000)
    together = line("ADDED", n=1) + big + line("BOOKMARK", n=3)

    assert await events_of(Stream(together)) == ["ADDED 1", "MODIFIED 2", "BOOKMARK 3"]
    assert await events_of(Stream(together[:5], together[5:400_001], together[400_001:])) == [
        "ADDED 1",
        "MODIFIED 2",
        "BOOKMARK 3",
    ]


async def test_an_error_inside_a_watch_is_the_one_it_would_be_outside() -> None:
    too_old = refusal(410, "Expired", "too old resource version: 42 (2000)")[1]

    with pytest.raises(ApiExpired, match="too old"):
        await events_of(Stream(line("ADDED", n=1), line("ERROR", **too_old)))


async def test_a_watch_that_is_refused() -> None:
    with pytest.raises(ApiExpired):
        await events_of(refusal(410, "Expired", "too old"))


async def test_a_watch_that_breaks_is_no_answer() -> None:
    with pytest.raises(ApiUnavailable, match="watch of pods broke"):
        await events_of(Stream(line("ADDED", n=1), breaks=True))


async def test_a_line_that_is_no_event_breaks_the_watch() -> None:
    with pytest.raises(ApiUnavailable, match="watch of pods broke"):
        await events_of(Stream(b"<html>\n"))


async def test_no_cluster_is_a_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigurationError, match="set KUBECONFIG to a kubeconfig file"):
        await connect("test")


@pytest.mark.parametrize("text", ["", "not: a kubeconfig", "[1, 2]", "{", "current-context: nope\ncontexts: []\n"])
async def test_a_bad_kubeconfig_is_a_clear_message(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(ConfigurationError, match="set KUBECONFIG to a kubeconfig file"):
        await connect("test")


LEASE = {"metadata": {"namespace": "ns", "name": "lease", "resourceVersion": "7"}, "spec": {"holderIdentity": "me"}}


async def test_a_lease_is_read_created_and_replaced_whole() -> None:
    server = Server((200, LEASE), (201, LEASE), (200, LEASE))
    async with talking_to(server) as cluster:
        assert await cluster.get_lease("ns", "lease") == LEASE
        assert await cluster.create_lease(LEASE) == LEASE
        assert await cluster.replace_lease(LEASE) == LEASE

    leases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
    assert server.asked == [f"GET {leases}/lease", f"POST {leases}", f"PUT {leases}/lease"]
    assert server.bodies == [None, LEASE, LEASE]


async def test_before_each_write_but_those_of_the_lease_it_is_asked_whether_it_may_be() -> None:
    class NoLeaderError(Exception):
        """May not write."""

    def refuse() -> None:
        raise NoLeaderError

    server = Server((200, LEASE), (201, LEASE), (200, LEASE), (200, {}))
    async with talking_to(server) as cluster:
        cluster.before_write = refuse
        await cluster.get_lease("ns", "lease")
        await cluster.create_lease(LEASE)
        await cluster.replace_lease(LEASE)
        await cluster.get_pod("ns", "p")
        pod = {"metadata": {"namespace": "ns", "name": "p"}}
        for write in (
            cluster.create_pod(pod),
            cluster.patch_pod("ns", "p", []),
            cluster.delete_pod("ns", "p", "u"),
            cluster.patch_job_status("ns", "j", []),
            cluster.delete_job("ns", "j", "u"),
            cluster.create_event(pod),
        ):
            with pytest.raises(NoLeaderError):
                await write

    assert len(server.asked) == 4, "none of the refused was sent"


@pytest.mark.parametrize(("previous", "word"), [(False, "false"), (True, "true")])
async def test_the_end_of_a_log_is_bounded_and_any_bytes(word: str, *, previous: bool) -> None:
    server = Server(web.Response(body=b"one\ntwo \xff\n", content_type="text/plain"))
    async with talking_to(server) as cluster:
        text = await cluster.read_log("ns", "p", "db", previous=previous)

    assert text == "one\ntwo \ufffd\n"
    query = f"container=db&tailLines=10&limitBytes=2048&previous={word}"
    assert server.asked == [f"GET /api/v1/namespaces/ns/pods/p/log?{query}"]


async def test_a_log_that_cannot_be_had_is_an_error_of_ours() -> None:
    async with talking_to(Server(refusal(400, "BadRequest", 'container "db" is waiting to start'))) as cluster:
        with pytest.raises(ApiError, match="waiting to start"):
            await cluster.read_log("ns", "p", "db", previous=False)
