"""The only caller of the Kubernetes API: raw objects in and out, errors of the client turned into errors of ours."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from cijob import names
from cijob.errors import ApiConflict, ApiError, ApiExpired, ApiNotFound, ApiUnavailable, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

Body = dict[str, Any]

_CIJOBS: Final = f"/apis/{names.API_VERSION}"
_PODS: Final = "/api/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")  # vendors add to it: 33+
_JSON: Final = "application/json"
_JSON_PATCH: Final = "application/json-patch+json"
_PAGE: Final = 500
#: Seconds for one request; a server under load may take its time, a dead one must not take ours.
_REQUEST: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
#: The API server sends a bookmark about every minute: silence for longer means that the watch is dead.
_WATCH: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=75)
_WATCH_SECONDS: Final = 600


async def connect(user_agent: str) -> client.ApiClient:
    """A client for the cluster that `$KUBECONFIG`, the default kubeconfig or the Pod's service account names.

    Raises:
        ConfigurationError: none of them can be used.
    """
    configuration = client.Configuration()
    try:
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
        api = client.ApiClient(configuration)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"No cluster to talk to: set KUBECONFIG to a kubeconfig file, or run in a Pod with a service account ({reason})"
        ) from error
    api.user_agent = user_agent
    return api


class Cluster:
    """Requests of the operator. Every method raises ApiError or one of its kinds when it fails."""

    def __init__(self, api: client.ApiClient) -> None:
        #: Called right before each write but those of a Lease; it may raise, or end the process.
        self.before_write: Callable[[], None] = lambda: None
        #: Called after each request: its verb, the answer's HTTP status (0 without an answer), seconds until the answer.
        self.answered: Callable[[str, int, float], None] = lambda _verb, _status, _seconds: None
        self._api = api

    @property
    def server(self) -> str:
        """The API server's address, for messages."""
        return str(self._api.configuration.host)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]  # no types there

    async def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        body = await self._request("GET", "/version")
        found = _VERSION.match(f"{body.get('major')}.{body.get('minor')}")
        if found is None:
            raise ApiUnavailable(0, "", f"{self.server} did not answer as an API server does")
        return int(found[1]), int(found[2])

    async def api_resources(self) -> Body:
        """What the API server serves of our group; ApiNotFound if the CRDs are not installed."""
        return await self._request("GET", _CIJOBS)

    async def probe(self, namespace: str | None) -> None:
        """Ask for one BuildPool, CiJob and Pod, to see whether the API server lets us."""
        pools = f"{_CIJOBS}/{names.POOL_PLURAL}"
        for path in (pools, _path(_CIJOBS, namespace, names.PLURAL), _path(_PODS, namespace, "pods")):
            await self._request("GET", path, query={"limit": "1"})

    async def list_jobs(self, namespace: str | None) -> tuple[list[Body], int]:
        """All CiJobs and the version of the list, consistent."""
        return await self._list(_path(_CIJOBS, namespace, names.PLURAL), {})

    async def list_pods(self, namespace: str | None) -> tuple[list[Body], int]:
        """All Pods of ours and the version of the list, consistent."""
        return await self._list(_path(_PODS, namespace, "pods"), {"labelSelector": names.POD_SELECTOR})

    async def get_job(self, namespace: str, name: str) -> Body:
        """One CiJob."""
        return await self._request("GET", _path(_CIJOBS, namespace, names.PLURAL, name))

    async def get_pod(self, namespace: str, name: str) -> Body:
        """One Pod."""
        return await self._request("GET", _path(_PODS, namespace, "pods", name))

    async def read_log(self, namespace: str, name: str, container: str, *, previous: bool) -> str:
        """The last lines of a container's log, or of that of its run before; at most 10, and 2,048 bytes."""
        query = {"container": container, "tailLines": "10", "limitBytes": "2048", "previous": str(previous).lower()}
        response = await self._send("GET", _path(_PODS, namespace, "pods", name) + "/log", query, None, _JSON, _REQUEST)
        try:
            return (await response.read()).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(0, "", f"no whole answer from {self.server}: {_described(error)}") from error

    async def create_pod(self, manifest: Body) -> Body:
        """Create a Pod; gives it as it was stored."""
        return await self._request("POST", _path(_PODS, manifest["metadata"]["namespace"], "pods"), body=manifest)

    async def patch_pod(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a Pod by a JSON Patch."""
        return await self._request("PATCH", _path(_PODS, namespace, "pods", name), body=patch, content=_JSON_PATCH)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very Pod."""
        await self._delete(_path(_PODS, namespace, "pods", name), uid)

    async def patch_job_status(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a CiJob's status by a JSON Patch."""
        path = _path(_CIJOBS, namespace, names.PLURAL, name) + "/status"
        return await self._request("PATCH", path, body=patch, content=_JSON_PATCH)

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very CiJob, and with it what it owns."""
        await self._delete(_path(_CIJOBS, namespace, names.PLURAL, name), uid)

    async def create_event(self, event: Body) -> None:
        """Record an Event."""
        await self._request("POST", _path(_PODS, event["metadata"]["namespace"], "events"), body=event)

    async def list_pools(self) -> tuple[list[Body], int]:
        """All BuildPools and the version of the list, consistent."""
        return await self._list(f"{_CIJOBS}/{names.POOL_PLURAL}", {})

    async def get_pool(self, name: str) -> Body:
        """One BuildPool."""
        return await self._request("GET", f"{_CIJOBS}/{names.POOL_PLURAL}/{name}")

    async def patch_pool_status(self, name: str, patch: list[Body]) -> Body:
        """Change a BuildPool's status by a JSON Patch."""
        path = f"{_CIJOBS}/{names.POOL_PLURAL}/{name}/status"
        return await self._request("PATCH", path, body=patch, content=_JSON_PATCH)

    async def get_namespace(self, name: str) -> Body:
        """One namespace."""
        return await self._request("GET", _path(_PODS, name))

    async def get_lease(self, namespace: str, name: str) -> Body:
        """A Lease."""
        return await self._request("GET", _path(_LEASES, namespace, "leases", name))

    async def create_lease(self, lease: Body) -> Body:
        """Create a Lease; gives it as it was stored."""
        return await self._request("POST", _path(_LEASES, lease["metadata"]["namespace"], "leases"), body=lease)

    async def replace_lease(self, lease: Body) -> Body:
        """Change a Lease if it is still of the version that its metadata say; gives it as it was stored."""
        meta = lease["metadata"]
        return await self._request("PUT", _path(_LEASES, meta["namespace"], "leases", meta["name"]), body=lease)

    async def watch_pods(self, namespace: str | None, version: int) -> AsyncIterator[Body]:
        """Raw watch events of our Pods from a version on, bookmarks too, until the server ends the watch."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(version),
            "timeoutSeconds": str(_WATCH_SECONDS),
            "labelSelector": names.POD_SELECTOR,
        }
        response = await self._send("GET", _path(_PODS, namespace, "pods"), query, None, _JSON, _WATCH)
        try:
            buffered = b""
            async for chunk in response.content.iter_any():
                *lines, buffered = (buffered + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        _raise_status(event["object"])
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiUnavailable(0, "", f"the watch of Pods broke: {_described(error)}") from error
        finally:
            response.close()

    async def _list(self, path: str, selector: Mapping[str, str]) -> tuple[list[Body], int]:
        items: list[Body] = []
        query = {"limit": str(_PAGE), **selector}
        while True:
            page = await self._request("GET", path, query=query)
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items, int(page["metadata"]["resourceVersion"])
            query = query | {"continue": token}

    async def _delete(self, path: str, uid: str) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        await self._request("DELETE", path, body=options)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = _JSON,
    ) -> Body:
        response = await self._send(method, path, query or {}, body, content, _REQUEST)
        try:
            answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiUnavailable(0, "", f"no whole answer from {self.server}: {_described(error)}") from error
        if not isinstance(answer, dict):
            raise ApiUnavailable(0, "", f"{self.server} did not answer as an API server does")
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        content: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": _JSON, "Content-Type": content}
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        if method != "GET" and not path.startswith(_LEASES):
            self.before_write()
        began, status = time.monotonic(), 0
        try:
            answer = await self._api.call_api(*request[:4], _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
            status = response.status
            if status >= 400:  # noqa: PLR2004  HTTP's own border
                _raise_status(await _status_of(response), response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            raise ApiUnavailable(0, "", f"no answer from {self.server}: {_described(error)}") from error
        finally:
            self.answered(_verb(method, query), status, time.monotonic() - began)
        return response


def _verb(method: str, query: Mapping[str, str]) -> str:
    """The verb as the API server's own metrics have it."""
    return "WATCH" if "watch" in query else "LIST" if "limit" in query else method


def _path(group: str, namespace: str | None, *rest: str) -> str:
    return "/".join([group, *(["namespaces", namespace] if namespace else []), *rest])


async def _status_of(response: aiohttp.ClientResponse) -> Body:
    """The `Status` object in an error's answer; made up where a proxy answered in the API server's place."""
    raw = await response.read()
    try:
        status = json.loads(raw)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return status
    return {
        "code": response.status,
        "reason": "",
        "message": raw[:500].decode(errors="replace") or str(response.reason),
    }


def _raise_status(status: Mapping[str, Any], retry_after: str | None = None) -> NoReturn:
    code, reason, message = int(status.get("code") or 0), str(status.get("reason", "")), str(status.get("message", ""))
    details = status.get("details") or {}
    causes = [str(cause.get("reason", "")) for cause in details.get("causes") or ()]
    seconds = str(details.get("retryAfterSeconds") or retry_after or "")
    kind: type[ApiError] = ApiError
    if code == 429 or code >= 500 or code == 0:  # noqa: PLR2004
        kind = ApiUnavailable
    elif code == 404:  # noqa: PLR2004
        kind = ApiNotFound
    elif code == 410:  # noqa: PLR2004
        kind = ApiExpired
    elif (code == 409 and reason != "AlreadyExists") or (code == 422 and not details):  # noqa: PLR2004
        # The second is a JSON Patch whose `test` failed: a spec that is refused comes with details (seen in 1.35).
        kind = ApiConflict
    raise kind(code, reason, message, causes=causes, retry_after=float(seconds) if seconds.isdecimal() else None)


def _described(error: BaseException) -> str:
    return str(error) or type(error).__name__
