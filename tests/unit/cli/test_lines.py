from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.cli.follow import lines as lines_module
from cijob.cli.follow.lines import LogLines
from tests.unit.cli.kubelet import NANO, LogFile, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

T0 = 1_769_860_800 * NANO  # 2026-01-31T12:00:00Z


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_BYTES", 60)


def read_all(log: LogFile, cuts: list[int], lines: LogLines | None = None) -> bytes:
    """What comes out when each connection breaks after so many bytes, but for the last."""
    lines = lines or LogLines()
    out = b""
    for cut in cuts:
        lines.begin()
        out += b"".join(lines.feed(log.answer(lines.since)[:cut]))
    lines.begin()
    out += b"".join(lines.feed(log.answer(lines.since)))
    return out + b"".join(lines.finish())


MICRO = 1000


@st.composite
def log_files(draw: st.DrawFn) -> LogFile:
    """Lines of one to three parts, at times that may be equal and may go back by less than a second.

    Only the later parts of a line have times of their own, as no two reads of a clock come out the same; and among lines of
    several parts times do not go back: that would take two streams, one of them with a long line, within microseconds
    around the second from which the next connection reads.
    """
    log, now, oldest = LogFile(), T0, T0 - NANO
    contents = st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"\x00"))
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.sampled_from([0, 0, MICRO, 333_000 * MICRO, NANO, 3 * NANO]))
        begin = max(oldest, now - draw(st.sampled_from([0, 0, 0, MICRO, NANO // 2])))
        parts = [(begin, draw(contents))]
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2])) if begin == now else 0):
            now += draw(st.sampled_from([MICRO, NANO // 2, 2 * NANO]))
            parts.append((now + 7, draw(contents)))
            now = oldest = now + MICRO
        parts[-1] = (parts[-1][0], parts[-1][1] + b"\n")
        log.write(*parts)
    without_newline: bool = draw(st.booleans())
    if log.lines and without_newline:
        at, last = log.lines[-1][-1]
        log.lines[-1][-1] = at, last[:-1]
    return log


@settings(deadline=None)
@given(log_files(), st.lists(st.integers(0, 400), max_size=8))
def test_every_line_comes_once_wherever_connections_break(log: LogFile, cuts: list[int]) -> None:
    assert read_all(log, cuts) == log.text


@pytest.mark.usefixtures("short_pieces")
@settings(deadline=None)
@given(log_files(), st.lists(st.integers(0, 400), max_size=8))
def test_every_byte_comes_once_where_long_lines_are_passed_on_in_parts(log: LogFile, cuts: list[int]) -> None:
    assert read_all(log, cuts) == log.text


@settings(deadline=None)
@given(log_files(), st.integers(1, 100))
def test_pieces_of_an_answer_may_be_of_any_size(log: LogFile, size: int) -> None:
    lines = LogLines()
    lines.begin()
    out = b"".join(line for piece in pieces_of(log.answer(), size) for line in lines.feed(piece))
    assert out + b"".join(lines.finish()) == log.text


def test_what_comes_are_whole_lines() -> None:
    log = LogFile()
    log.write((T0, b"one\n"))
    log.write((T0 + 1, b"two\n"))
    lines = LogLines()
    lines.begin()
    pieces = [*lines.feed(log.answer()[:50]), *lines.feed(log.answer()[50:])]
    assert pieces == [b"one\n", b"two\n"]


def test_lines_in_front_of_the_tail_are_not_shown_when_the_connection_breaks() -> None:
    log = LogFile()
    for index in range(10):
        log.write((T0 + index, f"{index}\n".encode()))
    lines = LogLines()
    lines.begin()
    tail = b"".join(stamp(at) + part for line in log.lines[-3:] for at, part in line)
    out = b"".join(lines.feed(tail))
    log.write((T0 + 10, b"10\n"))
    lines.begin()
    assert out + b"".join(lines.feed(log.answer(lines.since))) == b"7\n8\n9\n10\n"


def test_a_log_that_was_rotated_meanwhile_is_said_to_have_a_gap_and_goes_on() -> None:
    log, lines = LogFile(), LogLines()
    log.write((T0, b"old\n"))
    lines.begin()
    lines.feed(log.answer())
    log.lines = [[(T0 + 5 * NANO, b"new\n")]]
    lines.begin()
    assert lines.feed(log.answer(lines.since)) == [b"new\n"]
    assert lines.gap


def test_a_connection_that_brought_nothing_is_no_gap() -> None:
    lines = LogLines()
    lines.begin()
    lines.feed(stamp(T0) + b"a\n")
    lines.begin()
    assert not lines.gap
    lines.begin()
    lines.feed(stamp(T0) + b"a\n" + stamp(T0 + 1) + b"b\n")
    assert not lines.gap


def test_the_kubelets_own_words_are_no_lines() -> None:
    lines = LogLines()
    lines.begin()
    assert lines.feed(b"unable to retrieve container logs for containerd://0123\n") == []
    assert lines.remarks == ["unable to retrieve container logs for containerd://0123"]


def test_only_what_the_next_connection_can_repeat_is_remembered() -> None:
    lines = LogLines()
    lines.begin()
    for second in range(100):
        lines.feed(stamp(T0 + second * NANO) + b"x\n")
    assert len(lines._seen) == 2


def test_a_node_may_have_a_time_zone() -> None:
    lines = LogLines()
    lines.begin()
    lines.feed(b"2026-01-31T14:00:05.5+02:00 x\n")
    assert lines.since == "2026-01-31T12:00:04Z"


def test_timestamps_stand_in_front_of_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_BYTES", 60)
    log = LogFile()
    log.write((T0, b"a" * 50), (T0 + 5, b"b" * 50), (T0 + 9, b"c\n"))
    log.write((T0 + 10, b"d\n"))
    out = read_all(log, [85, 100, 120], LogLines(timestamps=True))
    assert out == b"".join([stamp(T0), b"a" * 50, b"b" * 50, b"c\n", stamp(T0 + 10), b"d\n"])


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    lines = LogLines()
    lines.begin()
    total = 0
    for piece in pieces_of(stamp(T0) + b"x" * (5 * lines_module.MOST_BYTES), 64 * 1024):
        total += sum(map(len, lines.feed(piece)))
        assert len(lines._buffer) <= lines_module.MOST_BYTES + 64 * 1024
    assert total >= 4 * lines_module.MOST_BYTES
