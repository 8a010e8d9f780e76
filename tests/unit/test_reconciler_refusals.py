"""The reconciler when the API server refuses, changes its mind, or is away."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from cijob.errors import ApiError, ApiUnavailable
from tests.unit.builders import (
    JOB_KEY,
    PodBuilder,
    a_cijob,
    at,
    report,
)
from tests.unit.world import World

QUOTA = ApiError(403, "Forbidden", "exceeded quota: team, requested: pods=1")
DOWN = ApiUnavailable(503, "ServiceUnavailable", "apiserver is shutting down", retry_after=7.0)
RBAC = ApiError(403, "Forbidden", 'User "operator" cannot create resource "pods" in API group ""')


# --- refusals


async def test_a_full_namespace_waits_and_says_so_once() -> None:
    world = World()
    world.api.refuse("POST pod", QUOTA, times=3)

    assert await world.work() == ["POST pod", "PATCH job/status"]
    assert (world.status["phase"], world.status["reason"]) == ("Pending", "QuotaExceeded")
    assert await world.work_again(at(1)) == ["POST pod"]
    assert await world.work_again(at(2)) == ["POST pod"]
    assert world.queue.retries == pytest.approx([0.2, 0.4, 0.8])

    assert await world.work_again(at(3)) == ["POST pod"]
    world.api.kubelet(PodBuilder.running)
    assert await world.work(at(6)) == ["PATCH job/status"]
    assert "reason" not in world.status


async def test_a_rejected_pod_ends_the_job() -> None:
    world = World()
    world.api.refuse("POST pod", ApiError(403, "Forbidden", 'violates PodSecurity "baseline:latest"'))

    assert await world.work() == ["POST pod", "PATCH job/status", "POST event"]
    assert world.status["reason"] == "PodRejected"
    assert world.queue.retries == []


async def test_a_server_that_is_away_is_asked_again_when_it_wants() -> None:
    world = World()
    world.api.refuse("POST pod", DOWN)

    with capture_logs() as logs:
        assert await world.work() == ["POST pod"]

    assert world.queue.retries == [7.0]
    assert [(line["log_level"], line["error"]) for line in logs] == [("warning", "apiserver is shutting down")]
    assert await world.work_again() == ["POST pod"]
    assert len(world.api.pods) == 1


async def test_missing_rights_are_one_clear_line_each_time() -> None:
    world = World()
    world.api.refuse("POST pod", RBAC)

    with capture_logs() as logs:
        assert await world.work() == ["POST pod"]

    assert world.queue.retries == [0.2]
    assert world.status == {}
    (line,) = logs
    assert line["log_level"] == "error"
    assert "RBAC" in line["event"]
    assert "exc_info" not in line


async def test_a_refused_status_is_one_clear_line_without_a_traceback() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    world.api.refuse("PATCH job/status", ApiError(403, "Forbidden", "cannot patch resource cijobs/status"))

    with capture_logs() as logs:
        await world.work(at(3))

    assert [(line["log_level"], "exc_info" in line) for line in logs] == [("error", False)]
    assert "cannot patch resource cijobs/status" in logs[0]["error"]
    assert world.queue.retries == [0.2]
    assert await world.work_again() == ["PATCH job/status"]


async def test_a_conflict_is_retried_on_what_is_there_then() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    world.see()
    world.api.user(lambda job: job.with_meta(labels={"by": "another"}))

    await world.operator.reconcile(JOB_KEY)
    assert world.queue.retries == [0.2]
    assert world.status == {}

    assert await world.work() == ["PATCH job/status"]
    assert world.status["phase"] == "Running"
    assert world.api.jobs[JOB_KEY]["metadata"]["labels"] == {"by": "another"}
    assert world.queue._failures == {}, "success forgets the failure"


async def test_a_verdict_waits_for_a_cancel_that_came_first() -> None:
    """The verdict's patch was decided on a version that no longer is: the next decision sees the cancel."""
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(1, report=report(1)))
    world.see()
    world.api.user(lambda job: job.with_cancel("Graceful"))

    await world.operator.reconcile(JOB_KEY)
    assert world.status == {}
    world.api.kubelet(lambda pod: pod.ended("Failed"))
    await world.work(at(61))
    assert world.status["phase"] == "Cancelled"


async def test_a_verdict_whose_answer_was_lost_is_not_written_twice() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    world.api.lose_answer("PATCH job/status")

    await world.work(at(61))
    before = dict(world.status)

    assert before["phase"] == "Succeeded"
    assert await world.work_again(at(62)) == []
    assert world.status == before


async def test_a_verdict_whose_answer_was_lost_has_its_event_all_the_same() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(3, report=report(3, entry=1)))
    world.api.lose_answer("PATCH job/status")
    world.see()
    await world.operator.reconcile(JOB_KEY)
    assert world.api.events == []

    assert await world.work_again(at(61)) == ["POST event"]
    (event,) = world.api.events
    assert (event["type"], event["message"]) == ("Warning", world.status["message"])
    assert await world.work_again(at(62)) == []


async def test_a_verdict_that_did_not_land_has_its_event_when_it_does() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    world.api.refuse("PATCH job/status", ApiUnavailable(503, "ServiceUnavailable", "later"))
    assert await world.work(at(61)) == ["PATCH job/status"]
    assert world.api.events == []

    assert await world.work_again(at(62)) == ["PATCH job/status", "POST event"]


async def test_an_event_that_fails_changes_nothing() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    world.api.refuse("POST event", ApiError(403, "Forbidden", "cannot create resource events"))

    with capture_logs() as logs:
        assert await world.work(at(61)) == ["PATCH job/status", "POST event"]

    assert world.status["phase"] == "Succeeded"
    assert world.queue.retries == []
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["could not record the Event"]


async def test_an_event_that_is_there_already_is_no_trouble() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    world.api.refuse("POST event", ApiError(409, "AlreadyExists", "exists"))

    with capture_logs() as logs:
        await world.work(at(61))

    assert {line["log_level"] for line in logs} == {"info"}


async def test_a_job_that_was_deleted_meanwhile_gets_no_event() -> None:
    world = World()
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    world.see()
    world.api.remove_job()

    world.api.requests.clear()
    await world.operator.reconcile(JOB_KEY)

    assert world.api.requests == ["PATCH job/status"]
    assert world.api.events == []
    assert world.queue.retries == []


# --- specs that slipped past the API server


async def test_a_spec_that_cannot_be_read_ends_as_invalid() -> None:
    world = World(a_cijob().with_spec(image=None, script="make"))

    assert await world.work() == ["PATCH job/status", "POST event"]
    assert world.status["reason"] == "InvalidSpec"
    assert "spec.image" in world.status["message"]
    assert "spec.script" in world.status["message"]
    assert await world.work_again() == []


async def test_a_status_that_cannot_be_read_is_told_in_the_log_and_left() -> None:
    world = World(a_cijob().with_status("Dancing"))

    with capture_logs() as logs:
        assert await world.work() == []

    assert [(line["log_level"], "exc_info" in line) for line in logs] == [("error", False)]
    assert world.queue.retries == []
