"""What the API server takes and what it refuses, with the message that people read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.bad_manifests import BAD, GOOD, NO_SCRIPT, Bad, merged
from tests.bad_manifests.sources import GOOD_REFS, GOOD_URLS, git

if TYPE_CHECKING:
    from tests.integration.api import Namespace

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def a_job(**spec: object) -> dict[str, Any]:
    """The good CiJob with some fields changed; None removes one."""
    return merged(GOOD, {"spec": spec})


def service(**fields: object) -> dict[str, Any]:
    """A service with some fields."""
    return {"name": "db", "image": "postgres:18"} | fields


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_accepted(namespace: Namespace, path: Path) -> None:
    plurals = {"CiJob": namespace.path()} | {
        kind: f"/api/v1/namespaces/{namespace.name}/{kind.lower()}s" for kind in ("Secret", "ConfigMap")
    }
    for manifest in yaml.safe_load_all(path.read_text()):
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        namespace.api.call("POST", plurals[manifest["kind"]], manifest, query=query).wanted()


def test_at_least_two_hundred_bad_manifests_are_in_the_table() -> None:
    assert len({bad.what for bad in BAD}) == len(BAD) >= 200


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_a_bad_manifest_is_refused_with_its_message(namespace: Namespace, bad: Bad) -> None:
    answer = namespace.create(bad.manifest())
    assert answer.status in {400, 422}, answer
    assert bad.at in answer.message
    assert bad.server in answer.message


@pytest.mark.parametrize(
    "spec",
    [
        {**NO_SCRIPT},
        {**NO_SCRIPT, "args": []},
        {"script": ["x" * 102_400]},
        {"beforeScript": ["é" * 51_200], "script": ["é" * 51_200]},
        {"script": ["true"] * 200},
        {"variables": {"A.b-c_9": "$(X) $$ \\ \n \t é"}},
        {"variables": {f"V{index}": "x" * 1000 for index in range(256)}},
        {"env": [{"name": "EMPTY"}, {"name": "ALSO_EMPTY", "value": ""}]},
        {"env": [{"name": "ZONE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['example.com/zone']"}}}]},
        {"resources": {"requests": {"cpu": 1, "memory": "1.5Gi"}, "limits": {"cpu": "1000m", "memory": "1536Mi"}}},
        {"resources": {"limits": {"nvidia.com/gpu": 1, "hugepages-2Mi": "64Mi"}}},
        {"docker": {"enabled": False}},
        {"docker": {"endpoint": "Unix", "storage": {"size": "20Gi", "medium": ""}, "startTimeout": "10m"}},
        {"docker": {"storage": {"medium": "Memory", "size": 1073741824}}},
        {"timeout": "168h", "ttlSecondsAfterFinished": 0},
        {"timeout": "1s", "ttlSecondsAfterFinished": 31_536_000},
        {"workingDir": "/builds/a..b/.c d"},
        {"cancel": "Immediate"},
        {"poolName": "default"},
        *map(git, GOOD_URLS),
        *(git(ref=ref) for ref in GOOD_REFS),
        git(depth=0, submodules="Recursive", credentialsSecretRef={"name": "a.b-c"}),
        git("http://git.example.com/a.git", depth=100_000, submodules="Normal"),
        {"services": [{"name": f"db{index}", "image": "postgres:18"} for index in range(8)]},
        {"services": [service(ports=[5432], ready=["pg_isready", ""], startTimeout="30m")]},
        {"services": [service(ports=[80]), service(name="x" * 63, ports=[8080, 65535])]},
        {"services": [service(ports=[2375])], "docker": {"enabled": False}},
        {"services": [service(ports=[2375])], "docker": {"endpoint": "Unix"}},
        {
            "services": [service(variables={"A": "$(X) $$"}, env=[{"name": "B", "value": "$(A)"}])],
            "variables": {"A": "1"},
        },
        {"imagePullSecrets": [{"name": f"registry{index}"} for index in range(16)]},
        {"platform": "linux/amd64", "suspend": True, "priority": -1000},
        {"platform": "linux/arm64", "suspend": False, "priority": 1000},
    ],
    ids=lambda spec: str(spec)[:60],
)
def test_what_lies_within_the_bounds_is_accepted(namespace: Namespace, spec: dict[str, Any]) -> None:
    namespace.create(a_job(**spec)).wanted()


def test_a_job_of_the_largest_size_can_be_created_and_changed(namespace: Namespace) -> None:
    """The cost of the rules at run time stays inside the API server's limit."""
    full = a_job(
        cancel="Graceful",
        script=["x" * 500] * 200,
        variables={f"VARIABLE_{index}": "x" * 490 for index in range(256)},
        env=[{"name": f"ENV_{index}", "value": "x" * 490} for index in range(256)],
        envFrom=[{"secretRef": {"name": f"secret-{index}"}} for index in range(32)],
        services=[
            service(
                name=f"service-{number}",
                command=["x" * 100] * 64,
                ports=[1000 * number + index for index in range(1, 17)],
                variables={f"VARIABLE_{index}": "x" * 50 for index in range(64)},
                env=[{"name": f"ENV_{index}", "value": "x" * 50} for index in range(64)],
            )
            for number in range(8)
        ],
        **git(ref="x" * 255),
    )
    namespace.patch(namespace.stored(full), {"spec": {"cancel": "Immediate"}}).wanted()


def test_a_name_of_63_characters_is_accepted(namespace: Namespace) -> None:
    namespace.create(merged(GOOD, {"metadata": {"generateName": None, "name": "a" * 63}})).wanted()


def test_a_long_generate_name_is_cut_to_a_name_that_fits(namespace: Namespace) -> None:
    created = namespace.create(merged(GOOD, {"metadata": {"generateName": "a" * 100}})).wanted()
    assert len(created["metadata"]["name"]) <= 63
