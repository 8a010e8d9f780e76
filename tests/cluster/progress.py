"""Steps on the screen, each with its duration, and waiting for conditions with a deadline."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.cluster.errors import ClusterError

POLL_SECONDS = 0.05


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is being done, then how long it took; a failure says which step failed."""
    print(f"  {what} ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    except ClusterError:
        print(f"  {what}: FAILED after {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        raise
    print(f"  {what}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def wait_until(
    condition: Callable[[], bool], seconds: float, what: str, detail: Callable[[], str] = str, hint: str = ""
) -> None:
    """Poll the condition until it holds.

    Args:
        condition: asked every 50 ms; may raise ClusterError to give up at once.
        seconds: the longest wait.
        what: the condition in words, for the message.
        detail: called for more about the failure, such as the end of a log.
        hint: what the user can do.

    Raises:
        ClusterError: the condition did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain for {what}", hint, detail())
        time.sleep(POLL_SECONDS)
