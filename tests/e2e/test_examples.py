"""Every example does what its first line says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.e2e.lab import Jobs

#: docker-run.yaml is what test_mission.py is about.
EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").glob("*.yaml") if path.name != "docker-run.yaml"
)
FAILING = {"timeout.yaml": ("Failed", "DeadlineExceeded")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_ends_as_it_says(jobs: Jobs, path: Path) -> None:
    job = None
    for manifest in yaml.safe_load_all(path.read_text()):
        manifest["metadata"]["namespace"] = jobs.namespace
        if manifest["kind"] == "CiJob":
            job = jobs.apply(manifest)
        else:
            jobs.cluster.create(manifest)
    assert job is not None, "an example has a CiJob"
    status = job.end()
    assert (status["phase"], status["reason"]) == FAILING.get(path.name, ("Succeeded", "Completed")), job.log()
