"""Locks between processes; the kernel gives one back when its owner dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.progress import step


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file.

    Args:
        path: the lock's file.
        what: what another holder is doing, for the message while it is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"wait for {what}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
