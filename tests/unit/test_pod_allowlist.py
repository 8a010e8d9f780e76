"""No CiJob, however made and in whatever pool, gives a Pod more than its author may have.

Specs come from the CRDs' own schemas, with fields beside them that nobody should be able to set. Each field of the Pod that
comes out is on a list here: a new one fails the test until somebody has said who chooses it, and from what.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cijob import names
from cijob.actions import CreatePod, Observed
from cijob.crdgen.crd import cijob_crd
from cijob.crdgen.pool import pool_crd
from cijob.decisions import decide
from cijob.errors import InvalidSpec
from cijob.manifests import build_pod
from cijob.parsing import parse, parse_pool
from cijob.policies.pool_rules import with_life, with_pool_settings, with_resources
from cijob.pool import Isolation, PoolView
from cijob.settings import Settings
from tests.unit.builders import a_cijob, at
from tests.unit.test_admitter import a_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.containers import Manifest
    from cijob.models import CiJob
    from cijob.pool import BuildPool

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))

#: Who chooses a field's value: the operator (its code and its settings), the job's author, the pool's owner.
OPERATOR: Final = frozenset({"the operator"})
JOB: Final = frozenset({"the job"})
POOL: Final = frozenset({"the pool"})
CHOICES: Final = OPERATOR | JOB | POOL

#: Each field of a Pod that may be there: who chooses it, or all the values that it may have. `container` stands for all of
#: them, `{}` for the keys of a map whose keys are chosen, too.
ALLOWED: Final[dict[str, frozenset[Any]]] = {
    "apiVersion": frozenset({"v1"}),
    "kind": frozenset({"Pod"}),
    "metadata.name": OPERATOR,
    "metadata.namespace": frozenset({"team-a"}),
    "metadata.labels{}": OPERATOR | POOL,
    "metadata.annotations{}": OPERATOR | JOB | POOL,  # the job's: its scripts, under the operator's keys
    "metadata.ownerReferences[].apiVersion": frozenset({names.API_VERSION}),
    "metadata.ownerReferences[].kind": frozenset({names.KIND}),
    "metadata.ownerReferences[].name": OPERATOR,
    "metadata.ownerReferences[].uid": OPERATOR,
    "metadata.ownerReferences[].controller": frozenset({True}),
    "metadata.ownerReferences[].blockOwnerDeletion": frozenset({True}),
    "spec.restartPolicy": frozenset({"Never"}),
    "spec.automountServiceAccountToken": frozenset({False}),
    "spec.enableServiceLinks": frozenset({False}),
    "spec.activeDeadlineSeconds": JOB | POOL,
    "spec.terminationGracePeriodSeconds": OPERATOR,
    "spec.hostAliases[].ip": frozenset({"127.0.0.1"}),
    "spec.hostAliases[].hostnames[]": JOB,
    "spec.imagePullSecrets[].name": JOB,
    "spec.nodeSelector{}": JOB | POOL,
    "spec.affinity": POOL,
    "spec.tolerations[].key": POOL,
    "spec.tolerations[].operator": POOL,
    "spec.tolerations[].value": POOL,
    "spec.tolerations[].effect": POOL,
    "spec.tolerations[].tolerationSeconds": POOL,
    "spec.runtimeClassName": POOL,
    "spec.priorityClassName": POOL,
    "container.name": OPERATOR | JOB,
    "container.image": OPERATOR | JOB | POOL,
    "container.imagePullPolicy": frozenset({"Always", "IfNotPresent", "Never"}),
    "container.command[]": OPERATOR | JOB,
    "container.args[]": JOB,
    "container.workingDir": JOB,
    "container.restartPolicy": frozenset({"Always"}),
    "container.terminationMessagePolicy": frozenset({"File"}),
    "container.securityContext.privileged": frozenset({True, False}),
    "container.env[]": frozenset(),  # an empty list
    "container.env[].name": OPERATOR | JOB,
    "container.env[].value": OPERATOR | JOB,
    "container.env[].valueFrom": JOB,  # an empty one, which the API server refuses
    "container.env[].valueFrom.fieldRef.fieldPath": OPERATOR | JOB,
    "container.env[].valueFrom.resourceFieldRef.containerName": frozenset({"job", "dind"}),
    "container.env[].valueFrom.resourceFieldRef.resource": JOB,
    "container.env[].valueFrom.resourceFieldRef.divisor": JOB,
    "container.envFrom[]": JOB,  # an empty one, which the API server refuses
    "container.envFrom[].prefix": OPERATOR | JOB,
    **{
        f"container.{source}.{field}": JOB
        for source, fields in {
            "env[].valueFrom.secretKeyRef": ("name", "key", "optional"),
            "env[].valueFrom.configMapKeyRef": ("name", "key", "optional"),
            "envFrom[].secretRef": ("name", "optional"),
            "envFrom[].configMapRef": ("name", "optional"),
        }.items()
        for field in fields
    },
    "container.resources.requests{}": OPERATOR | JOB | POOL,
    "container.resources.limits{}": JOB | POOL,
    **{
        f"container.{probe}.{field}": choice
        for probe in ("startupProbe", "readinessProbe")
        for field, choice in {
            "exec.command[]": OPERATOR | JOB,
            "tcpSocket.port": JOB,  # no host: the kubelet asks the Pod itself
            "periodSeconds": frozenset({1}),
            "timeoutSeconds": OPERATOR | JOB,
            "failureThreshold": JOB,
        }.items()
    },
    "container.volumeMounts[].name": OPERATOR,
    "container.volumeMounts[].mountPath": OPERATOR | JOB,
    "container.volumeMounts[].subPath": frozenset({"config.json"}),
    "container.volumeMounts[].readOnly": frozenset({True}),
    "spec.volumes[].name": OPERATOR,
    "spec.volumes[].emptyDir": frozenset(),
    "spec.volumes[].emptyDir.medium": frozenset({"", "Memory"}),
    "spec.volumes[].emptyDir.sizeLimit": JOB | POOL,
    "spec.volumes[].downwardAPI.items[].path": OPERATOR,
    "spec.volumes[].downwardAPI.items[].fieldRef.fieldPath": OPERATOR,
    "spec.volumes[].secret.secretName": JOB,
    "spec.volumes[].secret.items[].key": frozenset({".dockerconfigjson"}),
    "spec.volumes[].secret.items[].path": frozenset({"config.json"}),
    "spec.volumes[].secret.optional": frozenset({True}),
}
_MAPS: Final = ("labels", "annotations", "nodeSelector", "requests", "limits")
_OPAQUE: Final = ("affinity",)


def leaves(node: object, path: str = "") -> Iterator[tuple[str, object]]:
    """All values of a manifest with their paths; an empty list or object counts as one."""
    field = path.rpartition(".")[2]
    if isinstance(node, dict) and node and field not in _OPAQUE:
        for key, value in node.items():
            yield from leaves(value, path + "{}" if field in _MAPS else f"{path}.{key}".lstrip("."))
    elif isinstance(node, list) and node:
        for value in node:
            yield from leaves(value, f"{path}[]")
    else:
        where = path if not isinstance(node, list) else f"{path}[]"
        yield where.replace("spec.initContainers[]", "container").replace("spec.containers[]", "container"), node


def strange(pod: Manifest) -> list[tuple[str, object]]:
    """What of a Pod is not on the list, or has a value that it may not have."""
    return [
        (path, value)
        for path, value in leaves(pod)
        if path not in ALLOWED
        or (ALLOWED[path] and not ALLOWED[path] & CHOICES and value not in ALLOWED[path])
        or (not ALLOWED[path] and value not in ({}, []))
    ]


# --- specs of all shapes

HOSTILE: Final[dict[str, Any]] = {
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "hostUsers": True,
    "hostPath": {"path": "/"},
    "serviceAccountName": "admin",
    "automountServiceAccountToken": True,
    "privileged": True,
    "securityContext": {"privileged": True, "runAsUser": 0, "capabilities": {"add": ["ALL"]}},
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    "volumeMounts": [{"name": "root", "mountPath": "/host"}],
    "volumeDevices": [{"name": "root", "devicePath": "/dev/sda"}],
    "hostPort": 22,
    "shareProcessNamespace": True,
    "nodeName": "control-plane",
    "ephemeralContainers": [{"name": "x"}],
    "podTemplate": {"spec": {"hostNetwork": True}},
    "resourceClaims": [{"name": "x"}],
}
#: Good values, by the end of a field's path: without them hardly any spec would get as far as a Pod.
GOOD: Final[dict[str, list[Any]]] = {
    "image": ["ubuntu:25.10", "registry.example.com/a@sha256:" + "a" * 64],
    "workingDir": ["/workspace", "/builds/app"],
    "timeout": ["90s", "2h"], "queueTimeout": ["5m"], "startTimeout": ["90s"], "nodeLostGrace": ["5m"],
    "url": ["https://git.example.com/app.git", "git@git.example.com:app.git"],
    "ref": ["main"], "poolName": ["default"],
    "fieldPath": ["metadata.name", "spec.serviceAccountName", "status.hostIP"],
    "resource": ["limits.cpu", "requests.memory"],
    "base": ["10.210.0.0/16"], "mirrors[]": ["https://mirror.example.com"], "insecureRegistries[]": ["r:5000"],
    "runtimeClassName": ["sysbox-runc"], "prefix": ["APP_"], "name": ["web", "db", "app-1"], "key": ["token"],
    "images[]": ["*"],
    "affinity": [{"nodeAffinity": {"x": [1]}}, {"hostNetwork": True}],
}  # fmt: skip
WORDS = st.sampled_from(["a", "db", "web", "job", "dind", "$(X)", "true", "/", "../..", "kube-system"])
QUANTITY = st.sampled_from(["1", "100m", "64Mi", "2Gi", 1])
RESOURCES = st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"])


def shaped(node: dict[str, Any], path: str = "spec") -> st.SearchStrategy[Any]:
    """Values of a structural schema, with hostile fields beside those of its objects."""
    field = path.rpartition(".")[2]
    if field in GOOD:
        return st.sampled_from(GOOD[field])
    if node.get("x-kubernetes-int-or-string"):
        return QUANTITY
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "properties" in node:
        return _object(node, path)
    if "additionalProperties" in node:
        keys = RESOURCES if field in {"requests", "limits", "resources"} else st.sampled_from(["A", "B_C", "team"])
        return st.dictionaries(keys, shaped(node["additionalProperties"], f"{path}.{{}}"), max_size=2)
    match node.get("type"):
        case "array":
            least = max(node.get("minItems", 0), 0)
            return st.lists(shaped(node["items"], f"{path}[]"), min_size=least, max_size=max(least, 2))
        case "integer":
            low, high = node.get("minimum", 0), node.get("maximum", 10)
            return st.sampled_from(sorted({low, min(low + 1, high), high}))
        case "boolean":
            return st.booleans()
        case "string":
            return WORDS
        case _:
            return st.just({})


def _object(node: dict[str, Any], path: str) -> st.SearchStrategy[Any]:
    fields = {name: shaped(child, f"{path}.{name}") for name, child in node["properties"].items()}
    needed = {name: fields.pop(name) for name in node.get("required", ())}
    hostile = st.dictionaries(
        st.sampled_from(sorted(HOSTILE.keys() - node["properties"].keys())), st.none(), max_size=2
    )
    return st.builds(
        lambda given, keys: {**{key: HOSTILE[key] for key in keys}, **given},
        st.fixed_dictionaries(needed, optional=fields),
        hostile,
    )


def _spec_of(crd: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def tidy(job: dict[str, Any]) -> dict[str, Any]:
    """The same with what its rules across fields would refuse put right."""
    job = {"script": ["true"], **job} if "command" not in job else job
    beside = ("command", "args") if "script" in job else ("beforeScript", "afterScript", "shell")
    for field in (*beside, "cancel", "suspend"):
        job.pop(field, None)
    docker, retry = job.get("docker", {}), job.get("retry", {})
    if docker.get("enabled") is False:
        job["docker"] = {"enabled": False}
    if "when" in retry:
        job["retry"] = {"limit": 1, "when": {"exitCodes": [75]}}
    for number, service in enumerate(job.get("services", [])):
        service |= {"name": f"s{number}", "ports": [5432 + number]}
    for one in (job, *job.get("services", [])):
        one["env"] = [
            {"name": f"E{number}", **dict([*env.items()][1:2])} for number, env in enumerate(one.get("env", []))
        ]
        for env in one["env"]:
            if "valueFrom" in env:
                source = {key: value for key, value in env["valueFrom"].items() if key.endswith("Ref")}
                env["valueFrom"] = dict([*source.items()][:1]) or {"fieldRef": {"fieldPath": "metadata.name"}}
        one.pop("resources", None)
    for source in job.get("envFrom", []):
        source.pop("secretRef" if "configMapRef" in source else "", None)
    job["envFrom"] = [source for source in job.get("envFrom", []) if {"secretRef", "configMapRef"} & source.keys()]
    return job


def tidy_pool(pool: dict[str, Any]) -> dict[str, Any]:
    """The same of a pool."""
    pool.setdefault("placement", {})["runtimeClassName"] = "sysbox-runc"
    pool["placement"]["tolerations"] = [{"key": "builds", "effect": "NoSchedule"}]
    for part in ("limits", "defaults"):
        pool.get(part, {}).pop("resources", None)
        pool.get(part, {}).get("docker", {}).pop("resources", None)
    return pool


ANY_JOBS, ANY_POOLS = shaped(_spec_of(cijob_crd())), shaped(_spec_of(pool_crd()))
JOBS = ANY_JOBS | ANY_JOBS.map(tidy)
POOLS = ANY_POOLS | ANY_POOLS.map(tidy_pool)


def read(job: dict[str, Any], pool: dict[str, Any]) -> tuple[CiJob, BuildPool] | None:
    """Both as the operator reads them; None if it refuses one."""
    body = a_cijob().body
    try:
        return parse({**body, "spec": job}), parse_pool({**a_pool(), "spec": pool})
    except InvalidSpec:
        return None


def judge(pod: Manifest, job: CiJob, pool: BuildPool, operator: Settings) -> None:
    """All that must hold."""
    assert strange(pod) == []
    spec, mine = pod["spec"], job.spec
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    privileged = [one["name"] for one in containers if one["securityContext"]["privileged"]]
    daemon = mine.docker.enabled and pool.spec.docker.isolation is Isolation.PRIVILEGED
    assert privileged == (["dind"] if daemon else [])
    assert all(set(one["securityContext"]) == {"privileged"} for one in containers)
    if privileged:
        (dind,) = (one for one in containers if one["name"] == "dind" and one["securityContext"]["privileged"])
        assert dind["image"] == (pool.spec.docker.image or operator.dind_image), "never the author's"
        assert dind["command"] == ["/bin/sh", f"{names.LAUNCHER_DIR}/dind.sh"]
    secrets = {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
    assert secrets <= {secret.name for secret in mine.image_pull_secrets or ()}, "no token of a service account"
    labels = pod["metadata"]["labels"]
    assert (labels[names.LABEL_POOL], labels[names.LABEL_MANAGED_BY]) == (mine.pool_name, names.COMPONENT)
    assert pod["metadata"]["namespace"] == job.namespace


LONG = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@LONG
@given(JOBS, POOLS)
def test_no_job_in_no_pool_gets_more_than_it_may(job: dict[str, Any], pool: dict[str, Any]) -> None:
    """The Pod is built even from what the checks refuse: it must be harmless whatever slips past them."""
    found = read(job, pool)
    if found is None:
        return
    ours, its = found
    operator = with_pool_settings(Settings(), its.spec)
    try:
        spec = with_resources(with_life(ours.spec, its.spec, Settings()), its.spec)
        pod = build_pod(replace(ours, spec=spec), 1, operator, its.spec)
    except (InvalidSpec, ValueError):
        return
    judge(pod, ours, its, operator)


@LONG
@given(JOBS, POOLS)
def test_what_is_decided_is_refused_or_harmless_and_never_an_error(job: dict[str, Any], pool: dict[str, Any]) -> None:
    found = read(job, pool)
    if found is None:
        return
    ours, its = found
    decision = decide(ours, Observed(pool=PoolView(spec=its.spec)), Settings(), at(0))
    if isinstance(decision.action, CreatePod):
        judge(decision.action.manifest, ours, its, with_pool_settings(Settings(), its.spec))


def test_good_specs_are_among_them() -> None:
    """Otherwise the tests above would show nothing."""
    built: list[int] = []
    refused: list[int] = []

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(JOBS, POOLS)
    def try_one(job: dict[str, Any], pool: dict[str, Any]) -> None:
        found = read(job, pool)
        if found is not None:
            decision = decide(found[0], Observed(pool=PoolView(spec=found[1].spec)), Settings(), at(0))
            (built if isinstance(decision.action, CreatePod) else refused).append(1)

    try_one()
    assert len(built) >= 10
    assert len(refused) >= 10


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_golden_pods_are_on_the_list(path: Path) -> None:
    pod = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [where for where, _ in strange({**pod, "metadata": {**pod["metadata"], "namespace": "team-a"}})] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hostNetwork", True),
        ("hostPID", False),
        ("serviceAccountName", "default"),
        ("automountServiceAccountToken", True),
        ("volumes", [{"name": "x", "hostPath": {"path": "/"}}]),
        ("volumes", [{"name": "x", "projected": {"sources": []}}]),
        ("containers", [{"name": "job", "ports": [{"hostPort": 80}]}]),
        ("containers", [{"name": "job", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]),
        ("initContainers", [{"name": "x", "securityContext": {"allowPrivilegeEscalation": True}}]),
        ("securityContext", {"runAsUser": 0}),
    ],
)
def test_a_field_that_is_not_on_the_list_is_found(field: str, value: object) -> None:
    assert strange({"spec": {field: value}}) != []
