"""One control plane and one sweep for all tests of this folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.faults.sweep import Result, Sweep, table, tally
from tests.faults.world import lab

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
_SWEEP = pytest.StashKey[Sweep]()

Parts = dict[tuple[str, str], "asyncio.Task[list[Result]]"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parts]:
    """Every part of the sweep that was selected, all begun at once: each test waits for its own."""
    wanted = dict.fromkeys(
        (str(item.callspec.params["scenario"]), str(item.callspec.params["group"]))
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "group" in item.callspec.params
    )
    async with lab(tmp_path_factory.mktemp("faults")) as made:
        sweep = Sweep(made)
        request.config.stash[_SWEEP] = sweep
        tasks = {part: asyncio.create_task(sweep.group(*part)) for part in wanted}
        yield tasks
        for task in tasks.values():
            task.cancel()
            with contextlib.suppress(BaseException):  # a test has told of it
                await task


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tally, and write it to `$CIJOB_FAULTS_REPORT`, or build/faults.json."""
    sweep = config.stash.get(_SWEEP, None)
    if sweep is None:
        return
    summary = tally(sweep.results)
    report = Path(os.environ.get("CIJOB_FAULTS_REPORT") or ROOT / "build" / "faults.json")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(summary, indent=1) + "\n")
    terminalreporter.section("faults")
    terminalreporter.write_line(table(summary))
    terminalreporter.write_line(f"({report})")
