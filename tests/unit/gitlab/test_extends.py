"""`extends`: what is merged, and what is refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.extends import MAX_LEVELS
from cijob.importers.gitlab.model import Place
from cijob.importers.gitlab.nodes import Mapping, deep_merge
from tests.unit.gitlab.reading import CI, document, failure, found


def test_mappings_are_merged_and_lists_replaced() -> None:
    (job,) = document("""\
        .base:
          script: [a, b]
          variables: {A: 1, B: 1}
          cache: {key: {files: [x], prefix: p}}
        test:
          extends: .base
          script: [c]
          variables: {B: 2}
          cache: {key: {prefix: q}}
        """).jobs
    assert job.config["script"] == ["c"]
    assert job.config["variables"] == {"A": 1, "B": 2}
    assert job.config["cache"] == {"key": {"files": ["x"], "prefix": "q"}}
    assert "extends" not in job.config
    assert str(job.config["variables"].places["A"]) == f"{CI}:3"


def test_of_several_bases_the_last_wins() -> None:
    (job,) = document("""\
        .a: {image: a, script: [a]}
        .b: {image: b}
        test: {extends: [.a, .b]}
        """).jobs
    assert (job.config["image"], job.config["script"]) == ("b", ["a"])


def test_null_takes_a_value_away() -> None:
    (job,) = document(".a: {script: [a], variables: {A: 1}}\ntest: {extends: .a, variables: null}\n").jobs
    assert job.config["variables"] is None


def test_a_job_that_is_not_hidden_can_be_a_base_and_stays_as_it_is() -> None:
    first, second = document("a: {script: [a], image: x}\nb: {extends: a, image: y}\n").jobs
    assert (first.config["image"], second.config["image"]) == ("x", "y")


def chain(levels: int) -> str:
    jobs = [f".j{n}: {{extends: .j{n + 1}}}" for n in range(1, levels)]
    return "\n".join(["test: {extends: .j1}", *jobs, f".j{levels}: {{script: [x]}}", ""])


def test_a_chain_may_have_eleven_levels() -> None:
    assert document(chain(MAX_LEVELS - 1)).jobs[0].config["script"] == ["x"]
    assert failure(chain(MAX_LEVELS)) == [f"{CI}:1: error: extends: more than 11 levels (test)"]


def test_the_levels_are_counted_in_whatever_order_the_jobs_stand() -> None:
    lines = chain(MAX_LEVELS).splitlines()
    said = failure("\n".join(reversed(lines)))
    assert said == [f"{CI}:{len(lines)}: error: extends: more than 11 levels (test)"]


def test_a_circle_is_refused_with_its_jobs() -> None:
    assert failure("a: {extends: .b, script: [x]}\n.b: {extends: .c}\n.c: {extends: .b}\n") == [
        f"{CI}:3: error: extends: goes round in a circle: .b extends .c extends .b (.c)"
    ]
    assert "a extends a" in failure("a: {extends: a, script: [x]}\n")[0]


def test_a_base_that_is_not_there_is_an_error_with_the_nearest_name() -> None:
    assert failure(".python: {script: [x]}\ntest:\n  extends: .pyhton\n") == [
        f"{CI}:3: error: extends: there is no .pyhton; did you mean .python? (test)"
    ]


def test_what_is_no_job_cannot_be_extended() -> None:
    assert "stages is no job" in failure("stages: [test]\ntest: {extends: stages, script: [x]}\n")[0]
    assert "has to be the name of a job" in failure("test: {extends: [1], script: [x]}\n")[0]


def test_a_base_that_may_be_in_what_was_not_fetched_is_named_and_the_job_goes_on() -> None:
    text = "include: {project: g/p, file: a.yml}\ntest: {extends: .elsewhere, script: [x]}\n"
    assert (
        f"{CI}:2: not converted: extends: there is no .elsewhere here; it may be in what is included in {CI}:1"
        in found(text)[1]
    )
    assert document(text).jobs[0].config["script"] == ["x"]


def test_a_base_that_is_not_at_hand_is_said_of_the_jobs_that_need_it() -> None:
    text = """\
        include: {project: g/p, file: a.yml}
        .unused: {extends: .elsewhere}
        .used: {extends: .elsewhere}
        one: {extends: .used, script: [x]}
        two: {script: [x]}
        """
    assert [line for line in found(text) if "extends" in line] == [
        f"{CI}:3: not converted: extends: there is no .elsewhere here; it may be in what is included in {CI}:1 and was not fetched (one)"
    ]


_PLACE = Place("ci.yml", 1)
_TREES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(lambda tree: Mapping(_PLACE, tree)),
    max_leaves=8,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abc"), _TREES, max_size=3).map(lambda tree: Mapping(_PLACE, tree))


def _paths(tree: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - a value of YAML
    """The leaves of a tree by their path; an empty mapping is one, too."""
    if not isinstance(tree, Mapping) or not tree:
        return {path: tree}
    return {key: leaf for name, one in tree.items() for key, leaf in _paths(one, f"{path}/{name}").items()}


@settings(deadline=None)  # a busy machine is no failure
@given(_MAPPINGS, _MAPPINGS)
def test_a_merge_has_every_leaf_of_what_goes_above(base: Mapping, over: Mapping) -> None:
    before = (_paths(base), _paths(over))
    merged = _paths(deep_merge(base, over))
    assert (_paths(base), _paths(over)) == before
    for path, leaf in _paths(over).items():
        if not isinstance(leaf, Mapping):
            assert merged[path] == leaf


@settings(deadline=None)  # a busy machine is no failure
@given(_MAPPINGS, _MAPPINGS, _MAPPINGS)
def test_merging_is_associative_for_mappings_of_mappings(one: Mapping, two: Mapping, three: Mapping) -> None:
    assert deep_merge(one, one) == one
    assert deep_merge(Mapping(_PLACE), two) == two
    if all(isinstance(leaf, Mapping) for tree in (one, two, three) for leaf in _paths(tree).values()):
        assert deep_merge(deep_merge(one, two), three) == deep_merge(one, deep_merge(two, three))
