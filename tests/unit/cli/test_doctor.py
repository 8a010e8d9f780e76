"""`cijob doctor`: what facts about a cluster mean. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cijob.cli.doctor import cluster_checks, pool_checks
from cijob.cli.doctor.facts import Facts, Finding, Operator, Result, Right
from cijob.cli.doctor.namespace_checks import ENFORCE, NEEDED, USEFUL
from cijob.cli.doctor.report import examined, our_schemas, summary
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.pool import Placement, Toleration
from tests.unit.builders import a_cijob, at, stamp

Body = dict[str, Any]

NO_RIGHT = ApiError(403, "Forbidden", 'pods is forbidden: User "ann" cannot create resource "pods" in API group ""')
USE = Right("use", "buildpools", "cijob.dev", "default")
READY = [{"type": "Ready", "status": "True"}]
NODE_INFO = {"operatingSystem": "linux", "kubeletVersion": "v1.35.4"}


def node(*, labels: Body | None = None, spec: Body | None = None, **status: object) -> Body:
    return {
        "metadata": {"name": "n", "labels": labels or {}},
        "spec": spec or {},
        "status": {"conditions": READY, "nodeInfo": NODE_INFO, **status},
    }


def pool(name: str = "default", **spec: object) -> Body:
    return {"metadata": {"name": name, "uid": "u", "resourceVersion": "1"}, "spec": spec}


GOOD = Facts(
    server="https://api.example.com",
    version=(1, 35),
    namespace="builds",
    pool="default",
    now=at(0),
    served=frozenset({"cijobs", "buildpools"}),
    schemas=our_schemas(),
    operators=(Operator("cijob-system/cijob", 2, leader="cijob-abc_123", alive=True),),
    user="ann",
    rights=dict.fromkeys([*NEEDED, *USEFUL, USE], True),
    pools=(pool(),),
    nodes=(node(),),
)


def bad(facts: Facts) -> list[Finding]:
    """What is not well."""
    return [one for one in examined(facts) if one.result is not Result.OK]


def test_all_is_well_where_all_is_well() -> None:
    assert bad(GOOD) == []
    assert summary(examined(GOOD)) == "CiJobs can run here: 8 well."


@pytest.mark.parametrize(
    ("changes", "result", "what", "hint"),
    [
        ({"version": (1, 32)}, Result.FAILED, "Kubernetes 1.32", "Upgrade the cluster to 1.33"),
        (
            {"served": ApiNotFound(404, "", "404 page not found")},
            Result.FAILED,
            "CRDs are not installed",
            "helm install",
        ),
        ({"served": frozenset({"cijobs"})}, Result.FAILED, "the CRD of buildpools is not installed", "helm upgrade"),
        ({"schemas": NO_RIGHT}, Result.UNKNOWN, "whether they are current: you may not see that", ""),
        ({"operators": ()}, Result.FAILED, "no operator is installed", "helm install"),
        ({"operators": NO_RIGHT}, Result.UNKNOWN, "the operator: you may not see that", "stays Pending"),
        ({"operators": (Operator("a/b", 0),)}, Result.FAILED, "a/b has no replica", "kubectl --namespace a logs"),
        (
            {"operators": (Operator("a/b", 1, alive=False),)},
            Result.FAILED,
            "nobody renews its Lease",
            "logs deployment/b",
        ),
        (
            {"operators": (Operator("a/b", 1, ("team-a", "team-b"), alive=True),)},
            Result.FAILED,
            "no operator serves the namespace builds",
            "team-a, team-b",
        ),
        ({"labels": NO_RIGHT}, Result.UNKNOWN, "labels of the namespace builds", ""),
        (
            {"labels": {ENFORCE: "restricted"}},
            Result.FAILED,
            "Pod Security Standard restricted",
            f"{ENFORCE}=privileged",
        ),
        ({"pod": NO_RIGHT}, Result.UNKNOWN, "you may not create Pods yourself", "PodRejected"),
        (
            {"pod": ApiError(403, "Forbidden", "pods is forbidden: exceeded quota: q")},
            Result.WARNING,
            "does not fit into the quota",
            "until there is room",
        ),
        (
            {"pod": ApiError(403, "Forbidden", "admission webhook says no privileged Pods")},
            Result.FAILED,
            "refuses a privileged Pod: admission webhook says no",
            "RuntimeClass",
        ),
        ({"rights": NO_RIGHT}, Result.UNKNOWN, "your rights", ""),
        ({"pools": NO_RIGHT}, Result.UNKNOWN, "pools: you may not see that", ""),
        ({"nodes": NO_RIGHT}, Result.UNKNOWN, "pool default: nodes: you may not see that", ""),
        ({"pool": "defalt"}, Result.FAILED, "there is no BuildPool defalt", "Did you mean default?"),
        (
            {"pools": (pool(stopPolicy="Hold"),)},
            Result.FAILED,
            "pool default is closed (stopPolicy: Hold)",
            "when it opens",
        ),
        (
            {"pools": (pool(namespaceSelector={"matchLabels": {"team": "web"}}),)},
            Result.FAILED,
            "pool default is not for the namespace builds",
            "kubectl get buildpool default",
        ),
        (
            {"pools": (pool(), pool("other", stopPolicy="Hold"))},
            Result.WARNING,
            "pool other is closed",
            "Ask who runs it",
        ),
        ({"pools": (pool(nodeLostGrace="1x"),)}, Result.FAILED, "cannot be used: spec.nodeLostGrace", "kubectl edit"),
        ({"nodes": ()}, Result.FAILED, "pool default: 0 of 0 nodes fit", "Add a node"),
        (
            {
                "nodes": (node(), node(spec={"unschedulable": True})),
                "pools": (pool(placement={"nodeSelector": {"a": "b"}}),),
            },
            Result.WARNING,
            "0 of 2 nodes fit (1 without the label a=b, 1 cordoned)",
            "no autoscaler",
        ),
        (
            {"job": ApiError(422, "Invalid", "spec.image: something is wrong")},
            Result.FAILED,
            "the cluster refuses a CiJob: spec.image",
            "",
        ),
    ],
)
def test_each_trouble_is_told_alone_with_what_to_do(changes: Body, result: Result, what: str, hint: str) -> None:
    found = [one for one in bad(replace(GOOD, **changes)) if one.result is result]
    assert len(found) == 1, bad(replace(GOOD, **changes))
    assert what in found[0].what
    assert hint in found[0].hint


def test_fields_that_the_cluster_lacks_are_named_and_those_that_it_has_more_warned_of() -> None:
    ours: Body = {
        "CiJob": {"properties": {"spec": {"properties": {"a": {}, "b": {"items": {"properties": {"c": {}}}}}}}}
    }
    older: Body = {"CiJob": {"properties": {"spec": {"properties": {"a": {}}}}}}
    assert cluster_checks.fields_apart(ours, older) == (["CiJob.spec.b"], [])
    assert cluster_checks.fields_apart(older, ours) == ([], ["CiJob.spec.b"])
    assert [one.result for one in cluster_checks.crds(replace(GOOD, schemas=older), ours)] == [Result.FAILED]
    assert [one.result for one in cluster_checks.crds(replace(GOOD, schemas=ours), older)] == [Result.WARNING]


@pytest.mark.parametrize(
    ("status", "age", "told"), [({}, 120, True), ({}, 30, False), ({"phase": "Running"}, 120, False)]
)
def test_a_job_that_nobody_looks_at_shows_that_there_is_no_operator(status: Body, age: float, *, told: bool) -> None:
    job = a_cijob().with_(status=status).with_meta(creationTimestamp=stamp(-age)).body
    found = list(cluster_checks.operator(replace(GOOD, operators=NO_RIGHT, jobs=(job,))))
    assert any("no operator looks at the CiJobs" in one.what for one in found) is told


def test_pods_need_no_privilege_in_a_pool_with_a_runtime_class() -> None:
    spec: Body = {"docker": {"isolation": "RuntimeClass"}, "placement": {"runtimeClassName": "sysbox"}}
    facts = replace(GOOD, pools=(pool(**spec),), labels={ENFORCE: "restricted"})
    assert bad(facts) == []


def test_a_guarded_namespace_lets_the_operators_pods_in() -> None:
    said = ApiError(
        403, "Forbidden", "denied request: only the operator of CiJobs may run privileged Pods in the namespace x"
    )
    assert bad(replace(GOOD, pod=said)) == []


def test_a_namespace_that_is_not_there_is_told_once() -> None:
    gone = ApiNotFound(404, "NotFound", 'namespaces "builds" not found')
    found = bad(replace(GOOD, labels=gone, pod=gone, job=gone))
    assert [one.what for one in found] == ["there is no namespace builds"]


@pytest.mark.parametrize(
    ("user", "subject"),
    [("ann", "--user ann"), ("system:serviceaccount:ci:bot", "--serviceaccount ci:bot"), ("", "--user YOU")],
)
def test_a_missing_right_comes_with_the_command_that_gives_it(user: str, subject: str) -> None:
    facts = replace(GOOD, user=user, rights={**dict.fromkeys([*NEEDED, *USEFUL, USE], True), next(iter(NEEDED)): False})
    (found,) = bad(facts)
    assert found.result is Result.FAILED
    assert found.what == "you may not run jobs (create cijobs)"
    assert found.hint.endswith(f"--namespace builds --clusterrole cijob-author {subject}")


def test_a_right_that_is_good_to_have_is_a_warning() -> None:
    rights = {right: right.resource != "pods/exec" for right in [*NEEDED, *USEFUL, USE]}
    (found,) = bad(replace(GOOD, rights=rights))
    assert (found.result, "create pods/exec" in found.what) == (Result.WARNING, True)


def test_the_right_to_use_a_pool_counts_where_the_cluster_asks_for_it() -> None:
    rights = {right: right != USE for right in [*NEEDED, *USEFUL, USE]}
    assert bad(replace(GOOD, rights=rights)) == [], "the dry run was taken: no policy asks"
    refused = ApiError(
        403, "Forbidden", "denied request: ann may not use the BuildPool default in the namespace builds"
    )
    (found,) = bad(replace(GOOD, rights=rights, job=refused))
    assert found.what == "you may not use the pool default"


@pytest.mark.parametrize(
    ("placement", "body", "reason"),
    [
        (Placement(), node(), None),
        (Placement(), node(conditions=[{"type": "Ready", "status": "Unknown"}]), "not ready"),
        (Placement(), node(spec={"unschedulable": True}), "cordoned"),
        (Placement(), node(spec={"taints": [{"key": "ci", "effect": "NoSchedule"}]}), "with the taint ci"),
        (Placement(), node(spec={"taints": [{"key": "ci", "effect": "PreferNoSchedule"}]}), None),
        (Placement(), node(nodeInfo={"operatingSystem": "windows"}), "without Linux"),
        (Placement(), node(nodeInfo={"kubeletVersion": "v1.32.9+x"}), "with a kubelet older than 1.33"),
        (Placement(node_selector={"a": "b"}), node(labels={"a": "b"}), None),
        (Placement(node_selector={"a": "b"}), node(labels={"a": "c"}), "without the label a=b"),
    ],
)
def test_what_keeps_a_pool_from_a_node(placement: Placement, body: Body, reason: str | None) -> None:
    assert pool_checks.unfit(placement, body) == reason


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration(key="ci", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(key="ci", value="yes"), True),
        (Toleration(key="ci", operator="Equal", value="no"), False),
        (Toleration(key="ci"), False),
        (Toleration(key="other", operator="Exists"), False),
        (Toleration(key="ci", operator="Exists", effect="NoExecute"), False),
        (Toleration(key="ci", operator="Exists", effect="NoSchedule"), True),
    ],
)
def test_a_taint_is_tolerated_as_kubernetes_has_it(toleration: Toleration, *, tolerated: bool) -> None:
    taint = {"key": "ci", "value": "yes", "effect": "NoSchedule"}
    assert pool_checks.tolerates(toleration, taint) is tolerated


@pytest.mark.parametrize("status", [0, 429, 503])
def test_a_question_that_was_not_answered_is_no_refusal(status: int) -> None:
    silent = ApiUnavailable(status, "", "no answer")
    found = bad(replace(GOOD, pod=silent, job=silent))
    assert [(one.result, one.what) for one in found] == [
        (Result.UNKNOWN, "whether privileged Pods are let in: no answer"),
        (Result.UNKNOWN, "whether a CiJob for the pool default is taken: no answer"),
    ]
