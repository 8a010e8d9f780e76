from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

import pytest

from cijob.cli import console
from cijob.cli.follow.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator


class Out(io.TextIOWrapper):
    """A FAKE stdout or stderr, of a terminal or of a pipe; both may be one."""

    def __init__(self, file: io.BytesIO, *, tty: bool) -> None:
        super().__init__(file, encoding="utf-8", write_through=True)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


class Streams:
    """What was written to each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.err = io.BytesIO(), io.BytesIO()
        self._patch = monkeypatch

    def use(self, *, out_tty: bool, err_tty: bool, term: str = "xterm-256color") -> Screen:
        """A screen on such streams; two terminals are one."""
        if out_tty and err_tty:
            self.out = self.err
        self._patch.setenv("TERM", term)
        self._patch.setattr(sys, "stdout", Out(self.out, tty=out_tty))
        self._patch.setattr(sys, "stderr", Out(self.err, tty=err_tty))
        return Screen()


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    console.out.cache_clear()
    console.err.cache_clear()
    yield Streams(monkeypatch)
    console.out.cache_clear()
    console.err.cache_clear()


def test_in_a_pipe_each_state_is_one_line_once(streams: Streams) -> None:
    screen = streams.use(out_tty=False, err_tty=False)
    for text in ("waiting", "pulling", "waiting", "", "pulling"):
        screen.progress(text)
    screen.close()
    assert streams.err.getvalue() == b"cijob: waiting\ncijob: pulling\n"


def test_in_a_pipe_the_log_is_what_it_is(streams: Streams) -> None:
    screen = streams.use(out_tty=False, err_tty=False)
    for data in (b"\x1b[31mred\r\n", b"\x00\xff\n", b"no newline"):
        screen.line(data)
    screen.note("the end")
    screen.close()
    assert streams.out.getvalue() == b"\x1b[31mred\r\n\x00\xff\nno newline"
    assert streams.err.getvalue() == b"cijob: the end\n"


def test_texts_of_the_cluster_cannot_steer_a_terminal_or_break_lines(streams: Streams) -> None:
    screen = streams.use(out_tty=False, err_tty=False)
    screen.progress("a\x1b[2Jb\nc\x07")
    screen.note("d\re")
    assert streams.err.getvalue() == b"cijob: ab c\ncijob: de\n"


def test_on_a_terminal_the_live_line_goes_when_the_log_comes(streams: Streams) -> None:
    screen = streams.use(out_tty=True, err_tty=True)
    screen.progress("waiting for the Docker daemon")
    screen.line(b"hello\n")
    screen.progress("running on node1")
    screen.line(b"again\n")
    screen.close()
    shown = streams.out.getvalue()
    before, _, after = shown.partition(b"hello\n")
    assert b"waiting for the Docker daemon" in before
    assert before.rstrip(b"\r").endswith((b"\x1b[?25h", b"\x1b[2K"))
    assert after == b"again\n"


def test_the_live_line_comes_back_behind_the_log_on_a_line_of_its_own(streams: Streams) -> None:
    screen = streams.use(out_tty=True, err_tty=True)
    screen.line(b"no newline")
    screen.progress("the script has ended")
    screen.close()
    plain = re.sub(rb"\x1b\[[?\d;]*[a-zA-Z]", b"", streams.out.getvalue())
    assert plain.startswith(b"no newline\n")
    assert b"the script has ended" in plain


def test_a_log_that_goes_elsewhere_leaves_the_live_line_alone(streams: Streams) -> None:
    screen = streams.use(out_tty=False, err_tty=True)
    screen.line(b"hello\n")
    screen.progress("running on node1")
    screen.close()
    assert streams.out.getvalue() == b"hello\n"
    assert b"running on node1" in streams.err.getvalue()


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(streams: Streams) -> None:
    screen = streams.use(out_tty=True, err_tty=True, term="dumb")
    screen.progress("waiting")
    screen.line(b"hello\n")
    screen.close()
    assert streams.out.getvalue() == b"cijob: waiting\nhello\n"


def test_a_long_live_line_stays_on_one_row(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = streams.use(out_tty=True, err_tty=True)
    screen.progress("no node has room yet: " + "0/3 nodes are available " * 10)
    screen.close()
    rows = re.sub(rb"\x1b\[[?\d;]*[a-zA-Z]", b"", streams.out.getvalue()).decode().replace("\r", "\n").split("\n")
    assert max(map(len, rows)) <= 40


def test_while_a_question_is_on_the_screen_the_log_waits(streams: Streams) -> None:
    screen = streams.use(out_tty=True, err_tty=True)
    screen.progress("waiting")
    with screen.hold():
        before = streams.out.getvalue()
        screen.line(b"hello\n")
        screen.progress("running on node1")
        assert streams.out.getvalue() == before
    assert b"hello\n" in streams.out.getvalue()
    screen.close()


def test_a_log_that_does_not_end_does_not_fill_the_memory_behind_a_question(streams: Streams) -> None:
    screen = streams.use(out_tty=True, err_tty=True)
    with screen.hold():
        for _ in range(40):
            screen.line(b"x" * 100_000 + b"\n")
        assert len(streams.out.getvalue()) > 2_000_000
    assert len(streams.out.getvalue()) == 40 * 100_001


def test_a_second_attempt_is_announced_and_says_its_states_again(streams: Streams) -> None:
    screen = streams.use(out_tty=False, err_tty=False)
    screen.attempt(1)
    screen.progress("waiting")
    screen.attempt(2)
    screen.progress("")
    screen.progress("waiting")
    assert streams.err.getvalue() == b"cijob: waiting\ncijob: attempt 2\ncijob: waiting\n"
