"""Processes that want to lead, on a model API server and in virtual time: never two, and soon another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cijob import election, leader
from tests.unit import virtual_time
from tests.unit.lease_world import NEVER, Fate, Process, Server, Wire, wait_for
from tests.unit.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pytest


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test whose seconds cost nothing."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  whatever the test takes
        with capture_logs():
            virtual_time.run(test(*args, **kwargs))

    return run


def processes(server: Server, count: int) -> list[Process]:
    """So many, started."""
    return [Process(f"p{number}", Wire(server)).start() for number in range(count)]


async def a_leader_and_others(server: Server, count: int = 2) -> tuple[Process, list[Process]]:
    """So many processes, of which one has been leading for a while."""
    all_of_them = processes(server, count)
    await wait_for(lambda: any(process.leads for process in all_of_them), 2)
    await asyncio.sleep(5.5)  # virtual
    (first,) = [process for process in all_of_them if process.leads]
    return first, [process for process in all_of_them if process is not first]


def any_leads(others: list[Process]) -> Callable[[], bool]:
    return lambda: any(process.leads for process in others)


@in_virtual_time
async def test_the_first_process_leads_at_once() -> None:
    (process,) = processes(Server(), 1)

    assert await wait_for(process.elector.leads.is_set, 1) < 0.1


@in_virtual_time
async def test_of_three_that_start_together_one_leads_and_goes_on() -> None:
    server = Server()
    first, others = await a_leader_and_others(server, 3)

    await asyncio.sleep(300)  # virtual

    assert first.leads
    assert server.holder == first.name
    assert not any(process.leads or process.lost for process in others)
    assert server.version > 140, "renewed every two seconds"


@in_virtual_time
async def test_after_a_kill_another_leads_within_12_seconds() -> None:
    first, others = await a_leader_and_others(Server())

    await first.kill()

    assert 7 < await wait_for(any_leads(others), 15) < 12


@in_virtual_time
async def test_after_a_clean_stop_another_leads_within_a_second_or_so() -> None:
    server = Server()
    first, others = await a_leader_and_others(server, 3)

    await first.stop()

    assert server.holder == ""
    assert await wait_for(any_leads(others), 3) < 1.1
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


@in_virtual_time
async def test_a_release_survives_a_renewal_that_was_cut_off_in_its_middle() -> None:
    server = Server()
    first = Process("p", Wire(server, [Fate(), Fate(), Fate(back=1)])).start()
    await wait_for(lambda: server.version == 2, 5)

    await first.stop()

    assert server.holder == ""


@in_virtual_time
async def test_a_follower_that_stops_does_not_touch_the_lease() -> None:
    server = Server()
    first, (other,) = await a_leader_and_others(server)

    await other.stop()

    assert server.holder == first.name


@in_virtual_time
async def test_a_leader_that_is_cut_off_ends_three_seconds_before_another_leads() -> None:
    first, others = await a_leader_and_others(Server())

    first.wire.cut = True
    ended = await wait_for(lambda: bool(first.lost), 8)
    at = now()

    assert 5 <= ended <= 7.1
    assert first.lost == ["the Lease could not be renewed for 7 s"]
    await wait_for(any_leads(others), 10)
    assert now() - at > 2.9


@in_virtual_time
async def test_the_deadline_counts_from_when_a_renewal_was_sent_and_not_from_its_answer() -> None:
    server = Server()
    process = Process("p", Wire(server, [Fate(), Fate(), Fate(there=0.01, back=1.9)])).start()
    await wait_for(lambda: server.version == 2, 5)
    sent = now()
    await asyncio.sleep(1.95)  # virtual: the answer is there
    process.wire.cut = True

    await wait_for(lambda: not process.leads, 8)

    assert now() - sent < 7.05


@in_virtual_time
async def test_an_api_server_that_is_away_for_five_seconds_changes_nothing() -> None:
    server = Server()
    first, others = await a_leader_and_others(server)
    server.down = True
    await asyncio.sleep(4.5)  # virtual
    server.down = False
    await asyncio.sleep(30)  # virtual

    assert first.leads
    assert not any(process.lost for process in others)


@in_virtual_time
async def test_after_five_minutes_without_an_api_server_a_follower_leads_and_none_but_the_leader_ended() -> None:
    server = Server()
    first, others = await a_leader_and_others(server, 3)
    server.down = True
    await asyncio.sleep(300)  # virtual
    assert first.lost
    assert not any(process.leads or process.lost for process in others)

    server.down = False

    assert await wait_for(any_leads(others), 20) < 6


@in_virtual_time
async def test_a_process_that_was_stopped_for_long_writes_no_more() -> None:
    first, _ = await a_leader_and_others(Server())
    first.elector.check()
    assert not first.lost

    first.ahead += 7  # time passes, and its timers have not run yet

    first.elector.check()
    assert first.lost == ["its time was over before a write"]


@in_virtual_time
async def test_a_follower_may_not_write() -> None:
    _, (other,) = await a_leader_and_others(Server())

    other.elector.check()

    assert other.lost


@in_virtual_time
async def test_an_answer_that_was_lost_does_not_cost_the_lease() -> None:
    server = Server()
    process = Process("p", Wire(server, [Fate(), Fate(back=NEVER), Fate(), Fate(), Fate(back=NEVER)])).start()

    assert await wait_for(lambda: process.leads, 10) < 4, "the creation's answer was lost"
    await asyncio.sleep(30)  # virtual
    assert process.leads
    assert not process.lost


@in_virtual_time
async def test_a_lease_that_somebody_else_took_ends_the_leader_at_its_next_renewal() -> None:
    server = Server()
    first, _ = await a_leader_and_others(server, 1)
    assert server.lease is not None
    server.replace({**server.lease, "spec": {"holderIdentity": "somebody"}})

    await wait_for(lambda: bool(first.lost), 3)
    assert first.lost == ["somebody holds the Lease"]


@in_virtual_time
async def test_a_lease_that_is_deleted_ends_the_leader_and_frees_nothing_before_its_time() -> None:
    server = Server()
    first, others = await a_leader_and_others(server)
    server.lease = None

    await wait_for(lambda: bool(first.lost), 3)
    assert first.lost == ["the Lease was deleted"]
    assert await wait_for(any_leads(others), 15) > 5


@in_virtual_time
async def test_a_lease_without_namespace_is_no_busy_loop() -> None:
    server = Server()
    tries = 0

    def refuse(body: dict[str, Any]) -> dict[str, Any]:
        nonlocal tries
        tries += bool(body)
        return server.get()  # 404

    server.create = refuse  # type: ignore[method-assign]  # a namespace that is not there
    (process,) = processes(server, 1)
    with capture_logs() as logs:
        await asyncio.sleep(60)  # virtual

    assert not process.lost
    assert 10 < tries < 16
    assert {line["event"] for line in logs} == {"cannot write the Lease: trying again"}


def test_identities_differ_and_name_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pod-1")

    first, second = leader.identity(), leader.identity()

    assert first != second
    assert first.startswith("pod-1_")


def test_the_clock_goes_forward() -> None:
    assert leader.clock() <= leader.clock()


# --- whatever happens

SECONDS = st.sampled_from([0.001, 0.01, 0.3, 1.0, 1.9, 2.1, 5.0, 8.0, 13.0, NEVER])
FATES = st.lists(st.builds(Fate, there=SECONDS, back=SECONDS), max_size=40)


@dataclass(frozen=True)
class Blow:
    """Something that happens to a process after a while."""

    after: float
    number: int
    what: str


BLOWS = st.lists(
    st.builds(
        Blow,
        after=st.floats(0, 14),
        number=st.integers(0, 2),
        what=st.sampled_from(["cut", "heal", "kill", "stop", "down", "up"]),
    ),
    max_size=14,
)


class World:
    """Three places where processes run and are started anew, and what must never happen."""

    def __init__(self, fates: list[list[Fate]], rates: list[float], margin: float) -> None:
        self.server = Server(on_change=self._changed)
        self.fates, self.rates, self.margin = fates, rates, margin
        self.started = 0
        self.writers: list[str] = []
        self.wrong: list[str] = []
        self.processes = [self._new(number) for number in range(len(fates))]

    def _new(self, number: int) -> Process:
        self.started += 1
        wire = Wire(self.server, self.fates[number])
        self.fates[number] = []
        return Process(f"p{number}-{self.started}", wire, 1000.0 * number, self.rates[number], self._wrote).start()

    def _changed(self, before: str, after: str) -> None:
        done = {after, before if after == "" else ""}
        for process in self.processes:
            if process.name not in done and process.stops_within > -self.margin:
                self.wrong.append(f"{after} takes over, {process.name} ends in {process.stops_within} s")

    def _wrote(self, process: Process) -> None:
        if not self.writers or self.writers[-1] != process.name:
            if process.name in self.writers:
                self.wrong.append(f"{process.name} writes although {self.writers[-1]} did")
            self.writers.append(process.name)

    async def strike(self, blow: Blow) -> None:
        """Something happens."""
        await asyncio.sleep(blow.after)  # virtual
        process = self.processes[blow.number]
        match blow.what:
            case "cut" | "heal":
                process.wire.cut = blow.what == "cut"
            case "down" | "up":
                self.server.down = blow.what == "down"
            case "kill":
                await process.kill()
            case _:
                await process.stop()
        self._restart()

    def _restart(self) -> None:
        for number, process in enumerate(self.processes):
            if not process.runs:
                self.processes[number] = self._new(number)

    async def comes_to_rest(self) -> None:
        """When all is well again, one leads before long."""
        self.server.down = False
        self._restart()
        for process in self.processes:
            process.wire.cut = False
            process.wire._fates.clear()
        await asyncio.sleep(60)  # virtual
        self._restart()
        await asyncio.sleep(30)  # virtual
        assert [process.name for process in self.processes if process.leads] == [self.server.holder]


async def _whatever_happens(fates: list[list[Fate]], blows: list[Blow], rates: list[float], margin: float) -> None:
    world = World(fates, rates, margin)
    for blow in blows:
        await world.strike(blow)
    await world.comes_to_rest()
    assert world.wrong == []
    for process in world.processes:
        await process.kill()


@settings(deadline=None, max_examples=100)
@given(fates=st.lists(FATES, min_size=3, max_size=3), blows=BLOWS)
@example(
    fates=[[Fate(), Fate(), Fate(), Fate(), Fate(there=8)], [], []], blows=[Blow(5, 0, "cut"), Blow(20, 0, "heal")]
)
def test_never_two_and_three_seconds_between(fates: list[list[Fate]], blows: list[Blow]) -> None:
    with capture_logs():
        virtual_time.run(_whatever_happens(fates, blows, [1.0, 1.0, 1.0], election.LEASE - election.RENEW_DEADLINE))


@settings(deadline=None, max_examples=50)
@given(
    fates=st.lists(FATES, min_size=3, max_size=3),
    blows=BLOWS,
    rates=st.lists(st.floats(0.85, 1.15), min_size=3, max_size=3),
)
def test_never_two_with_clocks_that_run_differently(
    fates: list[list[Fate]], blows: list[Blow], rates: list[float]
) -> None:
    with capture_logs():
        virtual_time.run(_whatever_happens(fates, blows, rates, 0.0))
