"""Verdicts, their texts, and the reasons behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.models import Phase
from cijob.reasons import INFRASTRUCTURE, MESSAGES, Reason
from cijob.verdict import message_of, verdict

WAITING = {Reason.QUOTA_EXCEEDED, Reason.UNSCHEDULABLE, Reason.PULLING_IMAGE, Reason.CONTAINER_STARTING}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence_and_is_a_valid_condition_reason(reason: Reason) -> None:
    message = MESSAGES[reason]

    assert message[0].isupper() or message.startswith("spec.")
    assert message.endswith((".", ":"))
    assert message_of(reason) == message
    assert str(reason).isalpha()
    assert len(reason) <= 128


@pytest.mark.parametrize("reason", sorted(set(Reason) - WAITING))
def test_the_phase_of_a_verdict(reason: Reason) -> None:
    expected = {Reason.COMPLETED: Phase.SUCCEEDED, Reason.CANCELLED: Phase.CANCELLED}.get(reason, Phase.FAILED)

    end = verdict(reason, "Because.", 3)

    assert (end.phase, end.reason, end.exit_code) == (expected, reason, 3)
    assert end.message == f"{MESSAGES[reason]} Because."


def test_infrastructure_is_no_fault_of_the_jobs() -> None:
    own = {
        Reason.SCRIPT_FAILED,
        Reason.OOM_KILLED,
        Reason.DEADLINE_EXCEEDED,
        Reason.IMAGE_PULL_FAILED,
        Reason.CANCELLED,
    }

    assert own.isdisjoint(INFRASTRUCTURE)
    assert WAITING.isdisjoint(INFRASTRUCTURE)


@given(st.sampled_from(list(Reason)), st.text())
def test_a_message_is_one_line_of_bounded_length(reason: Reason, detail: str) -> None:
    message = message_of(reason, detail)

    assert len(message) <= 1024
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in message)
    assert message.startswith(MESSAGES[reason])


def test_a_long_detail_is_cut_and_says_so() -> None:
    assert message_of(Reason.POD_REJECTED, "x" * 5000).endswith("x…")
    assert len(message_of(Reason.POD_REJECTED, "x" * 5000)) == 1024


def test_lines_become_one() -> None:
    assert message_of(Reason.POD_REJECTED, "a\r\n\tb\x1b[31m") == f"{MESSAGES[Reason.POD_REJECTED]} a b [31m"
