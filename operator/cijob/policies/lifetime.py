"""How long a finished CiJob stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cijob.models import CiJobHead


def expires_at(job: CiJobHead, own_ttl: int | None, default_ttl: timedelta) -> datetime | None:
    """When a CiJob is to be deleted, by its own time to live in seconds or the default; None if it has not finished."""
    if not job.status.phase.finished or job.status.completion_time is None:
        return None
    return job.status.completion_time + (default_ttl if own_ttl is None else timedelta(seconds=own_ttl))
