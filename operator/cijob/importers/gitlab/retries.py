"""`retry`: how often a job runs again, and after which failures.

docs.gitlab.com/ci/yaml/#retry; that nothing is retried without `max`: lib/gitlab/ci/build/auto_retry.rb of gitlabhq/gitlabhq
at 311b0269.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab.nodes import Mapping
from cijob.parts import RetryReason

if TYPE_CHECKING:
    from cijob.importers.gitlab.findings import Report
    from cijob.importers.gitlab.model import Spec

_MOST: Final = 2
"""GitLab's own limit of `retry:max`."""

_SYSTEM: Final = (
    RetryReason.IMAGE_PULL_FAILED,
    RetryReason.SERVICE_IMAGE_PULL_FAILED,
    RetryReason.START_ERROR,
    RetryReason.SOURCE_FAILED,
    RetryReason.SERVICE_NOT_READY,
)
#: https://docs.gitlab.com/ci/yaml/#retrywhen. What a container's memory or disk ends is a failed script to GitLab.
REASONS: Final[dict[str, tuple[RetryReason, ...]]] = {
    "script_failure": (
        RetryReason.SCRIPT_FAILED,
        RetryReason.OOM_KILLED,
        RetryReason.DAEMON_OOM_KILLED,
        RetryReason.DISK_LIMIT_EXCEEDED,
    ),
    "job_execution_timeout": (RetryReason.DEADLINE_EXCEEDED,),
    "stuck_or_timeout_failure": (RetryReason.DEADLINE_EXCEEDED,),
    "runner_system_failure": _SYSTEM,
    **dict.fromkeys(
        (
            "unknown_failure",
            "api_failure",
            "runner_unsupported",
            "runner_provisioning_timeout",
            "stale_schedule",
            "archived_failure",
            "unmet_prerequisites",
            "scheduler_failure",
            "data_integrity_failure",
        ),
        (),
    ),
}


def retry(value: Any, report: Report) -> Spec:  # noqa: ANN401  a value of YAML
    """The field `retry`, where another attempt is wanted."""
    given = value if isinstance(value, Mapping) else {"max": value}
    limit = given.get("max")
    if value is None:
        return {}
    if limit is None:
        report.note(("retry",), "without `max` GitLab does not retry")
        limit = 0
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= _MOST:
        report.error(("retry", "max"), f"{limit!r} is no number of retries: write 0, 1 or 2")
        return {}
    when = _when(given, report)
    if not limit or when is None:
        return {}
    return {"retry": {"limit": limit, **({"when": when} if when else {})}}


def _when(given: Any, report: Report) -> Spec | None:  # noqa: ANN401  a value of YAML
    """The field `retry.when`; empty for all failures, None where no failure of the job's own is meant."""
    causes = [str(one) for one in _listed(given.get("when"))]
    codes = _listed(given.get("exit_codes"))
    unknown = [one for one in causes if one != "always" and one not in REASONS]
    if unknown:
        report.error(("retry", "when"), f"GitLab knows no failure {unknown[0]!r}")
    wrong = [one for one in codes if isinstance(one, bool) or not isinstance(one, int) or not 1 <= one <= 255]  # noqa: PLR2004  a byte
    if wrong:
        report.error(("retry", "exit_codes"), f"{wrong[0]!r} is no exit code of a failure: write 1 to 255")
    if "always" in causes or not (causes or codes):
        return {}
    reasons = list(dict.fromkeys(reason.value for one in causes for reason in REASONS.get(one, ())))
    nothing = [one for one in causes if not REASONS.get(one, ())]
    if nothing and not unknown:
        report.note(("retry", "when"), f"nothing like {', '.join(nothing)} happens here: lost nodes are retried anyway")
    when: Spec = {"reasons": reasons} if reasons else {}
    if codes and not wrong:
        when["exitCodes"] = codes
    return when or None


def _listed(value: Any) -> list[Any]:  # noqa: ANN401  a value of YAML
    return [] if value is None else value if isinstance(value, list) else [value]
