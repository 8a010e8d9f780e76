"""`retry`: how often, and after which failures."""

from __future__ import annotations

from typing import Any

import pytest

from cijob.importers.gitlab.retries import REASONS
from tests.unit.gitlab.loading import errors, job, notes, warnings

SCRIPT = ["ScriptFailed", "OOMKilled", "DaemonOOMKilled", "DiskLimitExceeded"]
SYSTEM = ["ImagePullFailed", "ServiceImagePullFailed", "StartError", "SourceFailed", "ServiceNotReady"]


@pytest.mark.parametrize(
    ("gitlab", "cijob"),
    [
        ("2", {"limit": 2}),
        ("{max: 1}", {"limit": 1}),
        ("{max: 1, when: always}", {"limit": 1}),
        ("{max: 2, when: script_failure}", {"limit": 2, "when": {"reasons": SCRIPT}}),
        ("{max: 2, when: [runner_system_failure, api_failure]}", {"limit": 2, "when": {"reasons": SYSTEM}}),
        (
            "{max: 1, when: [job_execution_timeout, stuck_or_timeout_failure]}",
            {"limit": 1, "when": {"reasons": ["DeadlineExceeded"]}},
        ),
        ("{max: 2, exit_codes: 75}", {"limit": 2, "when": {"exitCodes": [75]}}),
        ("{max: 2, exit_codes: [75, 137]}", {"limit": 2, "when": {"exitCodes": [75, 137]}}),
    ],
)
def test_is_written_as_a_cijob_has_it(gitlab: str, cijob: dict[str, Any]) -> None:
    assert job(f"retry: {gitlab}").spec["retry"] == cijob


@pytest.mark.parametrize("gitlab", ["0", "null", "{max: 0}", "{max: 2, when: api_failure}"])
def test_is_left_out_where_no_failure_of_the_jobs_own_is_meant(gitlab: str) -> None:
    assert "retry" not in job(f"retry: {gitlab}").spec
    assert warnings(f"retry: {gitlab}") == []


def test_for_failures_that_do_not_happen_here_is_told() -> None:
    assert "retry:when: nothing like api_failure happens here: lost nodes are retried anyway" in notes(
        "retry: {max: 2, when: [api_failure, script_failure]}"
    )


@pytest.mark.parametrize(
    ("gitlab", "key"),
    [
        ("3", "retry"),
        ("true", "retry"),
        ("{max: -1}", "retry:max"),
        ("{max: 1, when: sometimes}", "retry:when"),
        ("{max: 1, exit_codes: 0}", "retry:exit_codes"),
        ("{max: 1, exit_codes: [a]}", "retry:exit_codes"),
    ],
)
def test_that_gitlab_refuses_is_refused(gitlab: str, key: str) -> None:
    assert any(one.startswith(key) for one in errors(f"retry: {gitlab}"))


def test_knows_all_failures_that_gitlab_documents() -> None:
    assert set(REASONS) == {
        "unknown_failure",
        "script_failure",
        "api_failure",
        "stuck_or_timeout_failure",
        "runner_system_failure",
        "runner_unsupported",
        "runner_provisioning_timeout",
        "stale_schedule",
        "job_execution_timeout",
        "archived_failure",
        "unmet_prerequisites",
        "scheduler_failure",
        "data_integrity_failure",
    }
