"""Requests to the Kubernetes API: raw objects in and out, errors of the client turned into errors of ours.

Operator (`cluster.py`) and command line (`cli/api.py`) both speak to the API server through it.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from cijob import names
from cijob.errors import ApiConflict, ApiError, ApiExpired, ApiNotFound, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from kubernetes.aio import client

Body = dict[str, Any]

CIJOBS: Final = f"/apis/{names.API_VERSION}"
CORE: Final = "/api/v1"
JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
_PAGE: Final = 500
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")  # vendors add to it: 33+
#: Seconds for one request; a server under load may take its time, a dead one must not take ours.
REQUEST: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
#: The API server sends a bookmark about every minute: silence for longer means that the watch is dead.
_WATCH: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=75)
_WATCH_SECONDS: Final = 600


class Transport:
    """A connection to one API server. Every method raises ApiError or one of its kinds when it fails."""

    def __init__(self, api: client.ApiClient) -> None:
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
        body = await self.request("GET", "/version")
        found = _VERSION.match(f"{body.get('major')}.{body.get('minor')}")
        if found is None:
            raise ApiUnavailable(0, "", f"{self.server} did not answer as an API server does")
        return int(found[1]), int(found[2])

    async def api_resources(self) -> Body:
        """What the API server serves of our group; ApiNotFound if the CRDs are not installed."""
        return await self.request("GET", CIJOBS)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = JSON,
    ) -> Body:
        """One request; gives the object in its answer."""
        response = await self.send(method, path, query or {}, body, content)
        try:
            answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiUnavailable(0, "", f"no whole answer from {self.server}: {described(error)}") from error
        if not isinstance(answer, dict):
            raise ApiUnavailable(0, "", f"{self.server} did not answer as an API server does")
        return answer

    async def list_all(self, path: str, selector: Mapping[str, str]) -> tuple[list[Body], int]:
        """All objects of a list, page by page, and the version of the list, consistent."""
        items: list[Body] = []
        query = {"limit": str(_PAGE), **selector}
        while True:
            page = await self.request("GET", path, query=query)
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items, int(page["metadata"]["resourceVersion"])
            query = query | {"continue": token}

    async def delete(self, path: str, uid: str) -> None:
        """Delete the very object that has this UID, and with it what it owns."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        await self.request("DELETE", path, body=options)

    async def watch(self, path: str, version: int, selector: Mapping[str, str]) -> AsyncIterator[Body]:
        """Raw watch events from a version on, bookmarks too, until the server ends the watch."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(version),
            "timeoutSeconds": str(_WATCH_SECONDS),
            **selector,
        }
        response = await self.send("GET", path, query, limits=_WATCH)
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
            raise ApiUnavailable(0, "", f"the watch of {path.rpartition('/')[2]} broke: {described(error)}") from error
        finally:
            response.close()

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object = None,
        content: str = JSON,
        limits: aiohttp.ClientTimeout = REQUEST,
    ) -> aiohttp.ClientResponse:
        """One request; gives its answer, whose body is still to be read."""
        headers = {"Accept": JSON, "Content-Type": content}
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        began, status = time.monotonic(), 0
        try:
            answer = await self._api.call_api(*request[:4], _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
            status = response.status
            if status >= 400:  # noqa: PLR2004  HTTP's own border
                _raise_status(await _status_of(response), response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException) as error:
            raise ApiUnavailable(0, "", f"no answer from {self.server}: {described(error)}") from error
        finally:
            self.answered(_verb(method, query), status, time.monotonic() - began)
        return response


def path_of(group: str, namespace: str | None, *rest: str) -> str:
    """The path of a resource in a namespace, or in all of them."""
    return "/".join([group, *(["namespaces", namespace] if namespace else []), *rest])


def described(error: BaseException) -> str:
    """An error in words, even where it has none."""
    return str(error) or type(error).__name__


def _verb(method: str, query: Mapping[str, str]) -> str:
    """The verb as the API server's own metrics have it."""
    return "WATCH" if "watch" in query else "LIST" if "limit" in query else method


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
