"""Checks before the operator starts: each problem becomes one message that says what to do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from cijob import names
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable, ConfigurationError

if TYPE_CHECKING:
    from cijob.cluster import Cluster
    from cijob.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OLDEST: Final = (1, 33)
#: Seconds between tries: they grow up to a bound.
_FIRST_PAUSE: Final = 0.5
_LAST_PAUSE: Final = 10.0
#: A server that was away may refuse for so many seconds what it will grant: its CRDs and rights are loaded late.
_SETTLING: Final = 60.0


async def check(cluster: Cluster, settings: Settings) -> None:
    """Wait for the API server, however long, then see that the operator can work with it.

    Raises:
        ConfigurationError: it cannot; the message says what to change.
    """
    loop = asyncio.get_running_loop()
    pause, came_back = _FIRST_PAUSE, -_SETTLING
    while True:
        try:
            await _try(cluster, settings)
        except ApiUnavailable as error:
            came_back, problem = loop.time(), error.message
        except ConfigurationError as error:
            if loop.time() - came_back >= _SETTLING:
                raise
            problem = str(error)
        else:
            return
        log.warning(
            "waiting for the API server: check that it runs, and which one KUBECONFIG names",
            server=cluster.server,
            error=problem,
            seconds=pause,
        )
        await asyncio.sleep(pause)  # a bounded pause between tries
        pause = min(_LAST_PAUSE, 2 * pause)


async def _try(cluster: Cluster, settings: Settings) -> None:
    await _see_version(cluster)
    try:
        await cluster.api_resources()
        for namespace in settings.namespaces or (None,):
            await cluster.probe(namespace)
        await _see_lease(cluster, settings)
    except ApiUnavailable:
        raise
    except ApiNotFound as error:
        raise ConfigurationError(
            f"The cluster does not know {names.PLURAL} or {names.POOL_PLURAL} of {names.GROUP}: install the chart with crds.enabled=true, "
            "or apply the manifests of crds/"
        ) from error
    except ApiError as error:
        raise ConfigurationError(
            f"The operator lacks a right that it needs; install the chart's RBAC: {error.message}"
        ) from error


async def _see_version(cluster: Cluster) -> None:
    try:
        version = await cluster.version()
    except ApiUnavailable:
        raise
    except ApiError as error:
        raise ConfigurationError(
            f"The API server at {cluster.server} refused us: {error.message}; check the credentials"
        ) from error
    if version < OLDEST:
        raise ConfigurationError(
            f"The cluster runs Kubernetes {version[0]}.{version[1]}; the operator needs {OLDEST[0]}.{OLDEST[1]} or later, "
            "for native sidecars: upgrade the cluster"
        )


async def _see_lease(cluster: Cluster, settings: Settings) -> None:
    with contextlib.suppress(ApiNotFound):  # the first process makes it
        await cluster.get_lease(settings.lease_namespace, settings.lease_name)
