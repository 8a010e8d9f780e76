"""What a person sees of a pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.pipeline.schedule import Schedule, State, begin
from cijob.cli.pipeline.tree import MARKS, Row, Sight, outcome, summary, tree
from tests.unit.cli.pipelines import a_job, a_pipeline


def a_schedule(**states: State) -> Schedule:
    """Jobs named build_x, test_x and deploy_x, of these stages."""
    jobs = [a_job(name, name.partition("_")[0], resource_group="prod" if "prod" in name else "") for name in states]
    return Schedule(a_pipeline(*jobs), frozenset(), states)


def test_the_tree_has_stages_in_order_and_below_them_what_their_jobs_do() -> None:
    schedule = a_schedule(test_b=State.RUNNING, build_a=State.SUCCEEDED, deploy_c=State.CREATED)
    sights = {
        "build_a": Sight("build-a-x", began=0, ended=12),
        "test_b": Sight("test-b-x", "running on node1", began=12),
    }
    assert tree(schedule, sights, 20, 50) == [
        Row(0, "build"),
        Row(1, "build_a", "12s", State.SUCCEEDED),
        Row(0, "test"),
        Row(1, "test_b", "8s, running on node1", State.RUNNING),
        Row(0, "deploy"),
        Row(1, "deploy_c", "", State.CREATED),
    ]


@pytest.mark.parametrize(
    ("state", "sight", "text"),
    [
        (State.FAILED, Sight("x", began=0, ended=3, why="exit code 7"), "3s, exit code 7"),
        (State.FORGIVEN, Sight("x", began=0, ended=3, why="exit code 7"), "3s, failed, which is allowed: exit code 7"),
        (State.FORGIVEN, Sight("x", began=0, ended=3), "3s, failed, which is allowed"),
        (State.CANCELLED, Sight(), "cancelled before it started"),
        (State.CANCELLED, Sight("x", began=0, ended=3), "3s, cancelled"),
        (State.SKIPPED, Sight(), "skipped"),
        (State.MANUAL, Sight(), "manual: --manual test_prod runs it"),
        (State.DELAYED, Sight(due=125), "starts in 105s"),
        (State.PENDING, Sight(), "waits for the resource group prod"),
    ],
)
def test_what_a_job_does_is_said_in_words(state: State, sight: Sight, text: str) -> None:
    rows = tree(a_schedule(test_prod=state), {"test_prod": sight}, 20, 50)
    assert rows[1].text == text


def test_where_the_terminal_is_low_stages_to_come_are_folded_first_and_then_those_that_ended_well() -> None:
    schedule = a_schedule(
        build_a=State.SUCCEEDED,
        build_b=State.SUCCEEDED,
        test_a=State.RUNNING,
        test_b=State.FAILED,
        deploy_a=State.CREATED,
        deploy_b=State.CREATED,
    )
    assert [row.name for row in tree(schedule, {}, 0, 9)] == [row.name for row in tree(schedule, {}, 0, 50)]
    assert tree(schedule, {}, 0, 8)[-1] == Row(0, "deploy", "2 to come")
    assert len(tree(schedule, {}, 0, 8)) == 7
    assert tree(schedule, {}, 0, 6)[0] == Row(0, "build", "2 succeeded")
    assert tree(schedule, {}, 0, 3) == [Row(0, "build", "2 succeeded"), Row(0, "test"), Row(0, "and 3 more lines")]


@given(st.lists(st.sampled_from(list(State)), min_size=1, max_size=30), st.integers(0, 20))
def test_the_tree_is_never_higher_than_it_may_be(states: list[State], height: int) -> None:
    stages = ("build", "test", "deploy")
    schedule = a_schedule(**{f"{stages[number % 3]}_{number}": state for number, state in enumerate(states)})
    assert len(tree(schedule, {}, 0, height)) <= height
    assert len(tree(schedule, {}, 0, 1000)) == len(states) + len({number % 3 for number in range(len(states))})


def test_every_state_has_a_mark() -> None:
    assert set(MARKS) == set(State)
    assert all(ascii_mark.isascii() for _, ascii_mark, _ in MARKS.values())


def test_the_summary_has_a_line_for_each_job_in_the_order_of_the_stages() -> None:
    schedule = a_schedule(test_b=State.FAILED, build_a=State.SUCCEEDED, deploy_c=State.SKIPPED)
    sights = {
        "build_a": Sight("x", began=0, ended=12),
        "test_b": Sight("y", began=12, ended=212, why="exit code 7: nothing to do"),
    }
    assert summary(schedule, sights) == [
        (State.SUCCEEDED, "build_a", "12s", ""),
        (State.FAILED, "test_b", "3m20s", "exit code 7: nothing to do"),
        (State.SKIPPED, "deploy_c", "", ""),
    ]


def test_the_last_sentence_says_how_the_pipeline_ended() -> None:
    assert outcome(a_schedule(test_a=State.SUCCEEDED, test_b=State.FORGIVEN), 5) == "pipeline succeeded after 5s"
    assert outcome(a_schedule(test_a=State.FAILED, test_b=State.CANCELLED), 5) == "pipeline failed after 5s: test_a"
    assert outcome(a_schedule(test_a=State.CANCELLED), 5) == "pipeline was cancelled after 5s"
    blocked = begin(a_pipeline(a_job("approve", "build", when="manual"), a_job("ship", "deploy")))
    assert outcome(blocked, 0) == "pipeline stopped after 0s at manual jobs, for which the rest waits: approve"
