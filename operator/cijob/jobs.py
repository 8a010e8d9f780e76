"""The watches of CiJobs and BuildPools: kopf's, under watch themselves.

kopf mends what ordinarily breaks: it opens each watch anew after `_WATCH` s, or `_INACTIVE` s without an event, and asks
again later and later. What it does not mend: an ERROR event other than 410 ends it, and a kind that the API server did not
serve yet when kopf started is never asked for again (kopf 1.45: `_cogs/clients/watching.py`,
`_core/reactor/observation.py`). So each request of kopf's for either counts as a sign of life. Where none comes for
`_SILENT` s, or kopf ends, the process ends cleanly: a follower leads within a second or two, and the kubelet starts this
one again. kopf cannot be started again in the same process: as it ends, it cancels all tasks that are younger than itself,
ours too (`_core/reactor/running.py`, `run_tasks`).
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
    from cijob.transport import Body
    from cijob.workqueue import WorkQueue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Seconds. A healthy watch makes a request at least every `_WATCH`, a frozen one is opened anew after `_INACTIVE`.
_WATCH: Final = 60
_INACTIVE: Final = 66
_SILENT: Final = 80.0
_LOOK: Final = 2.0
_PAUSES: Final = (0.2, 1.0, 2.0, 4.0, 8.0, 10.0)
#: kopf gets so long to end.
_END: Final = 10.0
_LOGINS: Final = 5.0

_POOLS: Final = f"/apis/{names.API_VERSION}/{names.POOL_PLURAL}"
_PATH: Final = re.compile(rf"/apis/{names.API_VERSION}(?:/namespaces/([^/]+))?/{names.PLURAL}$")


class _Backoffs:
    """kopf's pauses between tries of a request: they grow up to a bound and never end, or else kopf would give up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))


class JobWatch:
    """Brings events of CiJobs and BuildPools into caches and a queue.

    `started` is called when kopf has taken over the process's signals, `ended` when the process must end.
    """

    def __init__(
        self,
        jobs: Store[Body],
        pools: Store[Body],
        queue: WorkQueue,
        namespaces: tuple[str, ...],
        started: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        #: What is wrong, once kopf is dead.
        self.problem: str | None = None
        #: Per namespace: the last request that kopf made, whatever became of it, and the last that was answered.
        self.turns: dict[str | None, Pulse] = {namespace: Pulse() for namespace in namespaces or (None,)}
        self.heard: dict[str | None, Pulse] = {namespace: Pulse() for namespace in namespaces or (None,)}
        #: The same of BuildPools.
        self.turns_of_pools = Pulse()
        self.heard_pools = Pulse()
        self._namespaces = namespaces
        self._started = started
        self._ended = ended
        self._registry = handlers.registry(jobs, pools, queue, self._configure, self._connect)
        self._logins = Pulse()

    async def run(self) -> None:
        """Watch until cancelled, or until kopf is dead: `problem` says so then."""
        for pulse in self._all_turns():
            pulse.beat()
        kopf_runs = asyncio.create_task(self._run_kopf())
        try:
            self.problem = await self._trouble(kopf_runs)
            log.error("the watch of CiJobs is dead: this process ends, another takes over", problem=self.problem)
            self._ended()
            await asyncio.Event().wait()  # kopf must not end before our own work has
        finally:
            kopf_runs.cancel()
            await asyncio.wait({kopf_runs}, timeout=_END)

    async def _trouble(self, kopf_runs: asyncio.Task[None]) -> str:
        """Wait until something is wrong; gives what."""
        while not kopf_runs.done():
            await asyncio.wait({kopf_runs}, timeout=_LOOK)
            silence = max(pulse.age() for pulse in self._all_turns())
            if silence > _SILENT:
                return f"kopf asked for nothing for {silence:.0f} s"
        return f"kopf has ended: {None if kopf_runs.cancelled() else kopf_runs.exception()!r}"

    async def _run_kopf(self) -> None:
        older = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry,
            # kopf would make its identity out of the user's name, which a bare uid does not have.
            identity=cast("Any", names.COMPONENT),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
        )
        self._started()
        await kopf.run_tasks(tasks, ignored=older)

    def _configure(self, settings: kopf.OperatorSettings) -> None:
        settings.watching.server_timeout = _WATCH
        settings.watching.inactivity_timeout = _INACTIVE
        settings.networking.error_backoffs = _Backoffs()

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
        pools = params.url.path.endswith(_POOLS)
        for pulse in [self.turns_of_pools] if pools else self._of(self.turns, params.url.path):
            pulse.beat()

    async def _on_answer(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        if params.response.ok and _PATH.search(params.url.path):
            for pulse in self._of(self.heard, params.url.path):
                pulse.beat()
        elif params.response.ok and params.url.path.endswith(_POOLS):
            self.heard_pools.beat()

    def _all_turns(self) -> list[Pulse]:
        return [*self.turns.values(), self.turns_of_pools]

    def _of(self, pulses: dict[str | None, Pulse], path: str) -> list[Pulse]:
        """Whose sign of life a request is: before there are watches, kopf asks what the API server serves."""
        found = _PATH.search(path)
        return [*pulses.values()] if found is None else [pulses[found[1]]]
