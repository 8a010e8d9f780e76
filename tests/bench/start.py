"""How long a user waits: from `kubectl create` to the first line of the script, and from the job's end to the verdict.

Side by side with a Pod that starts dind as Actions Runner Controller's chart does (charts/gha-runner-scale-set/templates/
_helpers.tpl at 2ee6b3b8: a sidecar whose startupProbe runs `docker info` every 5 s), the end taken from the Pod's phase. Run by `make bench` on the development cluster;
prints medians. Nothing is asserted: the figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.e2e.lab import Cluster, Jobs, running_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "docker:29-cli"
#: The script's first line is the time at which it runs; the clock of the node is that of this machine.
SCRIPT = "date +%s.%N; docker version >/dev/null"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    cluster = running_cluster()
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", namespace)
    try:
        jobs = Jobs(cluster, namespace)
        variants: dict[str, Callable[[], tuple[float, float]]] = {
            "CiJob, TCP": lambda: cijob(jobs, "TCP"),
            "CiJob, Unix": lambda: cijob(jobs, "Unix"),
            "Pod as of ARC's chart": lambda: plain_pod(cluster, namespace),
        }
        for measure in variants.values():
            measure()  # pulls the images
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
        for _ in range(runs):  # in turn, so that the machine's moods hit all alike
            for name, measure in variants.items():
                results[name].append(measure())
        report(results)
    finally:
        cluster.run("delete", "namespace", namespace, "--wait=false")


def cijob(jobs: Jobs, endpoint: str) -> tuple[float, float]:
    """Seconds to the first line, and from the end of the job container to the verdict."""
    begin = time.time()
    job = jobs.start("start", image=IMAGE, docker={"endpoint": endpoint}, script=[SCRIPT])
    key = ("get", "cijob", job.name, f"--namespace={jobs.namespace}", "--output=json", "--watch")
    seen = first_with(jobs.cluster, key, lambda body: body.get("status", {}).get("phase") in {"Succeeded", "Failed"})
    started = next(float(line) for line in job.log().splitlines() if line.replace(".", "").isdecimal())
    return started - begin, seen - container_end(job.pod())


def plain_pod(cluster: Cluster, namespace: str) -> tuple[float, float]:
    """The same for a Pod made by hand."""
    name = f"plain-{uuid.uuid4().hex[:8]}"
    probe = {
        "exec": {"command": ["docker", "info"]},
        "initialDelaySeconds": 0,
        "periodSeconds": 5,
        "failureThreshold": 24,
    }
    mounts = [{"name": "dind-sock", "mountPath": "/var/run"}]
    dind = {
        "name": "dind",
        "image": "docker:29-dind",
        "restartPolicy": "Always",
        "securityContext": {"privileged": True},
        "args": ["dockerd", "--host=unix:///var/run/docker.sock", "--group=123"],
        "volumeMounts": mounts,
        "startupProbe": probe,
    }
    env = [{"name": "DOCKER_HOST", "value": "unix:///var/run/docker.sock"}]
    job = {"name": "job", "image": IMAGE, "env": env, "command": ["sh", "-c", SCRIPT], "volumeMounts": mounts}
    begin = time.time()
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [dind],
                "containers": [job],
                "volumes": [{"name": "dind-sock", "emptyDir": {}}],
            },
        }
    )
    key = ("get", "pod", name, f"--namespace={namespace}", "--output=json", "--watch")
    seen = first_with(cluster, key, lambda body: body.get("status", {}).get("phase") in {"Succeeded", "Failed"})
    log = cluster.run("logs", f"--namespace={namespace}", name, "--container=job").stdout
    return float(log.split()[0]) - begin, seen - container_end(cluster.get("pod", name, f"--namespace={namespace}"))


def first_with(cluster: Cluster, arguments: tuple[str, ...], condition: Callable[[dict[str, Any]], bool]) -> float:
    """The time at which a watch first shows an object that fulfils the condition."""
    command = [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            decoder, text = json.JSONDecoder(), ""
            for line in process.stdout:
                text += line
                if line.rstrip() == "}":
                    body, _ = decoder.raw_decode(text)
                    text = ""
                    if condition(body):
                        return time.time()
        finally:
            process.terminate()
    raise AssertionError(f"the watch ended: {' '.join(arguments)}")


def container_end(pod: dict[str, Any]) -> float:
    """When the job container ended, to the second (the API stores no finer); half a second is added as its mean error."""
    state = next(status for status in pod["status"]["containerStatuses"] if status["name"] == "job")["state"]
    return datetime.fromisoformat(state["terminated"]["finishedAt"]).timestamp() + 0.5


def report(results: dict[str, list[tuple[float, float]]]) -> None:
    """One row a variant: median, lowest and highest."""
    print(f"{'':42} {'create -> first line, s':>28} {'end -> verdict, s':>28}")
    for name, values in results.items():
        columns = [f"{statistics.median(v):.2f} ({min(v):.2f} - {max(v):.2f})" for v in zip(*values, strict=True)]
        print(f"{name:42} {columns[0]:>28} {columns[1]:>28}")


if __name__ == "__main__":
    main()
