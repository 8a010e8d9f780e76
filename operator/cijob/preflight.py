"""Checks before the operator starts: each problem becomes one message that says what to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from cijob import names
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable, ConfigurationError

if TYPE_CHECKING:
    from cijob.cluster import Cluster

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OLDEST: Final = (1, 33)
_PAUSE: Final = 2.0
_PATIENCE: Final = 300.0


async def check(cluster: Cluster, namespaces: tuple[str, ...], patience: float = _PATIENCE) -> None:
    """Wait for the API server for at most `patience` seconds, then see that the operator can work with it.

    Raises:
        ConfigurationError: it cannot; the message says what to change.
    """
    version = await _wait_for(cluster, patience)
    if version < OLDEST:
        raise ConfigurationError(
            f"The cluster runs Kubernetes {version[0]}.{version[1]}; the operator needs {OLDEST[0]}.{OLDEST[1]} or later, "
            "for native sidecars: upgrade the cluster"
        )
    try:
        await _try(cluster, namespaces)
    except ApiNotFound as error:
        raise ConfigurationError(
            f"The cluster does not know {names.PLURAL}.{names.GROUP}: install the chart with crds.enabled=true, "
            "or apply the manifests of crds/"
        ) from error
    except ApiUnavailable as error:
        raise ConfigurationError(f"The API server at {cluster.server} went away: {error.message}") from error
    except ApiError as error:
        raise ConfigurationError(
            f"The operator lacks a right that it needs; install the chart's RBAC: {error.message}"
        ) from error


async def _wait_for(cluster: Cluster, patience: float) -> tuple[int, int]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            return await cluster.version()
        except ApiUnavailable as error:
            if loop.time() + _PAUSE > deadline:
                raise ConfigurationError(
                    f"The API server at {cluster.server} did not answer for {patience:.0f} s: {error.message}; "
                    "check that it runs and that KUBECONFIG names the right cluster"
                ) from error
            log.warning("waiting for the API server", server=cluster.server, error=error.message)
            await asyncio.sleep(_PAUSE)  # between bounded tries
        except ApiError as error:
            raise ConfigurationError(
                f"The API server at {cluster.server} refused us: {error.message}; check the credentials"
            ) from error


async def _try(cluster: Cluster, namespaces: tuple[str, ...]) -> None:
    await cluster.api_resources()
    for namespace in namespaces or (None,):
        await cluster.probe(namespace)
