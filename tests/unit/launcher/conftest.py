"""The containers of the launchers' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.launcher.userland import SHELLS, Container

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SHELLS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """A job container without a daemon, once for each userland: dash, Debian with bash, BusyBox."""
    return Container(tmp_path / "cijob", str(request.param))


@pytest.fixture(params=[shell for shell in SHELLS if shell != "busybox"])
def tools_job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """A job container that waits for a daemon and whose tools a test may replace: Debian's BusyBox prefers its own."""
    return Container(tmp_path / "cijob", str(request.param), {"CIJOB_DAEMON": "1"})
