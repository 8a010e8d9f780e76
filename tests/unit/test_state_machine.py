"""Anything in any order: a state machine over the core, the reconciler and a model of the API server (a FAKE, in memory).

Pods move, stop, vanish; watch events come late, twice or never; requests fail, or succeed and lose their answer; the
operator dies before or after any write; requests of a leader that lost its place arrive late; the clock jumps. After every
step the promises of docs/architecture.md hold, and when all calms down the CiJob ends and leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cijob import names
from cijob.errors import ApiConflict, ApiError, ApiUnavailable
from cijob.models import Phase
from cijob.observation import observe_pod
from cijob.policies.attempts import alive
from cijob.reasons import INFRASTRUCTURE
from tests.unit.builders import JOB_KEY, JOB_UID, T0, Body, CiJobBuilder, PodBuilder, a_cijob, a_pod, report
from tests.unit.fake_cluster import FakeCluster
from tests.unit.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cijob.cache import Key
    from cijob.observation import ObservedPod

INFRA = {str(reason) for reason in INFRASTRUCTURE}
FAILURES = [
    ApiUnavailable(0, "", "connection reset"),
    ApiUnavailable(429, "TooManyRequests", "slow down", retry_after=1.0),
    ApiUnavailable(500, "InternalError", "etcdserver: request timed out"),
    ApiConflict(409, "Conflict", "please apply your changes"),
    ApiError(403, "Forbidden", "exceeded quota: team"),
]
WRITES = ["POST pod", "PATCH job/status", "PATCH pod", "DELETE pod", "DELETE job", "POST event"]


#: The Pod of another team's job, which has the pool's only place until it ends.
RIVAL = ("team-b", "rival")
POOLS: dict[str, dict[str, Any]] = {
    "one place": {"capacity": {"running": 1}},
    "no limit": {},
    "held": {"capacity": {"running": 1}, "stopPolicy": "Hold"},
    "drained": {"stopPolicy": "HoldAndDrain"},
}
LATE = report(125, part="services", entry=0, service="db")
STEPS: dict[str, Callable[[PodBuilder, float], PodBuilder]] = {
    "start": lambda pod, _: pod,
    "daemon": lambda pod, now: pod.dind_running(now),
    "pull": lambda pod, _: pod if pod.pod.job.running_since else pod.waiting("ImagePullBackOff"),
    "run": lambda pod, now: pod.dind_running(now).running(now),
    "daemon dies": lambda pod, now: pod.dind_restarted(2, finished=now),
    "succeed": lambda pod, now: pod.terminated(0, report=report(0), finished=now),
    "fail": lambda pod, now: pod.terminated(7, report=report(7), finished=now),
    "killed": lambda pod, now: pod.terminated(143, report=report(143, signal="TERM"), finished=now),
    "checkout fails": lambda pod, now: pod if pod.pod.job.running_since else pod.git_ended(1, "fatal", finished=now),
    "service is late": lambda pod, now: pod.terminated(125, report=LATE, finished=now),
}
ENDS = {
    "end": ("Failed", ""),
    "evicted": ("Failed", ""),
    "deadline": ("Failed", "DeadlineExceeded"),
}


class Crashed(Exception):
    """The operator's process is gone."""


@dataclass
class Model(FakeCluster):
    """A FAKE API server that can take the operator down at a write, and that checks each of its writes."""

    world: World
    #: The operator dies at its next write: before the write is carried out, or after it.
    crash: str = ""
    #: What the operator asked to be created, for a request that arrives again, late.
    posted: list[Body] = field(default_factory=list)
    #: UIDs of Pods that came from late requests.
    late: set[str] = field(default_factory=set)
    stored_statuses: Counter[int] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    #: Whether the pool was ever without a limit: the operator may not know yet that it has one.
    unlimited: bool = False
    #: A list of Pods as it was, and whether the next list is that one.
    old_list: tuple[list[Body], int] = ([], 1)
    stale: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.clock = lambda: self.world.now

    def _ask(self, request: str) -> ApiError | None:
        if request in WRITES and self.crash == "before":
            self.crash = ""
            raise Crashed
        return super()._ask(request)

    def _carried_out(self) -> None:
        if self.crash == "after":
            self.crash = ""
            raise Crashed

    @contextlib.contextmanager
    def without_faults(self) -> Iterator[None]:
        """What others than the operator ask for."""
        arranged, self._errors = self._errors, {}
        yield
        self._errors = arranged

    def job(self) -> Body | None:
        """The CiJob as it is stored."""
        return self.jobs.get(JOB_KEY)

    def living(self) -> list[ObservedPod]:
        """Pods that may do something, as far as the operator may know of them."""
        pods = [observe_pod(body) for key, body in self.pods.items() if key != RIVAL]
        return [pod for pod in alive(pods, self.world.settings, self.world.now) if pod.uid not in self.late]

    async def create_pod(self, manifest: Body) -> Body:
        """The promises about attempts, at the very moment of a POST."""
        self.posted.append(manifest)
        attempt = int(manifest["metadata"]["labels"][names.LABEL_ATTEMPT])
        job = self.job()
        if job is not None:
            status = job.get("status", {})
            assert attempt == (status.get("attempt") or 1), "an attempt is recorded before its Pod is created"
            assert not status.get("podUID"), "a Pod that was recorded is never created again"
            assert not Phase(status.get("phase", "Pending")).finished, "nothing is created after the end"
        assert RIVAL not in self.pods or self.unlimited, "never over capacity"
        others = [pod for pod in self.living() if pod.name != manifest["metadata"]["name"]]
        assert others == [], "never two live Pods"
        created = await super().create_pod(manifest)
        self._carried_out()
        return created

    async def list_pods(self, namespace: str | None) -> tuple[list[Body], int]:
        """All Pods, or those of some time ago."""
        answer = await super().list_pods(namespace)
        if self.stale:
            self.stale = False
            return copy.deepcopy(self.old_list)
        return answer

    def remember_pods(self) -> None:
        """What an old list will show."""
        self.old_list = copy.deepcopy(list(self.pods.values())), self._version

    async def patch_job_status(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Count what is stored."""
        before = self.jobs.get((namespace, name))
        try:
            return await super().patch_job_status(namespace, name, patch)
        finally:
            after = self.jobs.get((namespace, name))
            if before is not None and after is not None and before.get("status") != after.get("status"):
                self.stored_statuses[(before.get("status") or {}).get("attempt") or 1] += 1
                self._carried_out()

    async def patch_pod(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Count stops."""
        answer = await super().patch_pod(namespace, name, patch)
        self.stops[answer["metadata"]["uid"]] += 1
        self._carried_out()
        return answer

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """It may be the last that the operator does."""
        await super().delete_pod(namespace, name, uid)
        self._carried_out()

    def late_post(self, manifest: Body) -> None:
        """A request of an operator that is no more arrives."""
        key = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        if key not in self.pods:
            with self.without_faults():
                asyncio.run(FakeCluster.create_pod(self, manifest))
            self.late.add(self.pods[key]["metadata"]["uid"])

    def collect_garbage(self) -> None:
        """Pods whose owner is gone go."""
        for key, body in list(self.pods.items()):
            job = self.job()
            owned = body["metadata"].get("ownerReferences")
            if key != RIVAL and owned and (job is None or job["metadata"]["uid"] != owned[0]["uid"]):
                self._remove("pod", key)


class ModelWorld(World):
    """The model API server, an operator, and streams of events that a test delivers, repeats or drops."""

    def __init__(self, job: CiJobBuilder, **settings: str) -> None:
        super().__init__(job, **settings)
        self.api: Model = Model(self)
        self.api.store_pool(**POOLS["one place"])
        self.start_operator()
        self.api.store_job(job)
        self.streams: dict[str, list[tuple[str, Body]]] = {"job": [], "pod": [], "pool": []}
        self.past: list[tuple[str, str, Body]] = []
        self.listed = False

    def collect(self) -> None:
        """What happened goes into the streams."""
        for kind, of, body in self.api.told:
            self.streams[of].append((kind, body))
        self.api.told.clear()

    def deliver(self, kind: str, of: str, body: Body) -> None:
        """One event reaches the operator."""
        self.past.append((kind, of, body))
        self.api.told.append((kind, of, body))
        self.see()

    async def lists(self) -> None:
        """Full lists, as at a start and every few minutes."""
        self.collect()
        for stream in self.streams.values():
            stream.clear()
        await self.operator.lists.relist_pools()
        bodies, version = await self.api.list_pods(None)
        _, missing = self.operator.pods.replace(map(observe_pod, bodies), version)
        for pod in missing:
            await self.operator.lists.confirm_pod_gone(pod)
        await self.operator.lists.relist_jobs(None)
        self.queue.keys.append(JOB_KEY)
        self.listed = True

    async def turn(self, *, times: int = 1) -> None:
        """The operator works; it may die."""
        try:
            if not self.listed:
                await self.lists()
            for _ in range(times):
                keys = [*dict.fromkeys(self.queue.keys)]
                self.queue.keys.clear()
                for key in keys:
                    await self.operator.reconcile(key)
        except Crashed:
            self.crashed()
        except ApiError:
            pass  # of a list: the next one comes

    def crashed(self) -> None:
        """The next operator knows nothing before it has listed."""
        self.start_operator()
        self.listed = False


class Lives(RuleBasedStateMachine):
    """Lives of one CiJob."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.runner = asyncio.Runner()
        self.final: Any = None
        self.attempt = 1

    @initialize(
        limit=st.integers(0, 3),
        infra=st.integers(0, 3),
        lost=st.sampled_from(["Wait", "Retry"]),
        docker=st.booleans(),
        more=st.booleans(),
        rival=st.booleans(),
    )
    def begin(self, limit: int, infra: int, lost: str, *, docker: bool, more: bool, rival: bool) -> None:
        job = a_cijob().with_retry(limit, infraLimit=infra)
        job = job.with_git().with_service("db") if more else job
        self.limit, self.infra = limit, infra
        self.world = ModelWorld(job if docker else job.without_docker(), ON_NODE_LOST=lost)
        self.api = self.world.api
        self.pool_changes = 0
        if rival:
            labels, owner = {names.LABEL_POOL: names.DEFAULT_POOL}, {"kind": "Job", "name": "rival", "uid": "rival"}
            rivals = a_pod().with_meta(namespace=RIVAL[0], name=RIVAL[1], labels=labels, ownerReferences=[owner])
            self.api.store_pod(rivals.with_meta(uid="rival").running())
        self.api.remember_pods()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.settle()
        self.runner.close()
        structlog.reset_defaults()

    @property
    def seconds(self) -> float:
        return (self.world.now - T0).total_seconds()

    # --- the operator

    @rule(times=st.integers(1, 3))
    def operator_works(self, times: int) -> None:
        self.world.queue.keys.append(JOB_KEY)
        self.runner.run(self.world.turn(times=times))

    @rule(seconds=st.sampled_from([0, 15, 50]))
    def all_is_well_for_a_while(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)
        self.events_arrive("pod", 100)
        self.events_arrive("job", 100)
        self.events_arrive("pool", 100)
        self.operator_works(4)

    @rule(how=st.sampled_from(["before a write", "after a write", "restart", "list", "restart on an old list"]))
    def operator_has_trouble(self, how: str) -> None:
        self.api.crash = how.removesuffix(" a write") if how.endswith("a write") else ""
        self.api.stale = how == "restart on an old list"
        if how.startswith("restart"):
            self.world.crashed()
        self.world.listed = self.world.listed and how != "list"
        self.operator_works(3)
        self.api.crash = ""

    # --- the way between

    @rule(of=st.sampled_from(["job", "pod", "pool"]), number=st.integers(1, 5))
    def events_arrive(self, of: str, number: int) -> None:
        self.world.collect()
        stream = self.world.streams[of]
        for kind, body in stream[:number]:
            self.world.deliver(kind, of, body)
        del stream[:number]

    @rule(of=st.sampled_from(["job", "pod", "pool"]))
    def an_event_is_lost(self, of: str) -> None:
        self.world.collect()
        del self.world.streams[of][:1]

    @precondition(lambda self: self.world.past)
    @rule(data=st.data())
    def an_old_event_arrives_again(self, data: st.DataObject) -> None:
        self.world.deliver(*data.draw(st.sampled_from(self.world.past[-8:])))

    @rule(request=st.sampled_from([*WRITES, "GET pod/log"]), error=st.sampled_from([None, *FAILURES]))
    def the_next_request_fails_or_loses_its_answer(self, request: str, error: ApiError | None) -> None:
        if error is None:
            self.api.lose_answer(request)
        else:
            self.api.refuse(request, error)

    @precondition(lambda self: self.api.posted)
    @rule(data=st.data())
    def an_old_request_arrives(self, data: st.DataObject) -> None:
        self.arrives(data.draw(st.sampled_from(self.api.posted)))

    def arrives(self, manifest: Body) -> None:
        """A request of an operator that is no more."""
        attempt, status = (
            int(manifest["metadata"]["labels"][names.LABEL_ATTEMPT]),
            (self.api.job() or {}).get("status", {}),
        )
        # Within its own attempt a late POST is a lost answer; what matters is one that comes after its attempt.
        if attempt < (status.get("attempt") or 1) or status.get("podUID"):
            self.api.late_post(manifest)

    @rule()
    def a_list_of_pods_is_remembered(self) -> None:
        self.api.remember_pods()

    @rule(seconds=st.sampled_from([11, 30, 130, 400, -90]))
    def time_passes_or_jumps(self, seconds: int) -> None:
        self.world.now = max(T0, self.world.now + timedelta(seconds=seconds))

    # --- kubelets, users, nodes

    def pods(self) -> list[Key]:
        """Pods that have not ended."""
        ended = {"Succeeded", "Failed"}
        return [key for key in self.own_pods() if self.api.pods[key]["status"]["phase"] not in ended]

    def own_pods(self) -> list[Key]:
        """All but another team's."""
        return [key for key in self.api.pods if key != RIVAL]

    def change(self, key: Key, step: str) -> None:
        """A Pod's next step; a container that has ended does not start again."""
        pod, now = PodBuilder(self.api.pods[key]), self.seconds
        if step in ENDS:
            phase, reason = ENDS[step]
            succeeded = pod.pod.job.terminated is not None and pod.pod.job.terminated.exit_code == 0
            pod = pod.disrupted("EvictionByEvictionAPI") if step == "evicted" else pod
            pod = pod.ended("Succeeded" if step == "end" and succeeded else phase, reason)
        elif pod.pod.end is None:
            pod = STEPS[step](pod if pod.pod.start_time else pod.started(now), now)
        self.api.store_pod(pod)

    @precondition(lambda self: self.pods())
    @rule(data=st.data(), step=st.sampled_from([*STEPS, *ENDS]))
    def a_kubelet_reports(self, data: st.DataObject, step: str) -> None:
        self.change(data.draw(st.sampled_from(self.pods())), step)

    @precondition(lambda self: self.pods())
    @rule(step=st.sampled_from(["run", "fail"]))
    def the_newest_script_runs_or_fails(self, step: str) -> None:
        self.change(self.pods()[-1], step)

    @precondition(lambda self: self.own_pods())
    @rule(late=st.booleans())
    def the_newest_pod_vanishes_while_no_operator_is_there(self, *, late: bool) -> None:
        *_, key = self.own_pods()
        manifest = self.api.posted[-1] if self.api.posted else None
        self.api._remove("pod", key)
        if late and manifest is not None:
            self.arrives(manifest)
        self.world.crashed()

    @precondition(lambda self: self.own_pods())
    @rule(data=st.data(), by_force=st.booleans())
    def a_pod_is_deleted(self, data: st.DataObject, *, by_force: bool) -> None:
        key = data.draw(st.sampled_from(self.own_pods()))
        if by_force:
            self.api._remove("pod", key)
            return
        with self.api.without_faults():
            asyncio.run(FakeCluster.delete_pod(self.api, *key, self.api.pods[key]["metadata"]["uid"]))

    @precondition(lambda self: self.api.job())
    @rule(does=st.sampled_from([*["nothing"] * 8, "Graceful", "Immediate", "delete", "orphan"]))
    def the_user(self, does: str) -> None:
        job = CiJobBuilder(self.api.jobs[JOB_KEY])
        if does in {"Graceful", "Immediate"} and job.body["spec"].get("cancel") != "Immediate":
            self.api.store_job(job.with_cancel(does))
        if does == "orphan":
            self.api.store_job(job.being_deleted())
            for key in self.own_pods():
                self.api.store_pod(PodBuilder(self.api.pods[key]).with_meta(ownerReferences=None))
        if does in {"delete", "orphan"}:
            self.api._remove("job", JOB_KEY)

    @precondition(lambda self: RIVAL in self.api.pods)
    @rule(vanishes=st.booleans())
    def the_other_job_ends(self, *, vanishes: bool) -> None:
        if not vanishes:
            self.api.store_pod(PodBuilder(self.api.pods[RIVAL]).ended("Succeeded"))
        self.api._remove("pod", RIVAL)

    @rule(to=st.sampled_from([*POOLS, "absent"]))
    def the_pool_changes(self, to: str) -> None:
        self.pool_changes += 1
        self.api.unlimited = self.api.unlimited or to in {"no limit", "drained"}
        if to != "absent":
            self.api.store_pool(**POOLS[to])
        elif self.api.pools:
            self.api.remove_pool()

    # --- what always holds

    @invariant()
    def the_status_tells_one_story(self) -> None:
        job = self.api.job() if hasattr(self, "world") else None
        if job is None:
            return
        status = job.get("status", {})
        attempt, retries = status.get("attempt") or 1, status.get("retries", {"user": 0, "infra": 0})
        past = status.get("attempts", [])
        assert self.attempt <= attempt <= self.attempt + 1, "attempts come one after the other"
        self.attempt = attempt
        assert attempt == 1 + retries["user"] + retries["infra"], "each attempt has its cause"
        assert retries["user"] <= self.limit
        assert retries["infra"] <= self.infra
        assert [entry["attempt"] for entry in past] == list(range(1, len(past) + 1))
        assert len([entry for entry in past[: attempt - 1] if entry["reason"] in INFRA]) == retries["infra"]
        assert job["metadata"]["uid"] == JOB_UID
        if self.final is not None:
            assert status == self.final, "a verdict is final"
        elif Phase(status.get("phase", "Pending")).finished:
            self.final = status

    @invariant()
    def writes_are_bounded(self) -> None:
        if hasattr(self, "world"):
            most = 5 + 2 * self.pool_changes  # what it waits for is told anew once that is another
            assert max(self.api.stored_statuses.values(), default=0) <= most, (
                "queued, quota, starting, running, the end"
            )
            assert max(self.api.stops.values(), default=0) <= 3

    # --- the end

    def settle(self) -> None:
        """No more faults: kubelets go on, events arrive, time passes. The job ends, then goes, and leaves nothing."""
        self.api._errors.clear()
        self.api.stale = False
        self.api.crash = ""
        self.world.listed = False
        self.api.store_pool(**POOLS["one place"])
        if RIVAL in self.api.pods:
            self.api._remove("pod", RIVAL)
        for _ in range(40):
            for key in self.own_pods():
                self.finish(key)
            self.api.collect_garbage()
            for of in ("pod", "job", "pool"):
                self.events_arrive(of, 1000)
            self.world.queue.keys.append(JOB_KEY)
            self.runner.run(self.world.turn(times=10))
            self.world.now += timedelta(seconds=400)
            self.the_status_tells_one_story()
        job = self.api.job()
        assert job is None or Phase(job["status"]["phase"]).finished, "it ends"
        assert self.pods() == [], "no Pod is left running"
        self.api.requests.clear()
        self.operator_works(5)
        assert self.api.requests == [], "it rests"
        self.world.now += timedelta(days=2)
        for _ in range(3):
            self.operator_has_trouble("list")
            self.api.collect_garbage()
        assert (self.api.jobs, self.api.pods) == ({}, {}), "nothing is left"

    def finish(self, key: Key) -> None:
        pod = PodBuilder(self.api.pods[key]).pod
        if pod.deletion_timestamp is not None:
            self.api._remove("pod", key)
        elif pod.terminal:
            return
        elif pod.stop and pod.end is None:
            self.change(key, "killed")
            self.change(key, "deadline")
        elif pod.end is None:
            self.change(key, "succeed")
        else:
            self.change(key, "end")


Lives.TestCase.settings = settings(
    max_examples=400,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLives = Lives.TestCase
