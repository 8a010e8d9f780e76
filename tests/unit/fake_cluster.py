"""A FAKE: an API server in memory, for tests of the shell around the core. The real one is tested in tests/integration.

It keeps versions, UIDs and the rules of JSON Patch, and can be told to refuse a request, to lose an answer, or to change
a Pod as a mutating webhook does. Nothing is delivered by itself: a test says when the operator sees what happened.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cijob.cluster import Cluster
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from cijob.names import DEFAULT_POOL
from tests.unit.builders import T0, CiJobBuilder, PodBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from cijob.cache import Key
    from cijob.transport import Body


class FakeCluster(Cluster):
    """An API server in memory with the methods of the real client."""

    def __init__(self) -> None:  # no super(): there is no client behind it
        self.jobs: dict[Key, Body] = {}
        self.pods: dict[Key, Body] = {}
        self.pools: dict[Key, Body] = {}
        #: Labels of namespaces.
        self.namespaces: dict[str, dict[str, str]] = {}
        self.events: list[Body] = []
        #: By container.
        self.logs: dict[str, str] = {}
        #: What was asked of it: the verb and the kind.
        self.requests: list[str] = []
        #: What watches would tell: type, kind, object.
        self.told: list[tuple[str, str, Body]] = []
        self.webhook: Callable[[Body], Body] = lambda pod: pod
        self.clock: Callable[[], datetime] = lambda: T0
        self.server_version: tuple[int, int] | ApiError = (1, 36)
        self._version = 1000
        self._pods_made = 0
        self._errors: dict[str, list[tuple[bool, ApiError]]] = {}

    # --- what a test arranges

    def refuse(self, request: str, error: ApiError, times: int = 1) -> None:
        """Answer the next requests of a kind, such as `POST pod`, with an error."""
        self._errors.setdefault(request, []).extend([(False, error)] * times)

    def lose_answer(self, request: str) -> None:
        """Carry out the next request of a kind, but lose the answer."""
        self._errors.setdefault(request, []).append((True, ApiUnavailable(0, "", "no whole answer")))

    def store_job(self, job: CiJobBuilder) -> None:
        """A user creates or changes a CiJob."""
        meta = job.body["metadata"]
        self._store("job", (meta["namespace"], meta["name"]), copy.deepcopy(job.body))

    def store_pod(self, pod: PodBuilder) -> None:
        """Somebody creates or changes a Pod."""
        meta = pod.body["metadata"]
        self._store("pod", (meta["namespace"], meta["name"]), copy.deepcopy(pod.body))

    def store_pool(self, name: str = DEFAULT_POOL, **spec: object) -> None:
        """A platform team creates or changes a BuildPool."""
        new = {"metadata": {"name": name, "uid": f"pool-{self._version}", "generation": 0}}
        before = self.pools.get(("", name), new)
        generation = before["metadata"]["generation"] + 1
        meta = before["metadata"] | {"generation": generation, "creationTimestamp": self._stamp()}
        self._store("pool", ("", name), {**copy.deepcopy(before), "metadata": meta, "spec": dict(spec)})

    def remove_pool(self, name: str = DEFAULT_POOL) -> None:
        """A BuildPool goes."""
        self._remove("pool", ("", name))

    def kubelet(self, change: Callable[[PodBuilder], PodBuilder]) -> None:
        """The kubelet reports on the newest Pod."""
        *_, body = self.pods.values()
        self.store_pod(change(PodBuilder(body)))

    def user(self, change: Callable[[CiJobBuilder], CiJobBuilder]) -> None:
        """The user changes the only CiJob."""
        (body,) = self.jobs.values()
        self.store_job(change(CiJobBuilder(body)))

    def remove_pod(self) -> None:
        """The newest Pod goes."""
        *_, key = self.pods
        self._remove("pod", key)

    def remove_job(self) -> None:
        """The only CiJob goes."""
        (key,) = self.jobs
        self._remove("job", key)

    # --- the client's methods

    @property
    def server(self) -> str:
        """For messages."""
        return "https://fake"

    async def version(self) -> tuple[int, int]:
        """As arranged."""
        if isinstance(self.server_version, ApiError):
            raise self.server_version
        return self.server_version

    async def api_resources(self) -> Body:
        """Our group."""
        self._ask("GET apis")
        return {}

    async def probe(self, namespace: str | None) -> None:
        """One of each."""
        self._ask(f"GET probe {namespace}")

    async def list_jobs(self, namespace: str | None) -> tuple[list[Body], int]:
        """All CiJobs."""
        return self._listed("LIST job", self.jobs, namespace)

    async def list_pods(self, namespace: str | None) -> tuple[list[Body], int]:
        """All Pods."""
        return self._listed("LIST pod", self.pods, namespace)

    async def list_pools(self) -> tuple[list[Body], int]:
        """All BuildPools."""
        return self._listed("LIST pool", self.pools, None)

    async def get_pool(self, name: str) -> Body:
        """One BuildPool."""
        return self._got("GET pool", self.pools, ("", name))

    async def patch_pool_status(self, name: str, patch: list[Body]) -> Body:
        """Change a BuildPool's status."""
        lost = self._ask("PATCH pool/status")
        return _answer(self._patch("pool", self.pools, ("", name), patch), lost)

    async def get_namespace(self, name: str) -> Body:
        """A namespace's labels."""
        self._ask("GET namespace")
        return {"metadata": {"name": name, "labels": dict(self.namespaces.get(name, {}))}}

    async def get_job(self, namespace: str, name: str) -> Body:
        """One CiJob."""
        return self._got("GET job", self.jobs, (namespace, name))

    async def get_pod(self, namespace: str, name: str) -> Body:
        """One Pod."""
        return self._got("GET pod", self.pods, (namespace, name))

    async def read_log(self, namespace: str, name: str, container: str, *, previous: bool) -> str:
        """What a container said, of its run before where that is asked for."""
        lost = self._ask("GET pod/log")
        _found(self.pods, (namespace, name))
        if lost is not None:
            raise lost
        return self.logs.get(f"{container} before" if previous else container, "")

    async def create_pod(self, manifest: Body) -> Body:
        """Store a Pod."""
        lost = self._ask("POST pod")
        key = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        if key in self.pods:
            raise ApiError(409, "AlreadyExists", f'pods "{key[1]}" already exists')
        self._pods_made += 1
        pod = self.webhook(copy.deepcopy(manifest))
        pod["metadata"] |= {"uid": f"pod-{self._pods_made}", "creationTimestamp": self._stamp()}
        pod["status"] = {"phase": "Pending"}
        return _answer(self._store("pod", key, pod), lost)

    async def patch_pod(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a Pod."""
        lost = self._ask("PATCH pod")
        return _answer(self._patch("pod", self.pods, (namespace, name), patch), lost)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Pod: at once if no kubelet has it, else with grace."""
        lost = self._ask("DELETE pod")
        key = namespace, name
        body = _of_uid(self.pods, key, uid)
        grace = body["spec"].get("terminationGracePeriodSeconds", 60)
        if "startTime" not in body["status"] or body["status"]["phase"] in {"Succeeded", "Failed"}:
            self._remove("pod", key)
        elif "deletionTimestamp" not in body["metadata"]:
            body = copy.deepcopy(body)
            body["metadata"] |= {"deletionTimestamp": self._stamp(grace), "deletionGracePeriodSeconds": grace}
            self._store("pod", key, body)
        _answer({}, lost)

    async def patch_job_status(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """Change a CiJob's status."""
        lost = self._ask("PATCH job/status")
        return _answer(self._patch("job", self.jobs, (namespace, name), patch), lost)

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a CiJob."""
        lost = self._ask("DELETE job")
        _of_uid(self.jobs, (namespace, name), uid)
        self._remove("job", (namespace, name))
        _answer({}, lost)

    async def create_event(self, event: Body) -> None:
        """Keep an Event."""
        lost = self._ask("POST event")
        if event["metadata"]["name"] in {stored["metadata"]["name"] for stored in self.events}:
            raise ApiError(409, "AlreadyExists", "the event exists")
        self.events.append(copy.deepcopy(event))
        _answer({}, lost)

    async def watch_pods(self, namespace: str | None, version: int) -> AsyncIterator[Body]:
        """What was told of Pods after a version; then the watch ends."""
        self._ask(f"WATCH pod {namespace} {version}")
        for kind, of, body in self.told:
            if of == "pod" and int(body["metadata"]["resourceVersion"]) > version:
                yield {"type": kind, "object": copy.deepcopy(body)}

    # --- inside

    @property
    def _stored(self) -> dict[str, dict[Key, Body]]:
        return {"job": self.jobs, "pod": self.pods, "pool": self.pools}

    def _ask(self, request: str) -> ApiError | None:
        """Note a request; the error to give once it was carried out, if its answer is to be lost."""
        self.requests.append(request)
        arranged = self._errors.get(request)
        if not arranged:
            return None
        carried_out, error = arranged.pop(0)
        if carried_out:
            return error
        raise error

    def _store(self, kind: str, key: Key, body: Body) -> Body:
        stored = self._stored[kind]
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.told.append(("MODIFIED" if key in stored else "ADDED", kind, copy.deepcopy(body)))
        stored[key] = body
        return copy.deepcopy(body)

    def _remove(self, kind: str, key: Key) -> None:
        body = self._stored[kind].pop(key)
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.told.append(("DELETED", kind, body))

    def _listed(self, request: str, stored: dict[Key, Body], namespace: str | None) -> tuple[list[Body], int]:
        self._ask(request)
        return [copy.deepcopy(body) for key, body in stored.items() if namespace in {None, key[0]}], self._version

    def _got(self, request: str, stored: dict[Key, Body], key: Key) -> Body:
        self._ask(request)
        return copy.deepcopy(_found(stored, key))

    def _stamp(self, later: float = 0) -> str:
        return (self.clock() + timedelta(seconds=later)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _patch(self, kind: str, stored: dict[Key, Body], key: Key, patch: list[Body]) -> Body:
        before = _found(stored, key)
        after = _patched(before, patch)
        return copy.deepcopy(before) if after == before else self._store(kind, key, after)


def _answer(body: Body, lost: ApiError | None) -> Body:
    if lost is not None:
        raise lost
    return body


def _found(stored: dict[Key, Body], key: Key) -> Body:
    if key not in stored:
        raise ApiNotFound(404, "NotFound", f"{key[1]} not found")
    return stored[key]


def _of_uid(stored: dict[Key, Body], key: Key, uid: str) -> Body:
    body = _found(stored, key)
    if body["metadata"]["uid"] != uid:
        raise ApiConflict(409, "Conflict", "the UID in the precondition does not match")
    return body


def _patched(body: Body, patch: list[Body]) -> Body:
    """A copy changed by the two operations of RFC 6902 that the operator uses."""
    result: Body = copy.deepcopy(body)
    for step in patch:
        *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
        parent: Any = result
        for part in parents:
            parent = parent[part]
        if step["op"] == "test" and parent.get(last) != step["value"]:
            raise ApiConflict(422, "Invalid", "the server rejected our request due to an error in our request")
        if step["op"] == "add":
            parent[last] = copy.deepcopy(step["value"])
    return result
