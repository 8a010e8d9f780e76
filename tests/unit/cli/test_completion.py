"""Completion: what kubectl and the shells get, with names from a FAKE API server."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from cijob.cli import completion
from cijob.cli.app import COMMANDS
from tests.e2e.cijob import on_a_terminal
from tests.e2e.lab import wait_for
from tests.unit.cli.acting_world import JOBS, ROOT, FakeCluster, kubeconfig_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cijob import Terminal


async def answer(kubeconfig: Path, *words: str) -> list[str]:
    """The lines that kubectl reads."""

    def ask() -> str:
        with mock.patch.dict(os.environ, {"KUBECONFIG": str(kubeconfig)}):
            return completion.answer(list(words))

    return (await asyncio.to_thread(ask)).splitlines()


async def test_names_of_jobs_come_newest_first_with_their_phase_and_each_once(tmp_path: Path) -> None:
    cluster = FakeCluster()
    await cluster.put("old", status={"phase": "Failed"})
    await cluster.put("new", status={"phase": "Running"}, creationTimestamp="2026-02-01T00:00:00Z")
    async with cluster.serving(tmp_path) as kit:
        assert await answer(kit.kubeconfig, "cancel", "") == ["new\tRunning", "old\tFailed", ":4"]
        assert await answer(kit.kubeconfig, "cancel", "new", "") == ["old\tFailed", ":4"]
        assert await answer(kit.kubeconfig, "cancel", "o") == ["old\tFailed", ":4"]
        assert await answer(kit.kubeconfig, "cancel", "cijob/new", "cijob/") == ["cijob/old\tFailed", ":4"]


async def test_commands_options_choices_and_contexts(tmp_path: Path) -> None:
    async with FakeCluster().serving(tmp_path) as kit:
        assert [line.partition("\t")[0] for line in await answer(kit.kubeconfig, "")] == [*COMMANDS, ":4"]
        assert (await answer(kit.kubeconfig, "cancel", "--no"))[0].startswith("--now\t")
        assert await answer(kit.kubeconfig, "wait", "--for", "s") == ["succeeded", ":4"]
        assert await answer(kit.kubeconfig, "wait", "--context", "t") == ["there", ":4"]
        assert await answer(kit.kubeconfig, "wait", "--kubeconfig", "") == [":0"], "files are the shell's to find"
        assert await answer(kit.kubeconfig, "run", "") == [":0"]
        assert await answer(kit.kubeconfig, "run", "--workspace", "") == [":16"], "folders"
        assert await answer(kit.kubeconfig, "--context", "t") == ["there", ":4"], "in front of the command"
        assert await answer(kit.kubeconfig, "--context=t") == ["there", ":4"]


@pytest.mark.parametrize(
    "words",
    [("cancel", ""), ("cancel", "-n", ""), ("doctor", "--pool", ""), ("cancel", "--nope", "")],
)
@pytest.mark.parametrize("trouble", ["refused", "closed", "no kubeconfig"])
async def test_trouble_completes_nothing_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], trouble: str
) -> None:
    cluster = FakeCluster()
    cluster.refuse("GET", JOBS, 403, "no")
    async with cluster.serving(tmp_path) as kit:
        if trouble == "refused":
            assert await answer(kit.kubeconfig, *words) == [":4"]
    if trouble == "closed":
        assert await answer(kit.kubeconfig, *words) == [":4"]
    if trouble == "no kubeconfig":
        assert await answer(tmp_path / "nothing", *words) == [":4"]
    assert capfd.readouterr() == ("", "")


def test_kubectls_entry_point_prints_no_word_of_a_library_that_logs() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from cijob.cli.completion import kubectl; kubectl()", "cancel", "--context", ""],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": "/does/not/exist"},
    )
    assert (found.stdout, found.stderr) == (":4\n", "")


async def test_behind_a_command_that_is_none_there_is_no_traceback(tmp_path: Path) -> None:
    async with FakeCluster().serving(tmp_path) as kit:
        assert (await answer(kit.kubeconfig, "cancl", "x", ""))[-1] == ":4"


async def test_a_cluster_that_is_slow_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_PATIENCE", 0.0)
    cluster = FakeCluster()
    await cluster.put("x")
    async with cluster.serving(tmp_path) as kit:
        assert await answer(kit.kubeconfig, "cancel", "") == [":4"]


# --- the shells themselves ----------------------------------------------------------------------------------------------

CLUSTER = "arn:aws:eks:eu-central-1:42:cluster/"
#: What is typed before the tab, and the words that the command is given then.
TYPED = [
    ("lo", ["logs"]),
    ("-n team-a lo", ["-n", "team-a", "logs"]),
    ("wait --f", ["wait", "--for"]),
    ("wait --for s", ["wait", "--for", "succeeded"]),
    ("wait --for=s", ["wait", "--for=succeeded"]),
    ("ls -o y", ["ls", "-o", "yaml"]),
    ("ls --output=y", ["ls", "--output=yaml"]),
    (f"ls --context {CLUSTER}p", ["ls", "--context", f"{CLUSTER}prod"]),
    (f"ls --context={CLUSTER}p", ["ls", f"--context={CLUSTER}prod"]),
    ("--context=th", ["--context=there"]),
    ("run jo", ["run", "job.yaml"]),
    ("ls --kubeconfig=jo", ["ls", "--kubeconfig=job.yaml"]),
    ("run --workspace fold", ["run", "--workspace", "folder"]),
]
QUOTED = [(f'ls --context="{CLUSTER}p', ["ls", f"--context={CLUSTER}prod"])]
SETUP = {
    "bash": "source <(cijob completion bash)",
    "zsh": "autoload -Uz compinit; compinit -u -D; source <(cijob completion zsh)",
    "zsh, by fpath": "cijob completion zsh > _cijob; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D",
}
OPTIONS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-o", "nopromptsp", "-i"]}
PROMPT = "ready> "


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in a folder where `cijob` completes, and tells its words instead of running them."""
    program = tmp_path / "bin" / "cijob"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
        if [ -z "$_CIJOB_COMPLETE" ] && [ "$1" != completion ]; then
            printf 'told:'; for word; do printf ' [%s]' "${{word%/}}"; done; echo; exit # zsh takes that / away itself
        fi
        PYTHONPATH={ROOT}/operator exec {sys.executable} -m cijob.cli "$@"
        """)
    program.chmod(0o755)
    contexts = [{"name": name, "context": {}} for name in ("there", f"{CLUSTER}prod", f"{CLUSTER}stage")]
    (tmp_path / "config").write_text(json.dumps(kubeconfig_for("http://127.0.0.1:1", contexts=contexts)))
    (tmp_path / "job.yaml").touch()
    (tmp_path / "folder").mkdir()
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "config"),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "PS1": PROMPT,
    }


def shell(name: str) -> str:
    """Its path; scripts/bootstrap installs all of them."""
    path = shutil.which(name)
    assert path is not None, f"there is no {name} here: scripts/bootstrap installs it"
    return path


@pytest.mark.parametrize("setup", SETUP)
def test_a_tab_completes_in_a_shell_on_a_terminal(setup: str, tmp_path: Path, variables: dict[str, str]) -> None:
    name = setup.partition(",")[0]
    command = [shell("env"), f"--chdir={tmp_path}", shell(name), *OPTIONS[name]]
    with on_a_terminal(command, variables, columns=200) as terminal:
        terminal.wait_for(PROMPT.encode(), 60)
        _type(terminal, f"{SETUP[setup]}\n", "\n")
        for typed, words in [*TYPED, *QUOTED]:
            _type(terminal, f"cijob {typed}\t\n", f"told:{''.join(f' [{word}]' for word in words)}\r\n")
        terminal.shown = b""
        terminal.type(b"cijob wait --for=\t\t")
        for goal in ("finished", "succeeded", "running"):
            terminal.wait_for(goal.encode(), 60)


def _type(terminal: Terminal, keys: str, answer: str) -> None:
    """Press keys, and wait for what is answered and the next prompt."""
    terminal.shown = b""
    terminal.type(keys.encode())

    def answered() -> bool | None:
        return PROMPT.encode() in terminal.read().partition(answer.encode())[2] or None

    wait_for(answered, 60, lambda: f"{answer!r} and a prompt behind {keys!r}: {terminal.shown!r}")


def test_fish_completes(tmp_path: Path, variables: dict[str, str]) -> None:
    lines = [f"complete -C {shlex.quote(f'cijob {typed}')}; echo ." for typed, _ in TYPED]
    found = subprocess.run(
        [shell("fish"), "--no-config", "-c", "\n".join(["cijob completion fish | source", *lines])],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=tmp_path,
        env=variables,
    )
    assert found.stderr == ""
    answers = [
        [line.partition("\t")[0].rstrip("/") for line in part.strip().splitlines()]
        for part in found.stdout.split("\n.\n")[:-1]
    ]
    assert answers == [words[-1:] for _, words in TYPED]
