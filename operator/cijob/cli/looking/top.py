"""`cijob top`: what running jobs use of CPU and memory.

The metrics API (metrics-server) answers who may see a namespace. Where a cluster has none, the kubelets are asked, which only
who may read nodes/proxy can do: mostly the cluster's administrators.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import click

from cijob import names
from cijob.cli.errors import CliError, Exit
from cijob.cli.looking.usage import Use, cpu_text, memory_text, of_metrics, of_summary, pod_uses
from cijob.cli.lookup import check_namespace, find_jobs, labelled_jobs
from cijob.cli.printing import Table
from cijob.errors import ApiError, ApiNotFound
from cijob.transport import CORE, path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.cli.api import Api
    from cijob.cli.looking.usage import Key, PodUse
    from cijob.transport import Body

_METRICS: Final = "/apis/metrics.k8s.io/v1beta1"
_UNAUTHORIZED: Final = 401
_ASK: Final = (
    "Ask who runs the cluster for metrics-server, and for the role cijob-author, which may read its numbers; "
    "who may read nodes/proxy gets the kubelets' own without it."
)


async def top(
    api: Api,
    namespace: str | None,
    wanted: Sequence[str] = (),
    *,
    containers: bool,
    sort: str,
    selector: str | None,
) -> int:
    """Print what the Pods of running jobs use; gives the exit code.

    Args:
        api: the cluster.
        namespace: None for all.
        wanted: only the jobs of these names; all where there are none.
        containers: a line for each container.
        sort: cpu, memory or name.
        selector: only jobs with these labels; None for all.
    """
    pods, lost = await _pods(api, namespace, wanted, selector)
    code = Exit.FAILED if lost else Exit.OK
    if not pods:
        if not lost:
            await api.api_resources()  # without CRDs there are no Pods of jobs, and nothing else to say
            await check_namespace(api, namespace)
            what = "None of these jobs runs" if wanted else "No job runs"
            click.echo(what + (f" in the namespace {namespace}." if namespace else "."), err=True)
        return code
    uses = _sorted(pod_uses(pods, await _measured(api, namespace, pods)), sort)
    (_by_container if containers else _by_job)(uses, namespaces=namespace is None).print()
    missing = sum(not use.containers for use in uses)
    if missing:
        click.echo(f"{missing} not measured yet: numbers come some 15 to 60 s after the start.", err=True)
    return code


async def _pods(api: Api, namespace: str | None, wanted: Sequence[str], selector: str | None) -> tuple[list[Body], int]:
    """The running Pods of the jobs that are meant, and how many of the names there are none of."""
    pods = await api.list_pods(
        namespace, {"labelSelector": names.POD_SELECTOR, "fieldSelector": "status.phase=Running"}
    )
    if not wanted and not selector:
        return pods, 0
    if wanted:
        jobs, lost = await find_jobs(api, api.namespace, wanted)
    else:
        jobs, lost = await labelled_jobs(api, namespace, selector), 0
    uids = {job["metadata"]["uid"] for job in jobs}
    return [
        pod for pod in pods if any(owner["uid"] in uids for owner in pod["metadata"].get("ownerReferences") or ())
    ], lost


async def _measured(api: Api, namespace: str | None, pods: Sequence[Body]) -> dict[Key, dict[str, Use]]:
    try:
        return of_metrics(await _metrics(api, namespace))
    except ApiNotFound:
        message = "this cluster serves no metrics.k8s.io"
    except ApiError as error:
        if error.status in {0, _UNAUTHORIZED}:
            raise
        message = "the metrics API (metrics.k8s.io) does not answer"
        if error.forbidden:
            message = "you may not read the metrics of Pods (get and list on pods of metrics.k8s.io)"
    nodes = sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})
    try:
        summaries = await asyncio.gather(*(_summary(api, node) for node in nodes))
    except ApiError as error:
        why = "" if error.forbidden else f", nor do the kubelets tell: {error.message}"
        raise CliError(message + why, _ASK) from error
    return {key: uses for summary in summaries for key, uses in of_summary(summary).items()}


async def _metrics(api: Api, namespace: str | None) -> list[Body]:
    """PodMetrics: a list without versions and pages, so that `list_all` cannot read it."""
    answer = await api.request("GET", path_of(_METRICS, namespace, "pods"), query={"labelSelector": names.POD_SELECTOR})
    return list(answer.get("items") or ())


async def _summary(api: Api, node: str) -> Body:
    return await api.request("GET", f"{CORE}/nodes/{node}/proxy/stats/summary")


def _sorted(uses: Sequence[PodUse], sort: str) -> list[PodUse]:
    """Who uses most first, or by name."""

    def rank(use: PodUse) -> tuple[Fraction, str, str]:
        amount = {"cpu": use.total.cpu, "memory": use.total.memory}.get(sort)
        return (-(amount or Fraction(0)), use.namespace, use.job)

    return sorted(uses, key=rank)


def _by_job(uses: Sequence[PodUse], *, namespaces: bool) -> Table:
    parts = ("JOB-CPU", "JOB-MEMORY", "DOCKER-CPU", "DOCKER-MEMORY")
    table = Table(*(["NAMESPACE"] if namespaces else []), "NAME", "CPU", "MEMORY", *parts)
    for use in uses:
        cells = [use.namespace] if namespaces else []
        cells += [use.job, cpu_text(use.total), memory_text(use.total)]
        for name in (names.CONTAINER_JOB, names.CONTAINER_DIND):
            one = use.of(name)
            cells += [cpu_text(one.used, one.limit), memory_text(one.used, one.limit)] if one else ["", ""]
        table.add(*cells)
    return table


def _by_container(uses: Sequence[PodUse], *, namespaces: bool) -> Table:
    table = Table(*(["NAMESPACE"] if namespaces else []), "NAME", "CONTAINER", "CPU", "MEMORY")
    for use in uses:
        for one in use.containers:
            where = [use.namespace] if namespaces else []
            table.add(*where, use.job, one.name, cpu_text(one.used, one.limit), memory_text(one.used, one.limit))
    return table
