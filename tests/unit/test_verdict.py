"""Verdicts, their texts, and the reasons behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.models import Phase
from cijob.reasons import INFRASTRUCTURE, MESSAGES, QUEUED, Reason
from cijob.verdict import last_lines, message_of, printable, shortened, verdict

WAITING = QUEUED | {
    Reason.QUOTA_EXCEEDED,
    Reason.UNSCHEDULABLE,
    Reason.PULLING_IMAGE,
    Reason.CONTAINER_STARTING,
}


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
        Reason.SOURCE_FAILED,
        Reason.SERVICE_NOT_READY,
        Reason.SERVICE_IMAGE_PULL_FAILED,
        Reason.CANCELLED,
    }

    assert own.isdisjoint(INFRASTRUCTURE)
    assert WAITING.isdisjoint(INFRASTRUCTURE)


@given(st.sampled_from(list(Reason)), st.text())
def test_a_message_is_one_line_of_bounded_length(reason: Reason, detail: str) -> None:
    message = message_of(reason, detail)

    assert len(message) <= 1024
    assert message.isprintable()
    assert message.startswith(MESSAGES[reason])


def test_a_long_detail_is_cut_and_says_so() -> None:
    assert message_of(Reason.POD_REJECTED, "x" * 5000).endswith("x…")
    assert len(message_of(Reason.POD_REJECTED, "x" * 5000)) == 1024


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n\tb", "a b"),
        ("\x1b[1;31mred\x1b[0m and \x9b4mlined\x9b24m", "red and lined"),
        ("\x1b]0;a title\x07text \x1b]8;;https://x\x1b\\a link\x1b]8;;\x1b\\ \x9dstring\x9c.", "text a link ."),
        ("a title without an end \x1b]0;title\nthe next line", "a title without an end the next line"),
        ("\x1b(Bascii \x1b7saved\x1b8 \x1bcreset", "ascii saved reset"),
        ("cut off \x1b[31", "cut off"),
        ("cut off \x1b", "cut off"),
        ("back\b\x00\x7f\x85\u2028\u2029ward", "back ward"),
        ("a\u202eb\u2066c\u200fd\ud800e\ufefff", "a b c d e f"),
        ("naïve 価格 🚀", "naïve 価格 🚀"),
    ],
)
def test_what_steers_a_terminal_or_a_reader_is_taken_out(text: str, shown: str) -> None:
    assert message_of(Reason.POD_REJECTED, text) == f"{MESSAGES[Reason.POD_REJECTED]} {shown}"


@given(st.text(alphabet=st.sampled_from("\x1b\x9b\x9d\x07[];?0m\\ab \n")), st.integers(1, 40))
def test_any_sequence_leaves_printable_lines_of_bounded_length(text: str, length: int) -> None:
    for shown in (printable(text), last_lines(text, length), shortened(printable(text), length)):
        assert shown.isprintable()
    assert len(last_lines(text, length)) <= length
    assert len(shortened(printable(text), length)) <= length


def test_of_many_lines_the_last_are_kept() -> None:
    assert last_lines("first\n\n  second\r\nthird\n", 40) == "first / second / third"
    assert last_lines("first\nsecond\nthird", 10) == "…d / third"
    assert last_lines("\n", 10) == ""
