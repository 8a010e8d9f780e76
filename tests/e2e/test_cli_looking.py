"""`cijob ls`, `describe`, `pools` and `top` on the cluster, as processes of their own: in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.lab import ROOT, own_namespace, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Cluster, Job, Jobs

WITHOUT_DOCKER = {"docker": {"enabled": False}}
#: Seconds that a command may take on a busy machine.
SECONDS = 60


def environment(cluster: Cluster) -> dict[str, str]:
    """That of a user of the cluster."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": cluster.kubeconfig, "TZ": "UTC"}


def cijob(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, its output in a pipe."""
    command = [sys.executable, "-m", "cijob.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment(cluster)
    )


def printed(cluster: Cluster, *arguments: str) -> str:
    """What a command prints that goes well; nothing in it steers a terminal."""
    answer = cijob(cluster, *arguments)
    assert answer.returncode == 0, answer.stderr
    assert "\x1b" not in answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def failed(jobs: Jobs) -> Job:
    """A CiJob that ran twice, and failed both times."""
    job = jobs.start("fails", retry={"limit": 1}, script=["echo before", "exit 7"], **WITHOUT_DOCKER)
    job.wait_for_phase("Failed")
    return job


@pytest.fixture(scope="module")
def running(jobs: Jobs) -> Job:
    """A CiJob with a Docker daemon that runs for long."""
    job = jobs.start("runs", image="docker:29-cli", script=["docker version", "echo going", "sleep 3000"])
    job.wait_for_log("going")
    job.wait_for_phase("Running")
    return job


@pytest.fixture(scope="module")
def author(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kubeconfig of somebody who may run jobs in the namespace, and no more."""
    here = f"--namespace={namespace}"
    cluster.run("create", "serviceaccount", "author", here)
    bound = (f"--serviceaccount={namespace}:author", "--clusterrole=cijob-author")
    cluster.run("create", "rolebinding", "author", here, *bound)
    token = cluster.run("create", "token", "author", here).stdout.strip()
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path = tmp_path_factory.mktemp("author") / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_ls_has_the_columns_of_kubectl_and_the_newest_last(cluster: Cluster, failed: Job, running: Job) -> None:
    header, *rows = printed(cluster, "ls", "-n", failed.namespace).splitlines()
    shown = cluster.run("get", "cij", f"--namespace={failed.namespace}").stdout.splitlines()[0].split()
    assert [name for name in header.split() if name != "DURATION"] == shown
    assert [row.split()[0] for row in rows] == [failed.name, running.name]
    assert rows[0].split()[1:6] == ["Failed", "ScriptFailed", "7", "2", "default"]


def test_ls_speaks_kubectl_s_formats(cluster: Cluster, failed: Job) -> None:
    here = ("ls", "-n", failed.namespace, "--phase", "failed", "-o")
    assert printed(cluster, *here, "name") == f"cijob.cijob.dev/{failed.name}\n"
    stored = cluster.get("cijob", failed.name, f"--namespace={failed.namespace}")
    for output, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        whole: dict[str, Any] = load(printed(cluster, *here, output))
        assert whole["kind"] == "List"
        assert whole["items"] == [stored]


def test_ls_of_a_namespace_that_is_not_there_is_an_error(cluster: Cluster, failed: Job) -> None:
    answer = cijob(cluster, "ls", "-n", failed.namespace[:-1])
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"error: there is no namespace {failed.namespace[:-1]}",
        f"Did you mean {failed.namespace}?",
    ]


def test_describe_tells_each_attempt_the_fault_and_the_last_lines(cluster: Cluster, failed: Job) -> None:
    said = printed(cluster, "describe", failed.name, "-n", failed.namespace)
    assert said.startswith(f"{failed.name}: Failed, ScriptFailed, exit code 7\n")
    assert "Entry 2 of 2 in spec.script exited with 7" in said
    assert "Whose fault it is\n  The job's own" in said
    story = said.partition("\nTimeline\n")[2].partition("\n\n")[0].splitlines()
    told = [re.split(r"  +", line.strip(), maxsplit=2)[2] for line in story]
    assert told[0] == "created"
    assert [line for line in told if "ScriptFailed, exit code 7" in line] == [
        line for line in told if re.match(r"attempt [12]: ScriptFailed, exit code 7, after \d+s$", line)
    ]
    assert sum("job container started" in line for line in told) == 2
    assert told[-1] == "Failed: ScriptFailed"
    assert "  before\n  $ exit 7\n" in said
    assert "Warning" in said.partition("\nEvents\n")[2]
    assert "Not shown" not in said


def test_describe_says_what_an_author_may_not_see(cluster: Cluster, failed: Job, author: str) -> None:
    answer = cijob(cluster, "describe", failed.name, "-n", failed.namespace, "--kubeconfig", author)
    assert answer.returncode == 0, answer.stderr
    assert "Last lines of the log" in answer.stdout, "the role cijob-author reads logs"
    assert ("\nEvents\n" in answer.stdout) != ("Not shown, Events: you may not read them." in answer.stdout)


def test_an_author_who_may_not_list_pools_or_other_namespaces_is_told_what_is_missing(
    cluster: Cluster, failed: Job, author: str
) -> None:
    for arguments in (("pools",), ("ls", "-A"), ("top",)):
        answer = cijob(cluster, *arguments, "-n", failed.namespace, "--kubeconfig", author)
        assert (arguments, answer.returncode, answer.stderr.count("\n")) != (arguments, 0, 0)
        assert "Traceback" not in answer.stderr


def test_top_has_the_numbers_of_the_daemon_beside_the_job_s(cluster: Cluster, running: Job) -> None:
    def measured() -> list[str] | None:
        rows = [line.split() for line in printed(cluster, "top", "-n", running.namespace).splitlines()]
        return next((row for row in rows if row[0] == running.name and "-" not in row), None)

    row = wait_for(measured, 90, lambda: "numbers of the job's Pod")  # the kubelet measures every few seconds
    whole, own, docker = (int(row[at].partition("Mi")[0]) for at in (2, 4, 6))
    assert docker > 5, "a Docker daemon takes some megabytes"
    assert docker <= whole
    assert own + docker <= whole + 1


@pytest.fixture
def small_pool(cluster: Cluster) -> Iterator[str]:
    """A pool in which one job runs at once."""
    name = f"small-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool", "metadata": {"name": name}}
    cluster.create({**manifest, "spec": {"capacity": {"running": 1}}})
    yield name
    cluster.run("delete", "buildpool", name)


def test_pools_shows_the_shares_and_who_waits_in_the_order_of_their_turns(
    cluster: Cluster, jobs: Jobs, small_pool: str
) -> None:
    def start(name: str, priority: int, where: Jobs = jobs) -> Job:
        return where.start(name, poolName=small_pool, priority=priority, script=["sleep 3000"], **WITHOUT_DOCKER)

    first = start("first", 0)
    first.wait_for_phase("Running")
    with own_namespace(cluster, "e2e-other") as other:
        waiting = [start("low", 0), start("high", 5), start("other", 0, type(jobs)(cluster, other))]
        for job in waiting:
            job.wait_for_phase("Queued")
        said = printed(cluster, "pools", small_pool)
        low, high, elsewhere = waiting
        line = [row.split() for row in said.partition("PLACE")[2].splitlines()[1:]]
        assert [row[:3] for row in line] == [
            ["1", other, elsewhere.name],
            ["2", jobs.namespace, high.name],
            ["3", jobs.namespace, low.name],
        ]
        assert {row[-1] for row in line} == {"PoolAtCapacity"}
        assert "1 of 1" in said
        for job in (*waiting, first):
            job.cancel("Immediate")
        first.end()
    assert small_pool in printed(cluster, "pools")


def test_ls_watch_in_a_pipe_has_a_line_for_each_change(cluster: Cluster, jobs: Jobs) -> None:
    command = [sys.executable, "-m", "cijob.cli", "ls", "--watch", "-n", jobs.namespace, "-l", "watched=yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(cluster)) as process:
        try:
            assert process.stdout is not None
            manifest = {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob"}
            meta = {"generateName": "watched-", "labels": {"watched": "yes"}}
            assert process.stdout.readline().split()[:2] == ["NAME", "PHASE"]
            job = jobs.apply({**manifest, "metadata": meta, "spec": {"image": "ubuntu:25.10", "script": ["true"]}})
            phases: list[str] = []
            while not phases or phases[-1] != "Succeeded":
                name, phase, *_ = process.stdout.readline().split()
                assert name == job.name
                phases.append(phase)
            cluster.run("delete", "cijob", job.name, f"--namespace={jobs.namespace}")
            assert process.stdout.readline().split()[:2] == [job.name, "Deleted"]
            assert phases[0] == "Pending"
        finally:
            process.terminate()


def test_ls_watch_on_a_terminal_changes_its_table_in_place_and_ends_with_ctrl_c(cluster: Cluster, jobs: Jobs) -> None:
    job = jobs.start("tty", script=["sleep 3"], **WITHOUT_DOCKER)
    process, terminal = pty.fork()
    if process == 0:
        arguments = [sys.executable, "-m", "cijob.cli", "ls", "-w", "-n", jobs.namespace]
        os.execvpe(sys.executable, arguments, environment(cluster) | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"})  # noqa: S606  the child of a fork
    try:
        done = rf"{job.name} +(\x1b\[32m)?Succeeded"
        seen = read_until(terminal, lambda text: re.search(done, text) is not None)
        assert "\x1b[1A" in seen, "the cursor goes up to write the table anew"
        os.write(terminal, b"\x03")
        rest = read_until(terminal, lambda text: "interrupted" in text)
        assert "\x1b[?25h" in rest, "the cursor is shown again"
        assert "Traceback" not in seen + rest
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    finally:
        os.close(terminal)


def read_until(terminal: int, found: Any) -> str:  # noqa: ANN401  a predicate
    """What a program writes to its terminal until a text is there."""
    text, deadline = "", time.monotonic() + SECONDS
    while not found(text):
        assert time.monotonic() < deadline, text[-2000:]
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 65536).decode(errors="replace")
    return text
