"""The admitter alone: places are taken once and given back once, whatever the order of the news."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from structlog.testing import capture_logs

from cijob import names
from cijob.admitter import POOL_NAMESPACE, Admitter
from cijob.reasons import Reason
from tests.unit import virtual_time
from tests.unit.builders import JOB_KEY, JOB_NAME, NAMESPACE, CiJobBuilder, a_cijob, a_pod

if TYPE_CHECKING:
    from cijob.cache import Key
    from cijob.models import CiJob
    from cijob.observation import ObservedPod
    from cijob.pool import PoolView

WAKE = (POOL_NAMESPACE, "default")
OURS = a_pod().with_meta(labels={names.LABEL_POOL: "default"}).pod
JOB = a_cijob().job


def a_pool(running: int | None = 1, name: str = "default", **spec: object) -> dict[str, Any]:
    """A raw BuildPool."""
    capacity = {} if running is None else {"running": running}
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": {"capacity": capacity, **spec}}


class Desk:
    """An admitter, what it woke, and what it counted."""

    def __init__(self, *pools: dict[str, Any]) -> None:
        self.woken: list[Key] = []
        self.it = Admitter(self.woken.append, lambda _key, _seconds: None)
        self.decided: list[str] = []
        self.it.decided = lambda _pool, decision, _seconds: self.decided.append(decision)
        for pool in pools or (a_pool(),):
            self.it.observe(pool)
        self.woken.clear()

    def view(self, job: CiJob = JOB) -> PoolView:
        """The pool as a job sees it."""
        view = self.it.view(job)
        assert view is not None
        return view

    @property
    def numbers(self) -> tuple[int, int]:
        """How many have a place, and how many wait for one."""
        admission = self.it.admission("default")
        return admission.occupied, admission.queued


def test_a_job_waits_gets_its_turn_and_its_pod_takes_the_place() -> None:
    desk = Desk()
    assert (desk.view().admitted, desk.view().reason) == (False, None)
    desk.it.wait(JOB)
    assert desk.woken == [WAKE]
    assert desk.numbers == (0, 1)
    assert desk.it.turns("default") == [JOB_KEY]
    assert desk.view().admitted
    assert desk.numbers == (1, 0)

    desk.it.starts(JOB)
    desk.it.saw(OURS)
    desk.it.leave(JOB_KEY)  # its next decision starts nothing
    assert desk.numbers == (1, 0), "the Pod has the place"
    desk.it.ended(OURS)
    desk.it.ended(OURS)
    assert desk.numbers == (0, 0)
    assert desk.woken[-1] == WAKE
    assert desk.decided == ["queued", "admitted"]


def test_in_a_pool_without_limits_nobody_waits_and_all_are_counted() -> None:
    desk = Desk(a_pool(None))
    assert desk.view().admitted
    desk.it.starts(JOB)
    assert desk.numbers == (1, 0)
    desk.it.saw(OURS)
    assert desk.numbers == (1, 0)
    desk.it.observe(a_pool(1))
    other = a_cijob().with_meta(name="other", uid="other").job
    assert (desk.view(other).admitted, desk.view(other).reason) == (False, Reason.POOL_AT_CAPACITY)


def test_who_waits_when_the_limit_goes_starts_once() -> None:
    desk = Desk(a_pool(0))
    desk.it.wait(JOB)
    desk.it.observe(a_pool(None))
    assert WAKE in desk.woken
    assert JOB_KEY in desk.woken
    desk.it.starts(JOB)
    assert desk.it.turns("default") == []
    assert desk.numbers == (1, 0)


def test_a_turn_that_is_not_used_goes_to_the_next() -> None:
    desk = Desk()
    other = a_cijob().with_meta(name="other", uid="other").job
    desk.it.wait(JOB)
    desk.it.wait(other)
    assert desk.it.turns("default") == [JOB_KEY]
    assert desk.it.turns("default") == []
    desk.woken.clear()
    desk.it.leave(JOB_KEY)
    assert desk.woken == [WAKE]
    assert desk.it.turns("default") == [(NAMESPACE, "other")]
    assert desk.numbers == (1, 0)


@pytest.mark.parametrize(
    "again",
    [a_cijob().with_meta(uid="another"), a_cijob().between_attempts(), a_cijob().with_spec(poolName="second")],
)
def test_another_job_or_attempt_of_the_name_does_not_have_the_turn_of_the_one_before(again: CiJobBuilder) -> None:
    desk = Desk(a_pool(), a_pool(name="second"))
    desk.it.wait(JOB)
    desk.it.turns("default")

    assert not desk.view(again.job).admitted
    desk.it.wait(again.job)
    assert desk.it.turns(again.job.spec.pool_name) == [JOB_KEY]
    assert desk.view(again.job).admitted
    desk.it.leave(JOB_KEY)
    assert desk.numbers == (0, 0), "nothing leaks"
    assert desk.it.admission("second").occupied == 0


def test_in_a_pool_without_limits_another_job_of_the_name_leaks_no_place() -> None:
    desk = Desk(a_pool(None))
    desk.it.starts(JOB)
    desk.it.starts(a_cijob().with_meta(uid="another").job)
    assert desk.numbers == (1, 0)


def test_namespaces_beyond_their_quotas_come_back_each_in_its_time() -> None:
    async def story() -> None:
        timers: list[float] = []
        it = Admitter(lambda _key: None, lambda _key, seconds: timers.append(round(seconds, 3)))
        it.observe(a_pool(1))

        def refuse(namespace: str, times: int) -> None:
            for number in range(times):
                job = a_cijob().with_meta(namespace=namespace, name=f"job-{number}", uid=f"{namespace}{number}").job
                it.wait(job)
                if it.turns("default"):
                    it.refused(job)

        refuse("b", 7)
        assert not it.admission("default").aside("b")
        refuse("b", 1)
        assert it.admission("default").aside("b")
        await asyncio.sleep(0.5)  # virtual
        refuse("a", 8)
        assert timers[-1] == 1.0
        await asyncio.sleep(0.5)  # virtual
        it.turns("default")
        assert not it.admission("default").aside("b")
        assert it.admission("default").aside("a")
        assert timers[-1] == 0.5, "for the other"
        refuse("b", 1)
        assert timers[-1] == 2.0, "twice as long"
        it.saw(replace(OURS, namespace="b"))
        assert not it.admission("default").aside("b"), "its quota let one in"

    virtual_time.run(story())


def test_a_pod_that_was_over_when_it_was_first_seen_leaves_the_place_to_its_jobs_next_decision() -> None:
    desk = Desk()
    desk.it.wait(JOB)
    desk.it.turns("default")
    desk.it.saw(replace(OURS, phase="Succeeded"))
    assert desk.numbers == (1, 0)
    desk.it.leave(JOB_KEY)
    assert desk.numbers == (0, 0)


def test_a_pod_whose_label_was_changed_counts_where_it_did() -> None:
    desk = Desk()
    desk.it.saw(OURS)
    desk.it.saw(replace(OURS, pool="elsewhere"))
    assert desk.numbers == (1, 0)
    desk.it.ended(replace(OURS, pool="elsewhere"))
    assert desk.numbers == (0, 0)
    assert desk.it.admission("elsewhere").occupied == 0


def test_a_pod_whose_label_a_webhook_took_counts_where_its_turn_was_given() -> None:
    desk = Desk()
    desk.it.wait(JOB)
    desk.it.turns("default")
    desk.it.saw(replace(OURS, pool=""))
    desk.it.leave(JOB_KEY)
    assert desk.numbers == (1, 0)


def test_orphans_and_pods_that_are_being_deleted_count_until_they_end() -> None:
    desk = Desk()
    desk.it.saw(replace(OURS, owner_name="", owner_uid="", owned=False))
    desk.it.saw(a_pod().with_meta(name="other", labels={names.LABEL_POOL: "default"}).running().being_deleted().pod)
    assert desk.numbers == (2, 0)


def test_a_status_of_the_pool_wakes_nobody_and_new_rules_wake_all_its_jobs() -> None:
    desk = Desk(a_pool(2), a_pool(1, "second"))
    other = a_cijob().with_meta(name="other", uid="other").job
    desk.it.saw(OURS)
    desk.it.wait(other)
    desk.it.wait(a_cijob().with_meta(name="elsewhere", uid="e").with_spec(poolName="second").job)
    desk.woken.clear()
    told = {**a_pool(2), "status": {"running": 1, "queued": 1}}
    desk.it.observe(told)
    assert desk.woken == []
    pool = desk.it.pool("default")
    assert pool is not None
    assert pool.status.running == 1
    desk.it.observe(a_pool(2, stopPolicy="HoldAndDrain"))
    assert set(desk.woken) == {WAKE, (NAMESPACE, JOB_NAME), (NAMESPACE, "other")}
    desk.woken.clear()
    desk.it.gone(told)
    assert set(desk.woken) == {WAKE, (NAMESPACE, JOB_NAME), (NAMESPACE, "other")}
    assert desk.it.turns("default") == []


def test_pools_that_only_cijobs_know_are_forgotten_with_the_last_of_these() -> None:
    desk = Desk()
    for number in range(3):
        desk.it.wait(a_cijob().with_spec(poolName=f"made-up-{number}").job)
    assert len(desk.it.admissions) == 2, "one that is there, and one in which the job waits now"
    desk.it.leave(JOB_KEY)
    assert set(desk.it.admissions) == {"default"}


def test_a_pool_that_is_gone_is_forgotten_once_its_pods_have_ended() -> None:
    desk = Desk()
    desk.it.saw(OURS)
    desk.it.gone(a_pool())
    assert set(desk.it.admissions) == {"default"}
    desk.it.ended(OURS)
    assert not desk.it.admissions


def test_a_pool_that_cannot_be_read_counts_as_absent_and_is_logged_once() -> None:
    desk = Desk()
    bad = a_pool(docker={"isolation": "RuntimeClass"})
    with capture_logs() as logs:
        desk.it.observe(bad)
        desk.it.observe(bad)
        assert desk.it.view(JOB) is None
        desk.it.observe(a_pool())
        assert desk.it.view(JOB) is not None
    assert [line["event"] for line in logs] == ["a BuildPool cannot be read: its jobs wait"]
    assert "placement.runtimeClassName" in str(logs[0]["problem"])


@pytest.mark.parametrize(
    ("pool", "pods", "reason"),
    [
        ({"capacity": {"running": 1}, "stopPolicy": "Hold"}, 1, Reason.POOL_HELD),
        ({"capacity": {"running": 1, "perNamespace": 1}}, 1, Reason.POOL_AT_CAPACITY),
        ({"capacity": {"running": 2, "perNamespace": 1}}, 1, Reason.NAMESPACE_AT_CAPACITY),
        ({"capacity": {"running": 2}}, 1, None),
        ({"capacity": {"running": 0}}, 0, Reason.POOL_AT_CAPACITY),
    ],
)
def test_why_one_waits(pool: dict[str, Any], pods: int, reason: Reason | None) -> None:
    desk = Desk(a_pool(**pool))
    for number in range(pods):
        desk.it.saw(replace(OURS, name=f"pod-{number}"))
    assert desk.view().reason is reason


class Desks(RuleBasedStateMachine):
    """Anything in any order: never a leak, never over capacity but for what a lower limit or a strange Pod brings."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(a_pool(2))
        self.jobs = {number: a_cijob().with_meta(name=f"job-{number}", uid=f"{number}").job for number in range(4)}
        self.pods: dict[str, ObservedPod] = {}
        self.capacity: int | None = 2

    @initialize()
    def begin(self) -> None:
        self.desk.it.observe(a_pool(2))

    @rule(number=st.integers(0, 3))
    def a_job_is_decided_on(self, number: int) -> None:
        job = self.jobs[number]
        pod = names.pod_name(job.name, job.uid, 1)
        if pod in self.pods:
            self.desk.it.leave((job.namespace, job.name))
            return
        view = self.desk.it.view(job)
        if view is None or not view.admitted:
            self.desk.it.wait(job)
            return
        self.desk.it.starts(job)

    @rule(number=st.integers(0, 3), arrives=st.booleans())
    def a_post_is_answered(self, number: int, *, arrives: bool) -> None:
        job = self.jobs[number]
        key, name = (job.namespace, job.name), names.pod_name(job.name, job.uid, 1)
        if key not in self.desk.it._reserved:
            return
        if not arrives:
            self.desk.it.leave(key)
            return
        self.pods[name] = replace(OURS, name=name, owner_name=job.name)
        self.desk.it.saw(self.pods[name])

    @rule(number=st.integers(0, 3), seen=st.booleans())
    def a_pod_ends(self, number: int, *, seen: bool) -> None:
        job = self.jobs[number]
        pod = self.pods.pop(names.pod_name(job.name, job.uid, 1), None)
        if pod is not None:
            self.desk.it.saw(replace(pod, phase="Failed")) if seen else self.desk.it.ended(pod)

    @rule(number=st.integers(0, 3))
    def a_job_goes(self, number: int) -> None:
        self.desk.it.leave((NAMESPACE, f"job-{number}"))

    @rule(capacity=st.sampled_from([0, 1, 2, 3, None]), held=st.booleans())
    def the_pool_changes(self, capacity: int | None, *, held: bool) -> None:
        self.capacity = capacity
        self.desk.it.observe(a_pool(capacity, stopPolicy="Hold" if held else "None"))

    @rule()
    def the_pool_goes(self) -> None:
        self.desk.it.gone(a_pool())

    @rule()
    def turns_are_given(self) -> None:
        before = self.desk.numbers[0]
        given = self.desk.it.turns("default")
        assert len(set(given)) == len(given)
        if given and self.capacity is not None:
            assert before + len(given) <= self.capacity, "never over capacity"

    @invariant()
    def places_are_those_of_pods_and_of_turns(self) -> None:
        it = self.desk.it
        pods = {(pod.namespace, pod.name) for pod in self.pods.values()}
        assert set(it._running) == pods
        slots = [slot for _, slot in it._reserved.values()]
        assert max(Counter(slots).values(), default=0) <= 1
        assert set(it.admission("default")._pods) == pods | set(slots)
        assert set(it._waiting) == set(it.admission("default")._ranks) == set(it._since)
        assert not set(it._waiting) & set(it._reserved)


Desks.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestDesks = Desks.TestCase
