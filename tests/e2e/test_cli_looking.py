"""`cijob ls`, `describe`, `pools` and `top` on the cluster, as processes of their own: in a pipe and on a terminal."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cijob import Cijob, as_account, breaking
from tests.e2e.lab import own_namespace, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.e2e.lab import Cluster, Job, Jobs

WITHOUT_DOCKER = {"docker": {"enabled": False}}


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    """The command line in the module's namespace."""
    return Cijob(cluster.kubeconfig, namespace)


def printed(cijob: Cijob, *arguments: str) -> str:
    """What a command prints that goes well; nothing in it steers a terminal."""
    answer = cijob.run(*arguments)
    assert answer.returncode == 0, answer.stderr
    assert "\x1b" not in answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def both(jobs: Jobs) -> tuple[Job, Job]:
    """The next two, created one after the other and then waited for: each takes its time."""
    failing = jobs.start("fails", retry={"limit": 1}, script=["echo before", "exit 7"], **WITHOUT_DOCKER)
    running = jobs.start("runs", image="docker:29-cli", script=["docker version", "echo going", "sleep 3000"])
    running.wait_for_log("going")
    running.wait_for_phase("Running")
    failing.wait_for_phase("Failed")
    return failing, running


@pytest.fixture(scope="module")
def failed(both: tuple[Job, Job]) -> Job:
    """A CiJob that ran twice, and failed both times."""
    return both[0]


@pytest.fixture(scope="module")
def running(both: tuple[Job, Job]) -> Job:
    """A CiJob with a Docker daemon that runs for long."""
    return both[1]


@pytest.fixture(scope="module")
def author(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Cijob:
    """The command line of somebody who may run jobs in the namespace, and no more."""
    return as_account(cluster, namespace, "author", tmp_path_factory.mktemp("author"), "--clusterrole=cijob-author")


def test_ls_has_the_columns_of_kubectl_and_the_newest_last(
    cluster: Cluster, cijob: Cijob, failed: Job, running: Job
) -> None:
    header, *rows = printed(cijob, "ls").splitlines()
    shown = cluster.run("get", "cij", f"--namespace={failed.namespace}").stdout.splitlines()[0].split()
    assert [name for name in header.split() if name != "DURATION"] == shown
    assert [row.split()[0] for row in rows] == [failed.name, running.name]
    assert rows[0].split()[1:6] == ["Failed", "ScriptFailed", "7", "2", "default"]


def test_ls_speaks_kubectl_s_formats(cluster: Cluster, cijob: Cijob, failed: Job) -> None:
    here = ("ls", "--phase", "failed", "-o")
    assert printed(cijob, *here, "name") == f"cijob.cijob.dev/{failed.name}\n"
    stored = cluster.get("cijob", failed.name, f"--namespace={failed.namespace}")
    for output, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        whole: dict[str, Any] = load(printed(cijob, *here, output))
        assert whole["kind"] == "List"
        assert whole["items"] == [stored]


def test_ls_of_a_namespace_that_is_not_there_is_an_error(cijob: Cijob, failed: Job) -> None:
    typo = failed.namespace[:-1]
    answer = Cijob(cijob.kubeconfig, typo).run("ls")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [f"error: there is no namespace {typo}", f"Did you mean {failed.namespace}?"]


def test_describe_tells_each_attempt_the_fault_and_the_last_lines(cijob: Cijob, failed: Job) -> None:
    said = printed(cijob, "describe", failed.name)
    assert said.startswith(f"{failed.name}: Failed, ScriptFailed, exit code 7\n")
    assert "Entry 2 of 2 in spec.script exited with 7" in said
    assert "Whose fault it is\n  The job's own" in said
    story = said.partition("\nTimeline\n")[2].partition("\n\n")[0].splitlines()
    told = [re.split(r"  +", line.strip(), maxsplit=2)[2] for line in story]
    assert told[0] == "created"
    ends = [re.sub(r"\d+s$", "", line) for line in told if "ScriptFailed, " in line]
    assert ends == [f"attempt {number}: ScriptFailed, exit code 7, after " for number in (1, 2)]
    assert sum("job container started" in line for line in told) == 2
    assert told[-1] == "Failed: ScriptFailed"
    assert "  before\n  $ exit 7\n" in said
    assert "Warning" in said.partition("\nEvents\n")[2]
    assert "Not shown" not in said


def test_describe_shows_an_author_the_log_and_says_what_else_is_hidden(author: Cijob, failed: Job) -> None:
    said = printed(author, "describe", failed.name)
    assert "  before\n  $ exit 7\n" in said
    assert ("\nEvents\n" in said) != ("Not shown, Events: you may not read them." in said)


def is_refused(answer: subprocess.CompletedProcess[str], *words: str) -> None:
    """A refusal of two lines: what may not be done, and whom to ask."""
    assert answer.returncode == 1
    what, whom = answer.stderr.splitlines()
    assert what.startswith("error: you ")
    assert [word for word in words if word not in what] == []
    assert whom


def test_an_author_is_told_what_they_may_not_list(author: Cijob) -> None:
    is_refused(author.run("pools"), "list buildpools")
    is_refused(author.run("ls", "--all-namespaces"), "list cijobs")
    is_refused(author.run("top", "--all-namespaces"), "list pods")


def test_top_has_the_numbers_of_the_daemon_beside_the_job_s(cijob: Cijob, running: Job) -> None:
    def measured() -> list[str] | None:
        rows = [line.split() for line in printed(cijob, "top").splitlines()]
        return next((row for row in rows if row[0] == running.name and "-" not in row), None)

    row = wait_for(measured, 90, lambda: "numbers of the job's Pod")  # the kubelet measures every few seconds
    whole, own, docker = (int(row[at].partition("Mi")[0]) for at in (2, 4, 6))
    assert docker > 5, "a Docker daemon takes some megabytes"
    assert own + docker <= whole <= own + docker + 2, "each is rounded down"


@pytest.fixture
def small_pool(cluster: Cluster) -> Iterator[str]:
    """A pool in which one job runs at once."""
    name = f"small-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool", "metadata": {"name": name}}
    cluster.create({**manifest, "spec": {"capacity": {"running": 1}}})
    yield name
    cluster.run("delete", "buildpool", name)


def test_pools_shows_the_shares_and_who_waits_in_the_order_of_their_turns(
    cluster: Cluster, cijob: Cijob, jobs: Jobs, small_pool: str
) -> None:
    def start(name: str, priority: int, where: Jobs = jobs) -> Job:
        return where.start(name, poolName=small_pool, priority=priority, script=["sleep 3000"], **WITHOUT_DOCKER)

    first = start("first", 0)
    first.wait_for_phase("Running")
    with own_namespace(cluster, "e2e-other") as other:
        waiting = [start("low", 0), start("high", 5), start("other", 0, type(jobs)(cluster, other))]
        for job in waiting:
            job.wait_for_phase("Queued")
        said = printed(cijob, "pools", small_pool)
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
    assert small_pool in printed(cijob, "pools")


def labelled(jobs: Jobs, value: str, **more: Any) -> Job:  # noqa: ANN401  any field of a spec
    """A short CiJob with a label of its own."""
    manifest = {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob"}
    meta = {"generateName": f"{value}-", "labels": {"watched": value}}
    spec = {"image": "ubuntu:25.10", "script": ["true"], **WITHOUT_DOCKER, **more}
    return jobs.apply({**manifest, "metadata": meta, "spec": spec})


def test_ls_watch_in_a_pipe_has_a_line_for_each_change_whatever_breaks(cluster: Cluster, jobs: Jobs) -> None:
    with breaking(cluster) as (breaker, kubeconfig):
        watch = Cijob(kubeconfig, jobs.namespace).start("ls", "--watch", "-l", "watched=pipe")
        try:
            assert watch.stdout is not None
            assert watch.stdout.readline().split()[:2] == [b"NAME", b"PHASE"]
            assert breaker.cut() > 0
            job = labelled(jobs, "pipe", suspend=True)  # it waits until the connection is mended
            phases: list[str] = []
            while phases[-1:] != ["Succeeded"]:
                name, phase, *_ = watch.stdout.readline().decode().split()
                assert name == job.name
                phases.append(phase)
                if len(phases) == 1:
                    here, go = f"--namespace={jobs.namespace}", '{"spec": {"suspend": false}}'
                    cluster.run("patch", "cijob", job.name, here, "--type=merge", f"--patch={go}")
            assert phases[0] in {"Pending", "Queued"}
            assert breaker.cut() > 0
            cluster.run("delete", "cijob", job.name, f"--namespace={jobs.namespace}")
            assert watch.stdout.readline().decode().split()[:2] == [job.name, "Deleted"]
        finally:
            watch.terminate()
            _, said = watch.communicate(timeout=30)
        assert b"Traceback" not in said


def test_ls_watch_on_a_terminal_changes_its_table_in_place_and_ends_with_ctrl_c(cijob: Cijob, jobs: Jobs) -> None:
    with cijob.terminal("ls", "--watch", "-l", "watched=tty") as terminal:
        terminal.wait_for(b"No CiJobs with the labels watched=tty")
        job = labelled(jobs, "tty")
        terminal.wait_for(b"Succeeded")
        assert job.name.encode() in terminal.shown
        assert b"\x1b[1A" in terminal.shown, "the cursor goes up to write the table anew"
        terminal.type(b"\x03")
        assert terminal.end() == 130
        assert b"\x1b[?25h" in terminal.shown, "the cursor is shown again"
        assert b"Traceback" not in terminal.shown
