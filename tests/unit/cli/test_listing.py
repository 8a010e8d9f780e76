"""`cijob ls`: rows, their order, and what a watch shows of a change."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.errors import CliError
from cijob.cli.looking import listing
from cijob.cli.looking.jobs import having, headers, in_order, row
from cijob.cli.looking.listing import Wanted, list_once, picture
from tests.e2e.cijob import on_a_terminal
from tests.unit.builders import CiJobBuilder, a_cijob, at, stamp
from tests.unit.cli.acting_world import ROOT, FakeCluster
from tests.unit.cli.looking_world import Server, fresh_consoles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

Body = dict[str, Any]
JOBS = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
HERE = Wanted(namespace="team-a")


def named(name: str, created: float = 0, job: CiJobBuilder | None = None, version: int = 100) -> Body:
    """A CiJob of a name and time."""
    made = (job or a_cijob()).with_meta(name=name, creationTimestamp=stamp(created), resourceVersion=str(version))
    return {**made.body, "kind": "CiJob"}


@pytest.fixture(autouse=True)
def _consoles() -> Iterator[None]:
    with fresh_consoles():
        yield


@pytest.mark.parametrize(
    ("job", "cells"),
    [
        (a_cijob(), ["build-42", "Pending", "", "", "", "default", "-", "60s"]),
        (a_cijob().running(), ["build-42", "Running", "", "", "1", "default", "59s", "60s"]),
        (
            a_cijob().finished("Failed", "ScriptFailed", 11).with_(status={"exitCode": 7}),
            ["build-42", "Failed", "ScriptFailed", "7", "1", "default", "10s", "60s"],
        ),
        (
            a_cijob().running().with_cancel("Graceful"),
            ["build-42", "Running", "Cancelling", "", "1", "default", "59s", "60s"],
        ),
        (a_cijob().running().being_deleted(), ["build-42", "Running", "Deleting", "", "1", "default", "59s", "60s"]),
        (
            a_cijob().finished("Cancelled", "Cancelled", 2).with_cancel("Graceful").with_spec(poolName="arm"),
            ["build-42", "Cancelled", "Cancelled", "", "1", "arm", "1s", "60s"],
        ),
    ],
)
def test_a_row_says_how_a_job_goes(job: CiJobBuilder, cells: list[str]) -> None:
    assert [cell if isinstance(cell, str) else cell[0] for cell in row(job.body, at(60))] == cells
    assert len(cells) == len(headers())


def test_wide_has_the_pod_its_node_and_the_times_and_all_namespaces_a_column_for_them() -> None:
    job = a_cijob().finished("Failed", "ScriptFailed", 11).body
    cells = row(job, at(60), namespaces=True, wide=True)
    assert cells[0] == "team-a"
    assert cells[-4:-1] == ("node-1", "59s", "49s")
    assert len(cells) == len(headers(namespaces=True, wide=True))


async def test_labels_that_cannot_be_read_are_answered_with_how_to_write_them() -> None:
    server = Server()
    server.refuse(JOBS, 400, "unable to parse requirement: found '=', expected: identifier")
    async with server.api() as api:
        with pytest.raises(CliError, match="'a===b' chooses no labels: unable to parse") as caught:
            await list_once(api, Wanted(namespace="team-a", selector="a===b"))
    assert "team=web" in caught.value.hint


def test_the_newest_comes_last() -> None:
    jobs = [named("b", 2), named("a", 3), named("d", 1), named("c", 2)]
    assert [job["metadata"]["name"] for job in in_order(jobs)] == ["d", "b", "c", "a"]


def test_a_job_without_a_status_is_pending() -> None:
    assert having([a_cijob().body], {"Pending"})
    assert not having([a_cijob().body], {"Running"})


async def test_a_list_goes_to_stdout_and_that_there_are_none_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[JOBS] = [named("a", job=a_cijob().running())]
    async with server.api() as api:
        await list_once(api, HERE)
        await list_once(api, Wanted(namespace="team-a", phases=("Failed",)))
    printed = capsys.readouterr()
    assert [line.split()[:2] for line in printed.out.splitlines()] == [["NAME", "PHASE"], ["a", "Running"]]
    assert printed.err == "No CiJobs that are Failed in the namespace team-a.\n"


async def test_an_empty_list_is_a_list_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[JOBS] = []
    server.objects["/api/v1/namespaces/team-a"] = {}
    async with server.api() as api:
        await list_once(api, Wanted(namespace="team-a", output="json"))
    assert json.loads(capsys.readouterr().out)["items"] == []


async def test_the_list_of_a_namespace_that_is_not_there_names_the_nearest() -> None:
    server = Server()
    server.lists[JOBS.replace("team-a", "taem-a")] = []
    server.lists["/api/v1/namespaces"] = [{"metadata": {"name": "team-a"}}]
    async with server.api() as api:
        with pytest.raises(CliError, match="there is no namespace taem-a") as caught:
            await list_once(api, Wanted(namespace="taem-a"))
    assert "Did you mean team-a?" in caught.value.hint


async def test_names_are_listed_and_one_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[JOBS] = [named("a"), named("b")]
    server.objects = {f"{JOBS}/a": named("a"), f"{JOBS}/b": named("b")}
    async with server.api() as api:
        assert await list_once(api, Wanted(namespace="team-a", names=("b",), output="json")) == 0
        assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "b", "itself, and no list"
        assert await list_once(api, Wanted(namespace="team-a", names=("a", "bb"), output="name")) == 1
        assert capsys.readouterr() == (
            "cijob.cijob.dev/a\n",
            "error: there is no CiJob bb in the namespace team-a\nDid you mean b?\n",
        )


async def test_a_watch_of_a_name_that_is_not_there_ends(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[JOBS] = [named("b")]
    server.objects["/api/v1/namespaces/team-a"] = {}
    async with server.api() as api:
        async with asyncio.timeout(30):
            assert await listing.watch(api, Wanted(namespace="team-a", names=("bb",))) == 1
    assert "Did you mean b?" in capsys.readouterr().err


async def test_a_watch_of_names_shows_them_only(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = Wanted(namespace="team-a", names=("b",), output="name")
    await listing._watch_lines(_watched([named("a"), named("b")]), wanted)
    assert capsys.readouterr().out == "cijob.cijob.dev/b\n"


async def test_fields_are_chosen_by_the_api_server_and_told_where_it_does_not_know_them() -> None:
    server = Server()
    server.lists[JOBS] = [named("a")]
    async with server.api() as api:
        await list_once(api, Wanted(namespace="team-a", fields="status.phase=Failed"))
        assert server.asked[-1][1]["fieldSelector"] == "status.phase=Failed"
        server.refuse(JOBS, 400, "field label not supported: status.reason")
        with pytest.raises(CliError, match="chooses no fields: field label not supported") as caught:
            await list_once(api, Wanted(namespace="team-a", fields="status.reason=x", selector="a=b"))
    assert "status.phase=Failed" in caught.value.hint


async def test_labels_are_chosen_by_the_api_server(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.lists[JOBS] = [named("a")]
    async with server.api() as api:
        await list_once(api, Wanted(namespace="team-a", selector="team=web"))
    assert server.asked[0][1]["labelSelector"] == "team=web"
    capsys.readouterr()


async def _watched(*pictures: list[Body]) -> AsyncIterator[list[Body]]:
    for one in pictures:
        yield one


async def test_a_watch_in_a_pipe_has_a_line_for_each_change_that_shows(capsys: pytest.CaptureFixture[str]) -> None:
    new, runs = named("a"), named("a", job=a_cijob().running(), version=101)
    touched = named("a", job=a_cijob().running().with_meta(labels={"x": "y"}), version=102)
    other = named("b", 5)
    await listing._watch_lines(_watched([new], [runs], [touched], [touched, other], [other]), HERE)
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [["NAME", "PHASE"], ["a", "Pending"], ["a", "Running"], ["b", "Pending"], ["a", "Deleted"]]


async def test_a_watch_as_json_has_an_object_for_each_version(capsys: pytest.CaptureFixture[str]) -> None:
    new, touched = named("a"), named("a", job=a_cijob().with_meta(labels={"x": "y"}), version=101)
    await listing._watch_lines(_watched([new], [new], [touched]), Wanted(namespace="team-a", output="json"))
    decoder, text, versions = json.JSONDecoder(), capsys.readouterr().out, []
    while text.strip():
        found, end = decoder.raw_decode(text.lstrip())
        versions.append(found["metadata"]["resourceVersion"])
        text = text.lstrip()[end:]
    assert versions == ["100", "101"]


async def test_a_terminal_that_cannot_move_its_cursor_gets_lines_at_once(tmp_path: Path) -> None:
    cluster = FakeCluster()
    await cluster.put("x")
    async with cluster.serving(tmp_path) as kit:
        variables = {"KUBECONFIG": str(kit.kubeconfig), "PYTHONPATH": str(ROOT / "operator"), "TERM": "dumb"}

        def watch() -> bytes:
            command = [sys.executable, "-m", "cijob.cli", "ls", "--watch"]
            with on_a_terminal(command, variables) as terminal:
                return terminal.wait_for(b"Pending", 60)

        assert b"\x1b" not in await asyncio.to_thread(watch)


@pytest.mark.parametrize("height", [4, 10, 100])
def test_a_picture_fits_into_its_terminal_and_has_the_newest(height: int) -> None:
    jobs = [named(f"job-{number:03}", number) for number in range(50)]
    lines = [str(line) for line in picture(jobs, HERE, (40, height)).renderables]
    assert len(lines) < height
    assert max(map(len, lines)) <= 40
    assert lines[-1].startswith("job-049")
    assert ("older" in lines[1]) == (height < 52)


def test_a_picture_without_jobs_says_so() -> None:
    [line] = picture([], HERE, (80, 24)).renderables
    assert str(line) == "No CiJobs in the namespace team-a."


async def test_what_ends_a_watch_ends_the_table_that_it_fills() -> None:
    async def broken() -> AsyncIterator[list[Body]]:
        yield [named("a")]
        raise CliError("the API server is gone")

    with pytest.raises(CliError, match="gone"):
        await asyncio.wait_for(listing._watch_live(broken(), HERE), 10)


def test_times_are_those_of_the_moment() -> None:
    assert row(named("a", created=0), datetime.now(UTC))[-1] != "0s"
