"""Ports for what the tests start."""

from __future__ import annotations

import itertools
import os
import socket

#: Below the ports that the kernel gives to outgoing connections, any of which may take one between its choice and its use.
_FIRST, _COUNT = 10_000, 10_000
_numbers = itertools.count(os.getpid())


def free_port() -> int:
    """A port of loopback that nothing listens on, another one each time.

    Raises:
        AssertionError: there is none.
    """
    for number in itertools.islice(_numbers, _COUNT):
        port = _FIRST + number % _COUNT
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"something listens on each port from {_FIRST} to {_FIRST + _COUNT}")
