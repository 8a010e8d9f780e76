"""A git server on this machine: repositories over http or https, with or without a password, and with some bad manners."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.unit.launcher.userland import needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USERNAME, PASSWORD = "ci", r"a*b?[c]\d'\"$x & é"
_WHO = {
    f"GIT_{who}_{what}": f"tester{at}"
    for who in ("AUTHOR", "COMMITTER")
    for what, at in (("NAME", ""), ("EMAIL", "@x"))
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, apart from this machine's own settings; gives its output."""
    command = [needed("git"), "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_WHO}
    return subprocess.run(
        command, cwd=folder, env=env, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@dataclass
class Repository:
    """A repository on the server, made by commits of one file each."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        git(self.folder, "init", "--quiet")

    def commit(self, name: str, text: str = "", mode: int = 0o644) -> str:
        """Commit a file; gives the commit's name. The text is the file's name unless given."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text or name)
        (self.folder / name).chmod(mode)
        return self.commit_all(name)

    def submodule(self, path: str, repository: Repository, url: str) -> str:
        """Commit a submodule, under the URL that clients are to use."""
        git(self.folder, "submodule", "--quiet", "add", "--force", str(repository.folder), path)
        git(self.folder, "config", "--file", ".gitmodules", f"submodule.{path}.url", url)
        return self.commit_all(f"submodule {path}")

    def commit_all(self, message: str) -> str:
        """Commit all that changed; gives the commit's name."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", message)
        return git(self.folder, "rev-parse", "HEAD")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        host = self.server.host
        authorization = self.headers.get("Authorization", "")
        host.requests.append((self.headers["Host"], authorization))
        host.on_request()
        expected = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if self.path.startswith("/slow/"):
            host.let_go.wait(60)
        elif self.path.startswith("/moved/"):
            self.answer(302, b"", ("Location", host.moved_to + self.path.removeprefix("/moved")))
        elif host.private and authorization != f"Basic {expected}":
            self.answer(401, b"", ("WWW-Authenticate", 'Basic realm="git"'))
        elif self.path.startswith("/echo/"):
            self.answer(403, f"no access with {authorization}, which is {USERNAME}:{PASSWORD}\n".encode())
        else:
            self.backend()

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        if not any(name == "Content-Type" for name, _ in headers):
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def backend(self) -> None:
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_PROJECT_ROOT": str(self.server.host.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            # An old server knows protocol 0 only, where a client gets no commit that is not at a branch's or tag's end.
            "GIT_PROTOCOL": "" if self.server.host.old else self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(
            [needed("git"), "http-backend"], env=env, input=body, capture_output=True, check=False, timeout=60
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().splitlines())]
        status = int(dict(headers).get("Status", "200").split()[0])
        self.answer(status, content, *headers)

    def log_message(self, *_: object) -> None:
        """Nothing: `requests` has it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    host: Host

    def handle_error(self, *_: object) -> None:
        """Nothing: clients that go away are what some tests are about."""


@dataclass
class Host:
    """A server on 127.0.0.1; `localhost` is another host to git, in the same certificate."""

    folder: Path
    certificate: Path | None = None
    key: Path | None = None
    private: bool = False
    old: bool = False
    moved_to: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    on_request: Callable[[], object] = lambda: None
    let_go: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.host = self
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def repository(self, name: str) -> Repository:
        """A new repository."""
        return Repository(self.folder / name)

    def url(self, path: str, name: str = "127.0.0.1") -> str:
        """Where a repository is."""
        return f"{'https' if self.certificate else 'http'}://{name}:{self._server.server_port}/{path}"

    def authorized(self, name: str = "127.0.0.1") -> set[str]:
        """The credentials that came with requests to a host of this name."""
        return {authorization for host, authorization in self.requests if host.startswith(f"{name}:") and authorization}

    def close(self) -> None:
        """Serve no more."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
