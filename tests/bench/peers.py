"""Pods that start Docker-in-Docker as others publish it, and as we do: the same script in each.

Read in the sources of August 2026, written anew here. What the peers do beside the Pod is left out, always in their favour:

- Actions Runner Controller (actions/actions-runner-controller at 2ee6b3b8, charts/gha-runner-scale-set/templates/
  _helpers.tpl): an init container that copies files (here: none), then dind as a native sidecar whose startupProbe runs
  `docker info` every 5 s, the socket in a shared volume; the runner's own loop asks `docker ps` every second
  (actions/runner at 258d6c85, src/Misc/layoutroot/run-helper.sh.template). Left out: the runner's registration with
  GitHub and its fetching of the job.
- GitLab Runner (gitlab-org/gitlab-runner at d79f3e7b, executors/kubernetes/kubernetes.go): `build`, `helper` and the
  service as ordinary containers, the name `docker` for 127.0.0.1; the service as GitLab's guide has it
  (gitlab-org/gitlab at 41946e65, doc/ci/docker/docker_in_docker.md): `docker:dind` without arguments, with or without TLS,
  a health check of its port every second (commands/helpers/health_check.go), then `docker info` before the script. Left
  out: the runner's look every 3 s at whether the Pod runs, its init container, the stages before the script, and the way
  of the script into the container (`attach`): here it is the container's command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.lab import Object
    from tests.e2e.pods import Pods

DIND = "docker:29-dind"
CLIENT = "docker:29-cli"


@dataclass(frozen=True)
class Launch:
    """A way to start a daemon next to a script.

    Attributes:
        name: the row's.
        manifest: makes the Pod's `spec` from a script, the daemon's limits and further arguments of dockerd.
        job: the container that runs the script.
        daemon: the container with the daemon.
    """

    name: str
    manifest: Callable[[str, Object, list[str]], Object]
    job: str
    daemon: str


def launches(pods: Pods) -> list[Launch]:
    """All ways, ours first. The settings of `pods` count for ours."""
    return [
        Launch("ours, TCP", lambda *rest: ours(pods, "TCP", *rest), "job", "dind"),
        Launch("ours, Unix", lambda *rest: ours(pods, "Unix", *rest), "job", "dind"),
        Launch("as Actions Runner Controller", arc, "runner", "dind"),
        Launch("as GitLab Runner, TLS", lambda *rest: gitlab("/certs", *rest), "build", "docker"),
        Launch("as GitLab Runner, no TLS", lambda *rest: gitlab("", *rest), "build", "docker"),
    ]


def ours(pods: Pods, endpoint: str, script: str, limits: Object, _arguments: list[str]) -> Object:
    """The Pod that the operator builds."""
    docker = {"endpoint": endpoint, "resources": {"limits": limits}}
    return dict(pods.manifest((script,), {"docker": docker}))


def arc(script: str, limits: Object, arguments: list[str]) -> Object:
    """A runner's Pod of the chart gha-runner-scale-set in dind mode."""
    socket = [{"name": "dind-sock", "mountPath": "/var/run"}]
    wait = "until docker ps >/dev/null 2>&1; do sleep 1; done"
    dind = {
        "name": "dind",
        "image": DIND,
        "args": ["dockerd", "--host=unix:///var/run/docker.sock", "--group=123", *arguments],
        "restartPolicy": "Always",
        "securityContext": {"privileged": True},
        "startupProbe": {
            "exec": {"command": ["docker", "info"]},
            "initialDelaySeconds": 0,
            "failureThreshold": 24,
            "periodSeconds": 5,
        },
        "resources": {"limits": limits},
        "volumeMounts": socket,
    }
    runner = {
        "name": "runner",
        "image": CLIENT,
        "command": ["sh", "-c", f"{wait}\n{script}"],
        "env": [{"name": "DOCKER_HOST", "value": "unix:///var/run/docker.sock"}],
        "volumeMounts": socket,
    }
    copy = {"name": "init-dind-externals", "image": CLIENT, "command": ["true"]}
    volumes = [{"name": "dind-sock", "emptyDir": {}}]
    return pod({"initContainers": [copy, dind], "containers": [runner], "volumes": volumes})


def gitlab(certificates: str, script: str, limits: Object, arguments: list[str]) -> Object:
    """A build's Pod of the Kubernetes executor, with the service that GitLab's guide asks for."""
    port = "2376" if certificates else "2375"
    variables = {"DOCKER_HOST": f"tcp://docker:{port}", "DOCKER_TLS_CERTDIR": certificates}
    shared: list[Object] = []
    if certificates:
        variables |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs/client"}
        shared = [{"name": "docker-certs", "mountPath": "/certs/client"}]
    env = [{"name": name, "value": value} for name, value in variables.items()]
    wait = f"until (exec 3<>/dev/tcp/localhost/{port}) 2>/dev/null; do sleep 1; done; docker info >/dev/null"
    service = {
        "name": "docker",
        "image": DIND,
        "env": [*env, {"name": "HEALTHCHECK_TCP_PORT", "value": port}],  # the job's and its own (common/build.go)
        "securityContext": {"privileged": True},
        "resources": {"limits": limits},
        "volumeMounts": shared,
    }
    if arguments:
        service["args"] = arguments
    build = {
        "name": "build",
        "image": CLIENT,
        "command": ["bash", "-c", f"{wait}\n{script}"],
        "env": env,
        "securityContext": {"privileged": True},
        "volumeMounts": shared,
    }
    helper = {"name": "helper", "image": CLIENT, "command": ["sh"], "stdin": True}
    return pod(
        {
            "containers": [build, helper, service],
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["docker"]}],
            "volumes": [{"name": "docker-certs", "emptyDir": {"medium": "Memory"}}],
        }
    )


def pod(spec: dict[str, Any]) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"restartPolicy": "Never", **spec}}
