"""A git server in the cluster: http, https with a password, and ssh; `tests/cluster/images/files/git-server` has its content."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.lab import PATIENCE, wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Object

IMAGE = "cijob-dev/git:1"
USERNAME, PASSWORD = "ci", "correct-horse-battery"
#: Names of the server in its namespace: two that it has, and one that nobody answers.
NAME, OTHER, NOBODY = "git", "other", "nobody"
PORTS = {"http": 80, "https": 443, "ssh": 22}


@dataclass(frozen=True)
class GitServer:
    """The server, and what clients need to know."""

    cluster: Cluster
    namespace: str

    def start(self) -> None:
        """Create it and wait until it serves."""
        variables = [{"name": "GIT_SERVER_PASSWORD", "value": PASSWORD}]
        container: Object = {"name": "server", "image": IMAGE, "args": [NAME, OTHER], "env": variables}
        container["readinessProbe"] = {"tcpSocket": {"port": 443}, "periodSeconds": 1}
        self._create("v1", "Pod", "git-server", {"spec": {"containers": [container]}, "labels": {"app": "git"}})
        for name, selector in ((NAME, "git"), (OTHER, "git"), (NOBODY, "none")):
            ports = [{"name": port, "port": number} for port, number in PORTS.items()]
            self._create("v1", "Service", name, {"spec": {"selector": {"app": selector}, "ports": ports}})
        wait = ("wait", "pod/git-server", f"--namespace={self.namespace}", "--for=condition=Ready", "--timeout=180s")
        self.cluster.run(*wait)

    def file(self, name: str) -> str:
        """A file of the server's, such as `/client/key`."""
        return self._execute("cat", name)

    def commit(self, name: str, repository: str = "app") -> str:
        """The commit that a name stands for."""
        return self._execute("git", "-C", f"/srv/{repository}.git", "rev-parse", f"{name}^{{commit}}").strip()

    def secret(self, name: str, **keys: str) -> Object:
        """Create a Secret with these keys (`_` for what no word of Python has); gives the reference to it."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
        self._create("v1", "Secret", name, {"data": data})
        return {"name": name}

    def requests(self, host: str) -> list[str]:
        """The requests that came to a name of the server."""
        lines = (line.split(" ", 2) for line in self._accesses().splitlines())
        return [rest for name, _, rest in lines if name == host]

    def authorized(self, host: str) -> list[str]:
        """Those that came with credentials."""
        return [rest for rest in self.requests(host) if not rest.startswith("- ")]

    def _accesses(self) -> str:
        """Its log of accesses up to now. lighttpd keeps lines back for seconds, in order: a request of our own shows the end."""
        mark = uuid.uuid4().hex
        self._execute("sh", "-c", f"! git ls-remote http://localhost/{mark}")

        def complete() -> str | None:
            log = self.file("/tmp/access")  # noqa: S108 - in the container
            return log if mark in log else None

        return wait_for(complete, PATIENCE, lambda: f"{mark} in the git server's log of accesses")

    def slow_requests(self) -> int:
        """How many requests to `/slow` it holds now."""
        return self._execute("sh", "-c", "cat /proc/[0-9]*/comm").split().count("sleep")

    def _execute(self, *command: str) -> str:
        return self.cluster.run("exec", f"--namespace={self.namespace}", "git-server", "--", *command).stdout

    def _create(self, version: str, kind: str, name: str, content: Object) -> None:
        labels = content.pop("labels", {})
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        self.cluster.create({"apiVersion": version, "kind": kind, "metadata": metadata, **content})
