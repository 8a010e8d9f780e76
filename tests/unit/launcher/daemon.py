"""A fake dockerd and docker for the tests of what dind.sh does around them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.launcher.userland import Container

MIB = 1024 * 1024
# A fake: it makes the sockets that it was told to, says so, and obeys files and signals.
DOCKERD = f"""#!{sys.executable}
import json, os, signal, socket, sys
root = os.environ["CIJOB_ROOT"]
json.dump(sys.argv[1:], open(root + "/argv", "w"))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]) # waited for below: with a handler it could come just before a pause
for flag in sys.argv:
    if flag.startswith("--host=unix://"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(flag.removeprefix("--host=unix://"))
os.write(1, b"dockerd up\\n")
if os.path.exists(root + "/die"):
    sys.exit(int(os.environ["FAKE_CODE"]))
signal.sigwait([signal.SIGTERM])
os.write(1, b"dockerd got SIGTERM\\n")
os._exit(int(os.environ.get("FAKE_CODE", "0")))
"""
# A fake: it keeps what it was asked, and answers once the test lets it; what it knows is in files.
DOCKER = """#!/bin/sh
echo "$*" >> "$CIJOB_ROOT/asked"
[ -e "$CIJOB_ROOT/answer" ] || exit 1
case $3 in
info) echo 2026-01-01T00:00:00.5Z ;;
events) case $* in *event=die*) cat "$CIJOB_ROOT/died" ;; *) cat "$CIJOB_ROOT/events" ;; esac ;;
inspect) cat "$CIJOB_ROOT/limit" ;;
esac
"""


def run(dind: Container, code: int = 0) -> tuple[list[str], list[str]]:
    """Let the daemon die at once; gives dockerd's arguments and the lines of output."""
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = str(code)
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.code == code, ended.output
    return json.loads((dind.root / "argv").read_text()), ended.lines
