"""`cijob logs`: which attempt's log is printed, and how much of it; the API server is a FAKE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cijob import names
from cijob.cli.commands.logs import command
from cijob.cli.errors import CliError
from cijob.cli.follow.logs import Wanted, logs
from tests.unit.builders import a_cijob
from tests.unit.cli.looking_world import Server, fresh_consoles

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = a_cijob().finished("Failed", "ScriptFailed", 11).with_(status={"attempt": 2}).body
JOBS = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
PODS = "/api/v1/namespaces/team-a/pods"


@pytest.fixture(autouse=True)
def _consoles() -> Iterator[None]:
    with fresh_consoles():
        yield


def serving(*attempts: int) -> Server:
    """A CiJob at its second attempt, and the Pods of these attempts."""
    server = Server()
    server.objects[f"{JOBS}/build-42"] = JOB
    for number in attempts:
        pod = names.pod_name("build-42", JOB["metadata"]["uid"], number)
        status = {"phase": "Failed", "containerStatuses": [{"name": "job", "state": {"terminated": {}}}]}
        server.objects[f"{PODS}/{pod}"] = {
            "metadata": {"name": pod},
            "spec": {"containers": [{"name": "job"}]},
            "status": status,
        }
        server.texts[f"{PODS}/{pod}/log"] = f"2026-01-31T12:00:0{number}.000000000Z attempt {number}\n"
    return server


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [
        (Wanted(name="build-42"), "attempt 2\n"),
        (Wanted(name="build-42", attempt=1), "attempt 1\n"),
        (Wanted(name="build-42", previous=True), "attempt 1\n"),
        (Wanted(name="cijob/build-42", previous=True, follow=True), "attempt 1\n"),
    ],
)
async def test_the_log_is_that_of_the_attempt_that_is_meant(
    capfd: pytest.CaptureFixture[str], wanted: Wanted, printed: str
) -> None:
    async with serving(1, 2).api() as api:
        assert await logs(api, wanted) == 0
    assert capfd.readouterr().out == printed


async def test_before_the_first_attempt_there_is_none() -> None:
    server = serving(1)
    server.objects[f"{JOBS}/build-42"] = {**JOB, "status": {**JOB["status"], "attempt": 1}}
    async with server.api() as api:
        with pytest.raises(CliError, match="build-42 is at its first attempt"):
            await logs(api, Wanted(name="build-42", previous=True))


async def test_what_to_type_names_the_namespace_that_was_typed() -> None:
    async with serving().api() as api:
        api.flag = " -n team-a"
        with pytest.raises(CliError, match="the Pod of attempt 1 of build-42 is gone") as caught:
            await logs(api, Wanted(name="build-42", attempt=1))
    assert caught.value.hint == "`cijob describe build-42 -n team-a` tells how it went."


def test_two_ways_to_say_which_attempt_are_one_too_many() -> None:
    answer = CliRunner().invoke(command, ["build-42", "--previous", "--attempt", "1"])
    assert (answer.exit_code, "leave one out" in answer.output) == (2, True)
