"""How long a finished CiJob stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cijob.policies.lifetime import expires_at
from tests.unit.builders import a_cijob, at

DAY = timedelta(days=1)


@pytest.mark.parametrize("phase", ["Pending", "Queued", "Starting", "Running"])
def test_an_unfinished_job_never_expires(phase: str) -> None:
    assert expires_at(a_cijob().with_status(phase).job, 0, DAY) is None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_the_default_counts_from_the_end(phase: str) -> None:
    assert expires_at(a_cijob().finished(phase, "Any", 100).job, None, DAY) == at(100) + DAY


@pytest.mark.parametrize("seconds", [0, 1, 31_536_000])
def test_the_jobs_own_time_wins(seconds: int) -> None:
    job = a_cijob().finished("Failed", "ScriptFailed", 100).job

    assert expires_at(job, seconds, DAY) == at(100 + seconds)


def test_an_end_without_a_time_expires_never() -> None:
    assert expires_at(a_cijob().with_status("Failed").job, None, DAY) is None
