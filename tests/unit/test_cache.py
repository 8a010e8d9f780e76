"""The cache never goes backwards: first in sentences, then for any order of news."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cijob.cache import Key, Store

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True)
class Thing:
    """An object of the API, as far as a cache cares."""

    name: str
    uid: str
    version: int


def identity(thing: Thing) -> tuple[Key, str, int]:
    return ("ns", thing.name), thing.uid, thing.version


A: Key = ("ns", "a")


def a_store(*things: Thing) -> Store[Thing]:
    """A store that has seen these."""
    store: Store[Thing] = Store(identity)
    for thing in things:
        assert store.observe(thing)
    return store


def test_a_newer_version_replaces_an_older_one_and_never_the_reverse() -> None:
    store = a_store(Thing("a", "1", 5))

    assert not store.observe(Thing("a", "1", 5)), "the same again is no news"
    assert not store.observe(Thing("a", "1", 4))
    assert store.get(A) == Thing("a", "1", 5)
    assert store.observe(Thing("a", "1", 6))
    assert store.get(A) == Thing("a", "1", 6)
    assert (len(store), list(store)) == (1, [A])


def test_what_was_removed_is_remembered_as_it_was_last_and_never_comes_back() -> None:
    store = a_store(Thing("a", "1", 5))

    assert store.remove(Thing("a", "1", 7))
    assert (store.get(A), store.removed(A), len(store)) == (None, Thing("a", "1", 7), 0)
    assert not store.observe(Thing("a", "1", 6)), "an event from before its removal"
    assert not store.observe(Thing("a", "1", 9)), "the answer of a write that raced with it"
    assert store.get(A) is None


def test_the_removal_of_something_never_seen_is_remembered() -> None:
    store = a_store()

    assert store.remove(Thing("a", "1", 7))
    assert not store.observe(Thing("a", "1", 5))
    assert store.removed(A) == Thing("a", "1", 7)


def test_a_removal_that_knows_less_keeps_what_is_known() -> None:
    """The relist's: it hands in what it took from the cache before it asked."""
    store = a_store(Thing("a", "1", 5), Thing("a", "1", 8))

    assert store.remove(Thing("a", "1", 5))
    assert store.removed(A) == Thing("a", "1", 8)


def test_a_new_object_of_the_name_takes_the_place() -> None:
    store = a_store(Thing("a", "1", 5))
    store.remove(Thing("a", "1", 7))

    assert store.observe(Thing("a", "2", 8))
    assert (store.get(A), store.removed(A)) == (Thing("a", "2", 8), None)
    assert not store.remove(Thing("a", "1", 7)), "the old one's removal, told again"
    assert not store.observe(Thing("a", "1", 6))
    assert store.get(A) == Thing("a", "2", 8)


def test_a_new_object_may_be_seen_before_the_old_ones_removal() -> None:
    store = a_store(Thing("a", "1", 5), Thing("a", "2", 8))

    assert not store.remove(Thing("a", "1", 7))
    assert store.get(A) == Thing("a", "2", 8)


def test_a_late_removal_of_the_old_object_does_not_forget_that_of_the_new() -> None:
    store = a_store()
    store.remove(Thing("a", "2", 9))

    assert not store.remove(Thing("a", "1", 7))
    assert not store.observe(Thing("a", "2", 8))
    assert store.removed(A) == Thing("a", "2", 9)


def test_a_removal_of_a_later_object_ends_the_older_one_too() -> None:
    store = a_store(Thing("a", "1", 5))

    assert store.remove(Thing("a", "2", 9))
    assert store.get(A) is None
    assert not store.observe(Thing("a", "1", 6))


def test_a_list_gives_the_news_and_what_it_lacks() -> None:
    store = a_store(Thing("same", "1", 1), Thing("newer-here", "2", 9), Thing("gone", "3", 3), Thing("young", "4", 12))

    listed = [Thing("same", "1", 1), Thing("newer-here", "2", 4), Thing("new", "5", 10)]
    news, missing = store.replace(listed, version=11)

    assert news == {("ns", "new")}
    assert missing == [Thing("gone", "3", 3)], "what is younger than the list cannot be in it"
    assert store.get(("ns", "newer-here")) == Thing("newer-here", "2", 9)
    assert store.get(("ns", "gone")) == Thing("gone", "3", 3), "until the caller has confirmed it"


def test_what_is_as_old_as_the_list_and_not_in_it_is_missing() -> None:
    assert a_store(Thing("gone", "1", 11)).replace([], version=11) == (set(), [Thing("gone", "1", 11)])


def test_a_list_does_not_bring_back_what_was_removed_meanwhile() -> None:
    store = a_store(Thing("a", "1", 5))
    store.remove(Thing("a", "1", 12))

    assert store.replace([Thing("a", "1", 5)], version=11) == (set(), [])
    assert store.get(A) is None


def test_memory_of_removed_objects_ends() -> None:
    store = a_store()
    store.remove(Thing("a", "1", 5))
    store.remove(Thing("b", "2", 6))

    store.forget_before(5)
    assert (store.removed(A), store.removed(("ns", "b"))) == (None, Thing("b", "2", 6))
    store.forget(("ns", "b"))
    assert store.removed(("ns", "b")) is None
    store.forget(("ns", "never seen"))


@dataclass(frozen=True)
class News:
    """One thing that happens to the cache, in whatever order."""

    kind: str
    thing: Thing


@st.composite
def news_out_of_order(draw: st.DrawFn) -> list[News]:
    """A history of one name, several objects after each other, and news of it in any order, some twice, some never.

    Versions grow through the history, as in etcd; the last of each object is its removal, perhaps but for the newest.
    """
    history: list[Thing] = []
    for uid in map(str, range(draw(st.integers(1, 3)))):
        history += [Thing("a", uid, len(history) + step) for step in range(1, draw(st.integers(2, 4)) + 1)]
    last = {thing.uid: thing for thing in history}
    told = []
    for thing in draw(st.lists(st.sampled_from(history), min_size=1, max_size=15)):
        ends = thing == last[thing.uid]
        told.append(News("remove" if ends else draw(st.sampled_from(["observe", "list"])), thing))
    return told


@given(news_out_of_order())
def test_no_order_of_news_makes_it_go_backwards(told: list[News]) -> None:
    store = a_store()
    newest = 0
    removed: set[str] = set()
    for step in told:
        before = store.get(A)
        match step.kind:
            case "observe":
                changed = store.observe(step.thing)
            case "list":
                changed = bool(store.replace([step.thing], step.thing.version)[0])
            case _:
                changed = store.remove(step.thing)
                removed.add(step.thing.uid)
        after = store.get(A)

        assert changed or after == before, "what is no news changes nothing"
        if after is not None:
            assert after.uid not in removed, "a removed UID came back"
            assert after.version >= newest, "it went backwards"
            newest = after.version
        if step.kind == "remove" and before is None and after is None and changed:
            memory = store.removed(A)
            assert memory is not None
            assert memory.version >= step.thing.version


@given(news_out_of_order(), st.randoms(use_true_random=False))
def test_all_orders_of_the_same_news_end_alike(told: list[News], random: Random) -> None:
    ends = []
    for _ in range(3):
        store = a_store()
        for step in told:
            if step.kind == "remove":
                store.remove(step.thing)
            else:
                store.observe(step.thing)
        ends.append((store.get(A), store.removed(A)))
        random.shuffle(told)

    assert len(set(ends)) == 1
