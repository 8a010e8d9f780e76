"""From a raw body to a frozen CiJob: what is read, and what a bad one is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cijob import limits as say
from cijob.errors import InvalidSpec
from cijob.models import Cancel, CiJob, CiJobSpec, Phase, Platform, Shell
from cijob.parsing import parse, parse_head
from cijob.parts import Endpoint
from cijob.validation import validate_name, validate_spec
from tests.bad_manifests import BAD, GOOD, NO_SCRIPT, Bad, merged
from tests.bad_manifests.sources import GOOD_REFS, GOOD_URLS, git

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
METADATA = {
    "name": "build-42",
    "namespace": "team-a",
    "uid": "0c5b1b9e-7d3c-4f7e-9c4e-1f1f3d3b0c11",
    "resourceVersion": "1234",
    "generation": 2,
    "creationTimestamp": "2026-01-31T12:00:00Z",
}


def a_body(spec: object = None, **changes: object) -> dict[str, Any]:
    """A CiJob as the API server sends it."""
    return {**GOOD, "metadata": METADATA, **({} if spec is None else {"spec": spec}), **changes}


def a_spec(**changes: object) -> dict[str, Any]:
    """The good spec with some fields changed; None removes one."""
    spec: dict[str, Any] = merged(GOOD, {"spec": changes})["spec"]
    return spec


def parsed(body: dict[str, Any]) -> CiJob | InvalidSpec:
    """What comes out of a body, as a value."""
    try:
        return parse(body)
    except InvalidSpec as error:
        return error


def problems(body: dict[str, Any]) -> list[str]:
    """All that the operator says of a body."""
    match parsed(body):
        case InvalidSpec(messages=messages):
            return list(messages)
        case job:
            return validate_name(job.name) + validate_spec(job.spec)


def test_a_minimal_job_has_the_documented_defaults() -> None:
    spec = parse(a_body()).spec
    assert (spec.pool_name, spec.working_dir, spec.shell) == ("default", "/workspace", Shell.AUTO)
    assert (spec.docker.enabled, spec.docker.endpoint, spec.docker.start_timeout) == (True, Endpoint.TCP, "60s")
    assert (spec.retry.limit, spec.retry.when, spec.retry.infra_limit) == (0, None, 3)
    assert (spec.timeout, spec.ttl_seconds_after_finished, spec.cancel) == (None, None, None)
    assert (spec.source, spec.services, spec.image_pull_secrets) == (None, None, None)
    assert (spec.platform, spec.suspend, spec.priority) == (None, False, 0)


def test_metadata_and_status_are_read() -> None:
    job = parse(a_body(status={"phase": "Running", "attempt": 1, "podUID": "x", "startTime": "2026-01-31T12:00:05Z"}))
    assert (job.name, job.namespace, job.uid) == ("build-42", "team-a", METADATA["uid"])
    assert (job.resource_version, job.generation) == (1234, 2)
    assert job.creation_timestamp == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert job.deletion_timestamp is None
    assert (job.status.phase, job.status.attempt, job.status.pod_uid) == (Phase.RUNNING, 1, "x")
    assert job.status.start_time == datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def test_a_status_that_nobody_wrote_is_pending() -> None:
    assert parse(a_body()).status.phase is Phase.PENDING


def test_the_status_goes_out_in_the_names_that_came_in() -> None:
    status = {"phase": "Failed", "podUID": "x", "podName": "y", "exitCode": 3, "completionTime": "2026-01-31T12:00:05Z"}
    read = parse(a_body(status=status)).status
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == status


@pytest.mark.parametrize("phase", list(Phase))
def test_three_phases_are_final(phase: Phase) -> None:
    assert phase.finished == (phase in {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


def test_values_are_frozen() -> None:
    job = parse(a_body())
    with pytest.raises(ValidationError, match="frozen"):
        job.spec.image = "other"  # type: ignore[misc]  # that is the point
    with pytest.raises(AttributeError):
        job.name = "other"  # type: ignore[misc]  # that is the point


def test_unknown_fields_are_ignored() -> None:
    assert parse(a_body(a_spec(later={"a": 1}), status={"phase": "Running", "later": 2})).status.phase is Phase.RUNNING


def test_quantities_may_be_numbers() -> None:
    spec = parse(a_body(a_spec(resources={"requests": {"cpu": 2, "memory": "1Gi"}}))).spec
    assert spec.resources is not None
    assert spec.resources.requests == {"cpu": "2", "memory": "1Gi"}


def test_the_head_is_readable_where_the_spec_is_not() -> None:
    body = a_body("garbage", status={"phase": "Failed"})
    with pytest.raises(InvalidSpec, match="spec: must be a map of fields"):
        parse(body)
    assert (parse_head(body).name, parse_head(body).status.phase) == ("build-42", Phase.FAILED)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "metadata: is missing"),
        ({**METADATA, "resourceVersion": "x"}, "metadata: is malformed"),
        ({**METADATA, "creationTimestamp": "yesterday"}, "metadata: is malformed"),
        ({key: value for key, value in METADATA.items() if key != "uid"}, "metadata.uid: is missing"),
    ],
)
def test_unreadable_metadata_is_said_so(metadata: object, says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        parse(a_body(metadata=metadata))


def test_a_phase_that_does_not_exist_is_said_so() -> None:
    with pytest.raises(InvalidSpec, match=r"status\.phase: must be one of: 'Pending'"):
        parse(a_body(status={"phase": "Done"}))


def test_the_good_manifests_have_no_problems() -> None:
    assert problems(a_body()) == []
    assert problems(a_body(a_spec(**NO_SCRIPT, args=["--fast", ""]))) == []
    assert problems(a_body(a_spec(docker={"enabled": False}))) == []
    assert problems(a_body(a_spec(cancel="Graceful"))) == []
    assert parse(a_body(a_spec(cancel="Graceful"))).spec.cancel is Cancel.GRACEFUL


@pytest.mark.parametrize("path", ["/a", "/workspace", "/builds/group/project", "/varnish", "/home/ci", "/a..b/.c"])
def test_folders_of_ones_own_are_fine(path: str) -> None:
    assert problems(a_body(a_spec(workingDir=path))) == []


@pytest.mark.parametrize("source", [*map(git, GOOD_URLS), *(git(ref=ref) for ref in GOOD_REFS)], ids=str)
def test_repositories_and_refs_of_all_kinds_are_fine(source: dict[str, Any]) -> None:
    assert problems(a_body(a_spec(**source))) == []


def test_a_source_and_services_have_the_documented_defaults() -> None:
    services = [{"name": "db", "image": "postgres:18"}]
    spec = parse(a_body(a_spec(**git(), services=services, platform="linux/arm64", priority=-5))).spec
    assert spec.source is not None
    assert spec.services is not None
    assert (spec.source.git.ref, spec.source.git.depth, spec.source.git.submodules) == (None, 1, None)
    assert (spec.services[0].ports, spec.services[0].ready, spec.services[0].start_timeout) == (None, None, "60s")
    assert (spec.platform, spec.priority) == (Platform.ARM64, -5)


def test_a_service_may_listen_on_2375_where_docker_does_not() -> None:
    services = [{"name": "other", "image": "docker:dind", "ports": [2375]}]
    for docker in ({"enabled": False}, {"endpoint": "Unix"}):
        assert problems(a_body(a_spec(services=services, docker=docker))) == []


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.operator is not None], ids=lambda bad: bad.what)
def test_the_operator_refuses_what_the_api_server_refuses(bad: Bad) -> None:
    manifest = bad.manifest()
    found = problems({**manifest, "metadata": METADATA | manifest["metadata"]})
    says = bad.operator or bad.server
    assert any(bad.at in message and says in message for message in found), found


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.operator is not None], ids=lambda bad: bad.what)
def test_messages_start_with_a_path_and_are_no_dumps(bad: Bad) -> None:
    for message in problems(a_body(bad.manifest()["spec"])):
        assert message.startswith(("spec:", "spec.", "spec[")), message
        assert not {"pydantic", "input_value", "type="} & set(message.split())
        assert len(message) < 500


def test_bytes_count_where_the_api_server_counts_characters() -> None:
    assert problems(a_body(a_spec(script=["é" * 51_200]))) == []
    assert problems(a_body(a_spec(script=["é" * 51_201]))) == [f"spec.script: {say.SAY_SCRIPT_BYTES}"]
    assert problems(a_body(a_spec(variables={"A": "\N{PILE OF POO}" * 32_768}))) == [
        f"spec.variables[A]: {say.SAY_ENV_STRING}"
    ]
    many = {f"V{index}": "é" * 32_767 for index in range(5)}
    assert problems(a_body(a_spec(variables=many))) == [f"spec: {say.SAY_ENV_BYTES}"]


def test_a_flood_of_problems_is_cut() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(a_body(a_spec(script=list(range(50)))))
    assert len(caught.value.messages) == 11
    assert caught.value.messages[-1] == "spec: 40 more problems"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_have_no_problems(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest["kind"] == "CiJob":
            assert problems(a_body(manifest["spec"])) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = [field.alias or name for name, field in CiJobSpec.model_fields.items()]
_BELOW = [
    "requests",
    "limits",
    "cpu",
    "storage",
    "size",
    "medium",
    "enabled",
    "endpoint",
    "startTimeout",
    "name",
    "value",
]
_BELOW += [
    "valueFrom",
    "secretKeyRef",
    "configMapKeyRef",
    "fieldRef",
    "fieldPath",
    "resourceFieldRef",
    "divisor",
    "key",
]
_SHAPED = st.recursive(
    _JSON,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*_FIELDS, *_BELOW]), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(_JSON | st.dictionaries(st.sampled_from(_FIELDS), _SHAPED, max_size=8))
def test_garbage_in_the_spec_is_refused_and_never_a_crash(garbage: object) -> None:
    for message in problems(a_body(garbage)) if garbage is not None else ():
        assert message.startswith("spec")


@given(_JSON)
def test_garbage_in_metadata_and_status_is_refused_and_never_a_crash(garbage: object) -> None:
    for body in (
        a_body(metadata=garbage),
        a_body(status=garbage),
        a_body(metadata={**METADATA, "generation": garbage}),
    ):
        assert isinstance(parsed(body), CiJob | InvalidSpec)


@given(st.text(max_size=70))
def test_a_name_is_a_dns_label_or_refused(name: str) -> None:
    fine = 0 < len(name) <= 63 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and name.strip("-") == name
    assert (validate_name(name) == []) == fine
