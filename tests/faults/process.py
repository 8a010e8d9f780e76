"""The operator as a process of its own, behind a proxy, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from math import inf
from typing import TYPE_CHECKING, Final, Self

from tests.faults.controlplane import ROOT
from tests.faults.ports import free_port
from tests.faults.upstream import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

#: What it says, and the exit code, when the machine is too slow for its Lease: no fault of the operator's. It has to survive it.
_LOST: Final = "this process must not lead any longer"
_LOST_CODE: Final = 3
#: Seconds between two comparisons of the cache with a list: the longest that a missed event goes unnoticed.
RELIST_SECONDS: Final = 1
_STOP_SECONDS: Final = 15


class Operator:
    """`python -m cijob` on one namespace, or more; `async with` runs it. Whenever it was killed, it is started anew.

    `bury` is called between the two, to make way: the dead process's Lease has to run out first.
    """

    def __init__(
        self, url: str, namespace: str, folder: Path, bury: Callable[[], Awaitable[None]], *neighbours: str
    ) -> None:
        self._bury = bury
        self.log = folder / f"{namespace}.log"
        self.kills = 0
        #: How many processes there were, and when the one that runs now began; infinity while none does.
        self.starts = 0
        self.began = inf
        #: How often it gave up its Lease, for want of time.
        self.losses = 0
        #: Exit codes that nobody asked for.
        self.crashes: list[int] = []
        self._read = 0
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(write_kubeconfig(url, folder / f"{namespace}.kubeconfig")),
            "CIJOB_OPERATOR_NAMESPACES": ",".join((namespace, *neighbours)),
            "CIJOB_OPERATOR_RELIST_SECONDS": str(RELIST_SECONDS),
            "CIJOB_OPERATOR_TERMINATION_GRACE_SECONDS": "2",
            "CIJOB_OPERATOR_LEASE_NAMESPACE": namespace,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep())
        await self._started.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
                self.crashes.append(-9)

    def kill(self) -> None:
        """SIGKILL; the keeper starts it again."""
        assert self._process is not None
        self.kills += 1
        self._process.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: as after a machine's sleep, or a long time without a processor."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def complaints(self) -> list[str]:
        """What it logged as an error since the last call, and what is no log line at all (a traceback); and its crashes."""
        found = [f"it ended by itself with {code}" for code in self.crashes]
        self.crashes.clear()
        with self.log.open() as log:
            log.seek(self._read)
            lines = log.read().splitlines()
            self._read = log.tell()
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                found.append(line)
                continue
            if str(entry.get("event", "")).startswith(_LOST):
                continue
            if entry.get("level") in {"error", "critical"} or "exception" in entry:
                causes = [cause.get("exc_value", "") for cause in entry.get("exception", ()) if isinstance(cause, dict)]
                found.append(
                    " ".join([*(f"{key}={value}" for key, value in entry.items() if key != "exception"), *causes])
                )
        return found

    async def _keep(self) -> None:
        while True:
            expected = self.kills
            await self._start()
            assert self._process is not None
            code = await self._process.wait()
            self.began = inf
            if code == _LOST_CODE:
                self.losses += 1
            elif self.kills == expected:
                self.crashes.append(code)
            await self._bury()

    async def _start(self) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "cijob"]
        environment = {**self._environment, "CIJOB_OPERATOR_HEALTH_PORT": str(free_port())}
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.starts += 1
        self.began = asyncio.get_running_loop().time()
        self._started.set()
