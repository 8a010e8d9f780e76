"""What the operator counts: each metric from what happens, and no label whose values a user chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cijob.metrics import NO_POOL
from tests.unit.builders import at, report
from tests.unit.metrics_world import TIGHT, MetricsWorld, a_bit_of_everything, exported

if TYPE_CHECKING:
    from tests.unit.builders import PodBuilder

#: All labels there are. Who adds one makes sure that nobody but an administrator, or this code, chooses its values.
LABELS = {
    "pool", "outcome", "reason", "cause", "decision", "verb", "code", "stage", "resource", "version", "le",
}  # fmt: skip


def started(pod: PodBuilder) -> PodBuilder:
    return pod.started(1).dind_running(2).running(5)


async def test_a_job_that_succeeds_is_counted_once_with_its_times() -> None:
    world = MetricsWorld()
    await world.create()
    await world.kubelet(started, 6)
    assert world.value("cijob_pod_startup_seconds_sum", pool="default") == 5, "told before its end"
    await world.kubelet(lambda pod: pod.terminated(0, report=report(0), finished=60), 61.5)
    await world.kubelet(lambda pod: pod.ended("Succeeded"), 63)

    done = {"pool": "default", "outcome": "Succeeded", "reason": "Completed"}
    assert world.value("cijob_jobs_finished_total", **done) == 1
    assert world.value("cijob_attempts_finished_total", pool="default", cause="none", reason="Completed") == 1
    for metric in ("pod_startup", "pod_creation_delay", "verdict_delay", "job_run", "queue_wait"):
        assert world.value(f"cijob_{metric}_seconds_count", pool="default") == 1, metric
    assert world.value("cijob_verdict_delay_seconds_sum", pool="default") == 1.5
    stages = {stage: world.value("cijob_pod_startup_stage_seconds_sum", pool="default", stage=stage)
              for stage in ("node", "daemon", "job")}  # fmt: skip
    assert stages == {"node": 1, "daemon": 1, "job": 3}


async def test_a_job_too_short_to_be_seen_running_has_the_same_times() -> None:
    world = MetricsWorld()
    await world.create()
    await world.kubelet(lambda pod: started(pod).terminated(0, report=report(0), finished=6), 7)

    assert world.value("cijob_pod_startup_seconds_count", pool="default") == 1
    assert world.value("cijob_verdict_delay_seconds_sum", pool="default") == 1


async def test_an_attempt_that_is_repeated_counts_as_an_attempt_and_not_as_a_job() -> None:
    world = MetricsWorld()
    await world.create()
    await world.kubelet(lambda pod: started(pod).disrupted("DeletionByTaintManager").ended("Failed"), 20)

    infrastructure = [
        labels for name, labels in exported(world.scrape()).items() if name == "cijob_attempts_finished_total"
    ]
    assert [labels["cause"] for labels in infrastructure] == [{"infrastructure"}]
    assert "cijob_jobs_finished_total" not in exported(world.scrape())


async def test_turns_are_counted_and_pools_are_told_as_they_are() -> None:
    world = MetricsWorld(**TIGHT)
    for name in ("one", "two", "three"):
        await world.create(name)

    turns = {
        what: world.value("cijob_admissions_total", pool="default", decision=what) for what in ("queued", "admitted")
    }
    assert turns == {"queued": 3, "admitted": 1}
    pool = {name: world.value(f"cijob_pool_{name}", pool="default")
            for name in ("running", "capacity", "namespace_capacity", "queued", "held")}  # fmt: skip
    assert pool == {"running": 1, "capacity": 1, "namespace_capacity": 1, "queued": 2, "held": 0}
    oldest = world.value("cijob_pool_oldest_queued_timestamp_seconds", pool="default")
    assert oldest == at(0).timestamp()


async def test_a_follower_tells_nothing_of_pools_so_that_nothing_is_told_twice() -> None:
    world = MetricsWorld(**TIGHT)
    world.operator.decides = False

    assert world.value("cijob_leader") == 0
    assert not any(name.startswith("cijob_pool_") for name in exported(world.scrape()))


async def test_pools_without_limits_have_no_series_for_them() -> None:
    world = MetricsWorld()
    assert world.value("cijob_pool_capacity", pool="default") is None
    assert world.value("cijob_pool_running", pool="default") is not None


async def test_names_of_pools_that_are_not_there_are_no_labels() -> None:
    world = MetricsWorld()
    for name in ("a", "b", "c"):
        await world.create(name, poolName=f"no-such-{name}")
    await world.create("d", poolName="no-such-d", cancel="Graceful")

    assert "no-such" not in world.scrape()
    assert world.value("cijob_pool_queued", pool=NO_POOL) == 3
    cancelled = {"outcome": "Cancelled", "reason": "Cancelled"}
    assert world.value("cijob_jobs_finished_total", pool=NO_POOL, **cancelled) == 1


async def test_no_label_has_values_that_users_choose() -> None:
    world = await a_bit_of_everything()
    ours = {name: labels for name, labels in exported(world.scrape()).items() if name.startswith("cijob_")}
    assert {label for labels in ours.values() for label in labels} <= LABELS


@pytest.mark.parametrize(
    ("status", "code"), [(200, "2xx"), (409, "4xx"), (429, "429"), (500, "5xx"), (503, "5xx"), (0, "none")]
)
def test_answers_are_counted_by_class_and_throttling_by_itself(status: int, code: str) -> None:
    world = MetricsWorld()
    world.metrics._answered("GET", status, 0.1)
    assert world.value("cijob_api_requests_total", verb="GET", code=code) == 1


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    body, content_type = MetricsWorld().metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
