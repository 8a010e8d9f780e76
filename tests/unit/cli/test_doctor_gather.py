"""`cijob doctor`: how the facts about a cluster are gathered, from a FAKE API server."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cijob.cli.doctor import cluster_checks
from cijob.cli.doctor import gather as gathering
from cijob.cli.doctor.facts import Operator, Result
from cijob.cli.doctor.gather import gather, privileged_pod
from cijob.cli.doctor.report import examined, our_schemas
from tests.unit.builders import at, stamp
from tests.unit.cli.looking_world import Server

Body = dict[str, Any]
NO_RIGHT = 'pods is forbidden: User "ann" cannot create resource "pods" in API group ""'


def test_the_pod_of_the_dry_run_asks_for_what_a_jobs_does() -> None:
    (dind,) = privileged_pod()["spec"]["initContainers"]
    assert dind["securityContext"] == {"privileged": True}
    assert dind["restartPolicy"] == "Always"


async def test_all_that_a_user_may_not_see_is_not_checked_and_no_failure() -> None:
    server = Server()
    server.objects["/version"] = {"major": "1", "minor": "35+"}
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    server.objects[reviews] = {"status": {"allowed": True}}
    server.objects["/apis/cijob.dev/v1alpha1"] = {"resources": [{"name": "cijobs"}, {"name": "buildpools"}]}
    schemas = {f"dev.cijob.v1alpha1.{kind}": schema for kind, schema in our_schemas().items()}
    server.objects["/openapi/v3/apis/cijob.dev/v1alpha1"] = {"components": {"schemas": schemas}}
    jobs = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
    server.objects[jobs] = {"metadata": {"creationTimestamp": stamp(0), "resourceVersion": "1"}, "items": []}
    for path in ("/api/v1/namespaces/team-a", "/apis/apps/v1/deployments", "/api/v1/nodes"):
        server.refuse(path)
    server.refuse("/apis/cijob.dev/v1alpha1/buildpools")
    server.refuse("/api/v1/namespaces/team-a/pods", message=NO_RIGHT)
    async with server.api() as api:
        facts = await gather(api, "default")
    assert facts.now == at(0), "the API server's own clock"
    results = [one.result for one in examined(facts)]
    assert Result.FAILED not in results
    assert results.count(Result.UNKNOWN) == 4


async def test_nothing_is_made_but_dry_runs_and_reviews() -> None:
    server = Server()
    server.objects["/version"] = {"major": "1", "minor": "35"}
    async with server.api() as api:
        await gather(api, "default")
    writes = [path for path, query in server.asked if query.get("dryRun") == "All"]
    assert sorted(path.rpartition("/")[2] for path in writes) == ["cijobs", "pods"]


LEASE = "/apis/coordination.k8s.io/v1/namespaces/cijob-system/leases"


def lease(renewed: datetime, holder: str = "pod_1") -> Body:
    return {
        "metadata": {"resourceVersion": "1"},
        "spec": {"holderIdentity": holder, "renewTime": renewed.isoformat()},
    }


def deployment(namespace: str = "cijob-system") -> Body:
    env = [
        {"name": "CIJOB_OPERATOR_LEASE_NAME", "value": "cijob"},
        {"name": "CIJOB_OPERATOR_LEASE_NAMESPACE", "value": "cijob-system"},
        {"name": "CIJOB_OPERATOR_NAMESPACES", "value": "a,b"},
    ]
    return {
        "metadata": {"name": "cijob", "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [{"env": env}]}}},
        "status": {"readyReplicas": 2},
    }


@pytest.mark.parametrize(
    ("age", "holder", "news", "alive"),
    [
        (1, "pod_1", "", True),
        (1, "", "", False),  # given up a moment ago, and nobody has taken it
        (3600, "pod_1", "", False),
        (3600, "pod_1", "pod_2", True),  # our clock is wrong, but it is renewed while we look
        (-3600, "pod_1", "", False),
    ],
)
async def test_an_operator_is_alive_whose_lease_is_renewed_whatever_our_clock_says(
    monkeypatch: pytest.MonkeyPatch, age: float, holder: str, news: str, *, alive: bool
) -> None:
    monkeypatch.setattr(gathering, "_PATIENCE", 0.5)
    server = Server()
    server.objects["/version"] = {"major": "1", "minor": "35"}
    server.lists["/apis/apps/v1/deployments"] = [{**deployment(), "spec": {"template": {"spec": {"containers": [{}]}}}}]
    server.lists["/apis/apps/v1/deployments"].append(deployment())
    server.objects[f"{LEASE}/cijob"] = lease(datetime.now(UTC) - timedelta(seconds=age), holder)
    event = {"type": "MODIFIED", "object": lease(datetime.now(UTC), news)}
    server.texts[LEASE] = json.dumps(event) + "\n" if news else ""
    async with server.api() as api:
        facts = await gather(api, "default")
    assert facts.operators == (Operator("cijob-system/cijob", 2, ("a", "b"), leader=news or holder, alive=alive),)


async def test_an_operator_whose_lease_may_not_be_read_is_not_called_dead() -> None:
    server = Server()
    server.objects["/version"] = {"major": "1", "minor": "35"}
    server.lists["/apis/apps/v1/deployments"] = [deployment()]
    server.refuse(f"{LEASE}/cijob")
    async with server.api() as api:
        facts = await gather(api, "default")
    assert facts.operators == (Operator("cijob-system/cijob", 2, ("a", "b")),)
    found = list(cluster_checks.operator(replace(facts, namespace="a")))
    assert [one.result for one in found] == [Result.OK]
