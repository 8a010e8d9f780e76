"""The development cluster's command: ``python3 tests/cluster --help`` (standard library only, no install needed)."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put this folder first on the path; the modules are imported from the repository's root instead, so that
    # their names are the same here, in the tests and for mypy.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from tests.cluster.cli import main

    sys.exit(main(sys.argv[1:]))
