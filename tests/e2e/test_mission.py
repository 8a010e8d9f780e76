"""The GitLab job that everybody knows, as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.e2e.lab import Jobs

PIPELINE = Path(__file__).parents[2] / "examples" / "docker-run.yaml"


def pipeline() -> dict[str, Any]:
    return dict(yaml.safe_load(PIPELINE.read_text()))


def test_the_pipeline_installs_docker_pulls_its_image_and_runs_its_tests(jobs: Jobs) -> None:
    job = jobs.apply(pipeline())
    status = job.end()
    log = job.log()
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Succeeded", "Completed", 0), log
    assert "$ apt-get update && apt-get install -y docker.io" in log
    assert "$ docker pull ailhan/web-debug:latest" in log
    assert "Downloaded newer image for ailhan/web-debug:latest" in log
    assert "web-debug: 3 passed" in log
    assert {condition["type"] for condition in status["conditions"]} == {"Complete", "Finished"}


def test_the_exit_code_of_failing_tests_is_the_jobs(jobs: Jobs) -> None:
    manifest = pipeline()
    script = [entry.replace(":latest", ":failing") for entry in manifest["spec"]["script"]]
    manifest["spec"] |= {"script": script, "image": "docker:29-cli", "beforeScript": ["docker version"]}
    job = jobs.apply(manifest)
    status = job.end()
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "ScriptFailed", 7), job.log()
    assert "Entry 2 of 2 in spec.script exited with 7" in status["message"]
    assert {condition["type"] for condition in status["conditions"]} == {"Failed", "Finished"}
