"""How long a finished CiJob stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cijob.models import CiJob


def expires_at(job: CiJob, default_ttl: timedelta) -> datetime | None:
    """When a finished CiJob is to be deleted; None if it has not finished."""
    if not job.status.phase.finished or job.status.completion_time is None:
        return None
    own = job.spec.ttl_seconds_after_finished
    return job.status.completion_time + (default_ttl if own is None else timedelta(seconds=own))
