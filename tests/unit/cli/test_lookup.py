"""Objects by name, and what was meant where there is none."""

from __future__ import annotations

import pytest

from cijob.cli.errors import CliError
from cijob.cli.lookup import bare, find_job, find_pool, nearest
from cijob.errors import ApiError
from cijob.names import pod_name
from tests.unit.builders import a_cijob
from tests.unit.cli.looking_world import Server

JOBS = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
EVERYWHERE = "/apis/cijob.dev/v1alpha1/cijobs"
POOLS = "/apis/cijob.dev/v1alpha1/buildpools"
NAMESPACES = "/api/v1/namespaces"
KNOWN = ["build-7xk2p", "build-9qq4z", "deploy", "lint"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("deplyo", "deploy"),
        ("dep", "deploy"),
        ("build-7xk2", "build-7xk2p"),
        (pod_name("deploy", "some-uid", 1), "deploy"),
        ("build-", "build-9qq4z"),  # two begin so: a close one of them
        ("something-else", None),
        ("", None),
    ],
)
def test_the_name_that_was_meant(name: str, meant: str | None) -> None:
    found = nearest(name, KNOWN)
    assert found == meant or (name == "build-" and found in KNOWN)


@pytest.mark.parametrize(
    "name", ["x", "cij/x", "cijob/x", "cijobs/x", "cijob.cijob.dev/x", "cijobs.v1alpha1.cijob.dev/x", "CiJob/x"]
)
def test_a_name_may_have_its_kind_as_kubectl_prints_it(name: str) -> None:
    assert bare(name) == "x"


def test_another_kind_stays_in_the_name() -> None:
    assert bare("pod/x") == "pod/x"


async def test_a_job_is_found_under_its_name_with_its_kind() -> None:
    server = Server()
    server.objects[f"{JOBS}/build-42"] = a_cijob().body
    async with server.api() as api:
        assert (await find_job(api, "team-a", "cijob.cijob.dev/build-42"))["metadata"]["name"] == "build-42"


@pytest.mark.parametrize("name", ["../pools", "a/b", "x?watch=true", "Über"])
async def test_what_cannot_be_a_name_is_never_asked_for(name: str) -> None:
    server = Server()
    server.lists[JOBS] = [a_cijob().body]
    async with server.api() as api:
        with pytest.raises(CliError, match="there is no CiJob"):
            await find_job(api, "team-a", name)
    assert {path for path, _ in server.asked} <= {JOBS, EVERYWHERE}


async def test_an_empty_name_is_told_as_one() -> None:
    server = Server()
    async with server.api() as api:
        with pytest.raises(CliError, match="is empty"):
            await find_job(api, "team-a", "")
    assert server.asked == []


async def _hint(server: Server, name: str = "build-43") -> str:
    async with server.api() as api:
        with pytest.raises(CliError) as caught:
            await find_job(api, "team-a", name)
    return caught.value.hint


async def test_the_hint_names_the_nearest_then_the_namespace_then_another_namespace_then_the_list() -> None:
    server = Server()
    server.lists[JOBS] = [a_cijob().body]
    assert await _hint(server) == "Did you mean build-42?"
    server.lists[JOBS] = []
    server.lists[NAMESPACES] = [{"metadata": {"name": "team-b"}}]
    assert await _hint(server) == "There is no namespace team-a: did you mean team-b?"
    server.objects[f"{NAMESPACES}/team-a"] = {"metadata": {"name": "team-a"}}
    server.lists[EVERYWHERE] = [a_cijob().with_meta(namespace="team-z").body]
    assert await _hint(server) == "There is one in the namespace team-z: choose it with -n."
    server.lists[EVERYWHERE] = []
    assert await _hint(server) == "`cijob ls -n team-a` lists those that there are."


async def test_who_may_list_nothing_gets_a_hint_nevertheless() -> None:
    server = Server()
    for path in (JOBS, EVERYWHERE, NAMESPACES, f"{NAMESPACES}/team-a"):
        server.refuse(path)
    assert await _hint(server) == "`cijob ls -n team-a` lists those that there are."


async def test_a_refusal_is_no_absence() -> None:
    server = Server()
    server.refuse(f"{JOBS}/x")
    async with server.api() as api:
        with pytest.raises(ApiError, match="forbidden"):
            await find_job(api, "team-a", "x")


@pytest.mark.parametrize(
    ("pools", "hint"),
    [
        (["default", "large"], "Did you mean default?"),
        (["large"], "`cijob pools` lists those that there are."),
        ([], "Ask who runs the cluster to create it."),
    ],
)
async def test_the_pool_that_was_meant(pools: list[str], hint: str) -> None:
    server = Server()
    server.lists[POOLS] = [{"metadata": {"name": name}} for name in pools]
    async with server.api() as api:
        with pytest.raises(CliError, match="there is no BuildPool defalt") as caught:
            await find_pool(api, "defalt")
    assert caught.value.hint == hint
