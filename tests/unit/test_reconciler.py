"""The reconciler against a fake API server: which requests it makes, and how it gets over their failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.testing import capture_logs

from cijob import names
from cijob.decisions import Decision
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from cijob.observation import observe_pod
from cijob.parsing import parse
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit.builders import (
    JOB_KEY,
    NAMESPACE,
    POD_KEY,
    POD_NAME,
    Body,
    CiJobBuilder,
    PodBuilder,
    a_cijob,
    a_pod,
    at,
    report,
)
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.cache import Key

QUOTA = ApiError(403, "Forbidden", "exceeded quota: team, requested: pods=1")
DOWN = ApiUnavailable(503, "ServiceUnavailable", "apiserver is shutting down", retry_after=7.0)
RBAC = ApiError(403, "Forbidden", 'User "operator" cannot create resource "pods" in API group ""')


class FakeQueue(WorkQueue):
    """A FAKE: notes what is to be done, and when, instead of doing it."""

    def __init__(self) -> None:
        super().__init__(jitter=lambda: 1.0)
        self.keys: list[Key] = []
        self.later: list[float] = []
        self.retries: list[float] = []

    def add(self, key: Key) -> None:
        """To be done soon."""
        self.keys.append(key)

    def add_in(self, key: Key, seconds: float) -> None:  # noqa: ARG002  one key in all tests
        """To be done later."""
        self.later.append(seconds)

    def retry(self, key: Key, at_least: float = 0.0) -> float:
        """To be done again."""
        delay = super().retry(key, at_least)
        self.retries.append(self.later.pop())
        return delay


class World:
    """A fake API server, an operator, and a clock that a test turns."""

    def __init__(self, job: CiJobBuilder | None = None) -> None:
        self.api = FakeCluster()
        self.now = at(0)
        self.start_operator()
        self.api.store_job(job or a_cijob())

    def start_operator(self) -> None:
        """An operator that knows nothing, in the place of the one before."""
        self.queue = FakeQueue()
        self.operator = Reconciler(self.api, self.queue, Settings(), lambda: self.now)

    def see(self) -> None:
        """The watches tell the operator all that happened since, in order."""
        for kind, of, body in self.api.told:
            if of == "job":
                jobs = self.operator.jobs
                news = jobs.remove(body) if kind == "DELETED" else jobs.observe(body)
            else:
                pods, pod = self.operator.pods, observe_pod(body)
                news = pods.remove(pod) if kind == "DELETED" else pods.observe(pod)
            if news:
                self.queue.add(JOB_KEY)
        self.api.told.clear()

    async def work(self, now: datetime | None = None) -> list[str]:
        """See what happened and work until nothing is left to do; the requests that took."""
        self.now = now or self.now
        self.api.requests.clear()
        self.see()
        for _ in range(20):
            if not self.queue.keys:
                return self.api.requests
            self.queue.keys.clear()
            await self.operator.reconcile(JOB_KEY)
            self.see()
        raise AssertionError("it never comes to rest")

    async def work_again(self, now: datetime | None = None) -> list[str]:
        """The time of a retry or of a second look has come."""
        self.queue.keys.append(JOB_KEY)
        return await self.work(now)

    @property
    def status(self) -> Body:
        """The status as it is stored."""
        status: Body = self.api.jobs[JOB_KEY].get("status", {})
        return status


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
    await world.operator.relist_jobs(None)
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

    await world.operator._write_status(JOB_KEY, parse(job), Decision(status=parse(job).status))

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
    world = World()
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


# --- lists


async def test_a_relist_finds_what_the_watch_missed() -> None:
    world = World()
    world.api.told.clear()

    await world.operator.relist_jobs(None)
    assert world.queue.keys == [JOB_KEY]
    world.queue.keys.clear()
    await world.operator.relist_jobs(None)
    assert world.queue.keys == [], "no news the second time"


async def test_a_deletion_seen_only_by_a_relist_is_confirmed() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.told.clear()
    world.api.requests.clear()

    await world.operator.relist_jobs(None)

    assert world.api.requests == ["LIST job", "GET job"]
    assert world.operator.jobs.get(JOB_KEY) is None
    assert world.queue.keys == [JOB_KEY]


async def test_a_list_that_lacks_what_is_there_removes_nothing() -> None:
    world = World()
    await world.work()
    stored = world.api.jobs.pop(JOB_KEY)
    listing = world.api.list_jobs

    async def stale(namespace: str | None) -> tuple[list[Body], int]:
        answer = await listing(namespace)
        world.api.jobs[JOB_KEY] = stored
        return answer

    world.api.list_jobs = stale  # type: ignore[method-assign]  # a server that answers wrongly once
    await world.operator.relist_jobs(None)

    assert world.operator.jobs.get(JOB_KEY) is not None


async def test_a_job_made_anew_under_its_name_is_another() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.store_job(a_cijob().with_meta(uid="another"))
    world.api.told.clear()

    await world.operator.relist_jobs(None)

    body = world.operator.jobs.get(JOB_KEY)
    assert body is not None
    assert body["metadata"]["uid"] == "another"


async def test_a_relist_that_breaks_off_does_not_lose_its_news() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.store_job(a_cijob().with_meta(name="newer", uid="another"))
    world.api.told.clear()
    world.api.refuse("GET job", DOWN)

    with pytest.raises(ApiUnavailable):
        await world.operator.relist_jobs(None)

    assert world.queue.keys == [(NAMESPACE, "newer")]


async def test_a_relist_of_one_namespace_says_nothing_of_others() -> None:
    world = World()
    await world.work()
    world.api.requests.clear()

    await world.operator.relist_jobs("team-b")

    assert world.api.requests == ["LIST job"]
    assert world.operator.jobs.get(JOB_KEY) is not None


@pytest.mark.parametrize("uid", [None, "another"])
async def test_a_pod_that_a_list_lacks_is_asked_for(uid: str | None) -> None:
    world = World()
    await world.work()
    pod = world.operator.pods.get(POD_KEY)
    assert pod is not None
    world.api.remove_pod()
    if uid is not None:
        world.api.store_pod(a_pod().with_meta(uid=uid))

    assert await world.operator.confirm_pod_gone(pod)
    found = world.operator.pods.get(POD_KEY)
    assert (found.uid if found else None) == uid


async def test_a_pod_that_is_still_there_stays() -> None:
    world = World()
    await world.work()
    pod = world.operator.pods.get(POD_KEY)
    assert pod is not None

    assert not await world.operator.confirm_pod_gone(pod)
    assert world.operator.pods.get(POD_KEY) == pod


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
    world.api.refuse("PATCH pod", ApiConflict(422, "Invalid", "testing path /metadata/uid failed"))

    assert await world.work(at(30)) == ["PATCH pod"]
    assert world.queue.retries == [0.2]
    assert await world.work_again(at(31)) == ["PATCH pod"]
