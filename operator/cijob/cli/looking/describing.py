"""`cijob describe`: all that there is to know of one CiJob, gathered with the user's rights, then told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from cijob import names
from cijob.cli.errors import Exit
from cijob.cli.looking.jobs import status_of
from cijob.cli.looking.timeline import attempt_of
from cijob.cli.lookup import find_jobs
from cijob.cli.printing import say, show
from cijob.errors import ApiError, ApiNotFound
from cijob.reasons import Reason
from cijob.transport import CORE, described, path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body

#: Lines of the log that are shown, and the most characters of them.
_LINES: Final = 12
_CHARACTERS: Final = 8192
#: The most bytes that are asked for. The kubelet counts them from the first of the lines, and what matters is the last.
_BYTES: Final = 1024**2
#: The container whose log tells most, where that is not the job's.
_TELLS: Final[dict[str, str]] = {
    Reason.SOURCE_FAILED: names.CONTAINER_GIT,
    Reason.DAEMON_NOT_READY: names.CONTAINER_DIND,
    Reason.DAEMON_LOST: names.CONTAINER_DIND,
    Reason.DAEMON_OOM_KILLED: names.CONTAINER_DIND,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was gathered.

    Attributes:
        job: the CiJob.
        pods: its Pods that are still there, by attempt.
        events: of the CiJob and of its last Pod, the oldest first.
        log: the last lines of a container's log.
        log_of: that container, and the attempt whose it is; empty if there is none to be read.
        unseen: what could not be read, each as `what: why`.
    """

    job: Body
    pods: tuple[Body, ...] = ()
    events: tuple[Body, ...] = ()
    log: str = ""
    log_of: tuple[str, int] | None = None
    unseen: tuple[str, ...] = ()


async def describe(api: Api, namespace: str, wanted: Sequence[str], output: str | None) -> int:
    """Print what there is to know of CiJobs; gives the exit code."""
    from cijob.cli.looking.telling import tell

    jobs, missing = await find_jobs(api, namespace, wanted)
    if output is not None and jobs:
        show(jobs, output, one=len(wanted) == 1)
        jobs = []
    for number, job in enumerate(jobs):
        if number:
            say("\n")
        tell(await gather(api, job), datetime.now(UTC), api.flag)
    return Exit.FAILED if missing else Exit.OK


async def gather(api: Api, job: Body) -> Story:
    """What the user may see of a CiJob. What may not be seen is said, and ends nothing."""
    namespace, unseen = job["metadata"]["namespace"], list[str]()
    selector = {"labelSelector": f"{names.LABEL_JOB}={job['metadata']['name']}"}
    found = await _if_allowed(api.list_pods(namespace, selector), "Pods", unseen) or []
    pods = sorted((pod for pod in found if _owned(pod, job)), key=attempt_of)
    last = pods[-1] if pods else None
    (log_of, log), events = await asyncio.gather(
        _tail(api, job, last, unseen), _if_allowed(_events(api, job, last), "Events", unseen)
    )
    return Story(job=job, pods=tuple(pods), events=tuple(events or ()), log=log, log_of=log_of, unseen=tuple(unseen))


async def _if_allowed(question: Awaitable[list[Body]], what: str, unseen: list[str]) -> list[Body] | None:
    try:
        return await question
    except ApiError as error:
        unseen.append(f"{what}: {_why(error)}")
        return None


def _why(error: ApiError) -> str:
    return "you may not read them" if error.forbidden else error.message


def _owned(pod: Body, job: Body) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)


async def _events(api: Api, job: Body, pod: Body | None) -> list[Body]:
    """Events of the CiJob and of its last Pod."""
    found: list[Body] = []
    for what in filter(None, (job, pod)):
        selector = {"fieldSelector": f"involvedObject.uid={what['metadata']['uid']}"}
        found += await api.list_events(what["metadata"]["namespace"], selector)
    return sorted(found, key=when)


def when(event: Body) -> str:
    """When an Event was last seen, as the API has it."""
    stamped = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return str(next(filter(None, stamped), ""))


async def _tail(api: Api, job: Body, pod: Body | None, unseen: list[str]) -> tuple[tuple[str, int] | None, str]:
    """The container whose log tells most of the last Pod, and the end of that log."""
    container = _TELLS.get(str(status_of(job).get("reason")), names.CONTAINER_JOB)
    if pod is None or not _ran(pod, container):
        return None, ""
    path = path_of(CORE, pod["metadata"]["namespace"], "pods", pod["metadata"]["name"], "log")
    query = {"container": container, "tailLines": str(_LINES), "limitBytes": str(_BYTES)}
    try:
        answer = await api.send("GET", path, query)
        text = (await answer.read()).decode(errors="replace")
    except ApiNotFound:  # Pod or container is gone by now
        return None, ""
    except ApiError as error:
        unseen.append("the log: " + ("you may not read it" if error.forbidden else error.message))
        return None, ""
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        unseen.append(f"the log: {described(error)}")
        return None, ""
    return (container, attempt_of(pod)), _end_of(text)


def _end_of(log: str) -> str:
    """The last lines; a line that a program wrote over and over, such as progress, is as many."""
    text = "\n".join(log.splitlines()[-_LINES:])
    return text if len(text) <= _CHARACTERS else f"...{text[-_CHARACTERS:]}"


def _ran(pod: Body, container: str) -> bool:
    """Whether a container has started once: before that it has no log."""
    status: dict[str, Any] = pod.get("status") or {}
    states = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return any(
        state["name"] == container and bool((state.get("state") or {}).keys() - {"waiting"} or state.get("lastState"))
        for state in states
    )
