"""job.sh: order, output, exit codes, and what scripts may do to their shell without breaking the account of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cijob import scripts
from tests.unit.launcher.userland import Container, program

if TYPE_CHECKING:
    from pathlib import Path


def test_entries_are_echoed_and_run_in_order(job: Container) -> None:
    ended = job.run("echo two; echo err >&2", "echo three\necho four\n", before=["echo one"])
    assert ended.lines == [
        *("$ echo one", "one"),
        *("$ echo two; echo err >&2", "two", "err"),
        *("$ echo three # 2 lines", "three", "four"),
    ]
    assert ended.code == 0
    assert ended.message == {
        "exitCode": 0,
        "part": "script",
        "entry": 2,
        "signal": None,
        "daemon": "none",
        "peakMemory": None,
    }


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("false", 1),
        ("exit 3", 3),
        ("(exit 42)", 42),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("sh -c 'kill -9 $$'", 137),
        ("no-such-command", 127),
        ("return 6", 6),
        ("exec sh -c 'exit 9'", 9),
        ("set -u; echo $no_such_variable", None),
        ("if true; then", None),
        ("echo 'unclosed", None),
        ("f() { return 5; }; f", 5),
        ("trap 'echo bye' EXIT; exit 4", 4),
        ("IFS=; PATH=/nowhere; unset CI; (exit 11)", 11),
        ("IFS=0123456789; exit 23", 23),
        ("set -C; exit 12", 12),
        ("set -x; exit 13", 13),
        ("set -f; exit 14", 14),
        ("printf() { return 1; }; exit 15", 15),
        ("exec >/dev/null 2>&1; exit 16", 16),
        ("exec >&- 2>&-; exit 17", 17),
        ("exec 1>/dev/full; (exit 18)", 18),
    ],
)
def test_the_failing_entry_gives_the_exit_code(job: Container, entry: str, code: int | None) -> None:
    ended = job.run("true", entry, "echo NOT REACHED", before=["true"])
    assert "NOT REACHED" not in ended.lines
    assert ended.code == code if code is not None else ended.code != 0
    assert ended.message is not None
    assert (ended.message["exitCode"], ended.message["part"], ended.message["entry"]) == (ended.code, "script", 2)


@pytest.mark.parametrize(
    "entries",
    [
        ['[ -n "$UNSET" ] && echo set', "echo reached"],
        ["! true", "echo reached"],
        ['for f in *.nothing; do\n  [ -f "$f" ] && echo $f\ndone', "echo reached"],
        ['f() { [ -n "$UNSET" ] && echo set; }', "if f; then echo yes; fi", "echo reached"],
        ["true && false", "echo not reached"],
        ["false && true # a comment", "echo reached"],
        ["echo reached", '[ -n "$UNSET" ] && echo set'],
        ["echo reached", "! true"],
        ["if true; then", "echo in", "else", "echo out", "fi", "echo reached"],
        ["for i in 1 2; do", "  echo $i", "done", "(exit 4)", "echo not reached"],
        ["case a in", "a) echo one;;", "esac", "echo reached"],
        ["f() {", "false", "}", "f", "echo not reached"],
        ["echo a |", "cat", "true &&", "false", "echo not reached"],
        ["{", "echo in", "}", "true"],
        ["cat <<END\ntext\nEND", '[ -n "$UNSET" ] && echo set', "cat <<END\ntext\nEND\n", "echo reached"],
        ["echo a \\\n  b", "echo log in", "echo reached"],
        ["if true; then\n", "echo in; fi\n", "echo reached\n"],
    ],
)
@pytest.mark.parametrize("split", [0, 1])
def test_entries_end_a_job_where_the_lines_of_one_script_would(job: Container, entries: list[str], split: int) -> None:
    """As GitLab's runner has them: `shells/bash.go`, Finish: all lines in one `eval` behind `set -eo pipefail`."""
    text = "\n".join(["set -e", *entries])
    script = subprocess.run(
        [job.bin / "sh", "-c", f": | eval {scripts.quote(text)}"],
        env=job.env,
        check=False,
        capture_output=True,
        text=True,
    )
    ended = job.run(*entries[split:], before=entries[:split])
    assert [line for line in ended.lines if not line.startswith("$ ")] == script.stdout.splitlines()
    assert (ended.code == 0) == (script.returncode == 0)


def test_an_entry_that_goes_on_is_announced_line_by_line_and_fails_by_its_first(job: Container) -> None:
    ended = job.run("true", "if true; then", "(exit 6)", "fi", "echo NOT REACHED")
    assert ended.lines == ["$ true", "$ if true; then", "$ (exit 6)", "$ fi"]
    assert ended.message is not None
    assert (ended.code, ended.message["entry"]) == (6, 2)


def test_set_plus_e_is_the_scripts_own_choice(job: Container) -> None:
    ended = job.run("set +e", "false", "(exit 8)")
    assert ended.lines == ["$ set +e", "$ false", "$ (exit 8)"]
    assert ended.code == 8


def test_a_failing_before_script_stops_the_job_and_is_named(job: Container) -> None:
    ended = job.run("echo NOT REACHED", before=["true", "true", "exit 7"])
    assert "NOT REACHED" not in ended.lines
    assert ended.message is not None
    assert (ended.code, ended.message["part"], ended.message["entry"]) == (7, "before", 3)


def test_a_pipe_fails_with_its_first_part_where_the_shell_can(job: Container) -> None:
    assert job.run("(exit 5) | cat").code == (0 if job.shell == "dash" else 5)


def test_entries_share_one_shell(job: Container) -> None:
    ended = job.run(
        'echo "$x $PWD $(f) $# ${Z-unset}"',
        "set -- a 'b c'; IFS=:",
        'echo "$#" "$2"; unset IFS',
        "alias hi='echo hello'",
        "set +e; set -u; set -C",
        "false",
        "echo still here",
        before=["x='1  2'", "cd /", "f() { echo f; }"],
    )
    assert [line for line in ended.lines if not line.startswith("$ ")] == ["1  2 / f 0 unset", "2 b c", "still here"]
    assert ended.code == 0


def test_declare_at_the_top_of_an_entry_is_global_in_bash(tmp_path: Path) -> None:
    ended = Container(tmp_path / "cijob", "bash").run("declare -A m=([k]=v); local x=1 || true", 'echo "${m[k]}"')
    assert ended.lines[-1] == "v"


def test_standard_input_is_empty(job: Container) -> None:
    assert job.run("cat", "echo end").lines[-1] == "end"


def test_variables_of_the_job_are_not_those_of_the_launcher(job: Container) -> None:
    names = ("root", "log", "part", "entry", "signal", "code", "shell", "pid", "status", "line", "IFS2", "BASH_ENV")
    job.env |= dict.fromkeys(names, "mine") | {"BASH_ENV": "/nonexistent"}
    ended = job.run("env", before=[":"])
    for name in names[:-1]:
        assert f"{name}=mine" in ended.lines
    assert not [line for line in ended.lines if line.startswith("cijob_")]


def test_only_images_without_bash_ignore_sigint(job: Container) -> None:
    """Their shells let background jobs ignore it, and `set -m` needs a terminal there."""
    ignored = job.run("sh -c 'kill -INT $$; echo survived'").code == 0
    assert ignored == (not job.shell.startswith("bash"))


def test_what_the_script_leaves_behind_does_not_keep_the_job(job: Container) -> None:
    ended = job.run(
        'sleep 1000 & echo $! > "$CIJOB_ROOT/left"',
        after=['if kill -0 "$(cat "$CIJOB_ROOT/left")" 2>/dev/null; then echo alive; else echo gone; fi'],
    )
    assert ended.lines[-1] == "gone"
    assert ended.code == 0


def test_what_ignores_sigterm_is_killed_after_a_while(job: Container) -> None:
    ended = job.run(
        'sh -c \'trap "" TERM; echo $$ > "$CIJOB_ROOT/left"; while :; do sleep 1; done\' &',
        'sh -c \'trap "echo asked" TERM; echo $$ > "$CIJOB_ROOT/asked"; while :; do sleep 0.1; done\' &',
        'until [ -s "$CIJOB_ROOT/left" ] && [ -s "$CIJOB_ROOT/asked" ]; do sleep 0.05; done',
        # It is a zombie, which `kill -0` finds, until PID 1 has come round to it.
        after=[
            'n=0; while [ $n -lt 60 ] && kill -0 "$(cat "$CIJOB_ROOT/left")"; do sleep 0.05; n=$((n + 1)); done',
            "if [ $n -lt 60 ]; then echo gone; else echo alive; fi",
        ],
    )
    assert "asked" in ended.lines
    assert ended.lines[-1] == "gone"


def test_orphans_are_reaped(job: Container) -> None:
    """An orphan becomes PID 1's child; one that nobody waits for stays as a zombie, others are one for a moment."""
    ended = job.run(
        "for i in 1 2 3; do (sleep 0 &) ; done; setsid sleep 0",
        after=[
            "for i in 1 2 3 4 5 6 7 8 9 10; do grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || break; sleep 0.1; done",
            "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || echo none",
        ],
    )
    assert "none" in ended.lines


def test_bash_is_named_when_the_image_lacks_it(job: Container) -> None:
    job.env["CIJOB_SHELL"] = "bash"
    ended = job.run("echo ran")
    if job.shell.startswith("bash"):
        assert ended.lines[-1] == "ran"
    else:
        assert ended.code == 127
        assert "the image has no bash: leave spec.shell out" in ended.output


def test_sh_is_sh_even_beside_bash(job: Container) -> None:
    job.env["CIJOB_SHELL"] = "sh"
    assert job.run("shopt -oq posix 2>/dev/null || echo ${BASH_VERSION+no posix}").lines[1:] in ([], [""])


def test_a_broken_bash_is_as_good_as_none(job: Container) -> None:
    program(job.bin, "bash", "#!/nonexistent\n")
    assert job.run("echo ran").lines[-1] == "ran"


def test_the_message_is_written_when_nothing_else_can_be(job: Container) -> None:
    job.run_dir.rmdir()
    ended = job.run("exit 5")
    assert ended.message is not None
    assert (ended.code, ended.message["exitCode"], ended.message["part"], ended.message["entry"]) == (5, 5, "script", 0)


def test_without_a_place_for_the_message_the_exit_code_stays(job: Container) -> None:
    job.env["CIJOB_TERMINATION_LOG"] = "/nonexistent/log"
    ended = job.run("exit 5")
    assert (ended.code, ended.lines) == (5, ["$ exit 5"])


@pytest.mark.parametrize(
    "text", ["", "x", '"},{"', "script 08", "script 1; 2", "after 1", "script 99999999999", "\\n 1"]
)
def test_what_the_script_writes_into_the_account_cannot_break_the_message(job: Container, text: str) -> None:
    ended = job.run(f"printf '%s\\n' '{text}' > \"$CIJOB_ROOT/run/entry\"; exit 5")
    assert ended.message is not None
    assert (ended.message["exitCode"], ended.message["part"], ended.message["entry"]) == (5, "script", 0)


@pytest.mark.parametrize("path", ["memory.peak", "memory/memory.max_usage_in_bytes"])
def test_peak_memory_is_told_on_both_cgroup_versions(job: Container, path: str) -> None:
    file = job.root / "cgroup" / path
    file.parent.mkdir(parents=True)
    file.write_text("1234567\n")
    ended = job.run("true")
    assert ended.message is not None
    assert ended.message["peakMemory"] == 1234567
