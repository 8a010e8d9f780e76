"""Builders of pipelines for tests."""

from __future__ import annotations

from typing import Any

from cijob.importers.gitlab.model import Need, Pipeline, PipelineJob, Place, When


def a_job(name: str, stage: str = "test", *, needs: tuple[str, ...] | None = None, **fields: Any) -> PipelineJob:  # noqa: ANN401  any field of a job
    """A job of a pipeline; `needs` by name."""
    return PipelineJob(
        name=name,
        stage=stage,
        spec=fields.pop("spec", {"image": "alpine", "script": [f"echo {name}"]}),
        place=Place(".gitlab-ci.yml", 1),
        needs=None if needs is None else tuple(Need(one) for one in needs),
        when=When(fields.pop("when", When.ON_SUCCESS)),
        **fields,
    )


def a_pipeline(*jobs: PipelineJob, stages: tuple[str, ...] = ("build", "test", "deploy")) -> Pipeline:
    """A pipeline of these jobs."""
    return Pipeline(name="", stages=stages, jobs=jobs)
