"""The reconciler against a fake API server: which requests it makes in a job's life."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from cijob import names
from cijob.actions import Decision
from cijob.errors import ApiConflict, ApiNotFound
from cijob.observation import observe_pod
from cijob.parsing import parse
from tests.unit.builders import (
    JOB_KEY,
    POD_KEY,
    POD_NAME,
    Body,
    PodBuilder,
    a_cijob,
    a_pod,
    at,
    report,
)
from tests.unit.world import World

# --- the happy case


async def test_a_successful_job_takes_four_writes_and_no_read() -> None:
    world = World()

    assert await world.work() == ["POST pod"]
    world.api.kubelet(PodBuilder.started)
    assert await world.work(at(1)) == []
    world.api.kubelet(PodBuilder.dind_running)
    assert await world.work(at(2)) == []
    world.api.kubelet(PodBuilder.running)
    assert await world.work(at(3)) == ["PATCH job/status"]
    assert world.status["phase"] == "Running"
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    assert await world.work(at(61)) == ["PATCH job/status", "POST event"]
    assert (world.status["phase"], world.status["exitCode"]) == ("Succeeded", 0)
    world.api.kubelet(lambda pod: pod.dind_terminated(0).ended("Succeeded"))
    assert await world.work(at(70)) == []
    assert [event["reason"] for event in world.api.events] == ["Completed"]


async def test_the_pods_of_a_running_job_are_not_asked_for_after_a_restart_of_the_operator() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))

    world.start_operator()
    await world.operator.lists.relist_jobs(None)
    pods, version = await world.api.list_pods(None)
    world.operator.pods.replace(map(observe_pod, pods), version)
    assert world.queue.keys == [JOB_KEY]

    assert await world.work(at(4)) == []


async def test_nothing_is_patched_when_nothing_changed() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))

    for _ in range(3):
        assert await world.work_again(at(30)) == []


async def test_a_status_that_is_there_already_is_not_written() -> None:
    world = World(a_cijob().running())
    job = world.api.jobs[JOB_KEY]

    await world.operator.recorder.write(JOB_KEY, parse(job), Decision(status=parse(job).status))

    assert world.api.requests == []


async def test_the_answer_of_a_write_enters_the_cache_before_the_watch_tells() -> None:
    world = World()
    world.see()

    await world.operator.reconcile(JOB_KEY)
    await world.operator.reconcile(JOB_KEY)

    assert world.api.requests == ["POST pod"], "a second one would have been refused, at the price of a read"
    assert world.operator.pods.get(POD_KEY) is not None


async def test_a_slow_pod_is_looked_at_and_told_once() -> None:
    world = World()
    await world.work()
    assert world.queue.later == [5.0]

    world.api.kubelet(lambda pod: pod.dind_running().waiting("ImagePullBackOff", "not found"))
    assert await world.work(at(4)) == []
    assert await world.work_again(at(5)) == ["PATCH job/status"]
    assert (world.status["phase"], world.status["reason"]) == ("Starting", "PullingImage")
    assert await world.work_again(at(60)) == []
    assert await world.work_again(at(122)) == ["PATCH job/status", "POST event", "PATCH pod"]
    assert world.status["reason"] == "ImagePullFailed"


# --- a Pod that is there already


async def test_a_lost_answer_makes_no_second_pod() -> None:
    world = World()
    world.api.lose_answer("POST pod")

    assert await world.work() == ["POST pod"]
    assert world.queue.retries == [0.2]
    assert len(world.api.pods) == 1


async def test_a_pod_that_the_cache_does_not_know_is_adopted() -> None:
    world = World()
    world.see()
    world.api.lose_answer("POST pod")
    await world.operator.reconcile(JOB_KEY)
    world.api.requests.clear()

    await world.operator.reconcile(JOB_KEY)

    assert world.api.requests == ["POST pod", "GET pod"]
    assert len(world.api.pods) == 1
    assert world.operator.pods.get(POD_KEY) is not None
    assert world.queue.retries == [0.2], "adopting is no failure"


async def test_an_adopted_pod_is_decided_on_as_it_is() -> None:
    """One step at a time: first the status, then the stop."""
    world = World()
    world.see()
    world.api.store_pod(a_pod().running().dind_restarted(2))
    world.api.told.clear()

    assert await world.work(at(40)) == ["POST pod", "GET pod", "PATCH job/status", "PATCH pod"]
    assert world.api.pods[POD_KEY]["metadata"]["annotations"][names.ANNOTATION_STOP] == "DaemonLost"


async def test_a_foreign_pod_of_the_name_is_left_alone() -> None:
    world = World()
    world.api.store_pod(a_pod().of_another_job())
    world.api.told.pop()

    assert await world.work() == ["POST pod", "GET pod", "PATCH job/status", "POST event"]
    assert world.status["reason"] == "PodNameConflict"
    assert await world.work_again(at(50)) == []


async def test_a_webhook_that_strips_the_sidecar_ends_the_job_and_its_pod() -> None:
    def strip(pod: Body) -> Body:
        for container in pod["spec"]["initContainers"]:
            del container["restartPolicy"]
        return pod

    world = World()
    world.api.webhook = strip

    assert await world.work() == ["POST pod", "PATCH job/status", "POST event", "DELETE pod"]
    assert world.status["reason"] == "PodRejected"
    assert "restartPolicy" in world.status["message"]
    assert world.api.pods == {}


# --- the end of Pods and jobs


async def test_a_cancelled_job_stops_its_pod_by_one_patch() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))

    world.api.user(lambda job: job.with_cancel("Immediate"))
    assert await world.work(at(30)) == ["PATCH pod"]
    pod = world.api.pods[POD_KEY]
    assert pod["metadata"]["annotations"][names.ANNOTATION_STOP] == "Immediate"
    assert pod["spec"]["activeDeadlineSeconds"] == 31
    assert "cijob.dev/launcher-script" in pod["metadata"]["annotations"], "the others stay"

    world.api.kubelet(lambda pod: pod.terminated(143).ended("Failed", "DeadlineExceeded"))
    assert await world.work(at(32)) == ["PATCH job/status", "POST event"]
    assert world.status["phase"] == "Cancelled"


async def test_a_job_cancelled_while_its_creation_is_unanswered_leaves_no_pod() -> None:
    world = World()
    world.see()
    world.api.lose_answer("POST pod")
    await world.operator.reconcile(JOB_KEY)
    world.api.told.clear()
    world.api.user(lambda job: job.with_cancel("Graceful"))

    await world.work(at(1))
    assert world.status["phase"] == "Cancelled"
    world.api.kubelet(lambda pod: pod.with_meta(labels=pod.body["metadata"]["labels"]))
    assert await world.work(at(2)) == ["DELETE pod"]
    assert world.api.pods == {}


async def test_a_pod_that_goes_while_it_is_stopped_is_gone() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.remove_pod()
    world.api.told.clear()
    world.api.user(lambda job: job.with_cancel("Graceful"))

    await world.work(at(30))
    await world.work_again(at(31))

    assert world.status["phase"] == "Cancelled"


async def test_a_deleted_pod_ends_its_job_and_is_never_made_again() -> None:
    world = World(a_cijob().with_retry(infraLimit=0))
    await world.work()
    world.api.remove_pod()

    assert await world.work(at(9)) == ["PATCH job/status", "POST event"]
    assert world.status["reason"] == "PodDeleted"
    assert await world.work_again(at(10)) == []
    assert world.api.pods == {}


async def test_a_finished_job_is_deleted_when_its_time_is_over() -> None:
    world = World(a_cijob().with_spec(ttlSecondsAfterFinished=60))
    await world.work()
    world.api.kubelet(lambda pod: pod.terminated(0, report=report(0)))
    await world.work(at(61))
    assert world.queue.later[-1] == 60

    assert await world.work_again(at(120)) == []
    assert await world.work_again(at(121)) == ["DELETE job"]
    assert world.api.jobs == {}


async def test_a_job_deleted_twice_is_no_trouble() -> None:
    world = World(a_cijob().finished("Succeeded", "Completed", 0).with_spec(ttlSecondsAfterFinished=0))
    world.api.refuse("DELETE job", ApiNotFound(404, "NotFound", "gone"))

    assert await world.work(at(1)) == ["DELETE job"]
    assert world.queue.retries == []


async def test_another_job_of_the_name_is_not_deleted() -> None:
    world = World(a_cijob().finished("Succeeded", "Completed", 0).with_spec(ttlSecondsAfterFinished=0))
    world.see()
    world.api.jobs[JOB_KEY]["metadata"]["uid"] = "another"

    await world.operator.reconcile(JOB_KEY)

    assert JOB_KEY in world.api.jobs


async def test_what_is_known_of_a_deleted_job_is_forgotten_with_it() -> None:
    world = World()
    await world.work()
    world.api.remove_pod()
    world.see()
    assert world.operator.pods.removed(POD_KEY) is not None

    world.api.remove_job()
    await world.work()

    assert world.operator.pods.removed(POD_KEY) is None


async def test_every_line_names_its_job_and_attempt() -> None:
    world = World()

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await world.work()

    assert logs == [
        {
            "event": "created the Pod",
            "log_level": "info",
            "pod": POD_NAME,
            "job": "team-a/build-42",
            "attempt": 1,
        }
    ]


async def test_a_failed_precondition_of_a_stop_is_retried() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.user(lambda job: job.with_cancel("Graceful"))
    world.api.refuse(
        "PATCH pod", ApiConflict(422, "Invalid", "the server rejected our request due to an error in our request")
    )

    assert await world.work(at(30)) == ["PATCH pod"]
    assert world.queue.retries == [0.2]
    assert await world.work_again(at(31)) == ["PATCH pod"]
