"""The log of one attempt of a followed job, and the files that are brought into it meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from cijob import names
from cijob.cli.follow.logstream import LogStream
from cijob.errors import ApiError, ApiNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from cijob.cli.api import Api
    from cijob.cli.files.transfer import Transfer
    from cijob.cli.follow.follow import View

#: Seconds that a log may be silent after the attempt's end before its rest is asked for on a new connection, and that
#: this may take.
_REST: Final = 3.0
_LAST: Final = 20.0


class LogOptions(NamedTuple):
    """How much of a log is shown: from a time on, the last lines, with the time in front of each line.

    Lines with the token (files/ownlines.py) do not count as last lines.
    """

    since: datetime | None = None
    tail: int | None = None
    timestamps: bool = False
    token: str = ""


WHOLE: Final = LogOptions()


class AttemptLog:
    """The log of the job's container in one Pod, shown on a `View`.

    Attributes:
        printed: lines that were shown.
        printed_first: called when the first one is.
    """

    def __init__(
        self, api: Api, namespace: str, pod: str, view: View, transfer: Transfer | None, options: LogOptions
    ) -> None:
        self.printed = 0
        self.printed_first: Callable[[], None] = lambda: None
        self._api, self._namespace, self._pod = api, namespace, pod
        self._view, self._transfer, self._options = view, transfer, options

    async def show(self, over: Coroutine[None, None, None]) -> None:
        """Shows the log to its end; `over` returns when the attempt is known to have ended.

        Raises:
            CliError: the transfer's files cannot be brought in.
            ApiError: the log cannot be read; 403 and 404 are noted only.
        """
        log = LogStream(
            self._api,
            self._namespace,
            self._pod,
            names.CONTAINER_JOB,
            follow=True,
            since=self._options.since,
            tail=self._options.tail,
            timestamps=self._options.timestamps,
            token=self._options.token,
            tell=self._view.note,
            trouble=self._view.progress,
        )
        reading, ending = asyncio.ensure_future(self._read(log)), asyncio.ensure_future(over)
        bringing = asyncio.ensure_future(self._bring())
        try:
            await self._until_done(reading, ending, bringing)
            if not reading.done():
                await self._rest(log, reading)
            else:
                reading.result()
        finally:
            for one in (reading, ending, bringing):
                one.cancel()
            await asyncio.gather(reading, ending, bringing, return_exceptions=True)

    async def _until_done(
        self, reading: asyncio.Future[None], ending: asyncio.Future[None], bringing: asyncio.Future[None]
    ) -> None:
        """Until the log has been read, or the attempt has ended and its log is silent."""
        pending = {reading, ending, bringing}
        while not reading.done() and not ending.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        shown = -1
        while not reading.done() and shown != self.printed:
            shown = self.printed
            await asyncio.wait([reading], timeout=_REST)

    async def _rest(self, log: LogStream, reading: asyncio.Future[None]) -> None:
        """What is left of the log, on a new connection."""
        reading.cancel()
        await asyncio.wait([reading])
        log.over = True
        try:
            async with asyncio.timeout(_LAST):
                await self._read(log)
        except TimeoutError:
            self._view.note("the end of the log could not be read: the job's node does not answer")

    async def _bring(self) -> None:
        if self._transfer is not None:
            await self._transfer.started(self._api, self._namespace, self._pod)

    async def _read(self, log: LogStream) -> None:
        try:
            async for line in log.read():
                own = line if self._transfer is None else self._transfer.shown(line)
                if not own:
                    continue
                self.printed += 1
                if self.printed == 1:
                    self.printed_first()
                self._view.line(own)
        except ApiNotFound:
            self._view.note("the job's Pod is gone, and its log with it")
        except ApiError as error:
            if not error.forbidden:
                raise
            self._view.note(f"the job's log cannot be shown: {error.message}")
