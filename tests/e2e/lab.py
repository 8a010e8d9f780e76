"""What the e2e tests share: the cluster with the operator installed, and CiJobs as a user handles them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kubernetes import config

from tests.integration.api import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
Object = dict[str, Any]
T = TypeVar("T")

#: Seconds that a job with apt-get in it may take on a slow machine.
PATIENCE = 300
_NOT_STARTED, _NOT_FOUND = 400, 404


@dataclass(frozen=True)
class Cluster:
    """The development cluster, driven with kubectl as a user does."""

    kubectl: str
    helm: str
    kubeconfig: str
    audit_log: Path | None
    registry_mirror: str = ""
    private_registry: str = ""

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=check, timeout=PATIENCE)

    def get(self, *arguments: str) -> Object:
        """Run kubectl get, as JSON; an empty map if there is no such object."""
        answer = self.run("get", *arguments, "--output=json", "--ignore-not-found").stdout
        return dict(json.loads(answer)) if answer.strip() else {}

    def end_by(self, namespace: str, pod: str, container: str, *command: str) -> None:
        """Run a command that ends its own container, by what it tells the script: whoever calls waits for that.

        Its own end may come with the container's (137), or not be told any more.
        """
        words = (f"--namespace={namespace}", pod, f"--container={container}", "--", *command)
        self.run("exec", *words, check=False)

    def look(self, path: str, **query: str) -> Object:
        """What is at a path of the API; an empty map if nothing is.

        For what is asked again and again: a kubectl each time takes most of the processor from the jobs that are waited for.
        """
        answer = _api(self.kubeconfig).call("GET", path, query=query)
        return {} if answer.status == _NOT_FOUND else answer.wanted()

    def log(self, namespace: str, pod: str, container: str) -> str:
        """The log of a container so far; empty where there is none yet. A server that cannot tell is asked again."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"

        def told() -> str | None:
            answer = _api(self.kubeconfig).call("GET", path, query={"container": container}, accept="*/*")
            if answer.ok:
                return answer.message
            return "" if answer.status in {_NOT_STARTED, _NOT_FOUND} else None

        return wait_for(told, 60, lambda: f"the log of {container} in {pod}")

    def create(self, manifest: Object) -> Object:
        """Create an object from a manifest."""
        return dict(json.loads(self.run("create", "--filename=-", "--output=json", stdin=json.dumps(manifest)).stdout))


@dataclass(frozen=True)
class Job:
    """A CiJob in the cluster."""

    cluster: Cluster
    namespace: str
    name: str

    def status(self) -> Object:
        """Its status now."""
        path = f"/apis/cijob.dev/v1alpha1/namespaces/{self.namespace}/cijobs/{self.name}"
        return dict(self.cluster.look(path).get("status", {}))

    def wait_for_phase(self, *phases: str, seconds: float = PATIENCE) -> Object:
        """Wait until it is in one of the phases; gives the status."""
        return wait_for(
            lambda: status if (status := self.status()).get("phase") in phases else None,
            seconds,
            lambda: f"{self.name} to be {' or '.join(phases)}; it is {self.status()}",
        )

    def end(self, seconds: float = PATIENCE) -> Object:
        """Wait for its end; gives the final status."""
        return self.wait_for_phase("Succeeded", "Failed", "Cancelled", seconds=seconds)

    def succeeded(self) -> str:
        """Wait for its end, which must be a good one; gives its log."""
        status = self.end()
        assert (status["phase"], status.get("exitCode")) == ("Succeeded", 0), (status, self._log_so_far())
        return self.log()

    def pod(self) -> Object:
        """The Pod of its newest attempt that has one; an empty map if there is none."""
        return dict(max(self.pods(), key=lambda pod: int(pod["metadata"]["labels"]["cijob.dev/attempt"]), default={}))

    def pods(self) -> list[Object]:
        """The Pods of all its attempts."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        found = self.cluster.look(path, labelSelector=f"cijob.dev/job={self.name}")
        return list(found.get("items", []))

    def log(self, container: str = "job") -> str:
        """The whole log of a container."""
        pod = self.pod()["metadata"]["name"]
        return self.cluster.run("logs", f"--namespace={self.namespace}", pod, f"--container={container}").stdout

    def wait_for_log(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until the job has printed a text."""
        wait_for(
            lambda: text in self._log_so_far() or None, seconds, lambda: f"{text!r} in the log: {self._log_so_far()}"
        )

    def _log_so_far(self) -> str:
        pod = self.pod()
        return self.cluster.log(self.namespace, pod["metadata"]["name"], "job") if pod else ""

    def execute(self, container: str, *command: str, check: bool = True) -> str:
        """Run a command in a container of its Pod."""
        pod = self.pod()["metadata"]["name"]
        arguments = [f"--namespace={self.namespace}", pod, f"--container={container}"]
        return self.cluster.run("exec", *arguments, "--", *command, check=check).stdout

    def end_by(self, container: str, *command: str) -> None:
        """Run a command after which this container of its Pod may end at once."""
        self.cluster.end_by(self.namespace, self.pod()["metadata"]["name"], container, *command)

    def cancel(self, mode: str) -> None:
        """Set spec.cancel, as a user does."""
        patch = json.dumps({"spec": {"cancel": mode}})
        self.cluster.run(
            "patch", "cijob", self.name, f"--namespace={self.namespace}", "--type=merge", f"--patch={patch}"
        )


@dataclass(frozen=True)
class Jobs:
    """Makes CiJobs in one namespace."""

    cluster: Cluster
    namespace: str

    def start(self, name: str, **spec: Any) -> Job:  # noqa: ANN401  any field of a spec
        """Create a CiJob with a generated name; the image is ubuntu's unless the spec says otherwise."""
        return self.apply(
            {
                "apiVersion": "cijob.dev/v1alpha1",
                "kind": "CiJob",
                "metadata": {"generateName": f"{name}-"},
                "spec": {"image": "ubuntu:25.10", **spec},
            }
        )

    def apply(self, manifest: Object) -> Job:
        """Create a CiJob from a manifest."""
        manifest["metadata"]["namespace"] = self.namespace
        return Job(self.cluster, self.namespace, self.cluster.create(manifest)["metadata"]["name"])


@cache
def _api(kubeconfig: str) -> Api:
    """The API server, over connections that stay."""
    return Api(config.new_client_from_config(kubeconfig))  # type: ignore[no-untyped-call]  # no types there


def running_cluster() -> Cluster:
    """The development cluster.

    Raises:
        RuntimeError: it does not run; the message says what to do.
    """
    command = [sys.executable, str(ROOT / "tests" / "cluster"), "status", "--output=json"]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if found.returncode != 0:
        raise RuntimeError(f"no cluster: run `make install`, which brings it up ({found.stderr.strip()})")
    status = json.loads(found.stdout)
    audit_log = Path(status["audit_log"]) if status.get("audit_log") else None
    registries = status["registry_mirror"], status["private_registry"]
    return Cluster(status["kubectl"], status["helm"], status["kubeconfig"], audit_log, *registries)


@contextmanager
def own_namespace(cluster: Cluster, prefix: str) -> Iterator[str]:
    """A namespace that goes when its user is done."""
    name = f"{prefix}-{uuid.uuid4().hex[:10]}"
    cluster.run("create", "namespace", name)
    try:
        # Without it the API server takes no Pod.
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: cluster.look(account) or None, 60, lambda: f"the service account of {name}")
        yield name
    finally:
        cluster.run("delete", "namespace", name, "--wait=false")


def wait_for(condition: Callable[[], T | None], seconds: float, what: Callable[[], str]) -> T:
    """Poll a condition until it gives something; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while (result := condition()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what()}")
        time.sleep(0.2)  # between two looks at a condition
    return result
