"""A system bus with logind on it, as far as a kubelet speaks to them: what makes a node's graceful shutdown happen.

Kubelet and Pods are real, only who tells of the shutdown is not. Messages and authentication: the D-Bus specification
(dbus.freedesktop.org/doc/dbus-specification.html); the calls: kubelet/nodeshutdown/systemd in k8s.io/kubernetes 1.35.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CALL, _RETURN, _SIGNAL = 1, 2, 4
_PATH, _INTERFACE, _MEMBER, _REPLY_TO, _SIGNATURE, _DESCRIPTORS = 1, 2, 3, 5, 8, 9
_ANSWERS: Final = {
    b"AUTH": b"REJECTED EXTERNAL\r\n",
    b"AUTH EXTERNAL": b"OK 00000000000000000000000000000000\r\n",
    b"NEGOTIATE_UNIX_FD": b"AGREE_UNIX_FD\r\n",
}
#: logind's own limit on the delay of a shutdown, in microseconds: longer than any kubelet asks for.
_DELAY: Final = 3600 * 10**6


class Logind:
    """Serves one kubelet, from its start to its end."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix:path={path}"
        #: Set once the kubelet has told that the machine may go down now, or has ended.
        self.released = Event()
        self._watched = Event()
        self._serial = 0
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connection: socket.socket | None = None
        Thread(target=self._serve, daemon=True).start()

    def shut_down(self) -> None:
        """Tell the kubelet that the machine is about to shut down."""
        assert self._watched.wait(30), "no kubelet watches for the shutdown"
        fields = _field(_PATH, "o", _string("/org/freedesktop/login1"))
        fields = _field(_INTERFACE, "s", _string("org.freedesktop.login1.Manager"), fields)
        fields = _field(_MEMBER, "s", _string("PrepareForShutdown"), fields)
        self._send(_SIGNAL, fields, "b", struct.pack("<I", 1))

    def close(self) -> None:
        """Serve no more."""
        self._listener.close()
        if self._connection is not None:
            self._connection.close()

    def _serve(self) -> None:
        self._connection, _ = self._listener.accept()
        stream = self._connection.makefile("rb")
        _authenticate(self._connection, stream.readline)
        while len(head := stream.read(16)) == 16:
            body, serial, fields = struct.unpack("<4xIII", head)
            rest = stream.read(_up(fields, 8) + body)
            if head[1] == _CALL:
                self._answer(serial, rest)

    def _answer(self, serial: int, call: bytes) -> None:
        to = _field(_REPLY_TO, "u", struct.pack("<I", serial))
        if b"InhibitDelayMaxUSec" in call:
            self._send(_RETURN, to, "v", b"\1t\0".ljust(8, b"\0") + struct.pack("<Q", _DELAY))
        elif b"Inhibit" in call:
            self._give_lock(to)
        elif b"Hello" in call:
            self._send(_RETURN, to, "s", _string(":1.1"))
        else:
            self._send(_RETURN, to, "", b"")
            if b"PrepareForShutdown" in call:
                self._watched.set()

    def _give_lock(self, to: bytes) -> None:
        """A pipe whose other end the kubelet closes when all its Pods have ended."""
        ours, theirs = os.pipe()
        fields = _field(_DESCRIPTORS, "u", struct.pack("<I", 1), to)
        self._send(_RETURN, fields, "h", struct.pack("<I", 0), theirs)
        os.close(theirs)
        Thread(target=self._wait_for_release, args=(ours,), daemon=True).start()

    def _wait_for_release(self, pipe: int) -> None:
        os.read(pipe, 1)
        os.close(pipe)
        self.released.set()

    def _send(self, kind: int, fields: bytes, signature: str, body: bytes, *descriptors: int) -> None:
        assert self._connection is not None
        self._serial += 1
        if signature:
            fields = _field(_SIGNATURE, "g", bytes([len(signature)]) + signature.encode() + b"\0", fields)
        head = b"l" + bytes([kind, 1, 1]) + struct.pack("<III", len(body), self._serial, len(fields))
        message = head + fields.ljust(_up(len(fields), 8), b"\0") + body
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._connection.sendmsg([message], rights)


def _authenticate(connection: socket.socket, readline: Callable[[], bytes]) -> None:
    while (line := readline().lstrip(b"\0").strip()) != b"BEGIN":
        known = next((word for word in sorted(_ANSWERS, key=len, reverse=True) if line.startswith(word)), None)
        connection.sendall(_ANSWERS[known] if known else b"ERROR\r\n")


def _field(code: int, kind: str, value: bytes, before: bytes = b"") -> bytes:
    """The header's fields with one more; each starts at a multiple of 8, as the first one does in the message."""
    return before.ljust(_up(len(before), 8), b"\0") + bytes([code, 1]) + kind.encode() + b"\0" + value


def _string(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def _up(size: int, to: int) -> int:
    return -(-size // to) * to
