"""What is said of a reason: every one has its advice, and every command in it exists."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from cijob.cli.app import COMMANDS, cli
from cijob.cli.looking.advice import ENDS, WAITS, Fault
from cijob.cli.looking.cases import advice_on, steps_while_waiting
from cijob.reasons import INFRASTRUCTURE, QUEUED, Reason

VALUES = {"n": " -n team-a", "name": "build-42", "pool": "default", "image": "ubuntu:25.10"}
ALL = {reason: advice.steps for reason, advice in ENDS.items()} | WAITS


def steps(reason: Reason) -> list[str]:
    """What to try, as it is printed."""
    return [step.format(**VALUES) for step in ALL[reason]]


def test_every_reason_is_one_of_an_end_or_of_a_wait() -> None:
    assert set(ENDS) | set(WAITS) == set(Reason)
    assert not set(ENDS) & set(WAITS)
    assert set(WAITS) >= QUEUED


@pytest.mark.parametrize("reason", ENDS)
def test_the_cluster_is_to_blame_for_its_own_troubles_and_for_no_others(reason: Reason) -> None:
    expected = reason in INFRASTRUCTURE and reason is not Reason.POOL_DRAINED
    assert (ENDS[reason].fault is Fault.CLUSTER) == expected


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.COMPLETED])
def test_for_every_failure_and_wait_there_is_something_to_try(reason: Reason) -> None:
    assert steps(reason)


@pytest.mark.parametrize("reason", ENDS)
def test_why_goes_on_after_a_colon(reason: Reason) -> None:
    why = ENDS[reason].why.format(**VALUES)
    assert why[0].islower()
    assert not why.endswith(".")


@pytest.mark.parametrize("reason", ALL)
def test_steps_are_sentences_whose_gaps_are_filled(reason: Reason) -> None:
    for step in steps(reason):
        assert step.endswith((".", "?")), step
        assert not re.search(r"\{[a-z]*\}", step.replace('{"spec":{"suspend":false}}', "")), step


@pytest.mark.parametrize("reason", ALL)
def test_every_command_of_ours_that_is_named_exists_with_these_options(reason: Reason) -> None:
    for line in re.findall(r"`(cijob [^`]*)`", " ".join(steps(reason))):
        _, name, *arguments = shlex.split(line)
        assert name in COMMANDS
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, arguments)  # a usage error if an option is not there


@pytest.mark.parametrize(
    ("exit_code", "message", "first"),
    [
        (127, "", "Install the command"),
        (137, "The container db was killed for memory.", "A container that the job ran in Docker ran out of memory"),
        (1, "Docker's disk is full: 1Mi of 700Mi are left.", "Raise spec.docker.storage.size"),
        (1, "", "`cijob logs"),
    ],
)
def test_a_failed_script_gets_what_fits_its_case_first(exit_code: int, message: str, first: str) -> None:
    advice = advice_on("ScriptFailed", exit_code, message)
    assert advice is not None
    assert advice.steps[0].startswith(first)


def test_a_reason_of_a_newer_operator_has_no_advice() -> None:
    assert advice_on("SomethingNew", None, "") is None
    assert steps_while_waiting("SomethingNew") == ()
