"""The command itself: how quick it is, what it says to typos, and that every command has a manual."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from cijob import __version__
from cijob.cli.app import COMMANDS, cli, reordered
from cijob.cli.manual import manual

ROOT = Path(__file__).parents[3]
HEAVY = ("kubernetes", "aiohttp", "pydantic", "rich", "yaml", "asyncio")


def cijob(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process, its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "cijob.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), **environment},
    )


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom cijob.cli.app import cli\n"
        f"cli.main({arguments!r}, prog_name='cijob', standalone_mode=False)\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    ("words", "understood"),
    [
        ([], []),
        (["ls", "-A"], ["ls", "-A"]),
        (["-n", "ci", "ls"], ["ls", "-n", "ci"]),
        (["--context=a", "-n", "ci", "logs", "x"], ["logs", "--context=a", "-n", "ci", "x"]),
        (["-n", "ci"], []),
        (["help"], ["--help"]),
        (["help", "run"], ["run", "--help"]),
        (["run", "help"], ["run", "help"]),
        (["--version"], ["--version"]),
    ],
)
def test_words_are_understood_as_people_know_them(words: list[str], understood: list[str]) -> None:
    assert reordered(words) == understood


def test_a_typo_is_answered_with_the_nearest_command() -> None:
    answer = cijob("descibe", "x")
    assert answer.returncode == 2
    assert "did you mean describe?" in answer.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [("get", "ls"), ("exec", "shell"), ("stop", "cancel"), ("rm", "delete"), ("version", "--version")],
)
def test_what_other_tools_call_it_is_answered_with_what_it_is_called_here(word: str, meant: str) -> None:
    assert f"did you mean {meant}?" in cijob(word, "x").stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_is_documented(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    assert "Examples" in command.help
    for option in command.params:
        assert isinstance(option, click.Argument) or (isinstance(option, click.Option) and option.help), option.name


def test_the_page_of_the_docs_is_fresh() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == manual(), "stale: run `make docs` and commit the result"


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert cijob("--version").stdout == f"cijob, version {__version__}\n"


def test_a_bug_is_told_in_a_line_and_shown_whole_only_when_asked(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("[]")  # no map: kubernetes' own loader trips over it
    answer = cijob("ls", KUBECONFIG=str(kubeconfig))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert answer.stderr.startswith("error: ")


def test_who_installed_it_without_the_extra_is_told_how_to_get_it() -> None:
    code = "import sys\nsys.modules['rich'] = None\nsys.argv[1:] = ['ls']\nfrom cijob.cli.app import main\nmain()"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        "error: cijob is installed without what its command line needs: there is no rich",
        "Install it with the extra `cli`: pip install '.[cli]' in a checkout.",
    ]


def test_a_full_disk_behind_the_output_is_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "cijob.cli", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        )
    assert answer.returncode == 1
    assert answer.stderr == "error: the output cannot be read or written: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_bug(closed: str) -> None:
    code = (
        "import sys; from cijob.cli import app; app.cli.main = lambda **_: "
        "[file.isatty() for file in (sys.stdin, sys.stdout, sys.stderr)] and 0; app.main()"
    )
    command = f'"$0" -c "$1" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, code],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
    )
    assert done.returncode == 0


def test_what_others_say_in_an_error_steers_no_terminal() -> None:
    answer = cijob("run", "a", "b\x1b]0;title\x07.yaml")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: one file is run at a time, and more are named: a b.yaml\n")
