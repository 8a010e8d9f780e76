"""Whether a failed attempt is followed by another, and when.

| the attempt ended with | it runs again |
| --- | --- |
| `Completed`, `Cancelled` | never |
| a reason of `reasons.INFRASTRUCTURE` (`NodeLost`, `DaemonLost`, `PodDeleted`, ...) | up to `infraLimit` times, whatever `when` says; `limit` stays untouched |
| `ScriptFailed`, `OOMKilled` | up to `limit` times, if `when` names the reason or the exit code, or is unset |
| `DaemonOOMKilled`, `DeadlineExceeded`, `DiskLimitExceeded`, `ImagePullFailed`, `ServiceImagePullFailed`, `StartError`, `SourceFailed`, `ServiceNotReady` | up to `limit` times, if `when` names the reason, or is unset |
| `ImageInvalid`, `ConfigError`, `InvalidSpec`, `NotAllowed`, `QueueTimeout`, `PodRejected`, `PodNameConflict` | never: somebody has to change something first |

A timeout counts as in GitLab CI, whose `retry` covers `job_execution_timeout`: it is one attempt's, and a hung test may
not hang again. The exit code of an attempt that was stopped from outside is not the script's, so it is not looked at.

The wait counts from the attempt's end, as the status has it, and not from a timer of the process: 10 s after the first
failure, doubling up to 6 min. Own failures and infrastructure failures are counted, and so wait, apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cijob.models import CiJobStatus, Retries
from cijob.parts import Retry, RetryReason
from cijob.reasons import INFRASTRUCTURE, Reason

if TYPE_CHECKING:
    from cijob.verdict import Verdict

#: As the Job controller waits (kubernetes.io/docs/concepts/workloads/controllers/job: Pod backoff failure policy).
FIRST_WAIT: Final = timedelta(seconds=10)
LONGEST_WAIT: Final = timedelta(minutes=6)
_NONE: Final = Retries()
_RETRYABLE: Final = frozenset(str(reason) for reason in RetryReason)
#: Failures whose exit code the job itself chose, or the kernel for it.
_OWN_EXIT: Final = frozenset({Reason.SCRIPT_FAILED, Reason.OOM_KILLED})


def retried(retry: Retry, status: CiJobStatus, end: Verdict) -> Retries | None:
    """The counters once the job runs again after this end of an attempt; None if the end is final."""
    done = status.retries or _NONE
    if end.reason in INFRASTRUCTURE:
        return done.model_copy(update={"infra": done.infra + 1}) if done.infra < retry.infra_limit else None
    if done.user < retry.limit and _wanted(retry, end):
        return done.model_copy(update={"user": done.user + 1})
    return None


def not_before(status: CiJobStatus) -> datetime | None:
    """The earliest start of an attempt that follows another; None if there is nothing to wait for."""
    last = status.attempts[-1] if status.attempts else None
    if last is None or last.completion_time is None or status.retries is None:
        return None
    infra = last.reason in {str(reason) for reason in INFRASTRUCTURE}
    return last.completion_time + wait(status.retries.infra if infra else status.retries.user)


def wait(retries: int) -> timedelta:
    """How long the n-th retry of a kind (from 1) waits after the end of the attempt before it."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(16, max(0, retries - 1))))


def _wanted(retry: Retry, end: Verdict) -> bool:
    if str(end.reason) not in _RETRYABLE:
        return False
    if retry.when is None:
        return True
    named = str(end.reason) in map(str, retry.when.reasons or ())
    return named or (end.reason in _OWN_EXIT and end.exit_code in (retry.when.exit_codes or ()))
