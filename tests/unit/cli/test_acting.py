"""cancel, wait, delete, retry: through the real entry point, against a FAKE API server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.acting_world import JOBS, FakeCluster

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = {"phase": "Running"}
SUCCEEDED = {"phase": "Succeeded", "reason": "Completed", "exitCode": 0, "completionTime": "2026-01-31T12:05:00Z"}
FAILED = {"phase": "Failed", "reason": "ScriptFailed", "message": "The job failed.", "exitCode": 7}
CANCELLED = {"phase": "Cancelled", "reason": "Cancelled", "exitCode": 143}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


# --- cancel -------------------------------------------------------------------------------------------------------------


async def test_cancel_is_graceful_then_immediate_and_says_the_state(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        first = await kit.run("cancel", "x")
        assert (first.code, cluster.jobs["x"]["spec"]["cancel"]) == (0, "Graceful")
        assert "asked to end" in first.out
        again = await kit.run("cancel", "x")
        assert (again.code, again.out) == (0, "cijob.cijob.dev/x is being cancelled already\n")
        now = await kit.run("cancel", "x", "--now")
        assert (now.code, cluster.jobs["x"]["spec"]["cancel"]) == (0, "Immediate")
        assert "afterScript may run still" in now.out, "a Pod is told once how it is stopped"
        assert (await kit.run("cancel", "x")).code == 0
        assert cluster.jobs["x"]["spec"]["cancel"] == "Immediate", "never taken back"


async def test_cancel_now_leaves_after_script_out(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "x", "--now")
    assert (answer.code, cluster.jobs["x"]["spec"]["cancel"]) == (0, "Immediate")
    assert answer.out.endswith("its script is asked to end, and afterScript does not run\n")


async def test_cancel_leaves_what_has_ended_alone(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=SUCCEEDED)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "x")
    assert (answer.code, answer.out) == (0, "cijob.cijob.dev/x has ended already: Succeeded\n")
    assert "cancel" not in cluster.jobs["x"]["spec"]


async def test_cancel_goes_on_behind_a_name_that_is_not_there(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("deploy", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("cancel", "deplyo", "deploy")
    assert answer.code == 1
    assert cluster.jobs["deploy"]["spec"]["cancel"] == "Graceful"
    assert "there is no CiJob deplyo in the namespace team-a\nDid you mean deploy?\n" in answer.err


async def test_cancel_by_labels(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("a", status=RUNNING, labels={"team": "web"})
    await cluster.put("b", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        assert (await kit.run("cancel", "-l", "team=web")).code == 0
        nobody = await kit.run("cancel", "-l", "team=none")
    assert [job["spec"].get("cancel") for job in cluster.jobs.values()] == ["Graceful", None]
    assert (nobody.code, nobody.out) == (0, "")
    assert "there are no CiJobs with the labels team=none" in nobody.err


async def test_cancel_all_ends_what_has_not_ended(cluster: FakeCluster, tmp_path: Path) -> None:
    async with cluster.serving(tmp_path) as kit:
        assert "there are no CiJobs in the namespace" in (await kit.run("cancel", "--all")).err
        await cluster.put("done", status=SUCCEEDED)
        assert (await kit.run("cancel", "--all")).err.startswith("nothing to cancel: ")
        await cluster.put("x", status=RUNNING)
        answer = await kit.run("cancel", "--all")
    assert (answer.code, cluster.jobs["x"]["spec"]["cancel"]) == (0, "Graceful")
    assert [line.partition(" ")[0] for line in answer.out.splitlines()] == ["cijob.cijob.dev/x"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["cancel"],
        ["cancel", "x", "-l", "a=b"],
        ["cancel", "x", "--all"],
        ["delete", "x", "--all"],
        ["wait"],
        ["delete"],
    ],
)
async def test_what_is_meant_has_to_be_said(cluster: FakeCluster, tmp_path: Path, arguments: list[str]) -> None:
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run(*arguments)
    assert answer.code == 2
    assert answer.err.startswith("error: ")


@pytest.mark.parametrize(
    "command", [["cancel"], ["wait", "--timeout=0s"], ["delete", "--yes"], ["delete", "--finished"]]
)
async def test_labels_of_a_variable_that_is_unset_do_not_choose_everything(
    cluster: FakeCluster, tmp_path: Path, command: list[str]
) -> None:
    await cluster.put("x", status=SUCCEEDED)
    await cluster.put("y", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run(*command, "-l", "")
    assert (answer.code, answer.out) == (2, "")
    assert "the label selector of -l is empty" in answer.err
    assert cluster.jobs.keys() == {"x", "y"}
    assert "cancel" not in cluster.jobs["y"]["spec"]


# --- wait ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([SUCCEEDED], 0),
        ([FAILED], 7),
        ([{"phase": "Failed", "reason": "NodeLost"}], 1),
        ([{"phase": "Failed", "reason": "DaemonLost", "exitCode": 0}], 1),
        ([CANCELLED], 130),
        ([SUCCEEDED, CANCELLED, FAILED], 130),
    ],
)
async def test_wait_ends_as_the_first_that_ended_badly(
    cluster: FakeCluster, tmp_path: Path, statuses: list[dict[str, object]], code: int
) -> None:
    names = [f"job-{index}" for index in range(len(statuses))]
    for name, status in zip(names, statuses, strict=True):
        await cluster.put(name, status=status)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("wait", *names)
    assert answer.code == code, answer
    assert len(answer.out.splitlines()) == len(names)


async def test_wait_tells_each_state_once_although_its_watches_break(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.breaks = 3
    await cluster.put("x")
    async with cluster.serving(tmp_path) as kit:
        process = await kit.start("wait", "cijob.cijob.dev/x")
        await cluster.watched()
        queued = {"phase": "Queued", "reason": "PoolAtCapacity", "message": "The pool is full."}
        for status in (queued, queued, RUNNING, FAILED):
            await cluster.put("x", status=status)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 7
    assert out.decode() == "cijob.cijob.dev/x Failed (ScriptFailed): The job failed.\n"
    told = [line for line in err.decode().splitlines() if line.startswith("cijob.cijob.dev/x")]
    assert len(told) == len(set(told))
    assert told[0] == "cijob.cijob.dev/x Pending"


async def test_wait_for_running_is_over_when_the_script_runs(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x")
    async with cluster.serving(tmp_path) as kit:
        process = await kit.start("wait", "x", "--for=running")
        await cluster.watched()
        await cluster.put("x", status=RUNNING)
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out.decode()) == (0, "cijob.cijob.dev/x Running\n")


async def test_wait_for_success_is_over_with_the_first_failure(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=FAILED)
    await cluster.put("y", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        assert (await kit.run("wait", "x", "y", "--for=succeeded")).code == 7


async def test_wait_gives_up_when_its_time_is_over_and_says_what_is_late(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status={"phase": "Queued", "reason": "PoolAtCapacity"})
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("wait", "x", "--timeout=1s")
    assert answer.code == 1
    assert "after 1s: x is Queued (PoolAtCapacity)" in answer.err


async def test_wait_without_time_looks_once(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=FAILED)
    await cluster.put("y", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        assert (await kit.run("wait", "x", "--timeout=0s")).code == 7
        assert "after 0s: y is Running" in (await kit.run("wait", "y", "--timeout=0s")).err


async def test_wait_ends_when_the_job_is_deleted_though_another_has_its_name(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        process = await kit.start("wait", "x")
        await cluster.watched()
        await cluster.remove("x")
        await cluster.put("x", status=SUCCEEDED)
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert "x was deleted while it was waited for" in err.decode()


# --- delete -------------------------------------------------------------------------------------------------------------


async def test_delete_does_not_end_what_runs_unless_that_is_said(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    await cluster.put("y", status=SUCCEEDED)
    async with cluster.serving(tmp_path) as kit:
        refused = await kit.run("delete", "x", "y")
        assert (refused.code, set(cluster.jobs)) == (1, {"x", "y"})
        assert "x has not ended" in refused.err
        assert "--yes" in refused.err
        done = await kit.run("delete", "x", "y", "--yes")
    assert (done.code, done.out) == (0, "cijob.cijob.dev/x deleted\ncijob.cijob.dev/y deleted\n")
    assert cluster.jobs == {}


async def test_delete_finished_asks_nothing_and_leaves_the_rest(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("old", status=SUCCEEDED)
    await cluster.put("new", status=FAILED | {"completionTime": "2999-01-01T00:00:00Z"})
    await cluster.put("live", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        assert (await kit.run("delete", "--finished", "--older-than=1h")).out == "cijob.cijob.dev/old deleted\n"
        nothing = await kit.run("delete", "--finished", "--older-than=1h")
    assert set(cluster.jobs) == {"new", "live"}
    assert (nothing.code, nothing.out) == (0, "")


async def test_delete_takes_the_very_job_that_was_looked_at(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=SUCCEEDED)
    cluster.refuse("DELETE", f"{JOBS}/x", 409, "the UID in the precondition is another", "Conflict")
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("delete", "x")
    assert (answer.code, answer.out) == (0, "cijob.cijob.dev/x was gone already\n")


# --- retry --------------------------------------------------------------------------------------------------------------


async def test_retry_makes_a_new_job_of_the_old_ones_spec(cluster: FakeCluster, tmp_path: Path) -> None:
    spec = {"image": "ubuntu:25.10", "script": ["make"], "cancel": "Graceful", "suspend": True, "timeout": "5m"}
    await cluster.put("build-7xk2p", spec=spec, status=CANCELLED, labels={"team": "web"})
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("retry", "build-7xk2p", "--detach", "-o", "name")
    assert answer.code == 0, answer
    new = cluster.jobs[answer.out.strip().removeprefix("cijob.cijob.dev/")]
    assert new["metadata"]["name"].startswith("build-")
    assert new["spec"] == {"image": "ubuntu:25.10", "script": ["make"], "timeout": "5m"}
    assert new["metadata"]["annotations"] == {"cijob.dev/retry-of": "build-7xk2p"}
    assert new["metadata"]["labels"] == {"team": "web"}


async def test_a_job_that_runs_is_not_retried(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        answer = await kit.run("retry", "x")
    assert (answer.code, len(cluster.jobs)) == (1, 1)
    assert "x has not ended: it is Running" in answer.err


async def test_delete_all_asks_about_what_runs_and_a_name_that_is_not_there_may_be_ignored(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    await cluster.put("done", status=SUCCEEDED)
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        refused = await kit.process("delete", "--all")
        assert (refused.code, len(cluster.jobs)) == (1, 2), refused
        assert "x has not ended" in refused.err
        assert (await kit.run("delete", "--all", "--yes")).code == 0
        assert not cluster.jobs
        assert (await kit.run("delete", "x")).code == 1
        ignored = await kit.run("delete", "x", "--ignore-not-found")
        assert (ignored.code, ignored.out, ignored.err) == (0, "", "")
        assert (await kit.run("delete", "", "--ignore-not-found")).code == 1, "a variable of the shell is unset"


async def test_what_to_type_names_the_namespace_that_was_typed(cluster: FakeCluster, tmp_path: Path) -> None:
    await cluster.put("x", status=RUNNING)
    async with cluster.serving(tmp_path) as kit:
        assert "`cijob cancel x`" in (await kit.run("retry", "x")).err
        assert "`cijob cancel x -n team-a`" in (await kit.run("retry", "x", "-n", "team-a")).err
