from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.creation import cancel, create, generated_name
from cijob.cli.errors import CliError
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from tests.unit import virtual_time

if TYPE_CHECKING:
    from cijob.cli.api import Api

Body = dict[str, Any]
LOST = ApiUnavailable(0, "", "reset")
BUSY = ApiUnavailable(429, "", "busy", retry_after=2)
THERE = ApiError(409, "AlreadyExists", "already exists")


class Server:
    """A FAKE API server that answers creations with errors first; a lost answer's job is there all the same."""

    def __init__(self, *errors: ApiError) -> None:
        self.errors = list(errors)
        self.stored: dict[str, Body] = {}
        self.modes: list[str] = []

    async def create_job(self, _namespace: str, manifest: Body) -> Body:
        name = manifest["metadata"]["name"]
        error = self.errors.pop(0) if self.errors else None
        if error is not None and error.status:
            raise error
        if name in self.stored:
            raise THERE
        self.stored[name] = manifest
        if error is not None:
            raise error
        return manifest

    async def get_job(self, _namespace: str, name: str) -> Body:
        return self.stored[name]

    async def cancel_job(self, _namespace: str, _name: str, _uid: str, mode: str) -> Body:
        if self.errors:
            raise self.errors.pop(0)
        self.modes.append(mode)
        return {}


def created(server: Server, **metadata: str) -> Body:
    api: Api = server  # type: ignore[assignment]  # FAKE
    return virtual_time.run(create(api, "ns", {"metadata": metadata, "spec": {}}))


@pytest.mark.parametrize("errors", [(), (BUSY, BUSY), (LOST,), (LOST, BUSY, LOST), (THERE,)])
def test_one_job_is_made_whatever_becomes_of_answers(errors: tuple[ApiError, ...]) -> None:
    server = Server(*errors)
    name = created(server, generateName="x-")["metadata"]["name"]
    assert list(server.stored) == [name]
    assert re.fullmatch(r"x-[a-z0-9]{5}", name)


def test_a_name_that_is_taken_is_an_error_with_a_way_out() -> None:
    server = Server(THERE)
    with pytest.raises(CliError, match="there is a CiJob x in the namespace ns already") as caught:
        created(server, name="x")
    assert "metadata.generateName: x-" in caught.value.hint


def test_a_fixed_name_whose_answer_was_lost_is_not_said_to_have_been_there() -> None:
    with pytest.raises(CliError, match="whether x was created now or before is not known"):
        created(Server(LOST), name="x")


def test_a_refusal_is_final() -> None:
    with pytest.raises(ApiError, match="no"):
        created(Server(ApiError(422, "Invalid", "no")), generateName="x-")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with pytest.raises(ApiUnavailable):
        created(Server(*[BUSY] * 100), generateName="x-")


def test_a_generated_name_fits_into_a_label_and_is_new_each_time() -> None:
    found = {generated_name("x" * 100) for _ in range(50)}
    assert {len(name) for name in found} == {63}
    assert len(found) == 50


@pytest.mark.parametrize(
    ("errors", "modes"),
    [
        ((), ["Graceful"]),
        ((LOST, BUSY), ["Graceful"]),
        ((ApiNotFound(404, "", ""),), []),
        ((ApiConflict(422, "Invalid", "testing path /metadata/uid"),), []),
    ],
)
def test_cancel_is_asked_for_until_it_is_heard(errors: tuple[ApiError, ...], modes: list[str]) -> None:
    server = Server(*errors)
    api: Api = server  # type: ignore[assignment]  # FAKE
    virtual_time.run(cancel(api, "ns", "x", "uid", "Graceful"))
    assert server.modes == modes
