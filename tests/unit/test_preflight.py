"""The checks before the operator starts: one message each, which says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cijob import preflight
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable, ConfigurationError
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from cijob.cluster import Cluster

SILENT = ApiUnavailable(0, "", "no answer from https://fake: connection refused")
NO_CRD = ApiNotFound(404, "NotFound", "the server could not find the requested resource")
FORBIDDEN = ApiError(
    403, "Forbidden", 'User "operator" cannot list resource "pods" in API group "" in the namespace "b"'
)


@pytest.fixture
def cluster() -> FakeCluster:
    """A cluster where all is well."""
    return FakeCluster()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that follow each other at once."""
    monkeypatch.setattr(preflight, "_PAUSE", 0.0)


async def problem(cluster: Cluster, *namespaces: str, patience: float = 0) -> str:
    """The one message."""
    with pytest.raises(ConfigurationError) as caught:
        await preflight.check(cluster, namespaces, patience)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_good_cluster_passes_by_one_look_at_each_kind(cluster: FakeCluster) -> None:
    await preflight.check(cluster, (), 0)

    assert cluster.requests == ["GET apis", "GET probe None"]


async def test_each_namespace_is_tried(cluster: FakeCluster) -> None:
    await preflight.check(cluster, ("a", "b"), 0)

    assert cluster.requests == ["GET apis", "GET probe a", "GET probe b"]


@pytest.mark.parametrize("version", [(1, 33), (1, 36), (2, 0)])
async def test_a_version_with_native_sidecars_passes(cluster: FakeCluster, version: tuple[int, int]) -> None:
    cluster.server_version = version

    await preflight.check(cluster, (), 0)


@pytest.mark.parametrize("version", [(1, 32), (1, 9), (0, 40)])
async def test_an_older_cluster_is_to_be_upgraded(cluster: FakeCluster, version: tuple[int, int]) -> None:
    cluster.server_version = version

    message = await problem(cluster)

    assert f"Kubernetes {version[0]}.{version[1]}" in message
    assert "needs 1.33 or later" in message
    assert cluster.requests == []


async def test_missing_crds_are_to_be_installed(cluster: FakeCluster) -> None:
    cluster.refuse("GET apis", NO_CRD)

    message = await problem(cluster)

    assert "does not know cijobs.cijob.dev" in message
    assert "crds.enabled" in message


async def test_a_version_of_the_crd_that_is_not_served_is_to_be_installed(cluster: FakeCluster) -> None:
    cluster.refuse("GET probe None", NO_CRD)

    assert "does not know cijobs.cijob.dev" in await problem(cluster)


async def test_a_missing_right_is_named(cluster: FakeCluster) -> None:
    cluster.refuse("GET probe b", FORBIDDEN)

    message = await problem(cluster, "a", "b")

    assert "RBAC" in message
    assert 'cannot list resource "pods"' in message


async def test_wrong_credentials_are_named(cluster: FakeCluster) -> None:
    cluster.server_version = ApiError(401, "Unauthorized", "Unauthorized")

    message = await problem(cluster, patience=300)

    assert "https://fake" in message
    assert "credentials" in message


async def test_a_server_that_goes_away_between_checks_is_named(cluster: FakeCluster) -> None:
    cluster.refuse("GET probe None", SILENT)

    assert "https://fake went away" in await problem(cluster)


@pytest.mark.usefixtures("no_pauses")
async def test_a_server_that_comes_late_is_waited_for() -> None:
    answers: list[tuple[int, int] | ApiError] = [SILENT, SILENT, (1, 36)]

    class Late(FakeCluster):
        async def version(self) -> tuple[int, int]:
            self.server_version = answers.pop(0)
            return await super().version()

    with capture_logs() as logs:
        await preflight.check(Late(), (), 30)

    assert answers == []
    assert [(line["event"], line["server"]) for line in logs] == [("waiting for the API server", "https://fake")] * 2


@pytest.mark.usefixtures("no_pauses")
async def test_a_server_that_never_comes_is_given_up(cluster: FakeCluster) -> None:
    cluster.server_version = SILENT

    with capture_logs() as logs:
        message = await problem(cluster, patience=0.02)

    assert logs != []
    assert "https://fake did not answer" in message
    assert "connection refused" in message
    assert "KUBECONFIG" in message
