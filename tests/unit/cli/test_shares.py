"""Who has a pool, and whose turn comes when."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.looking.shares import Share, line, of_pool, shares, waited
from tests.unit.builders import a_cijob, at, stamp

Body = dict[str, Any]


def job(
    name: str, namespace: str = "team-a", *, reason: str = "PoolAtCapacity", priority: int = 0, created: float = 0
) -> Body:
    """A CiJob that waits."""
    made = a_cijob().with_meta(name=name, namespace=namespace, creationTimestamp=stamp(created))
    return made.with_spec(priority=priority).with_status("Queued", reason=reason).body


def runs(name: str, namespace: str = "team-a") -> Body:
    """A CiJob that has its place."""
    return a_cijob().with_meta(name=name, namespace=namespace).running().body


def order(jobs: list[Body]) -> list[str]:
    """Names in the order of their turns."""
    return [one.job["metadata"]["name"] for one in line(jobs) if one.place is not None]


def test_a_pool_has_the_jobs_that_name_it_and_have_not_ended() -> None:
    other = a_cijob().with_spec(poolName="arm").running().body
    ended = a_cijob().finished("Failed", "ScriptFailed").body
    assert of_pool([runs("a"), other, ended, job("b")], "default") == [runs("a"), job("b")]


def test_shares_count_what_runs_and_what_waits_by_namespace() -> None:
    jobs = [runs("a"), runs("b", "team-b"), runs("c", "team-b"), job("d"), a_cijob().body]
    assert shares(jobs) == [Share("team-b", 2, 0), Share("team-a", 1, 2)]


def test_the_namespace_with_the_fewest_running_goes_first_then_priority_then_age() -> None:
    jobs = [
        runs("r"),
        job("old", created=1),
        job("urgent", priority=5, created=3),
        job("other", "team-b", created=9),
    ]
    assert order(jobs) == ["other", "urgent", "old"]


def test_who_is_suspended_or_runs_again_later_has_no_place_but_is_told() -> None:
    again = a_cijob().with_meta(name="again").between_attempts("NodeLost", 60, infra=1).body
    found = line([job("s", reason="Suspended", created=5), again, job("q")])
    assert [(one.job["metadata"]["name"], one.place, one.why) for one in found] == [
        ("q", 1, "PoolAtCapacity"),
        ("again", None, "NodeLost"),
        ("s", None, "Suspended"),
    ]


def test_a_wait_counts_from_the_creation_or_from_the_end_of_the_attempt_before() -> None:
    again = a_cijob().between_attempts("NodeLost", 60, infra=1).body
    first, second = line([job("q"), again])
    assert (waited(first, at(100)), waited(second, at(100))) == (100, 40)


namespaces = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(namespaces, max_size=6),
    st.lists(st.tuples(namespaces, st.integers(-2, 2), st.integers(0, 9)), max_size=8),
)
def test_the_order_is_what_the_rule_says_turn_by_turn(running: list[str], waiting: list[tuple[str, int, int]]) -> None:
    jobs = [runs(f"r{number}", namespace) for number, namespace in enumerate(running)]
    names = {f"w{number}": one for number, one in enumerate(waiting)}
    jobs += [job(name, one[0], priority=one[1], created=one[2]) for name, one in names.items()]
    count, left, expected = Counter(running), dict(names), []
    while left:
        heads = {
            space: min((-left[name][1], left[name][2], name) for name in left if left[name][0] == space)
            for space in {one[0] for one in left.values()}
        }
        space = min(heads, key=lambda one: (count[one], heads[one][:2], one, heads[one][2]))
        expected.append(heads[space][2])
        count[space] += 1
        del left[heads[space][2]]
    assert order(jobs) == expected
