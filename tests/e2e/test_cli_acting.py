"""`cijob cancel`, `wait`, `retry`, `delete`, `doctor` and completion on the cluster, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.cijob import Cijob, as_account, breaking, environment
from tests.e2e.lab import own_namespace, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Cluster, Job, Jobs

WITHOUT_DOCKER: dict[str, Any] = {"docker": {"enabled": False}}


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    """The command line in the module's namespace."""
    return Cijob(cluster.kubeconfig, namespace)


@pytest.fixture(scope="module")
def author(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Cijob:
    """The command line of somebody with the role of authors in the namespace, but without the right to use a pool."""
    return as_account(cluster, namespace, "author", tmp_path_factory.mktemp("author"), "--clusterrole=cijob-author")


def started(jobs: Jobs, name: str, **spec: Any) -> Job:  # noqa: ANN401  any field of a spec
    """A CiJob whose script runs until it is stopped."""
    script = ["trap 'echo stopping; exit 3' TERM", "echo going; while :; do sleep 0.1; done"]
    job = jobs.start(name, **({"script": script} | WITHOUT_DOCKER | spec))
    job.wait_for_log("\ngoing")
    job.wait_for_phase("Running")
    return job


def test_a_cancelled_script_is_asked_to_end_and_afterscript_runs(cijob: Cijob, jobs: Jobs) -> None:
    job = started(jobs, "graceful", afterScript=["echo after $CIJOB_STATUS"])
    assert cijob.run("wait", job.name, "--for=running").returncode == 0
    answer = cijob.run("cancel", job.name)
    assert (answer.returncode, answer.stderr) == (0, "")
    waited = cijob.run("wait", job.name)
    assert waited.returncode == 130
    assert f"cijob.cijob.dev/{job.name} Cancelled" in waited.stdout
    assert "stopping" in job.log()
    assert "after canceled" in job.log()
    again = cijob.run("cancel", job.name, "--now")
    assert (again.returncode, again.stdout) == (0, f"cijob.cijob.dev/{job.name} has ended already: Cancelled\n")


def test_a_cancel_may_become_one_without_after_script(cluster: Cluster, cijob: Cijob, jobs: Jobs) -> None:
    job = started(
        jobs, "hurried", script=["trap '' TERM; echo going", "until test -e /workspace/go; do sleep 0.1; done"]
    )
    for words, mode in ((["cancel", job.name], "Graceful"), (["cancel", job.name, "--now"], "Immediate")):
        assert cijob.run(*words).returncode == 0
        assert cluster.get("cijob", job.name, f"--namespace={job.namespace}")["spec"]["cancel"] == mode
    job.end_by("job", "touch", "/workspace/go")
    assert job.end(seconds=60)["phase"] == "Cancelled"


def test_wait_has_the_exit_code_of_the_script_through_connections_that_break(
    cluster: Cluster, cijob: Cijob, jobs: Jobs
) -> None:
    job = started(jobs, "awaited", script=["echo going; until test -e /workspace/go; do sleep 0.1; done", "exit 42"])
    with breaking(cluster) as (breaker, kubeconfig):
        waiting = Cijob(kubeconfig, cijob.namespace).start("wait", job.name)
        for _ in range(3):
            wait_for(lambda: breaker.cut() or None, 30, lambda: "a connection to break")
        job.end_by("job", "touch", "/workspace/go")
        out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 42, err
    assert out.decode().startswith(f"cijob.cijob.dev/{job.name} Failed (ScriptFailed): ")
    assert b"Traceback" not in err


def test_a_retry_runs_the_same_again_and_ends_with_its_exit_code(cluster: Cluster, cijob: Cijob, jobs: Jobs) -> None:
    job = jobs.start("again", script=["echo from $CIJOB_NAME", "exit 5"], **WITHOUT_DOCKER)
    job.end()
    answer = cijob.run("retry", job.name)
    assert answer.returncode == 5
    new = next(
        one
        for one in cluster.get("cijobs", f"--namespace={job.namespace}")["items"]
        if one["metadata"].get("annotations", {}).get("cijob.dev/retry-of") == job.name
    )
    assert f"from {new['metadata']['name']}\n" in answer.stdout
    assert new["metadata"]["name"].startswith("again-")
    detached = cijob.run("retry", new["metadata"]["name"], "--detach", "-o", "name")
    waited = cijob.run("wait", detached.stdout.strip())
    assert waited.returncode == 5, "the name that one prints is one that the other takes"


def test_a_job_that_was_given_files_is_retried_with_files(cijob: Cijob, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("first\n")
    folder = f"--workspace={tmp_path}"
    ran = cijob.run("run", "--image=ubuntu:25.10", "--set=docker.enabled=false", folder, "--", "cat word")
    assert (ran.returncode, "first\n" in ran.stdout) == (0, True), ran.stderr
    (name,) = re.findall(r"created (\S+) in the namespace", ran.stderr)
    refused = cijob.run("retry", name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--workspace" in refused.stderr
    (tmp_path / "word").write_text("second\n")
    answer = cijob.run("retry", name, folder)
    assert (answer.returncode, "second\n" in answer.stdout) == (0, True), answer.stderr


def test_delete_asks_on_a_terminal_and_does_as_it_is_told(cluster: Cluster, cijob: Cijob, jobs: Jobs) -> None:
    job = started(jobs, "deleted")
    refused = cijob.run("delete", job.name)
    assert (refused.returncode, job.status()["phase"]) == (1, "Running")
    assert "Add --yes" in refused.stderr
    with cijob.terminal("delete", job.name) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"\r")
        assert terminal.end() == 1
    with cijob.terminal("delete", job.name) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"\x03")
        assert terminal.end() == 130
        assert b"Traceback" not in terminal.shown
    assert job.status()["phase"] == "Running"
    with cijob.terminal("delete", job.name) as terminal:
        terminal.wait_for(b"[y/N]")
        terminal.type(b"y\r")
        assert terminal.end() == 0
    assert cluster.get("cijob", job.name, f"--namespace={job.namespace}") == {}
    wait_for(lambda: job.pods() == [] or None, 120, lambda: "the Pod to go with its CiJob")


def test_delete_finished_leaves_what_runs(cijob: Cijob, jobs: Jobs) -> None:
    ended = jobs.start("ended", script=["true"], **WITHOUT_DOCKER)
    ended.end()
    running = started(jobs, "kept")
    answer = cijob.run("delete", "--finished")
    assert answer.returncode == 0
    assert f"cijob.cijob.dev/{ended.name} deleted\n" in answer.stdout
    assert running.status()["phase"] == "Running"
    running.cancel("Immediate")


# --- doctor -------------------------------------------------------------------------------------------------------------


def test_doctor_finds_nothing_wrong_with_this_cluster(cijob: Cijob) -> None:
    answer = cijob.run("doctor")
    assert answer.returncode == 0, answer.stdout
    assert "✗" not in answer.stdout
    assert "operator cijob-system/cijob: " in answer.stdout
    assert "a privileged Pod is let into the namespace" in answer.stdout
    assert "a CiJob for the pool default is taken" in answer.stdout
    assert "\x1b" not in answer.stdout


def test_doctor_tells_an_author_which_right_is_missing_and_how_to_get_it(author: Cijob, cluster: Cluster) -> None:
    def found(result: str) -> list[dict[str, str]]:
        answer = author.run("doctor", "-o", "json")
        return [one for one in json.loads(answer.stdout) if one["result"] == result]

    (failure,) = found("failed")
    assert failure["what"] == "you may not use the pool default"
    command = failure["hint"].splitlines()[-1]
    assert command.startswith("kubectl create rolebinding ")
    cluster.run(*command.split()[1:])  # does what it says
    wait_for(lambda: found("failed") == [] or None, 60, lambda: f"the right to count: {found('failed')}")
    assert "the operator: you may not see that" in [one["what"] for one in found("not checked")]


@pytest.fixture
def restricted(cluster: Cluster) -> Iterator[str]:
    """A namespace that keeps privileged Pods out."""
    with own_namespace(cluster, "doctor") as name:
        cluster.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=baseline")
        yield name


def test_doctor_sees_that_a_namespace_keeps_the_daemon_out_and_its_advice_helps(
    cluster: Cluster, restricted: str
) -> None:
    cijob = Cijob(cluster.kubeconfig, restricted)
    answer = cijob.run("doctor")
    assert answer.returncode == 1
    assert f"✗ the namespace {restricted} enforces the Pod Security Standard baseline" in answer.stdout
    (command,) = [line.strip() for line in answer.stdout.splitlines() if line.strip().startswith("kubectl label")]
    cluster.run(*command.split()[1:])
    wait_for(lambda: cijob.run("doctor").returncode == 0 or None, 60, lambda: cijob.run("doctor").stdout)


def test_doctor_names_the_namespace_and_the_pool_that_were_meant(cluster: Cluster, namespace: str) -> None:
    answer = Cijob(cluster.kubeconfig, f"{namespace}x").run("doctor", "--pool", "defualt")
    assert answer.returncode == 1
    assert f"✗ there is no namespace {namespace}x" in answer.stdout
    assert "Did you mean default?" in answer.stdout


# --- names --------------------------------------------------------------------------------------------------------------


def test_names_complete_by_kubectl_and_typos_are_answered_with_the_nearest(
    cluster: Cluster, cijob: Cijob, jobs: Jobs, tmp_path: Path
) -> None:
    job = jobs.start("complete", script=["true"], **WITHOUT_DOCKER)
    code = "from cijob.cli.completion import kubectl; kubectl()"
    plugins = {
        "kubectl-cijob": f'exec {sys.executable} -m cijob.cli "$@"',
        "kubectl_complete-cijob": f'exec {sys.executable} -c "{code}" "$@"',
    }
    for name, line in plugins.items():  # as they are installed
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    found = subprocess.run(
        [cluster.kubectl, "__complete", "cijob", "wait", "-n", cijob.namespace, job.name[:10]],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment(cijob.kubeconfig, PATH=f"{tmp_path}:{os.environ['PATH']}"),
    )
    assert job.name in [line.partition("\t")[0] for line in found.stdout.splitlines()], found
    assert f"Did you mean {job.name}?" in cijob.run("wait", job.name[:-1]).stderr
    job.end()
    pod = job.pod()["metadata"]["name"]
    assert f"Did you mean {job.name}?" in cijob.run("cancel", pod).stderr, "the Pod's name was meant for the job's"
