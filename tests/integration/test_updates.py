"""What may change in a CiJob that exists, and what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cijob import status
from cijob.crdgen.rules import MUTABLE
from cijob.models import CiJobSpec, Retries
from cijob.parsing import parse
from cijob.reasons import Reason
from cijob.verdict import verdict
from tests.bad_manifests import GOOD, NO_SCRIPT, merged
from tests.integration.api import JSON_PATCH
from tests.unit.builders import a_pod, at, report

if TYPE_CHECKING:
    from tests.integration.api import Namespace

FULL: dict[str, Any] = merged(
    GOOD,
    {
        "spec": {
            # Whoever watches this API server must not be kept busy: nothing is started for a cancelled job.
            "cancel": "Immediate",
            "imagePullPolicy": "Always",
            "beforeScript": ["date"],
            "afterScript": ["date"],
            "shell": "sh",
            "variables": {"A": "1"},
            "env": [{"name": "B", "value": "1"}, {"name": "C", "value": "$(B)"}],
            "envFrom": [{"secretRef": {"name": "a"}}],
            "resources": {"limits": {"cpu": 1}},
            "docker": {"endpoint": "Unix"},
            "timeout": "1h",
            "queueTimeout": "1h",
            "retry": {"limit": 1},
            "source": {"git": {"url": "https://git.example.com/a.git"}},
            "services": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}],
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            "platform": "linux/amd64",
            "ttlSecondsAfterFinished": 60,
        }
    },
)
COMMAND: dict[str, Any] = merged(FULL, {"spec": {**NO_SCRIPT, "args": ["x"]}})
for _field in ("beforeScript", "afterScript", "shell"):
    COMMAND["spec"].pop(_field)

NEVER_STARTS = {"image": "registry.invalid/none", "docker": {"enabled": False}}
"""What a job that is not cancelled yet costs an operator that watches: a Pod that waits for its image."""

CHANGES: dict[str, Any] = {
    "poolName": "other",
    "image": "ubuntu:26.04",
    "imagePullPolicy": "Never",
    "script": ["echo bye"],
    "beforeScript": ["date", "date"],
    "afterScript": ["date", "date"],
    "command": ["/app/other"],
    "args": ["y"],
    "shell": "bash",
    "variables": {"A": "2"},
    "env": [{"name": "C", "value": "$(B)"}, {"name": "B", "value": "1"}],
    "envFrom": [{"secretRef": {"name": "b"}}],
    "workingDir": "/other",
    "resources": {"limits": {"cpu": 2}},
    "docker": {"endpoint": "TCP"},
    "timeout": "2h",
    "queueTimeout": "2h",
    "retry": {"limit": 1, "when": {"exitCodes": [75]}},
    "source": {"git": {"url": "https://git.example.com/a.git", "ref": "main"}},
    # Only the order, which says which Secret is the job's own docker configuration.
    "services": [{"name": "b", "image": "b"}, {"name": "a", "image": "a"}],
    "imagePullSecrets": [{"name": "b"}, {"name": "a"}],
    "platform": "linux/arm64",
}
DEFAULTED = {"poolName", "workingDir"}
REQUIRED = {"image", "script", "command"}


def test_every_immutable_field_is_tried() -> None:
    fields = {field.alias or name for name, field in CiJobSpec.model_fields.items()}
    assert set(CHANGES) == fields - MUTABLE


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_cannot_change(namespace: Namespace, field: str) -> None:
    name = namespace.stored(COMMAND if field in {"command", "args"} else FULL)
    answer = namespace.patch(name, {"spec": {field: CHANGES[field]}})
    assert answer.status == 422, answer
    assert f"spec.{field}: Invalid value" in answer.message
    assert f"{field} cannot change: a CiJob is one run; create another one" in answer.message


@pytest.mark.parametrize("field", sorted(set(CHANGES) - DEFAULTED - REQUIRED))
def test_a_field_cannot_go(namespace: Namespace, field: str) -> None:
    name = namespace.stored(COMMAND if field in {"command", "args"} else FULL)
    answer = namespace.patch(name, {"spec": {field: None}})
    assert answer.status == 422, answer
    assert f"{field} cannot change" in answer.message


@pytest.mark.parametrize("field", sorted(set(CHANGES) - DEFAULTED - REQUIRED))
def test_a_field_cannot_appear(namespace: Namespace, field: str) -> None:
    base = merged(GOOD, {"spec": {"cancel": "Immediate", **(NO_SCRIPT if field == "args" else {})}})
    answer = namespace.patch(namespace.stored(base), {"spec": {field: CHANGES[field]}})
    assert answer.status == 422, answer
    assert f"{field} cannot change" in answer.message


def test_a_script_cannot_become_a_command(namespace: Namespace) -> None:
    name = namespace.stored(merged(GOOD, {"spec": {"cancel": "Immediate"}}))
    answer = namespace.patch(name, {"spec": NO_SCRIPT})
    assert answer.status == 422, answer
    assert "script cannot change" in answer.message
    assert "command cannot change" in answer.message


@pytest.mark.parametrize(("before", "after"), [(None, 5), (60, 5), (60, None)])
def test_the_time_to_live_may_change(namespace: Namespace, before: int | None, after: int | None) -> None:
    name = namespace.stored(merged(FULL, {"spec": {"ttlSecondsAfterFinished": before}}))
    changed = namespace.patch(name, {"spec": {"ttlSecondsAfterFinished": after}}).wanted()
    assert changed["spec"].get("ttlSecondsAfterFinished") == after


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("suspend", None, True),
        ("suspend", True, False),
        ("suspend", True, None),
        ("priority", None, 10),
        ("priority", 10, -1000),
        ("priority", 10, None),
    ],
)
def test_suspension_and_priority_may_change(namespace: Namespace, field: str, before: object, after: object) -> None:
    name = namespace.stored(merged(FULL, {"spec": {field: before}}))
    assert namespace.patch(name, {"spec": {field: after}}).wanted()["spec"].get(field) == after


@pytest.mark.parametrize(
    "change",
    [
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "image": "b"},
        {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "ports": [80, 82]},
        {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "ready": ["true"]},
    ],
)
def test_nothing_inside_a_service_can_change(namespace: Namespace, change: dict[str, Any]) -> None:
    """Not even the order of its env, in which one variable may refer to another."""
    env = [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]
    service = {"name": "a", "image": "a", "ports": [80, 81], "env": env}
    name = namespace.stored(merged(GOOD, {"spec": {"cancel": "Immediate", "services": [service]}}))
    answer = namespace.patch(name, {"spec": {"services": [service | change]}})
    assert answer.status == 422, answer
    assert "services cannot change" in answer.message
    namespace.patch(name, {"spec": {"services": [service]}}).wanted()


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (None, "Graceful", True),
        (None, "Immediate", True),
        ("Graceful", "Graceful", True),
        ("Graceful", "Immediate", True),
        ("Immediate", "Immediate", True),
        ("Immediate", "Graceful", False),
        ("Graceful", None, False),
        ("Immediate", None, False),
    ],
)
def test_cancel_is_never_taken_back(
    namespace: Namespace, before: str | None, after: str | None, *, allowed: bool
) -> None:
    name = namespace.stored(merged(GOOD, {"spec": {**NEVER_STARTS, "cancel": before}}))
    answer = namespace.patch(name, {"spec": {"cancel": after}})
    if allowed:
        assert answer.wanted()["spec"]["cancel"] == after
    else:
        assert answer.status == 422, answer
        assert "cancel is never taken back: it may only go from Graceful to Immediate" in answer.message


def test_labels_and_annotations_may_change(namespace: Namespace) -> None:
    change = {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}
    namespace.patch(namespace.stored(FULL), change).wanted()


def test_an_unchanged_job_may_be_applied_again(namespace: Namespace) -> None:
    manifest = merged(FULL, {"metadata": {"generateName": None, "name": "again"}})
    namespace.stored(manifest)
    namespace.patch("again", manifest).wanted()


def test_the_status_is_changed_at_its_own_place_only(namespace: Namespace) -> None:
    name = namespace.stored(FULL)
    changed = namespace.patch(name, {"status": {"reason": "Nonsense"}}).wanted()
    assert changed["status"].get("reason") != "Nonsense"
    changed = namespace.patch(name, {"spec": {"timeout": "2h"}, "status": {"reason": "Known"}}, "status").wanted()
    assert (changed["spec"]["timeout"], changed["status"]["reason"]) == ("1h", "Known")


def test_a_status_that_nobody_wrote_can_be_replaced_under_a_test_of_the_uid(namespace: Namespace) -> None:
    """The operator's first write needs no read before it."""
    name = namespace.stored(FULL)
    uid = namespace.get(name)["metadata"]["uid"]
    status = {"phase": "Running", "attempt": 1}
    replace = {"op": "replace", "path": "/status", "value": status}
    wrong = [{"op": "test", "path": "/metadata/uid", "value": "another"}, replace]
    assert namespace.patch(name, wrong, "status", JSON_PATCH).status == 422
    right = [{"op": "test", "path": "/metadata/uid", "value": uid}, replace]
    assert namespace.patch(name, right, "status", JSON_PATCH).wanted()["status"] == status


def test_a_retry_is_recorded_once(namespace: Namespace) -> None:
    """The operator's own patch between two attempts: the API server takes it, and refuses it when it comes again."""
    name = namespace.stored(FULL)

    def patch() -> list[dict[str, Any]]:
        job = parse(namespace.get(name))
        pod = a_pod().terminated(7, report=report(7)).pod
        following = status.next_attempt(job, pod, verdict(Reason.SCRIPT_FAILED, "", 7), Retries(user=1), at(61))
        return status.status_patch(job, following, guarded=True)

    sent = patch()
    answer = namespace.patch(name, sent, "status", JSON_PATCH)
    for _ in range(4):  # whoever watches this API server may write too
        if answer.status == 422:
            sent = patch()
            answer = namespace.patch(name, sent, "status", JSON_PATCH)
    stored = answer.wanted()["status"]
    assert (stored["attempt"], stored["retries"]) == (2, {"user": 1, "infra": 0})
    assert stored["attempts"] == sent[-1]["value"]["attempts"]
    assert namespace.patch(name, sent, "status", JSON_PATCH).status == 422


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"phase": "Done"}, 'Unsupported value: "Done"'),
        ({"exitCode": "1"}, "must be of type integer"),
        ({"conditions": [{"type": "Failed", "status": "yes"}]}, 'Unsupported value: "yes"'),
        ({"startTime": "yesterday"}, "must be of type date-time"),
        ({"retries": {"user": -1}}, "should be greater than or equal to 0"),
        ({"attempts": [{"attempt": number} for number in range(1, 12)]}, "must have at most 10 items"),
        ({"attempts": [{"podName": "x"}]}, "attempt: Required value"),
    ],
)
def test_a_malformed_status_is_refused(namespace: Namespace, status: dict[str, Any], says: str) -> None:
    answer = namespace.patch(namespace.stored(FULL), {"status": status}, "status")
    assert answer.status == 422, answer
    assert says in answer.message
