"""The CiJob of a pipeline's job. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cijob import names

if TYPE_CHECKING:
    from cijob.importers.gitlab.model import PipelineJob, Spec

#: Of all CiJobs that one run of a pipeline made: `kubectl get cij -l cijob.dev/pipeline=ID`.
LABEL_PIPELINE: Final = f"{names.GROUP}/pipeline"
#: The job's own name and stage, which a label could not hold.
ANNOTATION_JOB: Final = f"{names.GROUP}/pipeline-job"
ANNOTATION_STAGE: Final = f"{names.GROUP}/pipeline-stage"

#: The API server adds five characters; what it makes has to fit the 63 of a label.
_MAX_STEM: Final = 50


def manifest(job: PipelineJob, spec: Spec, pipeline: int) -> dict[str, Any]:
    """The CiJob to create, with a name that the API server makes of the job's."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "generateName": f"{stem(job.name)}-",
            "labels": {LABEL_PIPELINE: str(pipeline)},
            "annotations": {ANNOTATION_JOB: job.name, ANNOTATION_STAGE: job.stage},
        },
        "spec": spec,
    }


def stem(name: str) -> str:
    """A job's name as a CiJob's may begin.

    >>> stem("test: [linux, 3.12]")
    'test-linux-3-12'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_MAX_STEM].strip("-") or "job"


def with_timeout(spec: Spec, timeout: str | None) -> Spec:
    """The spec with `--timeout` where it says none itself."""
    return spec if timeout is None or "timeout" in spec else {**spec, "timeout": timeout}
