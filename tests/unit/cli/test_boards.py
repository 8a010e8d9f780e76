"""Where a pipeline is shown: lines in a pipe, and what a tree makes of logs."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli import console
from cijob.cli.pipeline.boards import Lines, Single, prefix
from cijob.cli.pipeline.reporting import report
from cijob.cli.pipeline.schedule import State, begin
from cijob.cli.pipeline.tree import Sight
from cijob.cli.pipeline.treeboard import Tree, board_for
from tests.unit.cli.pipelines import a_job, a_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _streams() -> Iterator[None]:
    """The consoles are made for the streams of one process: here those of each test."""
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.out.cache_clear()
    console.err.cache_clear()


def test_in_a_pipe_each_line_has_the_name_of_its_job(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = Lines()
    lines.log("build", b"one\n")
    lines.log("test: [a]", b"\x1b[31mtwo\xff\n")
    lines.close()
    assert capfdbinary.readouterr() == (b"build | one\ntest: [a] | \x1b[31mtwo\xff\n", b"")


def test_a_line_that_comes_in_parts_stays_whole_unless_another_job_speaks(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    lines = Lines()
    lines.log("a", b"on")
    lines.log("a", b"e\n")
    lines.log("a", b"two")
    lines.log("b", b"three\n")
    lines.log("a", b"four")
    lines.close()
    assert capfdbinary.readouterr().out == b"a | one\na | two\nb | three\na | four\n"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from([b"x", b"\n"]), min_size=1)), max_size=20))
def test_whatever_comes_every_line_in_a_pipe_has_one_name_and_no_byte_is_lost(
    pieces: list[tuple[str, list[bytes]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written = _Written()
        patch.setattr("sys.stdout", written)
        lines = Lines()
        sent = [(job, line) for job, parts in pieces for line in b"".join(parts).splitlines(keepends=True)]
        for job, line in sent:
            lines.log(job, line)
        lines.close()
    got = written.data.splitlines()
    assert all(line.startswith((b"a | ", b"b | ")) for line in got)
    for job in "ab":
        mine = b"".join(line[4:] for line in got if line.startswith(job.encode()))
        assert mine == b"".join(line for name, line in sent if name == job).replace(b"\n", b"")


class _Written:
    """FAKE stdout."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def buffer(self) -> _Written:
        return self

    def write(self, data: bytes) -> None:
        self.data += data

    def flush(self) -> None:
        pass


def test_in_a_pipe_each_state_of_an_attempt_is_told_once_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for text in ("queued", "running", "queued", ""):
        lines.doing("a", text)
    lines.doing("b", "queued")
    lines.attempt("a", 1)
    lines.doing("a", "running")
    lines.attempt("a", 2)
    lines.doing("a", "running")
    said = capfd.readouterr()
    assert said.err.splitlines() == [
        "cijob: a: queued",
        "cijob: a: running",
        "cijob: b: queued",
        "cijob: a: attempt 2",
        "cijob: a: running",
    ]
    assert said.out == ""


def test_what_comes_from_the_cluster_cannot_move_the_cursor(capfd: pytest.CaptureFixture[str]) -> None:
    Lines().note("image \x1b[2J\x1b]0;title\x07not\r\nfound")
    assert capfd.readouterr().err == "cijob: image not found\n"
    assert prefix("a\x1b[2Jb\nc") == "ab c | "


def test_above_a_tree_logs_keep_their_colours_and_nothing_that_moves_the_cursor() -> None:
    line = Tree()._line("a", b"\x1b[31mred\x1b[0m \x1b[2J\x1b[5A\xc2\x9b1A\xff\r\n")
    assert line.plain == "a | red 1A\ufffd"
    assert [str(span.style) for span in line.spans if line.plain[span.start : span.end] == "red"] == ["color(1)"]


def test_above_a_tree_only_the_prefix_has_the_colour_of_the_job() -> None:
    line = Tree()._line("a", b"words\n")
    assert (line.plain, line.style) == ("a | words", "")
    assert [(span.start, span.end, span.style) for span in line.spans] == [(0, 4, "cyan")]


def test_above_a_tree_a_progress_bar_is_what_it_was_last() -> None:
    assert Tree()._line("a", b"10%\r50%\r100%\n").plain == "a | 100%"
    assert Tree()._line("a", b"10%\r100%\r\n").plain == "a | 100%"


def test_above_a_tree_an_endless_line_is_cut_and_says_so() -> None:
    line = Tree()._line("a", b"x" * 1_000_000).plain
    assert len(line) < 20_000
    assert line.endswith("x ... and 983616 bytes more, which `cijob logs` shows")


@given(st.text(st.sampled_from("\x1b[]PX^_\\\x07 0;m\ra\u202e\x9b")))
def test_whatever_a_job_prints_nothing_but_colours_reaches_the_terminal(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", console.plain(text))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", re.sub(r"\x1b\[[0-9;]*m", "", console.coloured(text)))


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1bPq#0~~\x1b\\",
        "\x1b_Gf=1;AA\x1b\\",
        "\x1b^x\x1b\\",
        "\x1b]0;title\x07",
        "\x1bPtmux;\x1b\x1b]52;c;AA\x07\x1b\\",
    ],
)
def test_whole_sequences_go_with_what_they_hold(sequence: str) -> None:
    assert console.plain(f"a{sequence}b") == "ab"


@pytest.mark.parametrize("start", ["\x1bP", "\x1b_", "\x1b]", "\x1b[0", "\x1b[ ", "\x1b "])
def test_sequences_without_an_end_take_no_longer_than_others(start: str) -> None:
    # In a process of its own, for nothing ends a regular expression. Each against each of them would take hours.
    code = f"from cijob.cli.console import coloured; coloured({start!r} * 500_000); coloured({start!r} + {start[-1]!r} * 1_000_000)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_tree_fits_the_terminal_and_tells_how_long_the_pipeline_runs() -> None:
    board = Tree()
    pipeline = a_pipeline(*(a_job(f"job{number}", "build") for number in range(30)))
    schedule = begin(pipeline).started("job0")
    board._now = schedule, {"job0": Sight("x", "running on node1", began=time.monotonic())}
    lines = board.render(60, 15, ascii_only=True)
    assert len(lines) <= 15 - 5
    assert re.match(r"-- \ds --", lines[0].plain)
    assert lines[2].plain.strip().startswith("* job0")
    assert all(line.plain.isascii() for line in lines)
    assert board.render(60, 2, ascii_only=True) != []


async def test_no_line_of_a_log_is_lost_while_there_is_a_question_on_the_screen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    board = Tree()
    board._shared = True
    board.log("a", b"before\n")
    with board.hold():
        before = _lines(capfd)
        board.log("a", b"meanwhile\n")
        board.note("news")
        await asyncio.sleep(0)
        meanwhile = _lines(capfd)
    board.log("a", b"after\n")
    board.close()
    assert (before, meanwhile) == (["a | before"], ["cijob: news"])
    assert _lines(capfd) == ["a | meanwhile", "a | after"]


def _lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line]


async def test_a_question_that_nobody_answers_does_not_fill_the_memory(capfd: pytest.CaptureFixture[str]) -> None:
    board = Tree()
    board._shared = True
    with board.hold():
        for _ in range(2):
            board.log("a", b"x" * 512 * 1024 + b"\n")
        shown = capfd.readouterr().err.count("a | x")
        board.log("a", b"last\n")
        held = capfd.readouterr().err
    assert (shown, held) == (2, "")
    assert "a | last" in capfd.readouterr().err
    board.close()


def test_a_pipeline_of_one_job_is_shown_as_that_job(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    board = board_for(1)
    assert isinstance(board, Single)
    board.log("a", b"bare\n")
    board.close()
    assert capfdbinary.readouterr().out == b"bare\n"
    assert isinstance(board_for(2), Lines)


def test_every_state_is_drawn() -> None:
    for state in State:
        board = Tree()
        schedule = begin(a_pipeline(a_job("a", "build")))._with("a", state)
        board._now = schedule, {}
        assert len(board.render(80, 24, ascii_only=False)) == 3


def test_the_last_word_of_a_pipeline_is_what_the_exit_code_is_for(capfd: pytest.CaptureFixture[str]) -> None:
    report(begin(a_pipeline(a_job("a"))), {}, 1, "ns", "look", lost=True)
    assert capfd.readouterr().err.endswith(
        "cijob: not all artifacts are in the folder of --artifacts: why stands above\n"
    )
