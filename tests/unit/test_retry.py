"""Whether a failed attempt is followed by another, and when: a table over all reasons, then the counters and the waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.models import CiJobStatus, Retries
from cijob.parts import Retry, RetryReason, RetryWhen
from cijob.policies.retry import FIRST_WAIT, LONGEST_WAIT, not_before, retried, wait
from cijob.reasons import INFRASTRUCTURE, Reason
from cijob.verdict import verdict
from tests.unit.builders import a_cijob, at
from tests.unit.test_verdict import WAITING

FRESH = CiJobStatus()
GENEROUS = Retry(limit=10, infra_limit=10)
USER, INFRA = Retries(user=1), Retries(infra=1)
TABLE = {
    Reason.COMPLETED: None,
    Reason.CANCELLED: None,
    Reason.SCRIPT_FAILED: USER,
    Reason.OOM_KILLED: USER,
    Reason.DAEMON_OOM_KILLED: USER,
    Reason.DEADLINE_EXCEEDED: USER,
    Reason.DISK_LIMIT_EXCEEDED: USER,
    Reason.IMAGE_PULL_FAILED: USER,
    Reason.SERVICE_IMAGE_PULL_FAILED: USER,
    Reason.START_ERROR: USER,
    Reason.SOURCE_FAILED: USER,
    Reason.SERVICE_NOT_READY: USER,
    Reason.IMAGE_INVALID: None,
    Reason.CONFIG_ERROR: None,
    Reason.INVALID_SPEC: None,
    Reason.NOT_ALLOWED: None,
    Reason.QUEUE_TIMEOUT: None,
    Reason.POD_REJECTED: None,
    Reason.POD_NAME_CONFLICT: None,
    Reason.DAEMON_NOT_READY: INFRA,
    Reason.DAEMON_LOST: INFRA,
    Reason.DAEMON_IMAGE_PULL_FAILED: INFRA,
    Reason.POD_DELETED: INFRA,
    Reason.POOL_DRAINED: INFRA,
    Reason.EVICTED: INFRA,
    Reason.PREEMPTED: INFRA,
    Reason.NODE_LOST: INFRA,
    Reason.NODE_SHUTDOWN: INFRA,
    Reason.ADMISSION_ERROR: INFRA,
    Reason.CONTAINER_STATUS_UNKNOWN: INFRA,
}


def test_the_table_knows_every_reason_of_an_end() -> None:
    assert set(TABLE) == set(Reason) - WAITING


@pytest.mark.parametrize(("reason", "counters"), TABLE.items())
def test_an_end_with_this_reason_is_retried_or_not(reason: Reason, counters: Retries | None) -> None:
    assert retried(GENEROUS, FRESH, verdict(reason, "", 1)) == counters


@pytest.mark.parametrize(("reason", "counters"), TABLE.items())
def test_without_a_word_only_infrastructure_failures_are_retried(reason: Reason, counters: Retries | None) -> None:
    expected = counters if counters == INFRA else None

    assert retried(a_cijob().job.spec.retry, FRESH, verdict(reason, "", 1)) == expected


def test_what_users_may_choose_are_the_failures_of_the_jobs_own_that_a_retry_can_help() -> None:
    assert {str(reason) for reason in RetryReason} == {
        str(reason) for reason, counts in TABLE.items() if counts == USER
    }
    assert not {str(reason) for reason in RetryReason} & {str(reason) for reason in INFRASTRUCTURE}


@pytest.mark.parametrize(
    ("says", "when", "reason", "code", "again"),
    [
        ("a reason that is named", {"reasons": ["OOMKilled"]}, Reason.OOM_KILLED, 137, True),
        ("a reason that is not named", {"reasons": ["OOMKilled"]}, Reason.SCRIPT_FAILED, 1, False),
        ("an exit code that is named", {"exitCodes": [75, 99]}, Reason.SCRIPT_FAILED, 99, True),
        ("an exit code that is not named", {"exitCodes": [75]}, Reason.SCRIPT_FAILED, 1, False),
        ("the kernel's exit code", {"exitCodes": [137]}, Reason.OOM_KILLED, 137, True),
        ("a code that the timeout made", {"exitCodes": [143]}, Reason.DEADLINE_EXCEEDED, 143, False),
        (
            "either: the reason",
            {"reasons": ["DeadlineExceeded"], "exitCodes": [2]},
            Reason.DEADLINE_EXCEEDED,
            143,
            True,
        ),
        ("either: the code", {"reasons": ["DeadlineExceeded"], "exitCodes": [2]}, Reason.SCRIPT_FAILED, 2, True),
        ("neither", {"reasons": ["DeadlineExceeded"], "exitCodes": [2]}, Reason.SCRIPT_FAILED, 3, False),
        ("no exit code at all", {"exitCodes": [1]}, Reason.IMAGE_PULL_FAILED, None, False),
        ("trouble of the infrastructure, whatever is named", {"reasons": ["OOMKilled"]}, Reason.NODE_LOST, None, True),
    ],
)
def test_when_chooses(says: str, when: dict[str, object], reason: Reason, code: int | None, *, again: bool) -> None:
    retry = Retry(limit=1, when=RetryWhen.model_validate(when))

    assert (retried(retry, FRESH, verdict(reason, "", code)) is not None) == again, says


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 12), st.integers(0, 12))
def test_each_kind_has_its_own_limit(limit: int, infra_limit: int, user: int, infra: int) -> None:
    retry = Retry(limit=limit, infra_limit=infra_limit)
    status = CiJobStatus(retries=Retries(user=user, infra=infra))

    own = retried(retry, status, verdict(Reason.SCRIPT_FAILED, "", 1))
    theirs = retried(retry, status, verdict(Reason.DAEMON_LOST, "", 1))

    assert own == (Retries(user=user + 1, infra=infra) if user < limit else None)
    assert theirs == (Retries(user=user, infra=infra + 1) if infra < infra_limit else None)


def test_the_waits_double_up_to_six_minutes() -> None:
    waits = [wait(retries).total_seconds() for retries in range(1, 12)]

    assert waits == [10, 20, 40, 80, 160, 320, 360, 360, 360, 360, 360]


@given(st.integers(0, 100_000))
def test_a_wait_is_bounded(retries: int) -> None:
    assert FIRST_WAIT <= wait(retries) <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("reason", "user", "infra", "seconds"),
    [
        ("ScriptFailed", 1, 0, 10),
        ("ScriptFailed", 2, 0, 20),
        ("ScriptFailed", 1, 3, 10),
        ("DaemonLost", 5, 1, 10),
        ("DaemonLost", 5, 3, 40),
    ],
)
def test_the_wait_counts_from_the_attempts_end_and_by_kind(reason: str, user: int, infra: int, seconds: int) -> None:
    """It is all in the status: a restarted operator waits for the same moment."""
    status = a_cijob().between_attempts(reason, ended=60, user=user, infra=infra).job.status

    assert not_before(status) == at(60) + timedelta(seconds=seconds)


def test_a_first_attempt_waits_for_nothing() -> None:
    assert not_before(FRESH) is None
    assert not_before(a_cijob().running().job.status) is None
