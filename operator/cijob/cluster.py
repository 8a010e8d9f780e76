"""The operator's requests: the only caller of the Kubernetes API in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from kubernetes.aio import client, config

from cijob import names
from cijob.errors import ApiUnavailable, ConfigurationError
from cijob.transport import CIJOBS, CORE, JSON, JSON_PATCH, REQUEST, Body, Transport, described, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

_LEASES: Final = "/apis/coordination.k8s.io/v1"


async def connect(user_agent: str) -> client.ApiClient:
    """A client for the cluster that `$KUBECONFIG`, the default kubeconfig or the Pod's service account names.

    Raises:
        ConfigurationError: none of them can be used.
    """
    configuration = client.Configuration()
    try:
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
        api = client.ApiClient(configuration)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"No cluster to talk to: set KUBECONFIG to a kubeconfig file, or run in a Pod with a service account ({reason})"
        ) from error
    api.user_agent = user_agent
    return api


class Cluster(Transport):
    """Requests of the operator. Every method raises ApiError or one of its kinds when it fails."""

    def __init__(self, api: client.ApiClient) -> None:
        super().__init__(api)
        #: Called right before each write but those of a Lease; it may raise, or end the process.
        self.before_write: Callable[[], None] = lambda: None

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object = None,
        content: str = JSON,
        limits: aiohttp.ClientTimeout = REQUEST,
    ) -> aiohttp.ClientResponse:
        """As every Transport, with `before_write` first."""
        if method != "GET" and not path.startswith(_LEASES):
            self.before_write()
        return await super().send(method, path, query, body, content, limits)

    async def probe(self, namespace: str | None) -> None:
        """Ask for one BuildPool, CiJob and Pod, to see whether the API server lets us."""
        pools = f"{CIJOBS}/{names.POOL_PLURAL}"
        for path in (pools, path_of(CIJOBS, namespace, names.PLURAL), path_of(CORE, namespace, "pods")):
            await self.request("GET", path, query={"limit": "1"})

    async def list_jobs(self, namespace: str | None) -> tuple[list[Body], int]:
        """All CiJobs and the version of the list, consistent."""
        return await self.list_all(path_of(CIJOBS, namespace, names.PLURAL), {})

    async def list_pods(self, namespace: str | None) -> tuple[list[Body], int]:
        """All Pods of ours and the version of the list, consistent."""
        return await self.list_all(path_of(CORE, namespace, "pods"), {"labelSelector": names.POD_SELECTOR})

    async def get_job(self, namespace: str, name: str) -> Body:
        """One CiJob."""
        return await self.request("GET", path_of(CIJOBS, namespace, names.PLURAL, name))

    async def get_pod(self, namespace: str, name: str) -> Body:
        """One Pod."""
        return await self.request("GET", path_of(CORE, namespace, "pods", name))

    async def read_log(self, namespace: str, name: str, container: str, *, previous: bool) -> str:
        """The last lines of a container's log, or of that of its run before; at most 10, and 2,048 bytes."""
        query = {"container": container, "tailLines": "10", "limitBytes": "2048", "previous": str(previous).lower()}
        response = await self.send("GET", path_of(CORE, namespace, "pods", name) + "/log", query)
        try:
            return (await response.read()).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(0, "", f"no whole answer from {self.server}: {described(error)}") from error

    async def create_pod(self, manifest: Body) -> Body:
        """Create a Pod; gives it as it was stored."""
        return await self.request("POST", path_of(CORE, manifest["metadata"]["namespace"], "pods"), body=manifest)

    async def patch_pod(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a Pod by a JSON Patch."""
        return await self.request("PATCH", path_of(CORE, namespace, "pods", name), body=patch, content=JSON_PATCH)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very Pod."""
        await self.delete(path_of(CORE, namespace, "pods", name), uid)

    async def patch_job_status(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a CiJob's status by a JSON Patch."""
        path = path_of(CIJOBS, namespace, names.PLURAL, name) + "/status"
        return await self.request("PATCH", path, body=patch, content=JSON_PATCH)

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very CiJob, and with it what it owns."""
        await self.delete(path_of(CIJOBS, namespace, names.PLURAL, name), uid)

    async def create_event(self, event: Body) -> None:
        """Record an Event."""
        await self.request("POST", path_of(CORE, event["metadata"]["namespace"], "events"), body=event)

    async def list_pools(self) -> tuple[list[Body], int]:
        """All BuildPools and the version of the list, consistent."""
        return await self.list_all(f"{CIJOBS}/{names.POOL_PLURAL}", {})

    async def get_pool(self, name: str) -> Body:
        """One BuildPool."""
        return await self.request("GET", f"{CIJOBS}/{names.POOL_PLURAL}/{name}")

    async def patch_pool_status(self, name: str, patch: list[Body]) -> Body:
        """Change a BuildPool's status by a JSON Patch."""
        path = f"{CIJOBS}/{names.POOL_PLURAL}/{name}/status"
        return await self.request("PATCH", path, body=patch, content=JSON_PATCH)

    async def get_namespace(self, name: str) -> Body:
        """One namespace."""
        return await self.request("GET", path_of(CORE, name))

    async def get_lease(self, namespace: str, name: str) -> Body:
        """A Lease."""
        return await self.request("GET", path_of(_LEASES, namespace, "leases", name))

    async def create_lease(self, lease: Body) -> Body:
        """Create a Lease; gives it as it was stored."""
        return await self.request("POST", path_of(_LEASES, lease["metadata"]["namespace"], "leases"), body=lease)

    async def replace_lease(self, lease: Body) -> Body:
        """Change a Lease if it is still of the version that its metadata say; gives it as it was stored."""
        meta = lease["metadata"]
        return await self.request("PUT", path_of(_LEASES, meta["namespace"], "leases", meta["name"]), body=lease)

    def watch_pods(self, namespace: str | None, version: int) -> AsyncIterator[Body]:
        """Raw watch events of our Pods from a version on, bookmarks too, until the server ends the watch."""
        return self.watch(path_of(CORE, namespace, "pods"), version, {"labelSelector": names.POD_SELECTOR})
