"""Stand-in images that only some tests need."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.lab import ROOT


def provide(*names: str) -> None:
    """Have these images of `tests/cluster/images/extra.py` in the cluster; quick where it has them."""
    command = [sys.executable, str(ROOT / "tests" / "cluster"), "stand-ins", *names]
    subprocess.run(command, check=True, timeout=1200)
