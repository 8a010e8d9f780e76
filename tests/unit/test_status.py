"""The status and the JSON Patch that writes it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # no types there
import pytest

from cijob import status
from cijob.crdgen.crd import cijob_crd
from cijob.models import CiJobStatus, Phase, Retries
from cijob.parsing import parse
from cijob.reasons import Reason
from cijob.verdict import Verdict, verdict
from tests.unit.builders import (
    JOB_NAME,
    JOB_UID,
    NAMESPACE,
    POD_NAME,
    POD_UID,
    CiJobBuilder,
    a_cijob,
    a_pod,
    at,
)

SCHEMA = cijob_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


def wire(job: CiJobBuilder, new: CiJobStatus) -> dict[str, Any]:
    """The status that a patch writes, which the CRD's schema accepts and the operator reads back as it was."""
    value: dict[str, Any] = status.status_patch(job.job, new, guarded=True)[-1]["value"]
    jsonschema.validate(value, SCHEMA)
    assert parse({**job.body, "status": value}).status == new
    return value


def ended(end: Verdict, job: CiJobBuilder | None = None) -> dict[str, Any]:
    """The final status of a job whose Pod ran, as it is written."""
    job = job or a_cijob().running()
    return wire(job, status.finished(job.job, a_pod().terminated(7).pod, end, at(61)))


def test_a_patch_is_for_this_very_cijob_at_this_very_version() -> None:
    job = a_cijob().job

    patch = status.status_patch(job, status.running(job, a_pod().running().pod), guarded=True)

    assert patch[0] == {"op": "test", "path": "/metadata/uid", "value": JOB_UID}
    assert patch[1] == {"op": "test", "path": "/metadata/resourceVersion", "value": "100"}
    assert (patch[2]["op"], patch[2]["path"], len(patch)) == ("add", "/status", 3)


def test_an_unguarded_patch_still_names_the_uid() -> None:
    patch = status.status_patch(a_cijob().job, CiJobStatus(), guarded=False)

    assert [(step["op"], step["path"]) for step in patch] == [("test", "/metadata/uid"), ("add", "/status")]


def test_running_tells_where_and_since_when() -> None:
    job = a_cijob().with_status("Starting", reason="PullingImage", message="The image is being pulled.")

    assert wire(job, status.running(job.job, a_pod().running().pod)) == {
        "phase": "Running",
        "attempt": 1,
        "podName": POD_NAME,
        "podUID": POD_UID,
        "nodeName": "node-1",
        "startTime": "2026-01-31T12:00:01Z",
        "conditions": [],
    }


def test_starting_tells_why() -> None:
    new = status.waiting(a_cijob().job, a_pod().pod, Reason.UNSCHEDULABLE, "No node.")

    assert wire(a_cijob(), new) == {
        "phase": "Starting",
        "reason": "Unschedulable",
        "message": "No node.",
        "attempt": 1,
        "podName": POD_NAME,
        "podUID": POD_UID,
        "conditions": [],
    }


def test_pending_tells_why_without_a_pod() -> None:
    new = status.waiting(a_cijob().job, None, Reason.QUOTA_EXCEEDED, "Full.")

    assert wire(a_cijob(), new) == {
        "phase": "Pending",
        "reason": "QuotaExceeded",
        "message": "Full.",
        "conditions": [],
    }


def test_the_end_tells_everything() -> None:
    new = ended(verdict(Reason.SCRIPT_FAILED, "It exited with 7.", 7), a_cijob().running().with_meta(generation=4))

    assert {key: value for key, value in new.items() if key != "conditions"} == {
        "phase": "Failed",
        "reason": "ScriptFailed",
        "message": "The job failed. It exited with 7.",
        "exitCode": 7,
        "attempt": 1,
        "podName": POD_NAME,
        "podUID": POD_UID,
        "nodeName": "node-1",
        "startTime": "2026-01-31T12:00:01Z",
        "completionTime": "2026-01-31T12:01:01Z",
        "attempts": [
            {
                "attempt": 1,
                "podName": POD_NAME,
                "podUID": POD_UID,
                "nodeName": "node-1",
                "startTime": "2026-01-31T12:00:01Z",
                "completionTime": "2026-01-31T12:01:00Z",
                "exitCode": 7,
                "reason": "ScriptFailed",
            }
        ],
    }
    assert new["conditions"][0] == {
        "type": "Failed",
        "status": "True",
        "reason": "ScriptFailed",
        "message": "The job failed. It exited with 7.",
        "lastTransitionTime": "2026-01-31T12:01:01Z",
        "observedGeneration": 4,
    }


def test_between_two_attempts_the_status_tells_of_both() -> None:
    job, end = a_cijob().running(), verdict(Reason.DAEMON_LOST, "", 1)

    new = wire(job, status.next_attempt(job.job, a_pod().terminated(1).pod, end, Retries(infra=1), at(61)))

    assert {key: value for key, value in new.items() if key != "attempts"} == {
        "phase": "Pending",
        "reason": "DaemonLost",
        "message": end.message,
        "attempt": 2,
        "retries": {"user": 0, "infra": 1},
        "conditions": [],
    }
    assert [(past["attempt"], past["podUID"], past["reason"]) for past in new["attempts"]] == [
        (1, POD_UID, "DaemonLost")
    ]


@pytest.mark.parametrize(
    ("reason", "phase", "types"),
    [
        (Reason.COMPLETED, "Succeeded", ["Complete", "Finished"]),
        (Reason.CANCELLED, "Cancelled", ["Cancelled", "Failed", "Finished"]),
        (Reason.SCRIPT_FAILED, "Failed", ["Failed", "Finished"]),
        (Reason.POD_DELETED, "Failed", ["Failed", "Finished"]),
        (Reason.INVALID_SPEC, "Failed", ["Failed", "Finished"]),
    ],
)
def test_conditions_end_every_wait(reason: Reason, phase: str, types: list[str]) -> None:
    """`kubectl wait --for=condition=Finished` must never hang."""
    new = ended(verdict(reason))

    assert new["phase"] == phase
    assert [condition["type"] for condition in new["conditions"]] == types
    assert {condition["status"] for condition in new["conditions"]} == {"True"}
    assert {condition["reason"] for condition in new["conditions"]} == {str(reason)}
    assert {condition["observedGeneration"] for condition in new["conditions"]} == {1}


def test_the_end_keeps_what_was_known_of_a_pod_that_nobody_saw_again() -> None:
    job = a_cijob().running()

    new = wire(job, status.finished(job.job, None, verdict(Reason.POD_DELETED), at(90)))

    assert (new["podName"], new["nodeName"], new["startTime"]) == (POD_NAME, "node-1", "2026-01-31T12:00:01Z")
    assert "exitCode" not in new


def test_exit_code_0_is_written() -> None:
    assert ended(verdict(Reason.COMPLETED, "", 0))["exitCode"] == 0


def test_the_columns_show_fields_that_are_written() -> None:
    """`kubectl get cij` must not have a column that stays empty."""
    new, columns = (
        ended(verdict(Reason.COMPLETED, "", 0)),
        cijob_crd()["spec"]["versions"][0]["additionalPrinterColumns"],
    )

    paths = [column["jsonPath"].split(".")[1:] for column in columns]
    assert [path for path in paths if path[0] == "status" and path[1] not in new] == []


def test_times_are_written_without_fractions() -> None:
    """The API's times have none, and a patch that differs in them only would be written for nothing."""
    job = a_cijob().job

    patch = status.status_patch(job, status.finished(job, None, verdict(Reason.COMPLETED), at(61.9)), guarded=True)

    assert patch[-1]["value"]["completionTime"] == "2026-01-31T12:01:01Z"


def test_times_are_written_in_utc() -> None:
    tokyo = at(0).astimezone(timezone(timedelta(hours=9)))

    new = status.finished(a_cijob().job, None, verdict(Reason.COMPLETED), tokyo)

    assert wire(a_cijob(), new)["completionTime"] == "2026-01-31T12:00:00Z"
    assert wire(a_cijob(), new)["conditions"][0]["lastTransitionTime"] == "2026-01-31T12:00:00Z"


def test_a_condition_of_others_without_a_time_is_kept() -> None:
    job = a_cijob().with_status("Pending", conditions=[{"type": "Theirs", "status": "False"}])

    new = wire(job, status.running(job.job, a_pod().running().pod))

    assert new["conditions"] == [{"type": "Theirs", "status": "False", "reason": "", "message": ""}]


def test_a_status_is_a_value() -> None:
    """What is the same is not written: the comparison that the reconciler makes."""
    job, pod = a_cijob().running(), a_pod().running().pod

    assert status.running(job.job, pod) == job.job.status
    assert status.running(job.job, pod).phase is Phase.RUNNING


@pytest.mark.parametrize(("reason", "kind"), [(Reason.COMPLETED, "Normal"), (Reason.SCRIPT_FAILED, "Warning")])
def test_the_event_speaks_of_the_cijob(reason: Reason, kind: str) -> None:
    job = a_cijob().job
    end = status.finished(job, None, verdict(reason, "Because."), at(61))

    event = status.event(job, end, at(61))

    assert event["metadata"]["namespace"] == NAMESPACE
    assert event["metadata"]["name"].startswith(f"{JOB_NAME}.")
    assert event["involvedObject"] == {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "CiJob",
        "namespace": NAMESPACE,
        "name": JOB_NAME,
        "uid": JOB_UID,
    }
    assert (event["type"], event["reason"]) == (kind, str(reason))
    assert event["message"].endswith("Because.")
    assert len(event["message"]) <= 1024, "the API server refuses longer ones"
    assert datetime.fromisoformat(event["firstTimestamp"]) == datetime.fromisoformat(event["lastTimestamp"]) == at(61)
