"""How CiJobs look from outside: names, columns, selectors, documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cijob.models import Phase
from tests.bad_manifests import GOOD, merged
from tests.integration.api import CIJOBS, TABLE, descriptions, served_schema

if TYPE_CHECKING:
    from tests.integration.api import Api, Namespace

FINISHED: dict[str, Any] = {
    "phase": "Failed",
    "reason": "ScriptFailed",
    "exitCode": 7,
    "attempt": 1,
    "podName": "a-12345678",
    "nodeName": "node1",
    "startTime": "2026-01-31T12:00:00Z",
    "completionTime": "2026-01-31T12:01:00Z",
}


def a_finished_job(namespace: Namespace, **status: object) -> str:
    """Name of a CiJob with a status that no operator wrote, nor will change: it is final."""
    name = namespace.stored(merged(GOOD, {"spec": {"cancel": "Immediate"}}))
    change = [{"op": "replace", "path": "/status", "value": FINISHED | status}]
    namespace.patch(name, change, "status", "application/json-patch+json").wanted()
    return name


def test_it_has_a_short_name_and_a_category(api: Api) -> None:
    resources = {resource["name"]: resource for resource in api.call("GET", CIJOBS).wanted()["resources"]}
    assert resources["cijobs"]["shortNames"] == ["cij"]
    assert resources["cijobs"]["categories"] == ["ci"]
    assert resources["cijobs"]["namespaced"]
    assert "cijobs/status" in resources


def test_columns_show_how_it_ended(namespace: Namespace) -> None:
    name = a_finished_job(namespace)
    table = namespace.list(TABLE)
    (row,) = table["rows"]
    cells = dict(zip((column["name"] for column in table["columnDefinitions"]), row["cells"], strict=True))
    for column in ("Age", "Started", "Finished"):
        assert cells.pop(column), column
    assert cells == {
        "Name": name,
        "Phase": "Failed",
        "Reason": "ScriptFailed",
        "Exit": 7,
        "Attempt": 1,
        "Pool": "default",
        "Pod": "a-12345678",
        "Node": "node1",
    }


def test_the_wide_columns_are_apart(namespace: Namespace) -> None:
    columns = namespace.list(TABLE)["columnDefinitions"]
    narrow = [column["name"] for column in columns if not column["priority"]]
    wide = [column["name"] for column in columns if column["priority"]]
    assert narrow == ["Name", "Phase", "Reason", "Exit", "Attempt", "Pool", "Age"]
    assert wide == ["Pod", "Node", "Started", "Finished"]


def test_a_new_job_reads_as_pending(namespace: Namespace) -> None:
    created = namespace.create(GOOD).wanted()
    assert created["status"] == {"phase": "Pending"}
    assert created["spec"]["poolName"] == "default"
    assert created["spec"]["workingDir"] == "/workspace"


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.finished])
def test_jobs_are_selected_by_phase(namespace: Namespace, phase: Phase) -> None:
    names = {one: a_finished_job(namespace, phase=str(one)) for one in Phase if one.finished}
    found = namespace.list(fieldSelector=f"status.phase={phase}")["items"]
    assert [job["metadata"]["name"] for job in found] == [names[phase]]


def test_jobs_are_selected_by_pool(namespace: Namespace) -> None:
    name = a_finished_job(namespace)
    found = namespace.list(fieldSelector="spec.poolName=default")["items"]
    assert [job["metadata"]["name"] for job in found] == [name]
    assert namespace.list(fieldSelector="spec.poolName!=default")["items"] == []


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_documented(api: Api, part: str) -> None:
    """What `kubectl explain` prints."""
    served = descriptions(served_schema(api)[part])
    assert len(served) > 10
    assert [path for path, text in served.items() if len(text) < 10 or not text.endswith(".")] == []
