"""Asks a cluster for all that the checks look at. Nothing is changed: what would be created is a dry run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cijob import names
from cijob.cli.doctor.facts import Facts, Operator, Right
from cijob.cli.doctor.namespace_checks import NEEDED, USEFUL
from cijob.election import LEASE
from cijob.errors import ApiError, ApiExpired, ApiNotFound, ApiUnavailable
from cijob.transport import CIJOBS, CORE, path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from cijob.cli.api import Api
    from cijob.cli.doctor.facts import Schemas
    from cijob.transport import Body

T = TypeVar("T")

_OPENAPI: Final = f"/openapi/v3/apis/{names.API_VERSION}"
_SELF: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_APPS: Final = "/apis/apps/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"
#: What tells a Deployment of the operator from others: the Lease by which its replicas choose a leader.
_LEASE_NAME, _LEASE_NAMESPACE = "CIJOB_OPERATOR_LEASE_NAME", "CIJOB_OPERATOR_LEASE_NAMESPACE"
_OPERATORS: Final = {"labelSelector": f"{names.LABEL_COMPONENT}=operator"}  # as the chart labels them
_NAMESPACES: Final = "CIJOB_OPERATOR_NAMESPACES"
#: A Lease is renewed every 2 s. Seconds for which an old renewal is taken for a new one, and for which one is waited for.
_FRESH: Final = 15.0
_PATIENCE: Final = LEASE + 2.0
_DRY_RUN: Final = {"dryRun": "All"}
_IMAGE: Final = "busybox:1.37"


async def gather(api: Api, pool: str) -> Facts:
    """All facts about the cluster, as far as the user may see them.

    Raises:
        ApiError: the API server does not say so much as its version.
    """
    version = await api.version()  # whoever does not answer this, or does not know us, answers nothing else
    namespace = api.namespace
    pods = path_of(CORE, namespace, "pods")
    async with asyncio.TaskGroup() as group:
        job = group.create_task(_asked(_job(api, namespace, pool)))
        pod = group.create_task(_asked(api.request("POST", pods, query=_DRY_RUN, body=privileged_pod())))
        served = group.create_task(_asked(_served(api)))
        schemas = group.create_task(_asked(_schemas(api)))
        operators = group.create_task(_asked(_operators(api)))
        labels = group.create_task(_asked(_labels(api, namespace)))
        jobs = group.create_task(_asked(_jobs(api, namespace)))
        user = group.create_task(_asked(_user(api)))
        rights = group.create_task(_asked(_rights(api, namespace, pool)))
        pools = group.create_task(_asked(_pools(api)))
        nodes = group.create_task(_asked(_nodes(api)))
    created, admitted, name = job.result(), pod.result(), user.result()
    return Facts(
        server=api.server,
        version=version,
        namespace=namespace,
        pool=pool,
        now=datetime.now(UTC) if isinstance(created, ApiError) else created,
        served=served.result(),
        schemas=schemas.result(),
        operators=operators.result(),
        labels=labels.result(),
        jobs=jobs.result(),
        pod=admitted if isinstance(admitted, ApiError) else None,
        job=created if isinstance(created, ApiError) else None,
        user="" if isinstance(name, ApiError) else name,
        rights=rights.result(),
        pools=pools.result(),
        nodes=nodes.result(),
    )


def privileged_pod() -> Body:
    """A Pod that asks for what a job's asks for."""
    requests = {"requests": {"cpu": "100m", "memory": "128Mi"}}
    dind = {"name": "dind", "image": _IMAGE, "restartPolicy": "Always", "resources": requests}
    dind["securityContext"] = {"privileged": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "cijob-doctor-"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "initContainers": [dind],
            "containers": [{"name": "job", "image": _IMAGE, "resources": requests}],
        },
    }


async def _asked(answer: Awaitable[T]) -> T | ApiError:
    """The answer to a question, or the refusal of one."""
    try:
        return await answer
    except ApiError as error:
        return error


async def _job(api: Api, namespace: str, pool: str) -> datetime:
    """Asks whether a CiJob would be taken; gives the API server's time."""
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"generateName": "cijob-doctor-"},
        "spec": {"poolName": pool, "image": _IMAGE, "script": ["true"]},
    }
    answer = await api.request("POST", path_of(CIJOBS, namespace, names.PLURAL), query=_DRY_RUN, body=manifest)
    return datetime.fromisoformat(answer["metadata"]["creationTimestamp"])


async def _served(api: Api) -> frozenset[str]:
    return frozenset(one["name"] for one in (await api.api_resources())["resources"])


async def _schemas(api: Api) -> Schemas:
    """The schemas of our kinds, as `kubectl explain` reads them; everybody may who can log in."""
    found: Mapping[str, Any] = (await api.request("GET", _OPENAPI))["components"]["schemas"]
    prefix = ".".join(reversed(names.GROUP.split("."))) + f".{names.VERSION}."
    return {kind: found[prefix + kind] for kind in (names.KIND, names.POOL_KIND) if prefix + kind in found}


async def _labels(api: Api, namespace: str) -> Mapping[str, str]:
    return (await api.request("GET", path_of(CORE, None, "namespaces", namespace)))["metadata"].get("labels") or {}


async def _jobs(api: Api, namespace: str) -> tuple[Body, ...]:
    return tuple((await api.list_jobs(namespace))[0])


async def _pools(api: Api) -> tuple[Body, ...]:
    return tuple(await api.list_pools())


async def _nodes(api: Api) -> tuple[Body, ...]:
    return tuple((await api.list_all(path_of(CORE, None, "nodes"), {}))[0])


async def _user(api: Api) -> str:
    """Who the API server takes us for."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await api.request("POST", _SELF, body=review)
    return str(answer["status"]["userInfo"].get("username", ""))


async def _rights(api: Api, namespace: str, pool: str) -> Mapping[Right, bool]:
    """What the user may do of what CiJobs need."""
    wanted = [*NEEDED, *USEFUL, Right("use", names.POOL_PLURAL, names.GROUP, pool)]
    granted = await asyncio.gather(
        *(api.may(one.verb, one.resource, group=one.group, namespace=namespace, name=one.name) for one in wanted)
    )
    return dict(zip(wanted, granted, strict=True))


async def _operators(api: Api) -> tuple[Operator, ...]:
    """The Deployments that say by which Lease they choose a leader, wherever they are."""
    deployments = (await api.list_all(path_of(_APPS, None, "deployments"), _OPERATORS))[0]
    found = []
    for body in deployments:
        for container in body["spec"]["template"]["spec"]["containers"]:
            env = {one["name"]: one.get("value", "") for one in container.get("env", ())}
            if _LEASE_NAME in env:
                found.append(await _operator(api, body, env))
    return tuple(found)


async def _operator(api: Api, deployment: Body, env: Mapping[str, str]) -> Operator:
    meta = deployment["metadata"]
    path = path_of(_LEASES, env.get(_LEASE_NAMESPACE, meta["namespace"]), "leases")
    try:
        leader, alive = await _leader(api, path, env[_LEASE_NAME])
    except ApiNotFound:
        leader, alive = "", False
    except ApiError:
        leader, alive = "", None
    return Operator(
        name=f"{meta['namespace']}/{meta['name']}",
        ready=int(deployment.get("status", {}).get("readyReplicas", 0)),
        serves=tuple(name for name in env.get(_NAMESPACES, "").split(",") if name),
        leader=leader,
        alive=alive,
    )


async def _leader(api: Api, path: str, name: str) -> tuple[str, bool]:
    """Who holds a Lease, and whether it is renewed: lately by our clock, or else while we look, whatever our clock says."""
    lease = await api.request("GET", f"{path}/{name}")
    spec, version = lease["spec"], lease["metadata"]["resourceVersion"]
    renewed = datetime.fromisoformat(spec["renewTime"])
    if abs((datetime.now(UTC) - renewed).total_seconds()) < _FRESH:
        return spec.get("holderIdentity") or "", bool(spec.get("holderIdentity"))
    try:
        async with asyncio.timeout(_PATIENCE):
            async for event in api.watch(path, int(version), {"fieldSelector": f"metadata.name={name}"}):
                if event["type"] == "MODIFIED":
                    return event["object"]["spec"].get("holderIdentity") or "", True
    except (TimeoutError, ApiUnavailable, ApiExpired):
        pass
    return spec.get("holderIdentity") or "", False
