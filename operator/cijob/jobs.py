"""The watch of CiJobs: kopf's, under watch itself.

kopf mends what ordinarily breaks: it opens each watch anew after `_WATCH` s, or `_INACTIVE` s without an event, and asks
again later and later. But a watcher that fails for good (an ERROR event other than 410, credentials refused) is only
logged by kopf: the process lives on and hears no more (kopf 1.45: `_core/reactor/orchestration.py` starts watchers as
guarded tasks that nobody waits for). So each request of kopf's for CiJobs counts as a sign of life, and where none comes for
`_SILENT` s, kopf is started again, in the same process.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, Any, Final, cast

import aiohttp
import kopf
import structlog

from cijob import handlers, names
from cijob.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

    from cijob.cache import Store
    from cijob.cluster import Body
    from cijob.workqueue import WorkQueue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Seconds. A healthy watch makes a request at least every `_WATCH`, a frozen one is opened anew after `_INACTIVE`.
_WATCH: Final = 60
_INACTIVE: Final = 66
_SILENT: Final = 80.0
_LOOK: Final = 2.0
_FIRST_PAUSE: Final = 0.5
_LAST_PAUSE: Final = 30.0
#: kopf gets so long to end.
_END: Final = 10.0
_LOGINS: Final = 5.0

_PATH: Final = re.compile(rf"/apis/{names.API_VERSION}(?:/namespaces/([^/]+))?/{names.PLURAL}$")


class _Backoffs:
    """kopf's pauses between tries of a request: they grow up to a bound and never end, or else kopf would give up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 1, 2, 4, 8), itertools.repeat(15))


class JobWatch:
    """Brings CiJob events into a cache and a queue.

    `started` is called each time kopf has taken over the process's signals.
    """

    def __init__(
        self, jobs: Store[Body], queue: WorkQueue, namespaces: tuple[str, ...], started: Callable[[], None]
    ) -> None:
        #: Per namespace: the last request that kopf made, whatever became of it, and the last that was answered.
        self.turns = {namespace: Pulse() for namespace in namespaces or (None,)}
        self.heard = {namespace: Pulse() for namespace in namespaces or (None,)}
        self._namespaces = namespaces
        self._started = started
        self._registry = handlers.registry(jobs, queue, self._configure, self._connect)
        self._logins = Pulse()

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            problem = await self._run_kopf()
            if asyncio.get_running_loop().time() - started > _SILENT + _LAST_PAUSE:
                pause = _FIRST_PAUSE
            log.warning("the watch of CiJobs is dead: starting it again", problem=problem, seconds=pause)
            await asyncio.sleep(pause)  # between bounded tries
            pause = min(_LAST_PAUSE, 2 * pause)

    async def _run_kopf(self) -> str:
        """Run kopf until it ends or falls silent; gives what was wrong."""
        for pulse in self.turns.values():
            pulse.beat()
        task = asyncio.create_task(self._operator())
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK)
                silence = max(pulse.age() for pulse in self.turns.values())
                if silence > _SILENT:
                    return f"kopf asked for nothing for {silence:.0f} s"
            return repr(task.exception() or "kopf has ended") if not task.cancelled() else "kopf was cancelled"
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_END)

    async def _operator(self) -> None:
        await kopf.operator(
            registry=self._registry,
            # kopf would make its identity out of the user's name, which a bare uid does not have.
            identity=cast("Any", names.COMPONENT),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
        )

    def _configure(self, settings: kopf.OperatorSettings) -> None:
        self._started()
        settings.watching.server_timeout = _WATCH
        settings.watching.inactivity_timeout = _INACTIVE
        settings.networking.error_backoffs = _Backoffs()
        # It would kill the process that long after kopf has ended, although it was started again.
        settings.process.ultimate_exiting_timeout = None

    async def _connect(self, info: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        """Make kopf's connection, with our ears on it."""
        if 0 < self._logins.age() < _LOGINS:
            await asyncio.sleep(_LOGINS)  # refused credentials are read anew, but not in a busy loop
        self._logins.beat()
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._on_request)
        trace.on_request_end.append(self._on_answer)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            proxy=info.proxy_url,
            trust_env=info.trust_env,
            trace_configs=[trace],
        )
        return kopf.AiohttpSession(
            server=info.server, default_namespace=info.default_namespace, aiohttp_session=session
        )

    async def _on_request(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        self._beat(self.turns, params.url.path)

    async def _on_answer(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        if params.response.ok:
            self._beat(self.heard, params.url.path)

    def _beat(self, pulses: dict[str | None, Pulse] | dict[str, Pulse], path: str) -> None:
        found = _PATH.search(path)
        pulse = pulses.get(found[1]) if found else None
        if pulse is not None:
            pulse.beat()
