"""Leader and follower: who decides, when, and what health says, on a fake API server in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.leader import Elector, Place
from cijob.operation import Operator
from cijob.pods import PodWatch
from cijob.poolstatus import PoolReporter
from cijob.pulse import Pulse
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit import virtual_time
from tests.unit.builders import JOB_KEY, POD_KEY, Body, a_cijob, a_pod, at
from tests.unit.fake_cluster import FakeCluster
from tests.unit.lease_world import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cijob.jobs import JobWatch

AWAY = ApiUnavailable(0, "", "connection refused")


class Api(FakeCluster):
    """A FAKE with one Lease, and a watch that tells nothing and ends every minute."""

    def __init__(self, holder: str = "") -> None:
        super().__init__()
        self.store_pool()
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 10}
        self.lease: Body = {"metadata": {"resourceVersion": "1"}, "spec": spec}
        self.away = False

    async def get_lease(self, namespace: str, name: str) -> Body:  # noqa: ARG002  there is one
        """GET."""
        if self.away:
            raise AWAY
        return self.lease

    async def replace_lease(self, lease: Body) -> Body:
        """PUT."""
        if self.away:
            raise AWAY
        version = str(int(self.lease["metadata"]["resourceVersion"]) + 1)
        self.lease = {"metadata": {**lease["metadata"], "resourceVersion": version}, "spec": lease["spec"]}
        return self.lease

    async def list_pods(self, namespace: str | None) -> tuple[list[Body], int]:
        """LIST."""
        if self.away:
            raise AWAY
        return await super().list_pods(namespace)

    async def watch_pods(self, namespace: str | None, version: int) -> AsyncIterator[Body]:  # noqa: ARG002  all
        """WATCH."""
        if self.away:
            raise AWAY
        await asyncio.sleep(60)  # virtual
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


class QuietJobs:
    """A FAKE in kopf's place: tells nothing, and is well unless a test says otherwise."""

    def __init__(self) -> None:
        self.turns: dict[str | None, Pulse] = {None: Pulse()}
        self.heard: dict[str | None, Pulse] = {None: Pulse()}
        self.heard_pools = Pulse()

    async def run(self) -> None:
        """Nothing, for ever."""
        await asyncio.Event().wait()


def an_operator(api: Api) -> Operator:
    """An operator that talks to the fake."""
    queue = WorkQueue()
    reconciler = Reconciler(api, queue, Settings(), lambda: at(0))
    elector = Elector(api, Place("ns", "lease"), "me", lambda _: None, virtual_time.now)
    api.before_write = elector.check
    jobs = cast("JobWatch", QuietJobs())
    watch = PodWatch(api, reconciler, None, lambda pod: queue.add((pod.namespace, pod.owner_name or "")))
    reporter = PoolReporter(api, reconciler.pools, reconciler.admitter, lambda: at(0))
    return Operator(Settings(), reconciler, queue, jobs, [watch], elector, reporter)


@asynccontextmanager
async def running(operator: Operator) -> AsyncIterator[None]:
    """While it runs."""
    with capture_logs():
        task = asyncio.create_task(operator.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def writes(api: Api) -> list[str]:
    return [request for request in api.requests if request.split()[0] in {"POST", "PATCH", "DELETE"}]


def test_a_leader_lists_everything_once_more_and_then_decides() -> None:
    async def story() -> None:
        api = Api()
        api.store_job(a_cijob())
        operator = an_operator(api)
        async with running(operator):
            await wait_for(lambda: "POST pod" in api.requests, 5)
        before = api.requests[: api.requests.index("POST pod")]
        lists = ["LIST pool", "LIST pod", "LIST job"]
        assert [request for request in before if "LIST" in request] == ["LIST pod", "LIST pool", "LIST job", *lists], (
            "the last three since it leads"
        )

    virtual_time.run(story())


def test_a_follower_has_warm_caches_is_ready_and_writes_nothing() -> None:
    async def story() -> None:
        api = Api(holder="another")
        api.store_job(a_cijob())
        operator = an_operator(api)
        async with running(operator):
            assert operator.ready() == "CiJobs and Pods were not listed yet"
            for _ in range(30):  # the other one renews
                await asyncio.sleep(1)  # virtual
                api.lease["metadata"]["resourceVersion"] += "0"
                operator.jobs.heard[None].beat()
                operator.queue.add(JOB_KEY)
            assert operator.reconciler.jobs.get(JOB_KEY) is not None
            assert operator.ready() is None
            assert operator.alive() is None
            assert not operator.decides
            assert writes(api) == []

    virtual_time.run(story())


def test_a_follower_decides_soon_after_the_leader_let_go_and_works_on_every_job() -> None:
    async def story() -> None:
        api = Api(holder="another")
        names = ["one", "two", "three"]
        for name in names:
            api.store_job(a_cijob().with_meta(name=name, uid=name))
        operator = an_operator(api)
        async with running(operator):
            await asyncio.sleep(5)  # virtual
            api.lease = {"metadata": {"resourceVersion": "9"}, "spec": {"holderIdentity": ""}}
            assert await wait_for(lambda: len(api.pods) == len(names), 3) < 1.5

    virtual_time.run(story())


def test_what_is_gone_is_forgotten_by_followers_too() -> None:
    async def story() -> None:
        api = Api(holder="another")
        operator = an_operator(api)
        jobs, pods = operator.reconciler.jobs, operator.reconciler.pods
        async with running(operator):
            await wait_for(operator.listed.is_set, 5)
            jobs.observe(a_cijob().with_meta(resourceVersion="5").body)
            jobs.remove(a_cijob().with_meta(resourceVersion="6").body)
            pods.observe(a_pod().version(5).pod)
            pods.remove(a_pod().version(6).pod)
            assert pods.removed(POD_KEY) is not None

            operator.queue.add(JOB_KEY)

            await wait_for(lambda: pods.removed(POD_KEY) is None, 1)

    virtual_time.run(story())


def test_an_api_server_that_is_away_makes_it_unready_but_never_dead() -> None:
    async def story() -> None:
        api = Api(holder="another")  # a leader would end, once
        operator = an_operator(api)
        async with running(operator):
            await wait_for(operator.listed.is_set, 5)
            operator.jobs.heard[None].beat()
            api.away = True
            for _ in range(30):
                await asyncio.sleep(10)  # virtual: five minutes
                operator.jobs.turns[None].beat()  # kopf tries too
                assert operator.alive() is None
            assert "no word of CiJobs for" in str(operator.ready())
            operator.jobs.heard[None].beat()
            assert "no word of Pods for" in str(operator.ready())

            api.away = False
            await asyncio.sleep(100)  # virtual
            operator.jobs.heard[None].beat()
            assert operator.ready() is None

    virtual_time.run(story())


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("jobs", "the watch of CiJobs has done nothing"),
        ("pods", "the watch of Pods has"),
        ("elector", "the election has"),
    ],
)
def test_a_part_that_does_nothing_for_three_minutes_is_dead(part: str, problem: str) -> None:
    async def story() -> None:
        operator = an_operator(Api())
        pulses = {
            "jobs": operator.jobs.turns[None],
            "pods": operator.pods[0].turns,
            "elector": operator.elector.turns,
        }
        for pulse in pulses.values():
            pulse.beat()
        await asyncio.sleep(179)  # virtual
        assert operator.alive() is None
        await asyncio.sleep(2)  # virtual
        for name, pulse in pulses.items():
            if name != part:
                pulse.beat()
        assert str(operator.alive()).startswith(problem)

    virtual_time.run(story())


def test_work_that_takes_two_minutes_is_stuck() -> None:
    async def story() -> None:
        api = Api()
        operator = an_operator(api)

        async def hang(_: object) -> None:
            await asyncio.sleep(1000)  # virtual

        task = asyncio.create_task(operator.queue.run(hang, 1))
        operator.queue.add(JOB_KEY)
        await asyncio.sleep(119)  # virtual
        assert operator.alive() is None
        await asyncio.sleep(2)  # virtual
        assert operator.alive() == "work on a CiJob takes 121 s"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    virtual_time.run(story())


def test_a_list_that_fails_as_it_begins_to_lead_is_tried_again_before_anything_is_decided() -> None:
    async def story() -> None:
        api = Api(holder="another")
        api.store_job(a_cijob())
        operator = an_operator(api)
        async with running(operator):
            await wait_for(operator.listed.is_set, 5)
            api.refuse("LIST job", ApiNotFound(404, "NotFound", "not yet"), times=3)
            api.refuse("LIST pod", ApiError(500, "", "not yet"), times=2)
            api.lease = {"metadata": {"resourceVersion": "9"}, "spec": {"holderIdentity": ""}}
            await wait_for(lambda: bool(writes(api)), 60)
        since = api.requests[3 : api.requests.index("POST pod")]
        tries = ["LIST pool", "LIST pod"] * 2 + ["LIST pool", "LIST pod", "LIST job"] * 4
        assert [request for request in since if "LIST" in request] == tries

    virtual_time.run(story())
