"""What holds for all tests: a machine that is slow for a moment is no failure, and what did fail is said once more at the end."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

#: Of each failure so many lines are said again, cut to so many characters.
_LINES, _WIDTH = 20, 600

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Add what failed to the file that `scripts/test` prints last: CI keeps little more than the end of a long output."""
    path = os.environ.get("CIJOB_FAILURES")
    failed = [report for kind in ("failed", "error") for report in terminalreporter.getreports(kind)]
    if path is None or not failed or hasattr(config, "workerinput"):  # xdist's workers report to another process
        return
    with Path(path).open("a") as file:
        file.writelines(f"\n{report.nodeid}\n{gist(report.longreprtext)}" for report in failed)


def gist(text: str) -> str:
    """Of a failure's whole text the lines that failed, where they are, and what pytest says of them."""
    lines = text.splitlines()
    said = [line for line in lines if re.match(r">|E |\S+:\d+: ", line)] or lines
    return "".join(f"    {line[:_WIDTH]}\n" for line in said[-_LINES:])
