"""Scripts and variables arrive byte for byte."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.lab import Jobs

NASTY = """quotes ' " ` dollar $ $X $(X) $$ $$(X) ${X} backslash \\ \\n \\\\ tab\t semicolon ; & | < > * ? [a] {b} ~ ! # percent %s
second line with Ünïcödé, 漢字, 🐳 and trailing blanks \x20

last line after an empty one"""


@pytest.mark.parametrize("image", ["ubuntu:25.10", "busybox:stable"])
def test_a_script_comes_out_byte_for_byte(jobs: Jobs, image: str) -> None:
    script = f"cat > out <<'THE-END'\n{NASTY}\nTHE-END"
    digest = hashlib.sha256(f"{NASTY}\n".encode()).hexdigest()
    job = jobs.start("bytes", image=image, docker={"enabled": False}, script=[script, "sha256sum out", "cat out"])
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert digest in log
    assert NASTY in log


def test_a_variable_comes_out_byte_for_byte(jobs: Jobs) -> None:
    digest = hashlib.sha256(NASTY.encode()).hexdigest()
    job = jobs.start(
        "variable",
        docker={"enabled": False},
        variables={"NASTY": NASTY, "X": "expanded"},
        script=['printf %s "$NASTY" | sha256sum'],
    )
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert digest in log


def test_a_script_of_100_kib_comes_out_byte_for_byte(jobs: Jobs) -> None:
    lines = "".join(f'{number:06d} it\'s $HOME \\ $$ "quoted"\n' for number in range(3000))
    text = lines[: 100 * 1024 - 200].rsplit("\n", 1)[0] + "\n"
    script = f"cat > out <<'THE-END'\n{text}THE-END"
    job = jobs.start("large", docker={"enabled": False}, script=[script, "sha256sum out", "wc -c out"])
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert hashlib.sha256(text.encode()).hexdigest() in log
    assert f"{len(text.encode())} out" in log


def test_entries_share_a_shell_and_stop_at_the_first_failure(jobs: Jobs) -> None:
    job = jobs.start(
        "shell",
        docker={"enabled": False},
        beforeScript=["declare -A map=([key]=value)", "cd /tmp", "local_to_the_job=yes"],
        script=["echo ${map[key]} $PWD $local_to_the_job", "(exit 42)", "echo never"],
        afterScript=["echo after: $CIJOB_STATUS $CIJOB_EXIT_CODE ${local_to_the_job-unset}", "exit 9"],
    )
    status, log = job.end(), job.log()
    assert (status["reason"], status["exitCode"]) == ("ScriptFailed", 42)
    assert "value /tmp yes\n" in log
    assert "\nnever" not in log
    assert "after: failed 42 unset\n" in log
