"""The cluster as the command line sees it: what the user may do, with the user's own rights."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import click
from kubernetes.aio import client

from cijob import __version__, names
from cijob.cli.explain import explained
from cijob.cli.kubeconfig import place_of
from cijob.errors import ApiError, ApiUnavailable
from cijob.transport import CIJOBS, CORE, JSON, JSON_PATCH, REQUEST, Body, Transport, described, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from cijob.cli.options import Target

T = TypeVar("T")

#: Seconds between two signs of life of an open connection; the answer may take half of that on a slow line.
_HEARTBEAT: Final = 120.0
#: Seconds before a read is tried again: together they say soon enough that there is no API server.
_PAUSES: Final = (0.2, 0.6)
_LONGEST_PAUSE: Final = 5.0
#: Seconds after which that is not done: a server that is there answers sooner.
_ENOUGH: Final = 20.0
#: Seconds of silence after which a command says what it waits for.
_SILENCE: Final = 5.0
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Api(Transport):
    """Requests of a user. Every method raises ApiError or one of its kinds when it fails."""

    def __init__(
        self,
        api: client.ApiClient,
        namespace: str,
        *,
        context: str = "",
        flag: str = "",
        slow: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """`flag`: as below; `slow` hears, once, that the first answer takes long."""
        super().__init__(api)
        #: The namespace that is meant where none is named.
        self.namespace = namespace
        #: The kubeconfig's context, for messages.
        self.context = context
        #: What commands have to say to mean this namespace: ` -n NAME`, or nothing where it is the kubeconfig's own.
        self.flag = flag
        self._slow = slow
        self._has_answered = False
        self.answered = self._note_answer

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = JSON,
    ) -> Body:
        """As every Transport; what only asks is asked again after a connection that broke, and a server that was busy."""
        loop = asyncio.get_running_loop()
        began, timer = loop.time(), loop.call_later(_SILENCE, self._tell_silence)
        try:
            for pause in _PAUSES if method == "GET" else ():
                try:
                    return await super().request(method, path, query=query, body=body, content=content)
                except ApiUnavailable as error:
                    if loop.time() - began > _ENOUGH:
                        raise
                    await asyncio.sleep(min(error.retry_after or pause, _LONGEST_PAUSE))
            return await super().request(method, path, query=query, body=body, content=content)
        finally:
            timer.cancel()

    def _note_answer(self, _verb: str, status: int, _seconds: float) -> None:
        self._has_answered = self._has_answered or status != 0

    def _tell_silence(self) -> None:
        if not self._has_answered:
            self._has_answered = True
            self._slow(f"no answer from {self.server} yet: it is waited for, {REQUEST.total:.0f} s at most")

    # --- CiJobs ---------------------------------------------------------------------------------------------------------

    async def list_jobs(
        self, namespace: str | None, selector: Mapping[str, str] | None = None
    ) -> tuple[list[Body], int]:
        """CiJobs of a namespace, or of all; `selector` holds labelSelector and fieldSelector. And the list's version."""
        return await self.list_all(path_of(CIJOBS, namespace, names.PLURAL), selector or {})

    async def get_job(self, namespace: str, name: str) -> Body:
        """One CiJob."""
        return await self.request("GET", path_of(CIJOBS, namespace, names.PLURAL, name))

    async def create_job(self, namespace: str, manifest: Body) -> Body:
        """Create a CiJob; gives it as it was stored. Unknown fields are refused, as `kubectl create` has it."""
        query = {"fieldValidation": "Strict"}
        return await self.request("POST", path_of(CIJOBS, namespace, names.PLURAL), query=query, body=manifest)

    async def cancel_job(self, namespace: str, name: str, uid: str, mode: str) -> Body:
        """Set spec.cancel of this very CiJob; ApiConflict where another one has its name."""
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/spec/cancel", "value": mode},
        ]
        path = path_of(CIJOBS, namespace, names.PLURAL, name)
        return await self.request("PATCH", path, body=patch, content=JSON_PATCH)

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very CiJob, and with it its Pods."""
        await self.delete(path_of(CIJOBS, namespace, names.PLURAL, name), uid)

    # --- pools ----------------------------------------------------------------------------------------------------------

    async def list_pools(self) -> list[Body]:
        """All BuildPools."""
        return (await self.list_all(f"{CIJOBS}/{names.POOL_PLURAL}", {}))[0]

    async def get_pool(self, name: str) -> Body:
        """One BuildPool."""
        return await self.request("GET", f"{CIJOBS}/{names.POOL_PLURAL}/{name}")

    # --- Pods and Events ------------------------------------------------------------------------------------------------

    async def get_pod(self, namespace: str, name: str) -> Body:
        """One Pod."""
        return await self.request("GET", path_of(CORE, namespace, "pods", name))

    async def list_pods(self, namespace: str | None, selector: Mapping[str, str]) -> list[Body]:
        """Pods, by labelSelector and fieldSelector."""
        return (await self.list_all(path_of(CORE, namespace, "pods"), selector))[0]

    async def list_events(self, namespace: str, selector: Mapping[str, str]) -> list[Body]:
        """Events, by fieldSelector."""
        return (await self.list_all(path_of(CORE, namespace, "events"), selector))[0]

    async def connect(
        self, path: str, query: Sequence[tuple[str, str]], protocol: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket, for exec and the like; who calls closes it.

        Raises:
            ApiError: refused, in the API server's words.
        """
        request = await self._api.param_serialize("GET", path, query_params=list(query), auth_settings=["BearerToken"])
        rest, settings = self._api.rest_client, self._api.configuration
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()  # noqa: SLF001  as the client's own WsApiClient does
        session: aiohttp.ClientSession = rest.pool_manager
        try:
            socket = await session.ws_connect(
                request[1],
                headers=request[2],
                protocols=(protocol,),
                heartbeat=_HEARTBEAT,
                proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                server_hostname=settings.tls_server_name,
            )
        except aiohttp.WSServerHandshakeError as error:
            # Its answer's text is lost: a plain request for the same gets it once more.
            await self.request("GET", path, query=dict(query))
            raise ApiUnavailable(0, "", f"{self.server} opens no WebSocket: {described(error)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(0, "", f"no answer from {self.server}: {described(error)}") from error
        if socket.protocol != protocol:
            await socket.close()
            raise ApiError(0, "", f"{self.server}, or a proxy before it, does not speak {protocol}")
        return socket

    # --- rights ---------------------------------------------------------------------------------------------------------

    async def may(self, verb: str, resource: str, *, group: str = "", namespace: str = "", name: str = "") -> bool:
        """Whether the user has a right; `resource` may have a subresource: pods/exec."""
        plural, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        attributes |= {"namespace": namespace, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }
        answer = await self.request("POST", _REVIEWS, body=review)
        return bool(answer.get("status", {}).get("allowed"))


@asynccontextmanager
async def connected(target: Target, slow: Callable[[str], None] = lambda _text: None) -> AsyncIterator[Api]:
    """A connection to the cluster that a command means; `slow` as for `Api`.

    Raises:
        CliError: there is no cluster to talk to; the message says what to do.
    """
    place = await place_of(target)
    client_ = client.ApiClient(place.configuration)
    client_.user_agent = f"cijob/{__version__}"
    flag = f" -n {target.namespace}" if target.namespace else ""
    api = Api(client_, place.namespace, context=place.context, flag=flag, slow=slow)
    try:
        yield api
    finally:
        await api.aclose()


def with_api(target: Target, command: Callable[[Api], Awaitable[T]]) -> T:
    """Runs a command against its cluster; what the API server refuses becomes a sentence that says what to do.

    Raises:
        CliError: it failed.
        click.Abort: it was interrupted.
    """

    async def run() -> T:
        _hear_interrupts()
        async with connected(target, lambda text: click.echo(f"cijob: {text}", err=True)) as api:
            try:
                return await command(api)
            except ApiError as error:
                raise explained(error, api.server, api.namespace) from error

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise click.Abort from None


def _hear_interrupts() -> None:
    """Ctrl-C cancels the task that runs now.

    asyncio's own handler would, too, but is not run for a Ctrl-C that comes just before the loop sleeps: nothing wakes it up.
    """
    task, ignored = asyncio.current_task(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a script's & has it
    if task is not None and not ignored and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
