"""The log of a container, line by line, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from cijob.cli.files.ownlines import last_own
from cijob.cli.follow.lines import LogLines
from cijob.cli.follow.patience import Patience
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.transport import CORE, described, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from cijob.cli.api import Api

#: A silent connection may be a dead one: after so many seconds a new one goes on where it stood.
_QUIET: Final = 120.0
_LIMITS: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_QUIET)
_BAD_REQUEST: Final = 400
#: Seconds between two connections where the first one ended although the container goes on, or has not started.
_AGAIN: Final = 0.3
#: So many lines more are asked for than are wanted where some are not the job's own: `cijob run` makes three in each attempt,
#: and more only if the job's variables have its shell trace all that it does.
_MORE: Final = (16, 1024, 65536)


class LogStream:
    """The log of one container of one Pod.

    Attributes:
        over: whether the container has ended; who knows sets it, else the Pod is asked at the end of each connection.

    Lines with the `token` (files/ownlines.py) are passed on, but do not count for `tail`. `tell` hears what a reader should
    know, `trouble` (else `tell`) of connections that could not be made for 2 s.
    """

    def __init__(  # noqa: PLR0913  what `kubectl logs` has
        self,
        api: Api,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool,
        since: datetime | None = None,
        tail: int | None = None,
        timestamps: bool = False,
        token: str = "",
        tell: Callable[[str], None] = lambda _text: None,
        trouble: Callable[[str], None] | None = None,
    ) -> None:
        self.over, self._follow = not follow, follow
        self._api, self._namespace, self._pod, self._container = api, namespace, pod, container
        self._timestamps = timestamps
        self._lines = LogLines(timestamps=timestamps)
        self._tell = tell
        self._patience = Patience(trouble=trouble or tell)
        self._complete = False
        self._first = {"sinceTime": since.strftime("%Y-%m-%dT%H:%M:%SZ")} if since is not None else {}
        self._tail, self._token = (tail, token) if token else (None, "")
        self._first |= {"tailLines": str(tail)} if tail is not None and not token else {}

    async def read(self) -> AsyncIterator[bytes]:
        """Lines as the container wrote them, to the end of the log; begun anew, it goes on where it stood.

        Raises:
            ApiNotFound: there is no such Pod, or none any more while nothing was read.
            ApiUnavailable: the log could not be read for five minutes.
            ApiError: it may not be read; or, with `over` set from the start, the container has not started.
        """
        done = False
        while not done:
            # An answer that was asked for after the container's end has all that there is; unless the API server lost the
            # kubelet on the way, which looks like an end: so it is asked until nothing is new.
            last, new = self.over, False
            self._lines.begin()
            try:
                counted = self._tail is not None
                async for piece in self._ending() if counted else self._connection(follow=not last):
                    new = True
                    yield piece
                done = last and self._complete and not (new and self._follow)
            except ApiNotFound:
                if self._lines.since is None:
                    raise
                self._tell(f"the Pod {self._pod} is gone: the end of its log may be missing")
                return
            except ApiError as error:
                await self._bear(error)
            if self._lines.gap:
                self._tell("some lines may be missing here: the log was rotated while the connection was broken")
            if not self.over:
                await self._look()
        for piece in self._lines.finish():
            yield piece
        for remark in self._lines.remarks[:3]:
            self._tell(f"the log of {self._pod}: {remark}")

    async def _bear(self, error: ApiError) -> None:
        """Waits after an error that time may mend, and raises all others."""
        if isinstance(error, ApiUnavailable):
            await self._patience.failed(error)
        elif self.over or error.status != _BAD_REQUEST:  # 400: the container has not started
            raise error

    async def _ending(self) -> AsyncIterator[bytes]:
        """The end of the log as it is now, with so many lines as are wanted of those that count.

        It is the first answer of all, and not followed: what comes after it is told apart by its end.
        """
        wanted, pieces, found = self._tail or 0, list[bytes](), None
        for more in _MORE:
            self._lines = LogLines(timestamps=self._timestamps)
            self._lines.begin()
            asked = {"tailLines": str(wanted + more)}
            pieces = [piece async for piece in self._connection(follow=False, more=asked)]
            if not self._complete:
                raise ApiUnavailable(0, "", f"the log of {self._pod} fell silent")
            pieces += self._lines.finish() if self.over else []
            found = last_own(pieces, wanted, self._token)
            if found is not None or len(pieces) < wanted + more:
                break
        self._tail = None
        for piece in pieces if found is None else found:
            yield piece

    async def _connection(self, *, follow: bool, more: dict[str, str] | None = None) -> AsyncIterator[bytes]:
        """New lines of one answer, until it ends by itself."""
        query = {"container": self._container, "timestamps": "true", "follow": str(follow).lower()}
        since = self._lines.since
        query |= (self._first | (more or {})) if since is None else {"sinceTime": since}
        path = path_of(CORE, self._namespace, "pods", self._pod, "log")
        self._complete = False
        response = await self._api.send("GET", path, query, limits=_LIMITS)
        self._patience.succeeded()
        try:
            async for chunk in response.content.iter_any():
                for piece in self._lines.feed(chunk):
                    yield piece
            self._complete = True
        except TimeoutError:
            return  # nothing came for long: the connection may be dead
        except (aiohttp.ClientError, OSError) as error:
            raise ApiUnavailable(0, "", f"the log of {self._pod} broke off: {described(error)}") from error
        finally:
            response.close()

    async def _look(self) -> None:
        """Whether the container can write nothing more; if it can, waits before the next connection."""
        try:
            pod = await self._api.get_pod(self._namespace, self._pod)
        except ApiNotFound:
            self.over = True
            return
        except ApiUnavailable as error:
            await self._patience.failed(error)
            return
        status = pod.get("status", {})
        states = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
        self.over = status.get("phase") in {"Succeeded", "Failed"} or any(
            one["name"] == self._container and "terminated" in one.get("state", {}) for one in states
        )
        if not self.over:
            await asyncio.sleep(_AGAIN)
