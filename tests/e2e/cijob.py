"""The command line as people and pipelines start it: in a pipe, on a pseudo-terminal, through a connection that breaks."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from tests.e2e.lab import PATIENCE, ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.lab import Cluster

CIJOB = (sys.executable, "-m", "cijob.cli")


def environment(kubeconfig: str, **more: str) -> dict[str, str]:
    """That of a command against the cluster."""
    known = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
    return known | {"KUBECONFIG": kubeconfig, "PYTHONPATH": str(ROOT / "operator"), "TERM": "xterm-256color"} | more


@dataclass(frozen=True)
class Cijob:
    """`cijob` in one namespace, as whoever the kubeconfig says."""

    kubeconfig: str
    namespace: str

    def command(self, *arguments: str) -> list[str]:
        """The words of a command; the namespace goes before what is behind `--`."""
        return [*CIJOB, arguments[0], f"--namespace={self.namespace}", *arguments[1:]]

    def run(self, *arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run it in pipes to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=environment(self.kubeconfig),
            cwd=cwd,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it in pipes that nothing is read from ahead of time."""
        return subprocess.Popen(
            self.command(*arguments),
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.kubeconfig),
        )

    @contextmanager
    def terminal(self, *arguments: str, columns: int = 100) -> Iterator[Terminal]:
        """Start it on a terminal of its own."""
        with on_a_terminal(self.command(*arguments), environment(self.kubeconfig), columns=columns) as terminal:
            yield terminal


@dataclass
class Terminal:
    """A pseudo-terminal with a command on it."""

    pid: int
    file: int
    shown: bytes = b""
    code: int | None = None

    def read(self, seconds: float = 0.2) -> bytes:
        """What has been shown so far, after at most so many seconds of waiting for more."""
        if select.select([self.file], [], [], seconds)[0]:
            with suppress(OSError):  # its other end is closed
                self.shown += os.read(self.file, 65536)
        return self.shown

    def wait_for(self, text: bytes, seconds: float = PATIENCE) -> bytes:
        """Until a text has been shown."""
        return wait_for(
            lambda: self.shown if text in self.read() else None, seconds, lambda: f"{text!r} in {self.shown!r}"
        )

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.file, keys)

    def end(self, seconds: float = PATIENCE) -> int:
        """Its exit code, when it has ended by itself."""

        def ended() -> int | None:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return os.waitstatus_to_exitcode(status) if pid else None

        self.code = wait_for(ended, seconds, lambda: f"the end of the command; it shows {self.shown[-2000:]!r}")
        while select.select([self.file], [], [], 0.1)[0]:
            before = len(self.shown)
            if len(self.read()) == before:
                break
        return self.code

    def close(self) -> None:
        """Take it away."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)


@contextmanager
def on_a_terminal(command: list[str], variables: Mapping[str, str], *, columns: int = 100) -> Iterator[Terminal]:
    """Start a command, by its path, on a terminal of its own; it is killed in the end."""
    pid, file = pty.fork()
    if pid == 0:  # the child
        ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who started the tests may ignore it, as a shell's & does
        os.execve(command[0], command, variables)  # noqa: S606  fixed words
    terminal = Terminal(pid, file)
    try:
        yield terminal
    finally:
        terminal.close()


@dataclass
class Breaker:
    """A way to the API server through which connections can be broken. FAKE is only the way: both ends are real."""

    address: tuple[str, int]
    port: int = 0
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    closed: bool = False
    made: int = 0
    #: Bytes that it has carried, and after how many all connections are broken, each number once: lowest first.
    carried: int = 0
    cut_after: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def cut(self) -> int:
        """Breaks all connections, with a reset in the middle of what they carry; gives how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def stop(self) -> None:
        """Ends it."""
        self.closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> int:
        count = len(self.connections)
        for one in list(self.connections):
            one.transport.abort()
        self.connections.clear()
        return count // 2

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        self.made += 1
        try:
            there, to = await asyncio.open_connection(*self.address)
        except OSError:
            writer.transport.abort()
            return
        self.connections |= {writer, to}
        try:
            await asyncio.gather(self._pump(reader, to), self._pump(there, writer))
        finally:
            self.connections -= {writer, to}
            writer.transport.abort()
            to.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
                self.carried += len(data)
                if self.cut_after and self.carried > self.cut_after[0]:
                    del self.cut_after[0]
                    await self._cut()
        writer.close()


def as_account(cluster: Cluster, namespace: str, account: str, folder: Path, role: str) -> Cijob:
    """The command line of a new service account, to which a role is bound in its namespace.

    Args:
        cluster: where.
        namespace: its own, and the command line's.
        account: its name.
        folder: where its kubeconfig is written.
        role: as `kubectl create rolebinding` has it: --role=NAME, or --clusterrole=NAME.
    """
    here = f"--namespace={namespace}"
    cluster.run("create", "serviceaccount", account, here)
    cluster.run("create", "rolebinding", account, here, f"--serviceaccount={namespace}:{account}", role)
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    # A right counts a moment after it is stored.
    allowed = ("auth", "can-i", "create", "cijobs.cijob.dev", here, who)
    wait_for(lambda: cluster.run(*allowed, check=False).returncode == 0 or None, 60, lambda: f"{role} to count")
    token = cluster.run("create", "token", account, here).stdout.strip()
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path = folder / f"{account}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return Cijob(str(path), namespace)


@contextmanager
def breaking(cluster: Cluster) -> Iterator[tuple[Breaker, str]]:
    """A `Breaker` in front of the API server, and a kubeconfig that goes through it."""
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    server = config["clusters"][0]["cluster"]
    there = urlsplit(server["server"])
    breaker = Breaker((there.hostname or "", there.port or 443))
    server["server"] = f"https://127.0.0.1:{breaker.port}"
    server["tls-server-name"] = there.hostname
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        try:
            yield breaker, str(path)
        finally:
            breaker.stop()


@contextmanager
def cut_again_and_again(breaker: Breaker, every: float) -> Iterator[list[int]]:
    """Breaks all connections every so many seconds; the list has how many each time."""
    cuts: list[int] = []
    done = threading.Event()

    def work() -> None:
        while not done.wait(every):
            cuts.append(breaker.cut())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield cuts
    finally:
        done.set()
        thread.join(10)
