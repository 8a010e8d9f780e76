"""What can be wrong between a command and its cluster: through the real entry point, against a FAKE API server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.acting_world import JOBS, NAMESPACE, FakeCluster, kubeconfig_for

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = {"phase": "Running"}
SUCCEEDED = {"phase": "Succeeded", "exitCode": 0}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.mark.parametrize("command", ["cancel", "wait", "delete", "retry"])
async def test_each_command_says_it_when_there_are_no_crds(cluster: FakeCluster, tmp_path: Path, command: str) -> None:
    cluster.refuse("GET", f"{JOBS}/x", 404, "404 page not found\n", reason="")
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run(command, "x")
    assert answer.code == 1
    assert answer.err.startswith("error: this cluster knows no CiJobs")
    assert "helm install" in answer.err


@pytest.mark.parametrize("command", ["wait", "doctor"])
async def test_each_command_says_it_when_nobody_answers(tmp_path: Path, command: str) -> None:
    async with FakeCluster().serving(tmp_path) as kit:
        pass  # it is gone again, and its port is closed
    answer = await kit.process(command, *(["x"] if command != "doctor" else []))
    assert answer.code == 1
    assert answer.err.startswith("error: no answer from http://127.0.0.1:")
    assert "Traceback" not in answer.err


async def test_a_right_that_is_missing_is_named(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    forbidden = (
        'cijobs.cijob.dev "x" is forbidden: User "ann" cannot patch resource "cijobs" in API group "cijob.dev" '
        f'in the namespace "{NAMESPACE}"'
    )
    cluster.refuse("PATCH", f"{JOBS}/x", 403, forbidden)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "x")
    assert answer.code == 1
    assert "you (ann) may not patch cijobs in the namespace team-a" in answer.err
    assert "cijob-author" in answer.err


async def test_a_namespace_that_is_not_there_is_no_empty_one(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.refuse("GET", f"/api/v1/namespaces/{NAMESPACE}", 404, f'namespaces "{NAMESPACE}" not found', "NotFound")
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("wait", "x")
    assert "There is no namespace team-a" in answer.err


async def test_a_typo_in_an_option_is_answered_with_the_nearest(cluster: FakeCluster, tmp_path: Path) -> None:
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "--nmespace", "x")
    assert answer.code == 2
    assert "--namespace" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--context", "thee"], "Did you mean there?"),
        (["--context", "elsewhere-altogether"], "Those that there are: there."),
        (["--kubeconfig", "/does/not/exist"], "there is no kubeconfig /does/not/exist"),
        (["-n", "a/b"], "'a/b' is no name of a namespace"),
    ],
)
async def test_a_cluster_that_is_not_there_is_told_with_what_to_do(
    cluster: FakeCluster, tmp_path: Path, arguments: list[str], said: str
) -> None:
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "x", *arguments)
    assert answer.code in {1, 2}
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert cluster.asked == []


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", "\0"])
async def test_a_kubeconfig_that_is_none_is_no_traceback(tmp_path: Path, content: str) -> None:
    async with FakeCluster().serving(tmp_path) as kit:
        kit.kubeconfig.write_text(content)
        answer = await kit.run("cancel", "x")
    assert answer.code == 1
    assert answer.err.startswith("error: no cluster to talk to: ")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["no-such-plugin"], "No such file or directory: 'no-such-plugin'"),
        (["sh", "-c", "echo expired: run acme login >&2; exit 3"], "process returned 3. expired: run acme login"),
        (["echo", "nonsense"], "failed to decode process output"),
        (
            ["echo", '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {}}'],
            "missing token",
        ),
    ],
)
async def test_a_command_for_credentials_that_fails_is_no_lack_of_rights(
    cluster: FakeCluster, tmp_path: Path, command: list[str], said: str
) -> None:
    async with cluster.serving(tmp_path) as kit:
        config = json.loads(kit.kubeconfig.read_text())
        name, *arguments = command
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": name, "args": arguments}
        config["users"][0]["user"] = {"exec": plugin}
        kit.kubeconfig.write_text(json.dumps(config))
        answer = await kit.process("cancel", "x")
    assert answer.code == 1
    assert answer.err.startswith("error: the kubeconfig's command for credentials failed: ")
    assert said in answer.err
    assert cluster.asked == []


async def test_a_context_can_be_chosen_where_none_is_current(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=SUCCEEDED)
    async with cluster.serving(tmp_path) as kit:
        config = json.loads(kit.kubeconfig.read_text())
        kit.kubeconfig.write_text(
            json.dumps(kubeconfig_for(config["clusters"][0]["cluster"]["server"], **{"current-context": ""}))
        )
        assert "says no current context" in (await kit.run("cancel", "x")).err
        assert (await kit.run("cancel", "x", "--context", "there")).code == 0
