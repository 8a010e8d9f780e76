"""Every example does what its first line says.

They are applied as they stand, but for what only their reader knows: `git.example.com` becomes the tests' git server, and the
Secrets of those examples get its credentials.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.gitserver import IMAGE, NAME, PASSWORD, USERNAME, GitServer
from tests.e2e.images import provide

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job, Jobs, Object

#: What test_mission.py and test_testcontainers.py are about.
ELSEWHERE = {"docker-run.yaml", "testcontainers.yaml"}
EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").glob("*.yaml") if path.name not in ELSEWHERE
)
ENDS = {"timeout.yaml": ("Failed", "DeadlineExceeded"), "cancel.yaml": ("Cancelled", "Cancelled")}
IMAGES = {"services.yaml": ("postgres:17", "redis:8")}


@pytest.fixture(scope="module")
def credentials(cluster: Cluster, namespace: str) -> dict[str, dict[str, str]]:
    """What the tests' git server asks for, by example."""
    provide(IMAGE)
    server = GitServer(cluster, namespace)
    server.start()
    files = {name: server.file(f"/client/{name}") for name in ("ca.crt", "key", "known_hosts")}
    return {
        "source-git.yaml": {"username": USERNAME, "password": PASSWORD, "ca.crt": files["ca.crt"]},
        "source-git-ssh.yaml": {"ssh-privatekey": files["key"], "known_hosts": files["known_hosts"]},
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_ends_as_it_says(jobs: Jobs, path: Path, request: pytest.FixtureRequest) -> None:
    if path.name in IMAGES:
        provide(*IMAGES[path.name])
    text = path.read_text()
    manifests = list(yaml.safe_load_all(text.replace("git.example.com", NAME)))
    if "git.example.com" in text:
        for secret in (manifest for manifest in manifests if manifest["kind"] == "Secret"):
            secret["stringData"] = request.getfixturevalue("credentials")[path.name]
    job = applied(jobs, manifests)
    if path.name == "suspend.yaml":
        job.wait_for_phase("Queued")
        resume(job)
    status = job.end()
    assert (status["phase"], status["reason"]) == ENDS.get(path.name, ("Succeeded", "Completed")), status


def applied(jobs: Jobs, manifests: list[Object]) -> Job:
    """Create the objects of an example; gives its CiJob."""
    job = None
    for manifest in manifests:
        manifest["metadata"]["namespace"] = jobs.namespace
        if manifest["kind"] == "CiJob":
            job = jobs.apply(manifest)
        else:
            jobs.cluster.create(manifest)
    assert job is not None, "an example has a CiJob"
    return job


def resume(job: Job) -> None:
    """What the comment in suspend.yaml tells the reader to do."""
    patch = json.dumps({"spec": {"suspend": False}})
    job.cluster.run("patch", "cij", job.name, f"--namespace={job.namespace}", "--type=merge", f"--patch={patch}")
