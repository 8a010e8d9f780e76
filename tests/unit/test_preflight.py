"""The checks before the operator starts: one message each, which says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cijob import preflight
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable, ConfigurationError
from cijob.settings import Settings
from tests.unit import virtual_time
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from cijob.transport import Body

SILENT = ApiUnavailable(0, "", "no answer from https://fake: connection refused")
NO_CRD = ApiNotFound(404, "NotFound", "the server could not find the requested resource")
FORBIDDEN = ApiError(
    403, "Forbidden", 'User "operator" cannot list resource "pods" in API group "" in the namespace "b"'
)


NO_LEASE = ApiError(403, "Forbidden", 'User "operator" cannot get resource "leases"')


class Server(FakeCluster):
    """A FAKE that is asked for a Lease too."""

    async def get_lease(self, namespace: str, name: str) -> Body:
        """There is none yet."""
        self._ask(f"GET lease {namespace}/{name}")
        raise ApiNotFound(404, "NotFound", "there is no such Lease")


@pytest.fixture
def cluster() -> Server:
    """A cluster where all is well."""
    return Server()


async def check(cluster: Server, *namespaces: str) -> None:
    """The checks."""
    await preflight.check(cluster, Settings(namespaces=namespaces, lease_namespace="ns", lease_name="lease"))


async def problem(cluster: Server, *namespaces: str) -> str:
    """The one message."""
    with pytest.raises(ConfigurationError) as caught:
        await check(cluster, *namespaces)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_good_cluster_passes_by_one_look_at_each_kind(cluster: Server) -> None:
    await check(cluster)

    assert cluster.requests == ["GET apis", "GET probe None", "GET lease ns/lease"]


async def test_each_namespace_is_tried(cluster: Server) -> None:
    await check(cluster, "a", "b")

    assert cluster.requests == ["GET apis", "GET probe a", "GET probe b", "GET lease ns/lease"]


@pytest.mark.parametrize("version", [(1, 33), (1, 36), (2, 0)])
async def test_a_version_with_native_sidecars_passes(cluster: Server, version: tuple[int, int]) -> None:
    cluster.server_version = version

    await check(cluster)


@pytest.mark.parametrize("version", [(1, 32), (1, 9), (0, 40)])
async def test_an_older_cluster_is_to_be_upgraded(cluster: Server, version: tuple[int, int]) -> None:
    cluster.server_version = version

    message = await problem(cluster)

    assert f"Kubernetes {version[0]}.{version[1]}" in message
    assert "needs 1.33 or later" in message
    assert cluster.requests == []


async def test_missing_crds_are_to_be_installed(cluster: Server) -> None:
    cluster.refuse("GET apis", NO_CRD)

    message = await problem(cluster)

    assert "does not know cijobs or buildpools of cijob.dev" in message
    assert "crds.enabled" in message


async def test_a_version_of_the_crd_that_is_not_served_is_to_be_installed(cluster: Server) -> None:
    cluster.refuse("GET probe None", NO_CRD)

    assert "does not know cijobs or buildpools of cijob.dev" in await problem(cluster)


async def test_a_missing_right_is_named(cluster: Server) -> None:
    cluster.refuse("GET probe b", FORBIDDEN)

    message = await problem(cluster, "a", "b")

    assert "RBAC" in message
    assert 'cannot list resource "pods"' in message


async def test_wrong_credentials_are_named(cluster: Server) -> None:
    cluster.server_version = ApiError(401, "Unauthorized", "Unauthorized")

    message = await problem(cluster)

    assert "https://fake" in message
    assert "credentials" in message


async def test_a_missing_right_on_the_lease_is_named(cluster: Server) -> None:
    cluster.refuse("GET lease ns/lease", NO_LEASE)

    message = await problem(cluster)

    assert "RBAC" in message
    assert 'cannot get resource "leases"' in message


# --- in virtual time


def waits(cluster: Server) -> list[tuple[str, float]]:
    """What was said while the API server was waited for, and the pause after it."""
    with capture_logs() as logs:
        virtual_time.run(check(cluster))
    assert {line["log_level"] for line in logs} == {"warning"}
    assert {line["server"] for line in logs} == {"https://fake"}
    return [(line["error"], line["seconds"]) for line in logs]


class Away(Server):
    """A FAKE that does not answer for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def version(self) -> tuple[int, int]:
        self.server_version = SILENT if virtual_time.now() < self.seconds else (1, 36)
        return await super().version()


@pytest.mark.parametrize(("seconds", "tries"), [(1, 2), (30, 7), (300, 34), (86400, 8644)])
def test_a_server_that_is_away_is_waited_for_with_pauses_that_are_bounded(seconds: float, tries: int) -> None:
    told = waits(Away(seconds))

    assert len(told) == tries
    assert [pause for _, pause in told[:6]] == [0.5, 1, 2, 4, 8, 10][: len(told)]
    assert {error for error, _ in told} == {SILENT.message}


def test_a_server_that_goes_away_between_checks_is_waited_for(cluster: Server) -> None:
    cluster.refuse("GET probe None", SILENT, times=2)

    assert len(waits(cluster)) == 2


def test_what_a_server_refuses_just_after_it_came_back_may_pass(cluster: Server) -> None:
    cluster.refuse("GET probe None", SILENT)
    cluster.refuse("GET probe None", FORBIDDEN, times=3)

    assert len(waits(cluster)) == 4


def test_what_a_server_refuses_for_good_is_said_in_the_end(cluster: Server) -> None:
    cluster.refuse("GET probe None", SILENT)
    cluster.refuse("GET probe None", FORBIDDEN, times=1000)

    with capture_logs() as logs, pytest.raises(ConfigurationError, match="RBAC"):
        virtual_time.run(check(cluster))

    assert 5 < len(logs) < 15
