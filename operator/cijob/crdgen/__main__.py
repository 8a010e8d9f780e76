"""Command line of the generator."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cijob.crdgen.files import stale, write


def main() -> int:
    """Write the generated files, or say which are stale; the exit code is 1 then."""
    parser = argparse.ArgumentParser(prog="python -m cijob.crdgen", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout (default: the current folder)")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write crds/, the chart's copy and docs/reference.md")
    action.add_argument("--check", action="store_true", help="only say whether they are stale")
    args = parser.parse_args()
    root: Path = args.root
    if not (root / "operator" / "cijob").is_dir():
        parser.error(f"{root} is no checkout of the project: run it at the top of one, or give --root")
    paths = write(root) if args.write else stale(root)
    state = "written" if args.write else "stale (run: make crds)"
    sys.stdout.writelines(f"{path.relative_to(root)}: {state}\n" for path in paths)
    return 1 if args.check and paths else 0


if __name__ == "__main__":
    sys.exit(main())
