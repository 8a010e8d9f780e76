"""How long `--help` takes: `cijob` beside kubectl, as whole processes, in turn. No cluster is asked.

python -m tests.bench.startup
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.bench import spread
from tests.e2e.lab import running_cluster

ROOT = Path(__file__).parents[2]
RUNS = 21


def main() -> None:
    """Print a line for each command: median, lowest and highest, in seconds."""
    commands = {
        "cijob --help": [sys.executable, "-m", "cijob.cli", "--help"],
        "cijob run --help": [sys.executable, "-m", "cijob.cli", "run", "--help"],
        "kubectl --help": [running_cluster().kubectl, "--help"],
        "python3 -c pass": [sys.executable, "-c", "pass"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(RUNS + 1):
        for name, command in commands.items():
            seconds = took(command)
            if turn:  # the first one warms the page cache and writes the bytecode
                found[name].append(seconds)
    for name, values in found.items():
        print(f"{name:<18} {spread(values)} s")


def took(command: list[str]) -> float:
    """Seconds of a process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, timeout=60)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
