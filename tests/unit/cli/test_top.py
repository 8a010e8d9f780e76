"""`cijob top`: numbers of the metrics API, or of the kubelets, beside the limits. The API server is a FAKE."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.errors import CliError
from cijob.cli.looking.top import top
from cijob.cli.looking.usage import Use, cpu_text, memory_text, of_metrics, of_summary, pod_uses
from cijob.errors import ApiNotFound
from tests.unit.cli.looking_world import Server, fresh_consoles

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = dict[str, Any]
GROUP = "/apis/cijob.dev/v1alpha1"
PODS = "/api/v1/namespaces/team-a/pods"
METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods"
SUMMARY = "/api/v1/nodes/node-1/proxy/stats/summary"
MIB = 1024**2


def pod(name: str, of: str, **limits: dict[str, str]) -> Body:
    """A running Pod of a CiJob, with the limits of its containers."""
    meta = {"name": name, "namespace": "team-a", "labels": {"cijob.dev/job": of}}
    return {
        "metadata": meta | {"ownerReferences": [{"uid": f"uid-{of}"}]},
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "job", "resources": {"limits": limits.get("job", {})}}],
            "initContainers": [
                {"name": "db"},
                {"name": "dind", "resources": {"limits": limits.get("dind", {})}},
            ],
        },
    }


def metrics(name: str, **uses: tuple[str, str]) -> Body:
    """What metrics-server says of a Pod."""
    containers = [{"name": key, "usage": {"cpu": cpu, "memory": memory}} for key, (cpu, memory) in uses.items()]
    return {"metadata": {"name": name, "namespace": "team-a"}, "containers": containers}


def summary(name: str, **uses: tuple[int, int]) -> Body:
    """What a kubelet says of a Pod."""
    containers = [
        {"name": key, "cpu": {"usageNanoCores": cpu}, "memory": {"workingSetBytes": memory, "usageBytes": 0}}
        for key, (cpu, memory) in uses.items()
    ]
    return {"pods": [{"podRef": {"name": name, "namespace": "team-a"}, "containers": containers}]}


@pytest.fixture(autouse=True)
def _consoles() -> Iterator[None]:
    with fresh_consoles():
        yield


async def run(server: Server, *, containers: bool = False, sort: str = "name", selector: str | None = None) -> None:
    """Run the command in the namespace team-a."""
    async with server.api() as api:
        await top(api, "team-a", containers=containers, sort=sort, selector=selector)


def rows(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """What was printed, without the headers."""
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


async def test_cpu_and_memory_of_job_and_daemon_stand_beside_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[PODS] = [pod("a-1", "a", job={"cpu": "2", "memory": "1Gi"}, dind={"memory": "1536Mi"})]
    server.objects[METRICS] = {
        "items": [metrics("a-1", job=("250m", "64Mi"), dind=("1500000000n", "131072Ki"), db=("0", "10Mi"))]
    }
    await run(server)
    assert rows(capsys) == [["a", "1750m", "202Mi", "250m/2", "64Mi/1Gi", "1500m", "128Mi/1.5Gi"]]
    assert server.asked[0][1]["fieldSelector"] == "status.phase=Running"


async def test_each_container_has_a_line_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[PODS] = [pod("a-1", "a")]
    server.objects[METRICS] = {"items": [metrics("a-1", db=("1m", "10Mi"), dind=("2m", "20Mi"), job=("3m", "30Mi"))]}
    await run(server, containers=True)
    assert [row[1] for row in rows(capsys)] == ["job", "dind", "db"]


@pytest.mark.parametrize(("sort", "names"), [("name", ["a", "b"]), ("cpu", ["b", "a"]), ("memory", ["a", "b"])])
async def test_who_uses_most_comes_first(capsys: pytest.CaptureFixture[str], sort: str, names: list[str]) -> None:
    server = Server()
    server.lists[PODS] = [pod("b-1", "b"), pod("a-1", "a")]
    server.objects[METRICS] = {"items": [metrics("a-1", job=("1m", "30Mi")), metrics("b-1", job=("9m", "20Mi"))]}
    await run(server, sort=sort)
    assert [row[0] for row in rows(capsys)] == names


async def test_without_metrics_server_the_kubelets_are_asked(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[PODS] = [pod("a-1", "a"), pod("b-1", "b")]
    server.objects[SUMMARY] = summary("a-1", job=(250_000_000, 64 * MIB), dind=(0, 0))
    await run(server)
    printed = capsys.readouterr()
    assert [line.split() for line in printed.out.splitlines()[1:]] == [
        ["a", "250m", "64Mi", "250m", "64Mi", "0m", "0Mi"],
        ["b", "-", "-", "-", "-", "-", "-"],
    ]
    assert printed.err.startswith("1 not measured yet")
    assert [path for path, _ in server.asked].count(SUMMARY) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "this cluster serves no metrics.k8s.io"),
        (403, "you may not read the metrics of Pods"),
        (503, r"the metrics API \(metrics.k8s.io\) does not answer"),
    ],
)
async def test_without_both_it_says_what_is_missing_and_whom_to_ask(status: int, message: str) -> None:
    server = Server()
    server.lists[PODS] = [pod("a-1", "a")]
    server.refuse(METRICS, status)
    server.refuse(SUMMARY)
    with pytest.raises(CliError, match=message) as caught:
        await run(server)
    assert "metrics-server" in caught.value.hint


async def test_labels_choose_jobs_and_not_their_pods(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[PODS] = [pod("a-1", "a"), pod("b-1", "b")]
    server.lists["/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"] = [{"metadata": {"uid": "uid-b"}}]
    server.objects[METRICS] = {"items": [metrics("b-1", job=("1m", "1Mi"))]}
    await run(server, selector="team=web")
    assert [row[0] for row in rows(capsys)] == ["b"]


async def test_names_choose_jobs_and_one_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
    server = Server()
    server.lists = {PODS: [pod("a-1", "a"), pod("b-1", "b")], jobs: [{"metadata": {"name": "b"}}]}
    server.objects = {
        METRICS: {"items": [metrics("b-1", job=("1m", "1Mi"))]},
        f"{jobs}/b": {"metadata": {"uid": "uid-b"}},
    }
    async with server.api() as api:
        assert await top(api, "team-a", ["cijob/b"], containers=False, sort="name", selector=None) == 0
        assert [row[0] for row in rows(capsys)] == ["b"]
        assert await top(api, "team-a", ["bb"], containers=False, sort="name", selector=None) == 1
    assert capsys.readouterr() == ("", "error: there is no CiJob bb in the namespace team-a\nDid you mean b?\n")


async def test_where_nothing_runs_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[PODS] = []
    server.objects = {GROUP: {}, "/api/v1/namespaces/team-a": {}}
    await run(server)
    assert capsys.readouterr().err == "No job runs in the namespace team-a.\n"


async def test_where_nothing_can_run_that_is_said() -> None:
    server = Server()
    server.lists[PODS] = []
    server.refuse(GROUP, 404, "404 page not found\n")
    with pytest.raises(ApiNotFound, match="404 page not found"):
        await run(server)
    server.refused.clear()
    server.objects[GROUP] = {}
    with pytest.raises(CliError, match="there is no namespace team-a"):
        await run(server)


def test_an_amount_that_is_not_known_is_empty_and_adds_nothing() -> None:
    assert cpu_text(Use()) == memory_text(Use()) == ""
    assert Use() + Use(Fraction(1, 2), None) == Use(Fraction(1, 2), None)


def test_numbers_of_the_two_sources_are_alike() -> None:
    of_one = of_metrics([metrics("a", job=("250m", "64Mi"))])
    assert of_one == of_summary(summary("a", job=(250_000_000, 64 * MIB)))
    [use] = pod_uses([pod("a", "a")], of_one)
    assert use.total == Use(Fraction(1, 4), Fraction(64 * MIB))
