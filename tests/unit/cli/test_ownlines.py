"""Which lines of a log `cijob logs` leaves out: those of the files that `cijob run` moved."""

from __future__ import annotations

from typing import Any

import pytest

from cijob.cli.files.ownlines import last_own, own_part, token_of
from cijob.cli.files.transfer import bring_entry, take_entry
from cijob.cli.follow.logs import _Own

TOKEN = "transfer-0123456789abcdef"  # noqa: S105  not a secret


@pytest.mark.parametrize(
    ("spec", "token"),
    [
        ({"script": ["make"]}, ""),
        ({"beforeScript": ["echo cijob_transfer=x y"]}, ""),
        ({"beforeScript": [bring_entry(TOKEN), "make"]}, TOKEN),
        ({"afterScript": [take_entry(TOKEN, "always")]}, TOKEN),
    ],
)
def test_a_job_that_was_given_files_says_how_their_lines_are_marked(spec: dict[str, Any], token: str) -> None:
    assert token_of({"spec": spec}) == token


def test_the_jobs_own_lines_are_all_that_is_shown(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    screen = _Own(TOKEN)
    for line in (
        f"$ cijob_transfer={TOKEN} cijob_seconds=1 # 24 lines",
        "$ make",
        f"no newline$ cijob_transfer={TOKEN} x",
        f"+ cijob_transfer={TOKEN}",
        f'cijob: files wait up to 1 s for "cijob run" ({TOKEN}, success)',
        "cijob: nobody took the files within 1 s",
    ):
        screen.line(f"{line}\n".encode())
    screen.close()
    assert capfdbinary.readouterr().out == b"$ make\nno newline\ncijob: nobody took the files within 1 s\n"


def test_without_a_token_every_line_is_the_jobs_own() -> None:
    assert own_part(b"$ cijob_transfer=a b\n", "") == b"$ cijob_transfer=a b\n"


def test_a_job_that_imitates_the_marks_costs_no_time() -> None:
    line = f"cijob: {TOKEN}".encode() + b"cijob: " * 150_000
    assert own_part(line + b"\n", TOKEN) == b""
    assert own_part(b"cijob: " * 150_000 + TOKEN.encode() + b"\rx\n", TOKEN) == b""


LINES = [b"a\n", f"$ cijob_transfer={TOKEN} x\n".encode(), b"b", b" goes on\n", b"\n", f"+ {TOKEN}\n".encode(), b"c"]


@pytest.mark.parametrize(("count", "begin"), [(0, 7), (1, 6), (2, 4), (3, 2), (4, 0), (5, None)])
def test_the_last_lines_are_counted_without_those_that_are_left_out(count: int, begin: int | None) -> None:
    assert last_own(LINES, count, TOKEN) == (None if begin is None else LINES[begin:])
