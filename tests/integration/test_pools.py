"""BuildPools as the API server sees them: what it refuses, and how they look from outside."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.bad_manifests import GOOD, merged
from tests.bad_manifests.pools import GOOD_POOL, POOLS, BadPool
from tests.integration.api import BUILDPOOLS, CIJOBS, MERGE_PATCH, TABLE, descriptions, served_schema
from tests.integration.chart import create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.api import Answer, Api, Namespace

DRY = {"dryRun": "All", "fieldValidation": "Strict"}


@pytest.fixture
def pool(api: Api) -> Iterator[str]:
    """The name of a pool that was stored."""
    made: list[str] = []
    yield create(api, BUILDPOOLS, merged(GOOD_POOL, {"metadata": {"name": f"tests-{uuid.uuid4().hex[:8]}"}}), made)
    for path in made:
        api.call("DELETE", path).wanted()


def refusal(api: Api, manifest: object) -> Answer:
    return api.call("POST", BUILDPOOLS, manifest, query=DRY)


def test_each_bad_pool_is_another_one() -> None:
    assert len({bad.what for bad in POOLS}) == len(POOLS)


@pytest.mark.parametrize("bad", POOLS, ids=lambda bad: bad.what)
def test_a_bad_pool_is_refused_with_its_message(api: Api, bad: BadPool) -> None:
    answer = refusal(api, bad.manifest())
    assert answer.status in {400, 422}, answer
    assert bad.at in answer.message
    assert bad.server in answer.message


@pytest.mark.parametrize("poolname", ["Default", "a.b", "-a", "a" * 64, ""])
def test_a_cijob_cannot_name_a_pool_that_cannot_be(namespace: Namespace, poolname: str) -> None:
    answer = namespace.create(merged(GOOD, {"spec": {"poolName": poolname}}))
    assert answer.status == 422
    assert "spec.poolName" in answer.message


def test_a_pool_needs_nothing(api: Api) -> None:
    empty = {**GOOD_POOL, "spec": {}}
    created = api.call("POST", BUILDPOOLS, empty, query=DRY).wanted()
    assert created["status"] == {"running": 0, "queued": 0}


def test_it_has_a_short_name_and_a_category(api: Api) -> None:
    resources = {resource["name"]: resource for resource in api.call("GET", CIJOBS).wanted()["resources"]}
    assert resources["buildpools"]["shortNames"] == ["bp"]
    assert resources["buildpools"]["categories"] == ["ci"]
    assert not resources["buildpools"]["namespaced"]
    assert "buildpools/status" in resources


def test_columns_show_how_it_is_used(api: Api, pool: str) -> None:
    path = f"{BUILDPOOLS}/{pool}"
    api.call("PATCH", path, {"spec": {"stopPolicy": "Hold"}}, content_type=MERGE_PATCH).wanted()
    api.call("PATCH", f"{path}/status", {"status": {"running": 3, "queued": 2}}, content_type=MERGE_PATCH).wanted()
    table = api.call("GET", path, accept=TABLE).wanted()
    (row,) = table["rows"]
    cells = dict(zip((column["name"] for column in table["columnDefinitions"]), row["cells"], strict=True))
    assert cells.pop("Age")
    assert cells == {"Name": pool, "Running": 3, "Queued": 2, "Capacity": 4, "Policy": "Hold"}


def test_a_write_of_the_spec_leaves_the_status_and_the_other_way_round(api: Api, pool: str) -> None:
    path = f"{BUILDPOOLS}/{pool}"
    both = {"spec": {"capacity": {"running": 7}}, "status": {"running": 5}}
    changed = api.call("PATCH", path, both, content_type=MERGE_PATCH).wanted()
    assert (changed["spec"]["capacity"]["running"], changed["status"]["running"]) == (7, 0)
    both = {"spec": {"capacity": {"running": 8}}, "status": {"running": 5}}
    changed = api.call("PATCH", f"{path}/status", both, content_type=MERGE_PATCH).wanted()
    assert (changed["spec"]["capacity"]["running"], changed["status"]["running"]) == (7, 5)


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_documented(api: Api, part: str) -> None:
    served = descriptions(served_schema(api, "BuildPool")[part])
    assert len(served) > 5
    assert [path for path, text in served.items() if len(text) < 5 or not text.endswith(".")] == []
