"""Retries against a fake API server (a FAKE, in memory): which requests they take, and what a crash in any gap does."""

from __future__ import annotations

import pytest

from cijob import names
from cijob.errors import ApiError, ApiUnavailable
from tests.unit.builders import (
    JOB_KEY,
    JOB_NAME,
    JOB_UID,
    NAMESPACE,
    POD_KEY,
    Body,
    PodBuilder,
    a_cijob,
    a_pod,
    at,
    report,
)
from tests.unit.world import World

SECOND = names.pod_name(JOB_NAME, JOB_UID, 2)
SECOND_KEY = (NAMESPACE, SECOND)


def failed(pod: PodBuilder) -> PodBuilder:
    """The script failed; the daemon still shuts down."""
    return pod.terminated(7, report=report(7))


def over(pod: PodBuilder) -> PodBuilder:
    """The daemon has shut down too."""
    return pod.dind_terminated().ended("Failed")


async def a_failed_attempt(**settings: str) -> World:
    """A job whose first attempt has failed, with two retries; the second is recorded."""
    world = World(a_cijob().with_retry(2), **settings)
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.kubelet(failed)
    await world.work(at(61))
    return world


async def test_a_retry_costs_one_patch_before_its_post() -> None:
    world = await a_failed_attempt()
    assert world.api.requests == ["PATCH job/status"]
    assert (world.status["phase"], world.status["attempt"], world.status["retries"]) == (
        "Pending",
        2,
        {"user": 1, "infra": 0},
    )
    assert world.queue.later[-1] == 9

    world.api.kubelet(over)
    assert await world.work(at(65)) == []
    assert await world.work_again(at(69)) == []
    assert await world.work_again(at(70)) == ["POST pod"]
    assert [key[1] for key in world.api.pods] == [POD_KEY[1], SECOND]
    world.api.kubelet(PodBuilder.running)
    assert await world.work(at(73)) == ["PATCH job/status"]
    assert (world.status["phase"], world.status["podName"]) == ("Running", SECOND)
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0), finished=90))
    assert await world.work(at(91)) == ["PATCH job/status", "POST event"]
    assert (world.status["phase"], world.status["attempt"]) == ("Succeeded", 2)
    assert [(past["attempt"], past["reason"]) for past in world.status["attempts"]] == [
        (1, "ScriptFailed"),
        (2, "Completed"),
    ]
    assert len(world.api.events) == 1


async def test_the_patch_of_a_retry_is_for_this_very_job_at_this_very_version(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(a_cijob().with_retry(2))
    await world.work()
    world.api.kubelet(failed)
    patches: list[list[Body]] = []
    patch_job_status = world.api.patch_job_status

    async def noted(namespace: str, name: str, patch: list[Body]) -> Body:
        patches.append(patch)
        return await patch_job_status(namespace, name, patch)

    monkeypatch.setattr(world.api, "patch_job_status", noted)
    version = world.api.jobs[JOB_KEY]["metadata"]["resourceVersion"]
    await world.work(at(61))

    assert patches[0][:2] == [
        {"op": "test", "path": "/metadata/uid", "value": JOB_UID},
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
    ]


async def test_a_retry_whose_answer_was_lost_is_counted_once() -> None:
    world = World(a_cijob().with_retry(2))
    await world.work()
    world.api.kubelet(failed)
    world.api.lose_answer("PATCH job/status")

    await world.work(at(61))
    await world.work_again(at(62))

    assert world.status["retries"] == {"user": 1, "infra": 0}
    assert (world.status["attempt"], len(world.status["attempts"])) == (2, 1)


async def test_an_operator_that_starts_between_two_attempts_goes_on() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.start_operator()
    await world.relist()

    assert await world.work(at(65)) == []
    assert world.queue.later == [5]
    assert await world.work_again(at(70)) == ["POST pod"]


async def test_an_operator_that_lost_the_answer_of_the_second_post_makes_no_third_pod() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.lose_answer("POST pod")
    await world.work(at(70))
    world.start_operator()
    await world.relist()

    assert await world.work(at(71)) == []
    assert len(world.api.pods) == 2


async def test_the_second_pod_waits_for_the_end_of_the_first() -> None:
    world = await a_failed_attempt()

    assert await world.work_again(at(700)) == []
    world.api.kubelet(over)
    assert await world.work(at(701)) == ["POST pod"]


async def test_a_first_pod_that_was_deleted_meanwhile_keeps_nothing_waiting() -> None:
    world = await a_failed_attempt()
    world.api.remove_pod()

    assert await world.work(at(70)) == ["POST pod"]


@pytest.mark.parametrize("there", [False, True])
async def test_an_operator_whose_cache_lacks_the_first_pod_asks_for_it(*, there: bool) -> None:
    """A watch that lags, or a list that was served from an old cache."""
    world = await a_failed_attempt()
    pod = world.api.pods[POD_KEY]
    if not there:
        world.api.remove_pod()
    world.start_operator()
    await world.operator.lists.relist_jobs(None)
    world.api.told.clear()

    assert await world.work(at(70)) == (["GET pod"] if there else ["GET pod", "POST pod"])
    assert await world.work_again(at(71)) == []
    if there:
        world.api.store_pod(over(PodBuilder(pod)))
        assert await world.work(at(72)) == ["POST pod"]


@pytest.mark.parametrize("there", [False, True])
async def test_an_operator_whose_cache_lacks_a_recorded_pod_asks_before_it_calls_it_deleted(*, there: bool) -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    if not there:
        world.api.remove_pod()
    world.start_operator()
    await world.operator.lists.relist_jobs(None)
    world.api.told.clear()

    assert await world.work(at(9)) == (["GET pod"] if there else ["GET pod", "PATCH job/status"])
    assert world.status.get("reason") == (None if there else "PodDeleted")


async def test_a_pod_in_the_place_of_the_recorded_one_goes_and_the_next_attempt_waits_for_that() -> None:
    """An old leader's POST that arrived when the Pod had been deleted already."""
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.remove_pod()
    world.api.store_pod(a_pod().with_meta(uid="late").running())
    world.api.told.clear()
    world.start_operator()
    await world.relist()

    assert await world.work(at(9)) == ["DELETE pod", "GET pod", "PATCH job/status"]
    assert (world.status["attempt"], world.status["reason"]) == (2, "PodDeleted")
    assert await world.work_again(at(100)) == []
    world.api.remove_pod()
    assert await world.work(at(101)) == ["GET pod", "POST pod"]


async def test_the_end_of_a_late_pod_says_nothing_of_the_recorded_one() -> None:
    """The cache saw another Pod of that name go, and has not seen the recorded one yet."""
    world = World(a_cijob().running())
    world.see()
    late = a_pod().with_meta(uid="late").running()
    world.operator.pods.observe(late.version(150).pod)
    world.operator.pods.remove(late.version(151).pod)
    world.api.store_pod(a_pod().running())
    world.api.told.clear()

    assert await world.work(at(9)) == ["GET pod"]
    assert world.status["phase"] == "Running"


async def test_a_foreign_pod_of_the_recorded_name_is_not_taken_for_it() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.remove_pod()
    world.api.store_pod(a_pod().with_meta(uid="theirs", ownerReferences=None, labels=None))
    world.api.told.clear()
    world.start_operator()
    await world.operator.lists.relist_jobs(None)

    assert await world.work(at(9)) == ["GET pod", "PATCH job/status"]
    assert world.status["reason"] == "PodDeleted"
    assert await world.work_again(at(19)) == ["GET pod", "POST pod"]


async def test_a_pod_that_exists_but_went_before_it_could_be_read_is_made_again() -> None:
    world = World()
    world.api.refuse("POST pod", ApiError(409, "AlreadyExists", "object is being deleted: pods already exists"))

    assert await world.work() == ["POST pod", "GET pod"]
    assert world.queue.retries == [0.2]
    assert await world.work_again() == ["POST pod"]


async def test_infrastructure_trouble_ends_the_job_when_its_retries_are_used_up() -> None:
    world = World(a_cijob().with_retry(5, infraLimit=2))
    now = 0.0
    for number in range(1, 4):
        await world.work_again(at(now))
        assert len(world.api.pods) == 1
        world.api.remove_pod()
        await world.work(at(now + 1))
        now += 400
        assert world.status["attempt"] == min(number + 1, 3)

    assert (world.status["phase"], world.status["reason"]) == ("Failed", "PodDeleted")
    assert world.status["retries"] == {"user": 0, "infra": 2}


async def test_a_pod_that_never_got_to_its_job_is_stopped_before_the_next_attempt() -> None:
    world = World(a_cijob().with_retry(1))
    await world.work()
    world.api.kubelet(lambda pod: pod.dind_running().waiting("ImagePullBackOff", "not found"))
    await world.work(at(6))

    assert await world.work_again(at(122)) == ["PATCH job/status", "PATCH pod"]
    assert world.status["attempt"] == 2
    assert await world.work_again(at(200)) == []
    world.api.kubelet(lambda pod: pod.ended("Failed", "DeadlineExceeded"))
    assert await world.work(at(201)) == ["POST pod"]


async def test_a_full_namespace_holds_up_a_retry_and_counts_nothing() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.refuse("POST pod", ApiError(403, "Forbidden", "exceeded quota: team, requested: pods=1"))

    assert await world.work(at(70)) == ["POST pod", "PATCH job/status"]
    assert (world.status["phase"], world.status["reason"], world.status["attempt"]) == ("Pending", "QuotaExceeded", 2)
    assert await world.work_again(at(71)) == ["POST pod"]
    assert world.status["retries"] == {"user": 1, "infra": 0}


async def test_a_retry_that_the_cluster_refuses_is_the_end() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.refuse("POST pod", ApiError(403, "Forbidden", 'violates PodSecurity "baseline:latest"'))

    assert await world.work(at(70)) == ["POST pod", "PATCH job/status", "POST event"]
    assert (world.status["reason"], world.status["attempt"], len(world.status["attempts"])) == ("PodRejected", 2, 1)


# --- ends


@pytest.mark.parametrize("mode", ["Graceful", "Immediate"])
async def test_a_cancel_during_the_wait_ends_the_job_at_once(mode: str) -> None:
    world = await a_failed_attempt()
    world.api.user(lambda job: job.with_cancel(mode))

    assert await world.work(at(62)) == ["PATCH job/status", "POST event"]
    assert (world.status["phase"], world.status["retries"]) == ("Cancelled", {"user": 1, "infra": 0})
    world.api.kubelet(over)
    assert await world.work_again(at(700)) == []
    assert len(world.api.pods) == 1


async def at_stage(stage: str) -> World:
    """A job in any phase of its life."""
    world = World(a_cijob().with_retry(2))
    if stage == "full namespace":
        world.api.refuse("POST pod", ApiError(403, "Forbidden", "exceeded quota: team"))
    if stage != "new":
        await world.work()
    steps = {
        "pulling": lambda pod: pod.dind_running().waiting("ImagePullBackOff"),
        "running": PodBuilder.running,
        "ending": lambda pod: pod.terminated(143, report=report(143, signal="TERM")),
        "waiting for the next attempt": lambda pod: over(failed(pod)),
        "finished": lambda pod: pod.terminated(0, report=report(0)).ended("Succeeded"),
    }
    if stage in steps:
        world.api.kubelet(steps[stage])
        await world.work(at(61))
    return world


STAGES = [
    "new",
    "full namespace",
    "created",
    "pulling",
    "running",
    "ending",
    "waiting for the next attempt",
    "finished",
]


@pytest.mark.parametrize("mode", ["Graceful", "Immediate"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancel_ends_a_job_in_any_phase_and_once(stage: str, mode: str) -> None:
    world = await at_stage(stage)
    world.api.user(lambda job: job.with_cancel(mode))
    await world.work(at(62))
    if world.api.pods:  # as the kubelet carries it out
        world.api.kubelet(lambda pod: pod if pod.pod.terminal else pod.ended("Failed", "DeadlineExceeded"))
    await world.work(at(70))

    assert world.status["phase"] == ("Succeeded" if stage == "finished" else "Cancelled")
    assert all(body["status"]["phase"] in {"Succeeded", "Failed"} for body in world.api.pods.values())
    for _ in range(3):
        assert await world.work_again(at(1000)) == []
    assert len(world.api.events) == 1


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_job_deleted_in_any_phase_is_left_to_the_garbage_collector(stage: str, *, up: bool) -> None:
    world = await at_stage(stage)
    before = list(world.api.pods)
    world.api.remove_job()
    if not up:
        world.start_operator()
        await world.relist()
        world.api.told.clear()

    assert await world.work_again(at(500)) == []
    assert list(world.api.pods) == before, "no Pod came"
    for key in before:
        world.api._remove("pod", key)
    assert await world.work_again(at(501)) == []


async def test_a_cancel_that_comes_with_the_second_post_leaves_no_pod() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.lose_answer("POST pod")
    world.see()
    world.now = at(70)
    await world.operator.reconcile(JOB_KEY)
    pods = [entry for entry in world.api.told if entry[1] == "pod"]
    world.api.told.clear()
    world.api.user(lambda job: job.with_cancel("Graceful"))
    await world.work(at(71))
    assert world.status["phase"] == "Cancelled"

    world.api.told.extend(pods)
    assert await world.work(at(72)) == ["DELETE pod"]
    assert list(world.api.pods) == [POD_KEY]


async def test_a_job_deleted_between_two_attempts_gets_no_pod() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.remove_job()

    assert await world.work_again(at(70)) == []


async def test_what_is_known_of_all_attempts_is_forgotten_with_the_job() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    await world.work(at(70))
    for _ in range(2):
        world.api.remove_pod()
    world.see()
    world.api.remove_job()
    await world.work_again(at(71))

    assert [world.operator.pods.removed(key) for key in (POD_KEY, SECOND_KEY)] == [None, None]


async def test_a_time_to_live_that_ended_during_an_outage_is_kept_at_the_next_start() -> None:
    world = World(a_cijob().with_spec(ttlSecondsAfterFinished=60))
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    await world.work(at(61))
    world.start_operator()
    await world.relist()

    assert await world.work(at(100_000)) == ["DELETE job"]


async def test_a_job_that_cannot_be_read_goes_when_its_time_is_over() -> None:
    world = World(a_cijob().with_spec(image=None, ttlSecondsAfterFinished=30))
    await world.work()
    assert world.status["reason"] == "InvalidSpec"

    assert await world.work_again(at(29)) == []
    assert world.queue.later[-1] == 1
    assert await world.work_again(at(30)) == ["DELETE job"]


async def test_a_silent_node_is_given_up_if_who_runs_the_operator_says_so() -> None:
    world = World(ON_NODE_LOST="Retry", NODE_LOST_GRACE_SECONDS="300")
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.kubelet(lambda pod: pod.being_deleted(50, 60).disrupted("DeletionByTaintManager"))

    assert await world.work(at(51)) == []
    assert world.queue.later[-1] == 359
    assert await world.work_again(at(410)) == ["PATCH job/status"]
    assert world.status["reason"] == "NodeLost"
    assert await world.work_again(at(420)) == ["POST pod"]


# --- what the API server asks for


async def test_a_server_that_asks_for_patience_between_attempts_gets_it() -> None:
    world = await a_failed_attempt()
    world.api.kubelet(over)
    world.api.refuse("POST pod", ApiUnavailable(429, "TooManyRequests", "slow down", retry_after=30.0))

    assert await world.work(at(70)) == ["POST pod"]
    assert world.queue.retries == [30.0]
