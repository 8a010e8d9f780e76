"""Writes what was decided: the status of a CiJob, and its one Event after the verdict landed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from cijob import status
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cijob.actions import Decision
    from cijob.cache import Key, Store
    from cijob.cluster import Cluster
    from cijob.models import CiJobHead, CiJobStatus
    from cijob.transport import Body
    from cijob.workqueue import WorkQueue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def job_identity(body: Body) -> tuple[Key, str, int]:
    """Key, UID and version of a raw CiJob."""
    meta = body["metadata"]
    return (meta["namespace"], meta["name"]), meta["uid"], int(meta["resourceVersion"])


def pool_identity(body: Body) -> tuple[Key, str, int]:
    """The same of a raw BuildPool, which has no namespace."""
    meta = body["metadata"]
    return ("", meta["name"]), meta["uid"], int(meta["resourceVersion"])


class Recorder:
    """The only writer of statuses and Events."""

    def __init__(self, cluster: Cluster, jobs: Store[Body], queue: WorkQueue, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._queue = queue
        self._clock = clock
        #: Called with each status that landed, before the Event.
        self.wrote: Callable[[CiJobHead, Decision], None] = lambda _job, _decision: None
        #: UIDs of CiJobs with a verdict whose write was not answered: it may have landed.
        self._unanswered: set[str] = set()

    async def write(self, key: Key, job: CiJobHead, decision: Decision) -> None:
        """Write the decision's status if it is another than the job's, by one PATCH that tests UID and version.

        Raises:
            ApiConflict: the CiJob is another, or at another version, than the one that was decided on.
        """
        if job.status.phase.finished and job.uid in self._unanswered:
            await self._tell(job, job.status)
        if decision.status is None or decision.status == job.status:
            return
        patch = status.status_patch(job, decision.status, guarded=True)
        try:
            answer = await self._cluster.patch_job_status(job.namespace, job.name, patch)
        except ApiNotFound:
            log.info("the CiJob was deleted meanwhile")
            return
        except ApiUnavailable:
            if decision.verdict is not None:
                self._unanswered.add(job.uid)
            raise
        self._jobs.observe(answer)
        self.wrote(job, decision)
        end = decision.verdict
        if end is None:
            log.info("wrote the status", phase=str(decision.status.phase), reason=decision.status.reason)
            if decision.status.current != job.status.current:
                self._queue.add(key)  # what is left of the attempt that ended
            return
        log.info(
            "wrote the verdict",
            phase=str(end.phase),
            reason=str(end.reason),
            exit_code=end.exit_code,
            message=end.message,
        )
        self._queue.add(key)  # what is left: stopping the Pod, the time to live
        await self._tell(job, decision.status)

    def forget(self, uid: str) -> None:
        """Forget all about a CiJob that is no more."""
        self._unanswered.discard(uid)

    async def _tell(self, job: CiJobHead, end: CiJobStatus) -> None:
        """Record the Event of a final status that landed."""
        self._unanswered.discard(job.uid)
        try:
            await self._cluster.create_event(status.event(job, end, self._clock()))
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return  # an earlier try, whose answer was lost
            # The status is the truth; an Event is only a convenience.
            log.warning("could not record the Event", error=str(error))
