"""A proxy before the API server that makes things go wrong by rule, and is transparent for all else.

It serves plain HTTP on a port of its own on the loopback interface and speaks to the server with the credentials of a
kubeconfig. Answers are passed on as they come; watches event by event. What it does not do: upgrades of a connection
(exec, attach, port-forward) and requests that stream their body.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tests.faults.records import Journal, Record, parsed
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
    Rule,
    Stale,
    When,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from tests.faults.rules import EventFault, RequestFault
    from tests.faults.upstream import Upstream

#: Headers that concern one connection only (RFC 9110, 7.6.1); aiohttp sets its own.
_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
    }
)
_GONE: Final = (
    json.dumps({"type": "ERROR", "object": Answer(410, message="too old resource version").body}).encode() + b"\n"
)


class _Severed(Exception):
    """Cut the client's connection."""


class Proxy(Journal):
    """One proxy; `async with` starts and ends it. Everything that it keeps may be read at any time."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__()
        self.rules: list[Rule] = []
        self._upstream = upstream
        self._lists: dict[str, tuple[dict[str, str], bytes]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self.url = ""

    # --- the tests' side ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._upstream.ssl),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        )
        # What waits for a client that has gone (a watch, a frozen one above all) is cancelled.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def arm(self, on: Requests | Events, fault: RequestFault | EventFault, when: When = When.BEFORE) -> Rule:
        """Add a rule; it counts from now on."""
        rule = Rule(on, fault, when)
        self.rules.append(rule)
        return rule

    def trigger(self, on: Requests, function: Callable[[], Awaitable[None]], when: When) -> None:
        """Call a function at requests, before any fault strikes them."""
        self.rules.insert(0, Rule(on, Call(function), when))

    async def snapshot(self) -> Stale:
        """What the server would answer now to each list that a client asked for, to be served later."""
        assert self._session is not None
        answers: dict[str, bytes] = {}
        for path, (headers, _) in list(self._lists.items()):
            async with self._session.get(self._target(path), headers=headers) as response:
                answers[path] = await response.read()
        return Stale(answers)

    def first_lists(self) -> Stale:
        """The first answer to each list that a client asked for."""
        return Stale({path: body for path, (_, body) in self._lists.items()})

    # --- the client's side --------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        record = self._recorded(request, body)
        faults = [rule for rule in self.rules if isinstance(rule.on, Requests) and rule.strikes(record)]
        record.faults = tuple(f"{rule.fault} {rule.when.name.lower()}" for rule in faults)
        self.notify()
        try:
            for rule in faults:
                if rule.when is When.BEFORE and (response := await self._strike(rule, request, record)) is not None:
                    return response
            return await self._forward(request, body, record, [rule for rule in faults if rule.when is When.AFTER])
        except _Severed:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)  # goes nowhere
        finally:
            self.notify()

    async def _forward(
        self, request: web.BaseRequest, body: bytes, record: Record, after: list[Rule]
    ) -> web.StreamResponse:
        assert self._session is not None
        try:
            async with self._session.request(
                request.method, self._target(request.raw_path), headers=self._headers(request), data=body or None
            ) as answer:
                record.status = answer.status
                self.notify()
                if record.watch and answer.status == web.HTTPOk.status_code:
                    record.answered = answer.status
                    return await self._watch(request, answer)
                content = await answer.read()
        except aiohttp.ClientError as error:
            raise _Severed from error
        self._keep_list(request, record, content)
        for rule in after:
            if (response := await self._strike(rule, request, record)) is not None:
                return response
        record.answered = answer.status
        return web.Response(status=answer.status, headers=_passed(answer.headers), body=content)

    async def _strike(self, rule: Rule, request: web.BaseRequest, record: Record) -> web.StreamResponse | None:
        """Let a fault happen to a request; gives the answer, if the fault is one."""
        match rule.fault:
            case Answer() as answer:
                record.answered = answer.status
                headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
                return web.json_response(answer.body, status=answer.status, headers=headers)
            case Stale(answers=answers) if record.path in answers:
                record.answered = web.HTTPOk.status_code
                return web.Response(body=answers[record.path], content_type="application/json")
            case Freeze():
                if record.watch:
                    await self._begun(request, {"Content-Type": "application/json"})
                await asyncio.Event().wait()  # until the client has enough, or the proxy ends
            case other:
                await _common(other)
        return None

    # --- watches ------------------------------------------------------------------------------------------------------

    async def _watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = await self._begun(request, _passed(answer.headers))
        if answer.content_type != "application/json":  # not looked into
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response
        buffered = b""
        async for chunk in answer.content.iter_any():
            *lines, buffered = (buffered + chunk).split(b"\n")
            for line in lines:
                if not await self._deliver(line + b"\n", response):
                    return response
        await response.write(buffered)
        return response

    async def _deliver(self, line: bytes, response: web.StreamResponse) -> bool:
        """Pass on an event, unless a fault forbids; False ends the watch."""
        event = self.see(line)
        struck = [
            rule.fault
            for rule in self.rules
            if event is not None and isinstance(rule.on, Events) and rule.strikes(event)
        ]
        self.notify()
        copies = 1
        for fault in struck:
            match fault:
                case Drop():
                    copies = 0
                case Repeat():
                    copies = 2
                case Close():
                    return False
                case Expire():
                    await response.write(_GONE)
                    return False
                case Freeze():
                    await asyncio.Event().wait()
                case other:
                    await _common(other)
        for _ in range(copies):
            await response.write(line)
        return True

    async def _begun(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _recorded(self, request: web.BaseRequest, body: bytes) -> Record:
        agent = request.headers.get("User-Agent", "")
        record = Record(
            len(self.records) + 1,
            asyncio.get_running_loop().time(),
            request.method,
            request.raw_path,
            agent,
            parsed(body),
        )
        self.records.append(record)
        return record

    def _keep_list(self, request: web.BaseRequest, record: Record, content: bytes) -> None:
        answer = parsed(content) if record.method == "GET" and record.landed else None
        if isinstance(answer, dict) and "items" in answer:
            self._lists.setdefault(record.path, (self._headers(request), content))

    def _target(self, path: str) -> URL:
        return URL(self._upstream.url + path, encoded=True)

    def _headers(self, request: web.BaseRequest) -> dict[str, str]:
        # Compressed answers could not be read here.
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _HOP and name.lower() not in {"accept-encoding", "authorization"}
        }
        return {**headers, "Accept-Encoding": "identity", **self._upstream.headers}


async def _common(fault: RequestFault | EventFault) -> None:
    """What can happen to requests and events alike."""
    match fault:
        case Drop():
            raise _Severed
        case Delay(seconds=seconds):
            await asyncio.sleep(seconds)  # the fault itself
        case Call(function=function):
            await function()
        case Kill(function=kill):
            kill()
            raise _Severed
        case _:  # not for this side: an event cannot be answered
            pass


def _passed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP)
