"""What the sweep holds against the operator, and how it counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.api import Api
from tests.faults.kubelet import Kubelet
from tests.faults.process import Operator
from tests.faults.sweep import Result, table, tally, untruthful
from tests.faults.upstream import Upstream

if TYPE_CHECKING:
    from pathlib import Path


async def nothing() -> None:
    """Bury nobody."""


def result(kind: str, *problems: str, struck: bool = True, extra: int = 0) -> Result:
    return Result("success", "answers", kind, "1. POST pods", struck, 2.0, extra, problems)


def test_only_faults_that_happened_count_as_tried() -> None:
    results = [
        result("cut", extra=1),
        result("cut", "no end after 60 s"),
        result("late", "it ended by itself with 1", struck=False),
        result("late"),
    ]
    summary = tally(results)

    assert (summary["tried"], summary["survived"], summary["most_extra_writes"]) == (3, 2, 1)
    assert summary["kinds"] == {
        "cut": {"tried": 2, "survived": 1, "did_not_happen": 0},
        "late": {"tried": 1, "survived": 1, "did_not_happen": 1},
    }
    assert [one["problems"] for one in summary["failures"]] == [
        ("no end after 60 s",),
        ("it ended by itself with 1",),
    ]
    assert json.loads(json.dumps(summary))["survived"] == 2
    assert table(summary).splitlines()[1].split() == ["cut", "2", "1", "0"]


@pytest.mark.parametrize(
    ("phase", "spec", "lie"),
    [
        ("Cancelled", {"cancel": "Graceful"}, None),
        ("Failed", {}, None),
        ("Failed", {"cancel": "Graceful"}, "the verdict Failed was stored on a CiJob with cancel: Graceful"),
        ("Cancelled", {}, "the verdict Cancelled was stored on a CiJob that nobody cancelled"),
    ],
)
def test_a_verdict_is_held_against_the_version_that_it_was_stored_on(
    phase: str, spec: dict[str, Any], lie: str | None
) -> None:
    assert untruthful({"spec": spec, "status": {"phase": phase}}) == lie


def test_errors_and_tracebacks_in_the_log_are_complaints_and_each_is_told_once(tmp_path: Path) -> None:
    operator = Operator("http://127.0.0.1:1", "a", tmp_path, nothing)
    operator.crashes.append(1)
    lines = [
        json.dumps({"level": "info", "event": "created the Pod"}),
        json.dumps({"level": "warning", "event": "trying again"}),
        json.dumps({"level": "error", "event": "refused"}),
        json.dumps({"level": "info", "event": "odd", "exception": [{"exc_value": "bad"}]}),
        json.dumps({"level": "error", "event": "this process must not lead any longer and ends at once"}),
        "Traceback (most recent call last):",
    ]
    operator.log.write_text("\n".join(lines) + "\n")

    assert operator.complaints() == [
        "it ended by itself with 1",
        "level=error event=refused",
        "level=info event=odd bad",
        "Traceback (most recent call last):",
    ]
    with operator.log.open("a") as log:
        log.write(json.dumps({"level": "critical", "event": "worse"}) + "\n")
    assert operator.complaints() == ["level=critical event=worse"]


async def test_pods_of_a_pool_that_live_at_once_are_counted_whoever_owns_them() -> None:
    kubelet = Kubelet(Api(Upstream("http://127.0.0.1:1")))
    for uid, pool, phase in (
        ("1", "a", "Pending"),
        ("2", "a", "Running"),
        ("3", "b", "Running"),
        ("1", "a", "Failed"),
        ("4", "a", "Pending"),
    ):
        labels = {"cijob.dev/pool": pool}
        owners = [{"uid": f"job-{uid}", "controller": True}]
        kubelet._count(
            "MODIFIED",
            {
                "metadata": {"uid": uid, "name": uid, "labels": labels, "ownerReferences": owners},
                "status": {"phase": phase},
            },
        )

    assert (kubelet.most_in_pool, max(kubelet.most_alive.values())) == ({"a": 2, "b": 1}, 1)
