"""The fault-injecting proxy, before a small server instead of an API server."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.faults.proxy import Proxy
from tests.faults.rules import (
    Answer,
    Call,
    Close,
    Delay,
    Drop,
    Events,
    Expire,
    Freeze,
    Kill,
    Repeat,
    Requests,
    When,
)
from tests.faults.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.rules import EventFault

PODS = "/api/v1/namespaces/a/pods"
WATCH = f"{PODS}?watch=true&resourceVersion=1"
SECONDS = 30


class Server:
    """A little API server: POST and DELETE change a list of names, watches get the lines that a test sends."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.agents: list[str] = []
        self.watches: list[asyncio.Queue[bytes]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.agents.append(request.headers["User-Agent"])
        if "watch" in request.query:
            return await self._watch(request)
        if request.method == "POST":
            name = (await request.json())["metadata"]["name"]
            if name in self.names:
                return web.json_response(Answer(409, "AlreadyExists").body, status=409)
            self.names.append(name)
            return web.json_response({"metadata": {"name": name}}, status=201)
        if request.method == "DELETE":
            self.names.remove(request.path.rpartition("/")[2])
            return web.json_response({"kind": "Status"})
        return web.json_response({"items": list(self.names)})

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.watches.append(lines)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        while line := await lines.get():
            await response.write(line)
        return response

    def send(self, *lines: bytes) -> None:
        """Send to all watches; an empty line ends them."""
        for queue in self.watches:
            for line in lines:
                queue.put_nowait(line)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[tuple[Server, Upstream]]:
    little = Server()
    runner = web.ServerRunner(
        web.Server(little.handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield little, Upstream(f"http://127.0.0.1:{runner.addresses[0][1]}", headers={"Authorization": "Bearer t"})
    await runner.cleanup()


@pytest_asyncio.fixture
async def little(server: tuple[Server, Upstream]) -> Server:
    return server[0]


@pytest_asyncio.fixture
async def proxy(server: tuple[Server, Upstream]) -> AsyncIterator[Proxy]:
    async with Proxy(server[1]) as started:
        yield started


@pytest_asyncio.fixture
async def client(proxy: Proxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        proxy.url, headers={"User-Agent": "operator/1"}, timeout=aiohttp.ClientTimeout(total=SECONDS)
    ) as session:
        yield session


def event(name: str, kind: str = "Pod", type_: str = "MODIFIED", version: int = 1) -> bytes:
    meta = {"name": name, "resourceVersion": str(version)}
    return json.dumps({"type": type_, "object": {"kind": kind, "metadata": meta}}).encode() + b"\n"


async def post(client: aiohttp.ClientSession, name: str) -> tuple[int, Any]:
    async with client.post(PODS, json={"metadata": {"name": name}}) as answer:
        return answer.status, await answer.json()


async def listed(client: aiohttp.ClientSession) -> list[str]:
    async with client.get(PODS) as answer:
        return list((await answer.json())["items"])


async def lost(client: aiohttp.ClientSession, name: str) -> bool:
    """Whether a POST ended without any answer."""
    try:
        await post(client, name)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        return True
    return False


async def read(watch: aiohttp.ClientResponse, events: int = 0) -> list[str]:
    """Names in the next events of a watch; 0: all until its end."""
    names: list[str] = []
    async for line in watch.content:
        body = json.loads(line)["object"]
        names.append(str(body.get("code") or body["metadata"]["name"]))
        if len(names) == events:
            break
    return names


# --- without rules --------------------------------------------------------------------------------------------------------


async def test_requests_pass_both_ways_unchanged(client: aiohttp.ClientSession, little: Server) -> None:
    assert await post(client, "x") == (201, {"metadata": {"name": "x"}})
    assert (await post(client, "x"))[0] == 409
    assert await listed(client) == ["x"]
    assert set(little.agents) == {"operator/1"}


async def test_each_request_is_recorded_with_what_the_server_and_the_client_were_told(
    proxy: Proxy, client: aiohttp.ClientSession
) -> None:
    proxy.arm(Requests(method="POST", first=2), Answer(503))
    for _ in range(3):
        await post(client, "x")

    assert [(one.number, one.target, one.name, one.status, one.answered) for one in proxy.records] == [
        (1, "pods", "x", 201, 201),
        (2, "pods", "x", None, 503),
        (3, "pods", "x", 409, 409),
    ]
    assert [one.landed for one in proxy.records] == [True, False, False]
    assert all(one.write and not one.watch and one.agent == "operator/1" for one in proxy.records)


@pytest.mark.parametrize(
    ("path", "target", "name"),
    [
        ("/api/v1/pods?limit=500", "pods", ""),
        ("/api/v1/namespaces/a", "namespaces", "a"),
        ("/api/v1/namespaces/a/pods/p/binding", "pods/binding", "p"),
        ("/apis/cijob.dev/v1alpha1/namespaces/a/cijobs/c/status", "cijobs/status", "c"),
        ("/version", "", ""),
    ],
)
async def test_a_path_is_told_apart(
    proxy: Proxy, client: aiohttp.ClientSession, path: str, target: str, name: str
) -> None:
    async with client.get(path) as answer:
        await answer.read()

    assert (proxy.records[0].target, proxy.records[0].name) == (target, name)


async def test_a_watch_gets_each_event_as_it_comes(proxy: Proxy, client: aiohttp.ClientSession, little: Server) -> None:
    async with client.get(WATCH) as watch:
        for name in ("a", "b"):  # the second is only sent once the first has arrived
            little.send(event(name))
            assert await read(watch, 1) == [name]
        line = event("d")
        little.send(event("c") + line[:10])  # an event may come in two pieces
        assert await read(watch, 1) == ["c"]
        little.send(line[10:], b"")
        assert await read(watch) == ["d"]
    assert [(one.number, one.name) for one in proxy.events] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


async def test_the_servers_end_of_a_watch_ends_it_for_the_client_too(
    client: aiohttp.ClientSession, little: Server
) -> None:
    async with client.get(WATCH) as watch:
        little.send(b"")
        assert await read(watch) == []


async def test_a_client_that_goes_away_ends_its_watch_at_the_server(
    proxy: Proxy, client: aiohttp.ClientSession, server: tuple[Server, Upstream]
) -> None:
    gone = asyncio.Event()

    async def watch(request: web.BaseRequest, old: Any = server[0]._watch) -> web.StreamResponse:  # noqa: ANN401
        try:
            return await old(request)  # type: ignore[no-any-return]  # as Server._watch
        finally:
            gone.set()

    server[0]._watch = watch  # type: ignore[method-assign]  # observed from outside
    async with client.get(WATCH) as answer:
        answer.close()
    async with asyncio.timeout(SECONDS):
        await gone.wait()
    assert proxy.records[0].watch


async def test_a_server_that_is_not_there_looks_like_one_to_the_client() -> None:
    async with Proxy(Upstream("http://127.0.0.1:1")) as proxy, aiohttp.ClientSession(proxy.url) as session:
        assert await lost(session, "x")


# --- faults of requests ---------------------------------------------------------------------------------------------------


async def test_a_connection_cut_before_the_server_leaves_nothing_there(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    proxy.arm(Requests(method="POST"), Drop())

    assert await lost(client, "x")
    assert little.names == []
    assert (proxy.records[0].status, proxy.records[0].answered) == (None, None)


async def test_a_lost_answer_leaves_the_write_done(proxy: Proxy, client: aiohttp.ClientSession, little: Server) -> None:
    proxy.arm(Requests(method="POST"), Drop(), When.AFTER)

    assert await lost(client, "x")
    assert little.names == ["x"]
    assert (proxy.records[0].status, proxy.records[0].answered) == (201, None)


@pytest.mark.parametrize("status", [409, 429, 500, 503, 504])
@pytest.mark.parametrize("when", When)
async def test_an_error_is_worded_as_the_api_server_does(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server, status: int, when: When
) -> None:
    proxy.arm(Requests(method="POST"), Answer(status), when)

    told, body = await post(client, "x")
    assert (told, body["kind"], body["code"]) == (status, "Status", status)
    assert little.names == (["x"] if when is When.AFTER else [])


async def test_a_client_is_told_when_to_come_back(proxy: Proxy, client: aiohttp.ClientSession) -> None:
    proxy.arm(Requests(), Answer(429, retry_after=7))

    async with client.get(PODS) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert (await answer.json())["details"] == {"retryAfterSeconds": 7}


async def test_a_delay_comes_before_or_after_the_write(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    for when, there in ((When.BEFORE, []), (When.AFTER, ["x"])):
        rule = proxy.arm(Requests(method="POST"), Delay(60), when)
        task = asyncio.create_task(post(client, "x"))
        assert await proxy.until(
            lambda when=when, rule=rule: bool(rule.struck and (when is When.BEFORE or proxy.records[-1].landed)),  # type: ignore[misc]
            SECONDS,
        )
        assert little.names == there
        task.cancel()


async def test_a_short_delay_ends(proxy: Proxy, client: aiohttp.ClientSession) -> None:
    proxy.arm(Requests(), Delay(0.05))
    proxy.arm(Requests(), Delay(0.05), When.AFTER)
    began = asyncio.get_running_loop().time()

    assert await listed(client) == []
    assert asyncio.get_running_loop().time() - began >= 0.1


@pytest.mark.parametrize(("when", "there"), [(When.BEFORE, []), (When.AFTER, ["x"])])
async def test_a_client_is_killed_before_or_after_its_write(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server, when: When, there: list[str]
) -> None:
    at_death: list[list[str]] = []
    proxy.arm(Requests(method="POST"), Kill(lambda: at_death.append(list(little.names))), when)

    assert await lost(client, "x")
    assert (at_death, little.names) == ([there], there)


async def test_a_function_is_called_and_the_request_goes_on(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    seen: list[list[str]] = []

    async def look() -> None:
        seen.append(list(little.names))

    proxy.arm(Requests(method="POST"), Call(look))
    proxy.arm(Requests(method="POST"), Call(look), When.AFTER)
    await post(client, "x")
    assert seen == [[], ["x"]]


async def test_a_trigger_comes_before_the_fault_of_the_same_request_and_only_for_what_the_body_says(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    seen: list[tuple[When, list[str]]] = []

    async def look(when: When) -> None:
        seen.append((when, list(little.names)))

    for when in When:
        proxy.arm(Requests(method="POST", first=2), Drop(), When.AFTER)
        proxy.trigger(Requests(body='"name": "x"', times=None), partial(look, when), when)

    await post(client, "y")
    assert seen == []
    assert await lost(client, "x")
    assert seen == [(When.BEFORE, ["y"]), (When.AFTER, ["y", "x"])]


async def test_an_old_list_is_served_as_it_was(proxy: Proxy, client: aiohttp.ClientSession) -> None:
    await listed(client)
    await post(client, "x")
    snapshot = await proxy.snapshot()
    await post(client, "y")

    for fault, names in ((proxy.first_lists(), []), (snapshot, ["x"])):
        proxy.arm(Requests(method="GET", watch=False), fault)
        assert await listed(client) == names
        assert await listed(client) == ["x", "y"]


async def test_faults_strike_the_requests_of_their_number_kind_and_client_only(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    rules = [
        proxy.arm(Requests(method="POST", first=2, times=2), Answer(500)),
        proxy.arm(Requests(path="/services"), Answer(500)),
        proxy.arm(Requests(agent="kubelet"), Answer(500)),
        proxy.arm(Requests(method="GET", watch=True), Answer(500)),
    ]
    told = [(await post(client, name))[0] for name in "abcd"]

    assert told == [201, 500, 500, 201]
    assert await listed(client) == ["a", "d"]
    assert little.names == ["a", "d"]
    assert [(rule.seen, rule.struck) for rule in rules] == [(4, 2), (0, 0), (0, 0), (0, 0)]


async def test_a_fault_may_last(proxy: Proxy, client: aiohttp.ClientSession) -> None:
    proxy.arm(Requests(first=2, times=None), Answer(503))

    assert [(await post(client, name))[0] for name in "abcd"] == [201, 503, 503, 503]


# --- faults of watches ----------------------------------------------------------------------------------------------------

ALL = (event("a"), event("j", kind="CiJob"), event("b"), event("c"))


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        (Drop(), ["a", "j", "c"]),
        (Repeat(), ["a", "j", "b", "b", "c"]),
        (Delay(0.05), ["a", "j", "b", "c"]),
        (Close(), ["a", "j"]),
        (Expire(), ["a", "j", "410"]),
    ],
)
async def test_a_fault_strikes_the_second_event_of_a_kind(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server, fault: EventFault, names: list[str]
) -> None:
    rule = proxy.arm(Events(kind="Pod", first=2), fault)
    async with client.get(WATCH) as watch:
        little.send(*ALL, b"")
        assert await read(watch) == names
    assert rule.struck == 1


async def test_a_delayed_event_holds_up_those_after_it(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    rule = proxy.arm(Events(name="b"), Delay(60))
    async with client.get(WATCH) as watch:
        little.send(*ALL)
        assert await read(watch, 2) == ["a", "j"]
        assert await proxy.until(lambda: rule.struck == 1, SECONDS)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read(watch, 1)


@pytest.mark.parametrize("on", [Requests(watch=True), Events(name="a")])
async def test_a_frozen_watch_stays_open_and_silent(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server, on: Requests | Events
) -> None:
    proxy.arm(on, Freeze())
    async with client.get(WATCH) as watch:
        assert watch.status == 200
        little.send(*ALL, b"")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read(watch)
    async with client.get(WATCH) as second:  # the next watch is well
        little.send(*ALL, b"")
        assert await read(second) == ["a", "j", "b", "c"]


async def test_a_client_is_killed_at_an_event_and_does_not_get_it(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    deaths: list[int] = []
    proxy.arm(Events(name="b"), Kill(lambda: deaths.append(1)))
    async with client.get(WATCH) as watch:
        little.send(*ALL)
        assert await read(watch, 2) == ["a", "j"]
        with pytest.raises(aiohttp.ClientError):
            await read(watch)
    assert deaths == [1]


async def test_bookmarks_and_errors_are_no_events_but_pass(
    proxy: Proxy, client: aiohttp.ClientSession, little: Server
) -> None:
    proxy.arm(Events(times=None), Drop())
    async with client.get(WATCH) as watch:
        little.send(event("bookmark", type_="BOOKMARK"), event("error", type_="ERROR"), event("a"), b"")
        assert await read(watch) == ["bookmark", "error"]
    assert [one.name for one in proxy.events] == ["a"]
