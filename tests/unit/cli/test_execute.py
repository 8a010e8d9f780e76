"""The protocol of exec, against a FAKE API server that plays one conversation; and what answers mean."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from cijob.cli.api import Api
from cijob.cli.errors import CliError
from cijob.cli.files.execute import PROTOCOL, Result, check, execute, exit_code
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SUCCESS = json.dumps({"status": "Success"}).encode()
FORBIDDEN = {"kind": "Status", "code": 403, "reason": "Forbidden"}


def failure(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return json.dumps({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}).encode()


class Server:
    """FAKE: answers one exec with `messages` after so many of the client's, and keeps what it was sent and asked."""

    def __init__(self, *messages: bytes, after: int = 0, protocol: str = PROTOCOL) -> None:
        self.messages, self.after, self.protocol = messages, after, protocol
        self.received: list[bytes] = []
        self.query: list[tuple[str, str]] = []

    async def play(self, request: web.Request) -> web.StreamResponse:
        self.query = list(request.query.items())
        socket = web.WebSocketResponse(protocols=(self.protocol,))
        await socket.prepare(request)
        for _ in range(self.after):
            message = await socket.receive()
            if message.type is WSMsgType.BINARY:
                self.received.append(message.data)
        for data in self.messages:
            await socket.send_bytes(data)
        await socket.close()
        return socket


@asynccontextmanager
async def served(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Api]:
    """A client of a FAKE API server that answers everything with a handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        api = Api(client.ApiClient(client.Configuration(host=str(server.make_url("")).rstrip("/"))), "n")
        try:
            yield api
        finally:
            await api.aclose()


def refusing(status: int, message: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("selfsubjectaccessreviews"):
            return web.json_response({"status": {"allowed": message == "with create"}})
        return web.json_response({"kind": "Status", "code": status, "message": message}, status=status)

    return answer


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for one in data:
        yield one


async def test_output_comes_apart_and_the_exit_code_is_the_commands() -> None:
    server = Server(b"\1one", b"\2err", b"\1two", b"\3" + failure(7))
    out: list[bytes] = []
    err: list[bytes] = []

    async def hear(data: bytes) -> None:
        out.append(data)

    async def hear_errors(data: bytes) -> None:
        err.append(data)

    async with served(server.play) as api:
        result = await execute(api, "n", "p", "c", ["a", "b c"], on_output=hear, on_error=hear_errors)
    assert (result, out, err) == (Result(7, b"err"), [b"one", b"two"], [b"err"])
    assert server.query == [
        *(("container", "c"), ("stdout", "true"), ("stderr", "true")),
        *(("command", "a"), ("command", "b c")),
    ]


async def test_input_is_sent_in_bounded_messages_and_its_end_is_said() -> None:
    server = Server(b"\3" + SUCCESS, after=4)
    async with served(server.play) as api:
        assert await execute(api, "n", "p", "c", ["a"], stdin=pieces(b"x" * 40_000, b"y")) == Result(0)
    assert b"".join(message[1:] for message in server.received[:3]) == b"x" * 40_000 + b"y"
    assert all(message[0] == 0 and len(message) <= 32 * 1024 + 1 for message in server.received[:3])
    assert server.received[3] == b"\xff\0"


async def test_a_terminal_is_told_its_size_and_its_changes() -> None:
    class Changing:
        async def sizes(self) -> AsyncIterator[tuple[int, int]]:
            yield 80, 24
            yield 100, 30

    server = Server(b"\3" + SUCCESS, after=2)
    async with served(server.play) as api:
        await execute(api, "n", "p", "c", ["a"], tty=Changing())
    assert [message[:1] for message in server.received] == [b"\4", b"\4"]
    assert [json.loads(message[1:]) for message in server.received] == [
        {"Width": 80, "Height": 24},
        {"Width": 100, "Height": 30},
    ]
    assert ("tty", "true") in server.query
    assert ("stderr", "true") not in server.query


async def test_a_command_that_ends_first_is_not_sent_the_rest() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async with served(Server(b"\3" + failure(3), after=1).play) as api:
        assert await execute(api, "n", "p", "c", ["a"], stdin=endless()) == Result(3)


async def test_what_goes_wrong_with_the_input_ends_it() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise CliError("shorter")

    async with served(Server(b"\3" + SUCCESS, after=9).play) as api:
        with pytest.raises(CliError, match="shorter"):
            await execute(api, "n", "p", "c", ["a"], stdin=broken())


async def test_a_connection_that_ends_without_a_status_broke() -> None:
    async with served(Server(b"\1half").play) as api:
        with pytest.raises(ApiUnavailable, match="the connection to the job broke"):
            await execute(api, "n", "p", "c", ["a"])


async def test_an_older_protocol_is_refused() -> None:
    async with served(Server(b"\3" + SUCCESS, protocol="v4.channel.k8s.io").play) as api:
        with pytest.raises(ApiError, match=r"does not speak v5\.channel\.k8s\.io"):
            await execute(api, "n", "p", "c", ["a"])


async def test_a_refusal_keeps_the_api_servers_words() -> None:
    async with served(refusing(404, 'pods "p" not found')) as api:
        with pytest.raises(ApiNotFound, match='pods "p" not found'):
            await execute(api, "n", "p", "c", ["a"])


@pytest.mark.parametrize(
    ("status", "code"),
    [({"status": "Success"}, 0), (json.loads(failure(1)), 1), (json.loads(failure(137)), 137)],
)
def test_a_status_has_an_exit_code(status: dict[str, Any], code: int) -> None:
    assert exit_code(json.dumps(status).encode()) == code


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (b'{"status": "Failure", "code": 500, "message": "no such program"}', "no such program"),
        (
            b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "x"}]}, "message": "odd"}',
            "odd",
        ),
        (b"nonsense", "without a status"),
        (b"[]", "without a status"),
    ],
)
def test_a_command_that_did_not_run_is_an_error(status: bytes, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        exit_code(status)


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (403, 'User "a" cannot get resource "pods/exec"', "you may not run commands"),
        (403, "the cluster does not allow exec on the Pods of CiJobs", "the cluster lets nobody into running jobs"),
        (404, "without create", "you may not run commands"),
    ],
)
async def test_who_may_not_is_told_before_anything_is_created(status: int, message: str, said: str) -> None:
    async with served(refusing(status, message)) as api:
        with pytest.raises(CliError, match=said):
            await check(api, "n")


async def test_who_may_is_told_nothing() -> None:
    async with served(refusing(404, "with create")) as api:
        await check(api, "n")
