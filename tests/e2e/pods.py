"""Pods as the operator builds them, made without it: for images, settings and nodes that no CiJob can ask for.

The Pod is `cijob.manifests.build_pod`'s, without the labels and the owner that would make it the operator's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cijob import names
from cijob.manifests import build_pod
from cijob.parsing import parse
from cijob.settings import Settings
from tests.e2e.lab import PATIENCE, Cluster, Object, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT = "docker:29-cli"


@dataclass(frozen=True)
class Pod:
    """A Pod in the cluster."""

    cluster: Cluster
    namespace: str
    name: str
    patience: float = PATIENCE

    def body(self) -> Object:
        """The Pod as it is now; an empty map if it is gone."""
        return self.cluster.look(f"/api/v1/namespaces/{self.namespace}/pods/{self.name}")

    def container(self, name: str) -> Object:
        """The status of one of its containers; an empty map while there is none."""
        status = self.body().get("status", {})
        found = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        return next((dict(one) for one in found if one["name"] == name), {})

    def end(self, container: str = "job") -> Object:
        """Wait until a container has ended; gives its `terminated` state."""
        return wait_for(
            lambda: self.container(container).get("state", {}).get("terminated"),
            self.patience,
            lambda: f"{container} of {self.name} to end; its log: {self.log(container)[-2000:]}",
        )

    def report(self, container: str = "job") -> Object:
        """What the launcher left as the termination message of a container that has ended."""
        return dict(json.loads(self.end(container)["message"]))

    def log(self, container: str = "job") -> str:
        """The log of a container so far."""
        return self.cluster.log(self.namespace, self.name, container)

    def wait_for_log(self, text: str, container: str = "job") -> None:
        """Wait until a container has printed a text."""
        wait_for(
            lambda: text in self.log(container) or None,
            self.patience,
            lambda: f"{text!r} in the log of {container}: {self.log(container)[-2000:]}",
        )

    def execute(self, container: str, *command: str) -> str:
        """Run a command in a container; gives its output."""
        arguments = [f"--namespace={self.namespace}", self.name, f"--container={container}"]
        return self.cluster.run("exec", *arguments, "--", *command).stdout

    def succeeded(self) -> str:
        """Wait for the job's end, which must be a good one; gives its log."""
        ended = self.end()
        log = self.log()
        assert ended["exitCode"] == 0, f"{ended}\n{log}\n--- dind\n{self.log('dind')[-2000:]}"
        return log

    def delete(self) -> None:
        """Delete it; the kubelet ends it in its own time."""
        self.cluster.run("delete", "pod", self.name, f"--namespace={self.namespace}", "--wait=false")


def settings_of(cluster: Cluster) -> Settings:
    """The operator's settings in the development cluster: its registry is the mirror of all daemons."""
    mirror = cluster.registry_mirror
    plain = mirror.removeprefix("http://"), cluster.private_registry
    return Settings(registry_mirrors=(mirror,), insecure_registries=plain)


@dataclass(frozen=True)
class Pods:
    """Makes Pods in one namespace, on one node."""

    cluster: Cluster
    namespace: str
    settings: Settings
    #: Put into the spec of each Pod: a nodeSelector, tolerations.
    placement: Object = field(default_factory=dict)
    patience: float = PATIENCE

    def using(self, **settings: Any) -> Pods:  # noqa: ANN401  any setting of the operator
        """The same with other settings, such as the image of the daemon."""
        return replace(self, settings=replace(self.settings, **settings))

    def start(self, name: str, *script: str, change: Callable[[Object], None] = lambda _: None, **spec: Any) -> Pod:  # noqa: ANN401
        """Create the Pod of a CiJob with this script; `change` may edit the manifest before."""
        manifest = self.manifest(script, spec)
        manifest["metadata"] = {
            "generateName": f"{name}-",
            "namespace": self.namespace,
            "annotations": manifest["metadata"]["annotations"],
        }
        manifest["spec"] |= self.placement
        change(manifest)
        created = self.cluster.create(manifest)["metadata"]["name"]
        return Pod(self.cluster, self.namespace, created, self.patience)

    def manifest(self, script: tuple[str, ...], spec: Object) -> Object:
        """What the operator would POST for a CiJob."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                "name": "by-hand",
                "namespace": self.namespace,
                "uid": "0",
                "resourceVersion": "1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"image": CLIENT, "script": list(script), **spec},
        }
        return build_pod(parse(body), 1, self.settings)
