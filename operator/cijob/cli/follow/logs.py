"""`cijob logs`: what a job, its Docker daemon or a service has printed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from cijob import names
from cijob.cli.errors import CliError, Exit
from cijob.cli.files.ownlines import own_part, token_of
from cijob.cli.follow import state
from cijob.cli.follow.attemptlog import LogOptions
from cijob.cli.follow.follow import follow
from cijob.cli.follow.logstream import LogStream
from cijob.cli.follow.screen import Screen
from cijob.cli.lookup import find_job
from cijob.errors import ApiError, ApiNotFound

if TYPE_CHECKING:
    from cijob.cli.api import Api
    from cijob.transport import Body

_BAD_REQUEST: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `cijob logs`.

    Attributes:
        name: of the CiJob; None: the newest in the namespace.
        container: job, dind, git or a service's.
        attempt: None: the current or last one.
        previous: the one before it.
        seconds: only what was printed in the last so many.
        tail: only the last so many lines.
    """

    name: str | None = None
    follow: bool = False
    container: str = names.CONTAINER_JOB
    attempt: int | None = None
    previous: bool = False
    seconds: int | None = None
    tail: int | None = None
    timestamps: bool = False


async def logs(api: Api, wanted: Wanted) -> int:
    """Prints the log; gives the exit code.

    Raises:
        CliError: there is none (yet, any more, or of that container); the message says which.
        ApiError: the API server refuses.
    """
    namespace = api.namespace
    job = await (find_job(api, namespace, wanted.name) if wanted.name is not None else _newest(api, namespace))
    since = None if wanted.seconds is None else datetime.now(UTC) - timedelta(seconds=wanted.seconds)
    # Who asks for times wants the log as it is.
    hidden = wanted.container == names.CONTAINER_JOB and not wanted.timestamps
    options = LogOptions(since, wanted.tail, wanted.timestamps, token_of(job) if hidden else "")
    screen = _Own(options.token)
    try:
        newest = wanted.attempt is None and not wanted.previous
        if wanted.follow and newest and wanted.container == names.CONTAINER_JOB:
            meta = job["metadata"]
            if not state.finished(job):
                await follow(api, namespace, meta["name"], meta["uid"], screen, log=options)
                return Exit.OK
        await _one(api, job, wanted, options, screen)
    finally:
        screen.close()
    return Exit.OK


class _Own(Screen):
    """A screen for the job's own lines; the token marks those by which `cijob run` brought files in and took them out."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def line(self, data: bytes) -> None:
        """A line of the log."""
        if own := own_part(data, self._token):
            super().line(own)


async def _newest(api: Api, namespace: str) -> Body:
    jobs, _ = await api.list_jobs(namespace)
    if not jobs:
        raise CliError(
            f"there is no CiJob in the namespace {namespace}", "`cijob ls -A` lists those of all namespaces."
        )
    return max(jobs, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))


async def _one(api: Api, job: Body, wanted: Wanted, options: LogOptions, screen: Screen) -> None:
    """The log of one container of one attempt."""
    name, current = job["metadata"]["name"], state.attempt_of(job)
    number = current - wanted.previous if wanted.attempt is None else wanted.attempt
    if number < 1:
        raise CliError(f"{name} is at its first attempt: there is none before it")
    if number > current:
        raise CliError(f"{name} has no attempt {number} yet: it is at attempt {current}")
    pod = await _pod(api, job, number)
    _check_container(pod, wanted.container)
    try:
        log = LogStream(
            api,
            api.namespace,
            pod["metadata"]["name"],
            wanted.container,
            follow=wanted.follow,
            since=options.since,
            tail=options.tail,
            timestamps=options.timestamps,
            token=options.token,
            tell=screen.note,
        )
        async for line in log.read():
            screen.line(line)
    except ApiNotFound as error:
        raise _gone(job, number, api.flag) from error
    except ApiError as error:
        if error.status != _BAD_REQUEST:
            raise
        said = state.describe(job, pod) or "its container was never started"
        raise CliError(
            f"{name} has no log of {wanted.container} yet: {said}",
            f"`cijob logs {name}{api.flag} -f` waits for it; `cijob describe {name}{api.flag}` tells more.",
        ) from error


async def _pod(api: Api, job: Body, number: int) -> Body:
    meta = job["metadata"]
    try:
        return await api.get_pod(api.namespace, names.pod_name(meta["name"], meta["uid"], number))
    except ApiNotFound as error:
        if state.finished(job) or number < state.attempt_of(job):
            raise _gone(job, number, api.flag) from error
        raise CliError(
            f"{meta['name']} has no log yet: {state.describe(job, None)}",
            f"`cijob logs {meta['name']}{api.flag} -f` waits for it.",
        ) from error


def _gone(job: Body, number: int, flag: str) -> CliError:
    name, status = job["metadata"]["name"], job.get("status", {})
    known = {one.get("attempt") for one in status.get("attempts", ())}
    if number not in known and status.get("podUID") is None:
        return CliError(f"{name} never had a Pod, and so no log: {status.get('message', '')}".rstrip(": "))
    return CliError(
        f"the Pod of attempt {number} of {name} is gone, and its log with it",
        f"`cijob describe {name}{flag}` tells how it went.",
    )


def _check_container(pod: Body, container: str) -> None:
    spec = pod["spec"]
    known = [one["name"] for one in (*spec["containers"], *spec.get("initContainers", ()))]
    if container in known:
        return
    near = get_close_matches(container, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(known)}."
    if container == names.CONTAINER_DIND:
        hint = "Its spec says docker.enabled: false."
    raise CliError(f"the job has no container {container}", hint)
