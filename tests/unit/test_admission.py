"""Whose turn it is in a pool: fair, by priority, by age, within capacity, at a cost that hardly grows.

Two judges: a queue that sorts everything anew for each decision (hypothesis), and a simulated flood.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cijob.policies.admission import Admission

if TYPE_CHECKING:
    from cijob.cache import Key

T0 = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NAMESPACES = ("a", "b", "c")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def take(pool: Admission) -> Key | None:
    """What a reconciler does with a turn: the Pod of the job, here under its name, is reserved at once."""
    job = pool.admit()
    if job is not None:
        pool.occupy(job)
    return job


def drained(pool: Admission) -> list[str]:
    """The names of all that may start now, in order."""
    names = []
    while (job := take(pool)) is not None:
        names.append(job[1])
    return names


def test_an_empty_pool_admits_nobody() -> None:
    assert Admission().admit() is None


def test_within_a_namespace_priority_comes_before_age_and_the_name_decides_between_twins() -> None:
    pool = Admission()
    for name, priority, age in (("young", 0, 9), ("old", 0, 1), ("urgent", 5, 8), ("twin-b", 0, 5), ("twin-a", 0, 5)):
        pool.wait(("a", name), priority, at(age))

    assert drained(pool) == ["urgent", "old", "twin-a", "twin-b", "young"]


def test_namespaces_take_turns_and_priority_does_not_let_one_pass_the_others() -> None:
    pool = Admission()
    for number in range(3):
        pool.wait(("greedy", f"greedy-{number}"), 1000, at(number))
        pool.wait(("modest", f"modest-{number}"), 0, at(number))

    assert drained(pool) == ["greedy-0", "modest-0", "greedy-1", "modest-1", "greedy-2", "modest-2"]


def test_what_runs_already_counts_as_a_share() -> None:
    pool = Admission(running=4)
    for number in range(3):
        pool.occupy(("a", f"running-{number}"))
    pool.wait(("a", "a"), 1000, at(0))
    pool.wait(("b", "b"), 0, at(9))

    assert drained(pool) == ["b"]


def test_a_namespace_at_its_limit_stands_aside_until_one_of_its_own_ends() -> None:
    pool = Admission(running=9, per_namespace=1)
    for name in ("first", "second"):
        pool.wait(("a", name), 0, at(0))
    pool.wait(("b", "other"), 0, at(5))

    assert drained(pool) == ["first", "other"]
    pool.release(("b", "other"))
    assert drained(pool) == []
    pool.release(("a", "first"))
    assert drained(pool) == ["second"]


def test_a_lower_limit_ends_nothing_and_holds_for_the_next() -> None:
    pool = Admission(running=3)
    for number in range(5):
        pool.wait(("a", str(number)), 0, at(number))
    assert drained(pool) == ["0", "1", "2"]

    pool.limit(1, None, held=False)
    assert pool.occupied == 3
    pool.release(("a", "0"))
    pool.release(("a", "1"))
    assert drained(pool) == []
    pool.release(("a", "2"))
    assert drained(pool) == ["3"]
    pool.limit(None, None, held=False)
    assert drained(pool) == ["4"]


def test_a_held_pool_admits_nobody_and_forgets_nobody() -> None:
    pool = Admission(held=True)
    pool.wait(("a", "one"), 0, at(0))

    assert drained(pool) == []
    pool.limit(None, None, held=False)
    assert drained(pool) == ["one"]


def test_a_job_that_leaves_is_passed_over_and_a_new_priority_moves_one() -> None:
    pool = Admission()
    for number, name in enumerate(("gone", "last", "first")):
        pool.wait(("a", name), 0, at(number))
    pool.leave(("a", "gone"))
    pool.wait(("a", "first"), 7, at(2))

    assert pool.queued == 2
    assert drained(pool) == ["first", "last"]


def test_a_pod_counts_once_however_often_it_is_seen_and_frees_its_place_once() -> None:
    pool = Admission(running=1)
    pool.occupy(("a", "pod"))
    pool.occupy(("a", "pod"))
    pool.wait(("a", "next"), 0, at(0))

    assert pool.release(("a", "pod")) is True
    assert pool.release(("a", "pod")) is False
    assert drained(pool) == ["next"]


class Against(RuleBasedStateMachine):
    """The pool beside a list that is sorted anew for each decision."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Admission()
        self.waiting: dict[Key, tuple[int, datetime]] = {}
        self.pods: set[Key] = set()

    jobs = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from("123456"))
    limits = st.none() | st.integers(0, 4)

    @rule(job=jobs, priority=st.integers(-2, 2), age=st.integers(0, 3))
    def wait(self, job: Key, priority: int, age: int) -> None:
        self.pool.wait(job, priority, at(age))
        self.waiting[job] = (priority, at(age))

    @rule(job=jobs)
    def leave(self, job: Key) -> None:
        self.pool.leave(job)
        self.waiting.pop(job, None)

    @rule(pod=jobs)
    def occupy(self, pod: Key) -> None:
        self.pool.occupy(pod)
        self.pods.add(pod)

    @rule(pod=jobs)
    def release(self, pod: Key) -> None:
        assert self.pool.release(pod) == (pod in self.pods)
        self.pods.discard(pod)

    @rule(running=limits, per_namespace=limits, held=st.booleans())
    def limit(self, running: int | None, per_namespace: int | None, held: bool) -> None:
        self.pool.limit(running, per_namespace, held=held)

    @precondition(lambda self: self.waiting)
    @rule()
    def admit(self) -> None:
        expected = self.expected()
        assert take(self.pool) == expected
        if expected is not None:
            del self.waiting[expected]
            self.pods.add(expected)

    def expected(self) -> Key | None:
        pool, counts = self.pool, Counter(namespace for namespace, _ in self.pods)
        if pool.held or (pool.running is not None and len(self.pods) >= pool.running):
            return None
        free = [job for job in self.waiting if pool.per_namespace is None or counts[job[0]] < pool.per_namespace]
        return min(
            free, key=lambda job: (counts[job[0]], -self.waiting[job][0], self.waiting[job][1], job), default=None
        )

    @invariant()
    def counts_agree(self) -> None:
        assert self.pool.queued == len(self.waiting)
        assert self.pool.occupied == len(self.pods)
        assert all(self.pool.count(name) == sum(pod[0] == name for pod in self.pods) for name in NAMESPACES)


TestAgainst = Against.TestCase
TestAgainst.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize(("seed", "capacity"), [(1, 3), (2, 10), (3, 64)])
def test_a_flood_is_shared_within_one_job_starves_nobody_and_never_passes_the_capacity(
    seed: int, capacity: int
) -> None:
    """10,000 jobs of all priorities in three namespaces of very different sizes, ending in any order."""
    chance = random.Random(seed)  # noqa: S311  a simulation, no secret
    pool = Admission(running=capacity)
    sizes = Counter({"flood": 8_000, "stream": 1_900, "trickle": 100})
    for namespace, size in sizes.items():
        for number in range(size):
            pool.wait((namespace, f"{number:05}"), chance.randrange(-1000, 1001), at(chance.random() * 3600))
    running: list[Key] = []
    started: Counter[str] = Counter()
    while pool.queued or running:
        while (job := take(pool)) is not None:
            running.append(job)
            started[job[0]] += 1
        assert len(running) == pool.occupied <= capacity
        shares = Counter(namespace for namespace, _ in running)
        waiting = [shares[namespace] for namespace in sizes if started[namespace] < sizes[namespace]]
        assert max(waiting, default=0) - min(waiting, default=0) <= 1, shares
        for _ in range(chance.randrange(1, 4)):
            if running:
                pool.release(running.pop(chance.randrange(len(running))))
    assert started == sizes
