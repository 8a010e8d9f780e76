"""Whatever stands in a file: it becomes a pipeline of good CiJobs, or the import fails with a place and a sentence."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.findings import failed, told
from cijob.importers.gitlab.keys import KEYS
from cijob.importers.gitlab.model import ImportFailed, Pipeline
from cijob.models import CiJobSpec
from cijob.validation import validate_spec
from tests.unit.gitlab.loading import loaded

PARTS = sorted({part for name in KEYS for part in name.split(":")})
WORDS = [
    "a",
    "b",
    "job",
    "unix:///var/run/docker.sock",
    "tcp://x:2376",
    "docker:dind",
    "alpine:3",
    "$A",
    "${B}",
    "$$",
    "1h",
    "always",
    "/x/",
    "",
    "a b",
    "é",
    "a: [x]",
    "-1",
]
NAMES = [*PARTS, "A", "B", "CIJOB_X", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "GIT_DEPTH"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), st.floats(0, 5), st.sampled_from(WORDS))
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
JOB_KEYS = sorted({name for name in KEYS if ":" not in name} - {"spec", "include", "default", "workflow", "stages"})
JOBS = st.dictionaries(st.sampled_from(JOB_KEYS), JUNK, max_size=5)


@given(JOBS, JOBS, st.dictionaries(st.sampled_from(["default", "workflow", "variables", "stages"]), JUNK, max_size=2))
@example({}, {}, {})
@settings(max_examples=300, deadline=None)
def test_junk_is_converted_or_refused(one: dict[str, Any], other: dict[str, Any], whole: dict[str, Any]) -> None:
    good = {"image": "alpine:3", "script": ["x"]}
    text = yaml.safe_dump({**whole, "a": {**good, **one}, "b": {**good, **other}})
    _is_taken_or_refused(text)


@given(st.dictionaries(st.sampled_from(["type", "default", "options", "regex", "rules", "x"]), JUNK, max_size=4), JUNK)
@example({"type": ["string"], "default": "x"}, None)
@settings(max_examples=200, deadline=None)
def test_a_junk_input_is_put_in_or_refused(option: dict[str, Any], value: Any) -> None:  # noqa: ANN401  any value of YAML
    header = {"spec": {"inputs": {"a": option, "b": value}}}
    text = yaml.safe_dump_all(
        [header, {"job": {"image": "alpine:3", "script": ["$[[ inputs.a ]]", "$[[ inputs.b ]]"]}}]
    )
    _is_taken_or_refused(text)


def _is_taken_or_refused(text: str) -> None:
    try:
        pipeline = loaded(text)
    except ImportFailed as error:
        refused: ImportFailed | None = error
    else:
        refused = None
        _is_good(pipeline)
    if refused is not None:
        assert failed(refused.findings)
        assert all(one.place.line >= 1 and one.message for one in refused.findings)


def _is_good(pipeline: Pipeline) -> None:
    assert not failed(pipeline.findings)
    assert told(pipeline.findings) or not pipeline.findings
    names = [job.name for job in pipeline.jobs]
    assert len(set(names)) == len(names)
    for job in pipeline.jobs:
        assert validate_spec(CiJobSpec.model_validate(job.spec)) == []
        assert job.stage in pipeline.stages
        assert {need.job for need in job.needs or ()} <= set(names)
        assert set(job.takes) <= set(names) - {job.name}
