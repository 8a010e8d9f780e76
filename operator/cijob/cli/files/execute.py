"""Runs a command in a container of a Pod, as `kubectl exec` does.

The protocol is `v5.channel.k8s.io` (KEP-3396, API servers from 1.30 on): the first byte of each message is its channel, and
unlike its forerunners it can tell the command that its input has ended.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

from cijob import names
from cijob.cli.errors import CliError
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.transport import CORE, described, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from cijob.cli.api import Api

PROTOCOL: Final = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
#: Bytes of what a command says on stderr that are kept: the last ones.
_STDERR_KEPT: Final = 64 * 1024
#: API servers read messages of this size in one go.
_MESSAGE: Final = 32 * 1024


_NO_FILES: Final = (
    "So no files can be brought in or taken out: have the job fetch a repository (--git-url, or spec.source.git) and leave "
    "its own files somewhere."
)


class Terminal(Protocol):
    """The terminal that a command is given."""

    def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """Its size in columns and rows: now, and after each change."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its exit code, and what it said last on stderr (nothing with a terminal: it has one stream)."""

    code: int
    stderr: bytes = b""


async def execute(  # noqa: PLR0913  as kubectl exec has them
    api: Api,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: AsyncIterator[bytes] | None = None,
    on_output: Callable[[bytes], Awaitable[None]] | None = None,
    on_error: Callable[[bytes], Awaitable[None]] | None = None,
    tty: Terminal | None = None,
) -> Result:
    """Run a command to its end.

    `stdin` is sent until it ends or the command does; a command that leaves much of it unread may be answered by a
    connection that breaks, since the API server then closes it at once. `on_output` and `on_error` are called with each piece of stdout and stderr.

    Raises:
        ApiError: it could not be started: no such Pod or container, not allowed, no such program in the image.
        ApiUnavailable: the connection broke; the command may still run.
    """
    socket = await api.connect(
        _path(namespace, pod),
        _query(container, command, stdin=stdin is not None, tty=tty is not None),
        PROTOCOL,
    )
    async with socket:
        senders = [asyncio.create_task(_send_input(socket, stdin))] if stdin is not None else []
        if tty is not None:
            senders.append(asyncio.create_task(_send_sizes(socket, tty)))
        receiver = asyncio.create_task(_receive(socket, on_output, on_error))
        try:
            return await _first_to_matter(receiver, senders)
        finally:
            for task in (receiver, *senders):
                task.cancel()
            await asyncio.gather(receiver, *senders, return_exceptions=True)


async def check(api: Api, namespace: str) -> None:
    """Whether the user may run commands in the namespace's build Pods: asked of one that cannot be there.

    Rights and admission policies speak before the Pod is looked for. Only the newer API servers' second right (`create`
    beside `get`, Kubernetes 1.35) does not show: it is asked for by itself.

    Raises:
        CliError: the user may not.
    """
    # The form of a build Pod's name is what the chart's policy looks at.
    nobody = names.pod_name("no-such-job", "", 0)
    query = dict(_query(names.CONTAINER_JOB, ["true"], stdin=False, tty=False))
    try:
        await api.request("GET", _path(namespace, nobody), query=query)
    except ApiNotFound:
        if not await api.may("create", "pods/exec", namespace=namespace):
            raise refused(None, namespace) from None
    except ApiError as error:
        if not error.forbidden:
            raise
        raise refused(error, namespace, _NO_FILES) from error


def refused(error: ApiError | None, namespace: str, instead: str = _NO_FILES) -> CliError:
    """What a refusal means to a user: a policy of the cluster's, or a right that is missing. None: the right `create`.

    `instead` is what to do where a policy forbids it.
    """
    if error is not None and " cannot " not in error.message:  # not RBAC's own words
        return CliError(f"the cluster lets nobody into running jobs: {error.message}", instead)
    return CliError(
        f"you may not run commands in the Pods of the namespace {namespace} (the rights get and create on pods/exec)",
        "Ask who runs the cluster to bind the role cijob-author to you there (docs/security.md); "
        "`cijob doctor` shows which rights you have.",
    )


def _path(namespace: str, pod: str) -> str:
    return path_of(CORE, namespace, "pods", pod, "exec")


def _query(container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> list[tuple[str, str]]:
    switches = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    return [
        ("container", container),
        *((name, "true") for name, on in switches.items() if on),
        *(("command", word) for word in command),
    ]


async def _first_to_matter(receiver: asyncio.Task[Result], senders: list[asyncio.Task[None]]) -> Result:
    """The command's end, or the first failure of what is sent to it."""
    waiting: set[asyncio.Task[Result] | asyncio.Task[None]] = {receiver, *senders}
    while not receiver.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {receiver}:
            error = task.exception()
            # A command that ends early closes the connection under its input: how it ended is what counts then.
            if error is not None and not isinstance(error, (aiohttp.ClientError, OSError)):
                raise error
    return receiver.result()


async def _send_input(socket: aiohttp.ClientWebSocketResponse, stdin: AsyncIterator[bytes]) -> None:
    async for data in stdin:
        for start in range(0, len(data), _MESSAGE):
            await socket.send_bytes(bytes([_STDIN]) + data[start : start + _MESSAGE])
            await asyncio.sleep(0)  # a send that need not wait gives way to nobody, and the end has to be noticed
    await socket.send_bytes(bytes([_CLOSE, _STDIN]))


async def _send_sizes(socket: aiohttp.ClientWebSocketResponse, tty: Terminal) -> None:
    async for columns, rows in tty.sizes():
        size = json.dumps({"Width": columns, "Height": rows}).encode()
        await socket.send_bytes(bytes([_RESIZE]) + size)


async def _receive(
    socket: aiohttp.ClientWebSocketResponse,
    on_output: Callable[[bytes], Awaitable[None]] | None,
    on_error: Callable[[bytes], Awaitable[None]] | None,
) -> Result:
    stderr = b""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == _STDOUT and data and on_output is not None:
            await on_output(data)
        elif channel == _STDERR:
            stderr = (stderr + data)[-_STDERR_KEPT:]
            if data and on_error is not None:
                await on_error(data)
        elif channel == _ERROR:
            return Result(exit_code(data), stderr)
    broken = socket.exception()
    raise ApiUnavailable(0, "", f"the connection to the job broke{f': {described(broken)}' if broken else ''}")


def exit_code(status: bytes) -> int:
    """The exit code in the `Status` with which the API server ends a command.

    Raises:
        ApiError: the command did not run.
    """
    found: object = None
    with suppress(ValueError):
        found = json.loads(status)
    if not isinstance(found, dict):
        raise ApiError(0, "", f"the API server ended the command without a status: {status[:200]!r}")
    if found.get("status") == "Success":
        return 0
    causes = (found.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdecimal():
            return int(cause["message"])
    raise ApiError(int(found.get("code") or 0), str(found.get("reason", "")), str(found.get("message", "")))
