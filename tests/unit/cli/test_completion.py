"""Completion: what kubectl and the shells get, with names from a FAKE API server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from cijob.cli import completion
from cijob.cli.app import COMMANDS
from tests.unit.cli.acting_world import JOBS, ROOT, FakeCluster

if TYPE_CHECKING:
    from pathlib import Path


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


async def test_commands_options_choices_and_contexts(tmp_path: Path) -> None:
    async with FakeCluster().serving(tmp_path) as kit:
        assert [line.partition("\t")[0] for line in await answer(kit.kubeconfig, "")] == [*COMMANDS, ":4"]
        assert (await answer(kit.kubeconfig, "cancel", "--no"))[0].startswith("--now\t")
        assert await answer(kit.kubeconfig, "wait", "--for", "s") == ["succeeded", ":4"]
        assert await answer(kit.kubeconfig, "wait", "--context", "t") == ["there", ":4"]
        assert await answer(kit.kubeconfig, "wait", "--kubeconfig", "") == [":0"], "files are the shell's to find"
        assert await answer(kit.kubeconfig, "run", "") == [":0"]


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


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_finds_its_script_correct(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    script = tmp_path / "script"
    script.write_text(completion.script(shell))
    subprocess.run([program, "-n", str(script)], check=True, timeout=60)


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "cijob"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/operator exec {sys.executable} -m cijob.cli "$@"\n')
    program.chmod(0o755)
    code = f"""
        PATH={tmp_path}:$PATH
        source <(cijob completion bash)
        COMP_WORDS=(cijob wait --for f) COMP_CWORD=3
        _cijob_completion cijob
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    found = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (found.stdout, found.stderr) == ("finished\n", "")
