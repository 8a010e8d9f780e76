"""One CiJob, from its creation to its end: what it does, and its log, attempt by attempt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from cijob import names
from cijob.cli import creation
from cijob.cli.errors import CliError, Exit
from cijob.cli.follow import state
from cijob.cli.follow.attemptlog import WHOLE, AttemptLog, LogOptions
from cijob.cli.follow.patience import Patience
from cijob.cli.watching import observed
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.models import Phase
from cijob.transport import CIJOBS, CORE, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from cijob.cli.api import Api
    from cijob.cli.files.transfer import Transfer
    from cijob.transport import Body

T = TypeVar("T")

#: Seconds without a sign of an operator after which that is said.
_OPERATOR: Final = 15.0


class View(Protocol):
    """Where a followed job is shown. Nothing here waits."""

    def progress(self, text: str) -> None:
        """What the job does now; empty when there is nothing to say. Said again only when it changes."""

    def line(self, data: bytes) -> None:
        """Of its log, a line with its newline (the last may have none), or a part of a line of more than 1 MiB."""

    def note(self, text: str) -> None:
        """Something to know that stays on the screen."""

    def attempt(self, number: int) -> None:
        """An attempt's container has started: its log follows. From 1."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a CiJob ended, in the words of its status."""

    phase: Phase
    reason: str
    message: str
    exit_code: int | None
    attempt: int

    @property
    def code(self) -> int:
        """The exit code of a command that ran it: the job's own; 1 for a failure without one; 130 for a cancelled job."""
        if self.phase is Phase.CANCELLED:
            return Exit.INTERRUPTED
        if self.phase is Phase.SUCCEEDED:
            return Exit.OK
        return self.exit_code or Exit.FAILED


async def follow(  # noqa: PLR0913  three of them say which job
    api: Api,
    namespace: str,
    name: str,
    uid: str,
    view: View,
    *,
    transfer: Transfer | None = None,
    log: LogOptions = WHOLE,
) -> Outcome:
    """Shows a CiJob until it ends, from its current attempt on. No line of a log is lost or repeated when connections break.

    `transfer` is told of each attempt that starts, and asked about each line; its `finish` is left to the caller. `log` says
    how much is shown of a log that is there already.

    Raises:
        CliError: the API server was gone for five minutes, or the CiJob was deleted; the hint says how to go on. Or files
            could not be brought into the job, which was cancelled then.
        ApiError: the API server refuses.
    """
    follower = _Follower(api, _Which(namespace, name, uid), view, transfer, log)
    jobs, pods = path_of(CIJOBS, namespace, names.PLURAL), path_of(CORE, namespace, "pods")
    own_job, own_pods = {"fieldSelector": f"metadata.name={name}"}, {"labelSelector": f"{names.LABEL_JOB}={name}"}
    try:
        return await _beside(
            follower.run(),
            follower.watch_job(observed(api, jobs, own_job, trouble=view.progress)),
            follower.watch_pods(observed(api, pods, own_pods)),
        )
    except ApiUnavailable as error:
        raise CliError(
            f"lost sight of {name}: {error.message}",
            f"The job goes on without you: `cijob logs {name} -n {namespace} -f` looks again.",
        ) from error


class _Which(NamedTuple):
    """The CiJob of a name that has this UID."""

    namespace: str
    name: str
    uid: str


class _Follower:
    """A CiJob and its Pods as they were seen last, and what was shown of them."""

    def __init__(self, api: Api, which: _Which, view: View, transfer: Transfer | None, options: LogOptions) -> None:
        self._api, self._view, self._transfer, self._options = api, view, transfer, options
        self._namespace, self._name, self._uid = which
        self._job: Body | None = None
        self._pods: dict[str, Body] = {}
        self._changed = asyncio.Event()
        self._deleted = False
        self._log: AttemptLog | None = None

    # --- what is seen ---------------------------------------------------------------------------------------------------

    async def watch_job(self, observations: AsyncIterator[list[Body]]) -> None:
        """Watches the CiJob, whether it is there."""
        async for jobs in observations:
            self._job = next((job for job in jobs if job["metadata"]["uid"] == self._uid), self._job)
            self._deleted = all(job["metadata"]["uid"] != self._uid for job in jobs)
            self._wake()

    async def watch_pods(self, observations: AsyncIterator[list[Body]]) -> None:
        """Watches the Pods of its attempts, or does without where that is not allowed."""
        try:
            async for pods in observations:
                self._pods = {pod["metadata"]["name"]: pod for pod in pods}
                self._wake()
        except ApiError as error:
            if not error.forbidden:
                raise
            self._view.note("you may not read Pods in this namespace: the job's log cannot be shown")

    def _wake(self) -> None:
        if self._job is not None:
            pod = self._pod(state.attempt_of(self._job))
            self._view.progress(state.describe(self._job, pod, printed=self._log is not None and self._log.printed > 0))
        self._changed.set()
        self._changed = asyncio.Event()

    def _pod(self, attempt: int) -> Body | None:
        return self._pods.get(names.pod_name(self._name, self._uid, attempt))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._deleted and not (self._job is not None and state.finished(self._job)):
                raise CliError(f"the CiJob {self._name} was deleted before its end")
            await self._changed.wait()

    # --- what is shown --------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Shows attempt after attempt."""
        await self._until(lambda: self._job is not None)
        number = state.attempt_of(self._body)
        while True:
            await self._until_started(number)
            if state.started(self._pod(number) or await self._ask(number)):
                await self._show(number)
            await self._until(lambda: self._over(number))  # noqa: B023  awaited at once
            if state.attempt_of(self._body) == number:
                return self._outcome()
            if state.attempt_of(self._body) == number + 1 and not state.finished(self._body):
                message = self._body.get("status", {}).get("message", "")
                self._view.note(f"attempt {number} did not end well, attempt {number + 1} follows: {message}")
            number += 1
            self._log = None

    @property
    def _body(self) -> Body:
        if self._job is None:
            raise CliError(f"the CiJob {self._name} was deleted before its end")
        return self._job

    def _over(self, number: int) -> bool:
        return state.finished(self._body) or state.attempt_of(self._body) > number

    async def _until_started(self, number: int) -> None:
        waiting = self._until(lambda: state.started(self._pod(number)) or self._over(number))
        task = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait([task], timeout=_OPERATOR)
            if not task.done() and not self._pods and not self._body.get("status"):
                self._view.note("no operator has looked at the job yet: `cijob doctor` tells whether one is alive")
            await task
        finally:
            task.cancel()

    async def _ask(self, number: int) -> Body | None:
        """The Pod of an attempt that is over; the watch of Pods may be behind that of CiJobs."""
        patience = Patience(trouble=self._view.progress)
        while True:
            try:
                return await self._api.get_pod(self._namespace, names.pod_name(self._name, self._uid, number))
            except ApiUnavailable as error:
                await patience.failed(error)
            except ApiNotFound:
                if any(one.get("attempt") == number for one in self._body.get("status", {}).get("attempts", ())):
                    self._view.note(f"the Pod of attempt {number} is gone, and its log with it")
                return None
            except ApiError as error:
                if not error.forbidden:
                    raise
                return None

    async def _show(self, number: int) -> None:
        """The log of an attempt, to its end."""
        self._view.attempt(number)
        pod = names.pod_name(self._name, self._uid, number)
        log = AttemptLog(self._api, self._namespace, pod, self._view, self._transfer, self._options)
        # What was wanted of a log that was there already is not wanted of the next.
        self._options = WHOLE._replace(timestamps=self._options.timestamps)
        self._log = log
        log.printed_first = self._wake
        try:
            await log.show(self._until(lambda: self._over(number)))
        except CliError:  # its files could not be brought in: it would wait for them in vain
            await creation.cancel(self._api, self._namespace, self._name, self._uid, "Immediate")
            raise

    def _outcome(self) -> Outcome:
        status = self._body.get("status", {})
        return Outcome(
            phase=Phase(state.phase_of(self._body)),
            reason=str(status.get("reason") or ""),
            message=str(status.get("message") or ""),
            exit_code=status.get("exitCode"),
            attempt=state.attempt_of(self._body),
        )


async def _beside(main: Coroutine[None, None, T], *others: Coroutine[None, None, None]) -> T:
    """What `main` gives; the others run beside it, and their failures are its own."""
    task = asyncio.ensure_future(main)
    beside = {asyncio.ensure_future(other) for other in others}
    pending = set(beside)
    try:
        while not task.done():
            done, _ = await asyncio.wait({task, *pending}, return_when=asyncio.FIRST_COMPLETED)
            for one in pending & done:
                one.result()
            pending -= done
        return task.result()
    finally:
        for other in (task, *beside):
            other.cancel()
        await asyncio.gather(task, *beside, return_exceptions=True)
