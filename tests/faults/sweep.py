"""The sweep: each scenario without faults, then with one fault at a time; an oracle compares (Sieve, OSDI'22)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tests.faults.injections import Company, Injection, answers, events, frozen, kills, stale
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.takeover import takeover

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.api import Body
    from tests.faults.case import Case
    from tests.faults.records import Event, Record
    from tests.faults.world import Lab, World

GROUPS: Final = {
    "kills": kills,
    "stale": stale,
    "frozen": frozen,
    "answers": answers,
    "events": events,
    "takeover": takeover,
}
#: Writes of a CiJob beyond those of the run without faults. Done: the one that was struck once more, and what a slow start or a
#: second look adds. Refused: those on an old version while news is late; the pause before the next doubles each time.
EXTRA_WRITES: Final = 3
REFUSED_WRITES: Final = 5
#: Seconds in which a run must come to its end, the operator's restart included. Without faults: 2 to 4.
SECONDS: Final = 60.0
#: Worlds at once, CiJobs of one operator at once, and CiJobs of one operator, or of two, one after the other.
_WORLDS: Final = 8
_CASES: Final = 20
_TURNS: Final = 8
_TEAM_TURNS: Final = 4


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a scenario comes to without faults."""

    end: dict[str, Any]
    verdicts: list[str]
    pods: list[int]
    writes: list[Record]
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault led to."""

    scenario: str
    group: str
    kind: str
    target: str
    #: Whether the fault happened at all: a run may come to its end without the request or event it was for.
    struck: bool
    seconds: float
    extra_writes: int
    problems: tuple[str, ...]
    #: The operator's writes, for problems only.
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.scenario}: {self.kind} {self.target}", *self.problems, *self.evidence]
        return "\n    ".join(lines)


class Sweep:
    """Runs parts of the sweep at once, as far as the machine bears it; keeps all results."""

    def __init__(self, lab: Lab) -> None:
        self.results: list[Result] = []
        self._lab = lab
        self._worlds = asyncio.Semaphore(_WORLDS)
        self._baselines: dict[str, asyncio.Task[Baseline]] = {}

    def baseline(self, scenario: Scenario) -> asyncio.Task[Baseline]:
        """The run without faults: made once."""
        if scenario.name not in self._baselines:
            self._baselines[scenario.name] = asyncio.create_task(self._measure(scenario))
        return self._baselines[scenario.name]

    async def group(self, scenario_name: str, group: str) -> list[Result]:
        """All faults of a group in one scenario."""
        scenario = SCENARIOS[scenario_name]
        baseline = await self.baseline(scenario)
        faults = GROUPS[group](baseline.writes, baseline.events)
        shares = [[fault] for fault in faults if fault.company is Company.NONE]
        shares += [[fault for fault in faults if fault.company is Company.MANY]]
        for company, length in ((Company.TURNS, _TURNS), (Company.TEAM, _TEAM_TURNS)):
            turns = [fault for fault in faults if fault.company is company]
            shares += [turns[begin : begin + length] for begin in range(0, len(turns), length)]
        found = await asyncio.gather(*(self._share(scenario, group, share, baseline) for share in shares if share))
        return [result for results in found for result in results]

    async def _measure(self, scenario: Scenario) -> Baseline:
        async with self._worlds, self._lab.world() as world:
            case = world.case(f"{scenario.name}-0")
            await scenario.drive(case)
            rested = await case.at_rest(SECONDS)
            made = Baseline(case.end_state(), case.verdicts(), case.pods_ever(), case.writes(), case.events())
        job = made.end["job"]
        ended = job if isinstance(job, str) else job.get("phase")
        complaints = world.complaints()
        assert rested, f"{scenario.name} does not come to an end without faults: {made.end} {complaints}"
        assert ended == scenario.end, f"{scenario.name} without faults: {made.end} {complaints}"
        assert not complaints, f"{scenario.name} without faults: {complaints}"
        return made

    async def _share(self, scenario: Scenario, group: str, faults: list[Injection], baseline: Baseline) -> list[Result]:
        """Try faults with one operator for all."""
        many, team = faults[0].company is Company.MANY, faults[0].company is Company.TEAM
        at_once = asyncio.Semaphore(_CASES // scenario.jobs if many else 1)

        async def one(world: World, number: int, fault: Injection) -> Result:
            async with at_once:
                case = world.case(f"{scenario.name}-{number}")
                result = await self._try(case, scenario, group, fault, baseline)
                await case.delete()
                if many:
                    return result
                for seat in world.seats:
                    seat.proxy.rules.clear()
                again = () if not team or await world.ready() else ("the operators are not ready again",)
                return _with(result, [*again, *world.complaints()])

        async with self._worlds, self._lab.world(2 if team else 1) as world:
            results = await asyncio.gather(*(one(world, number, fault) for number, fault in enumerate(faults, 1)))
        # Of many at once it is not known whose it is; or it is of the operator's stop.
        results[-1] = _with(results[-1], world.complaints())
        self.results += results
        return results

    async def _try(self, case: Case, scenario: Scenario, group: str, fault: Injection, baseline: Baseline) -> Result:
        rule = fault.arm(case)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await scenario.drive(case)
        rested = await case.at_rest(SECONDS)
        problems = list(_judge(case, baseline, rested=rested))
        return Result(
            scenario.name, group, fault.kind, fault.target,
            struck=rule.struck > 0,
            seconds=round(loop.time() - began, 1),
            extra_writes=len(case.writes()) - len(baseline.writes),
            problems=tuple(problems),
            evidence=tuple(map(str, case.writes())) if problems else (),
        )  # fmt: skip


def _judge(case: Case, baseline: Baseline, *, rested: bool) -> Iterable[str]:
    """The oracle."""
    end = case.end_state()
    if not rested:
        yield f"no end after {SECONDS:.0f} s"
    if end != baseline.end:
        yield f"end state: {json.dumps(end)}; without faults: {json.dumps(baseline.end)}"
    if case.verdicts() != baseline.verdicts:
        yield f"verdicts written: {case.verdicts()}; without faults: {baseline.verdicts}"
    for uid in case.owners:
        if (ended := case.world.lab.ended.get(uid)) is not None and (lie := untruthful(ended)):
            yield lie
    if case.heir is not None and case.heir is not case.world.leader:
        yield "nobody took over"
    yield from _too_many_pods(case, case.pods_ever(), baseline.pods)
    done = sum(write.landed for write in case.writes())
    refused = len(case.writes()) - done
    jobs = len(case.everyone)
    if done > len(baseline.writes) + EXTRA_WRITES * jobs or refused > REFUSED_WRITES * jobs:
        yield f"{done} writes done and {refused} refused; without faults: {len(baseline.writes)}"


def _too_many_pods(case: Case, made: list[int], expected: list[int]) -> Iterable[str]:
    if case.most_alive() > 1:
        yield f"{case.most_alive()} Pods of one CiJob lived at once"
    if case.most_in_pool() > 1:
        yield f"{case.most_in_pool()} Pods lived at once in a pool that has room for one"
    if any(count > most for count, most in zip(made, expected, strict=True)):
        yield f"Pods made for each CiJob: {made}; without faults: {expected}"


def untruthful(job: Body) -> str | None:
    """What is wrong with a verdict, given the CiJob as it was stored with it: it is `Cancelled` if a cancel came before, and only then."""
    phase, cancel = job["status"]["phase"], job["spec"].get("cancel")
    if (phase == "Cancelled") == (cancel is not None):
        return None
    return f"the verdict {phase} was stored on a CiJob " + (
        f"with cancel: {cancel}" if cancel else "that nobody cancelled"
    )


def _with(result: Result, complaints: list[str]) -> Result:
    """A result with what the operator's process said."""
    told = (f"the operator: {line[:600]}" for line in complaints[:5])
    return replace(result, problems=(*result.problems, *told))


# --- the tally ------------------------------------------------------------------------------------------------------------


def tally(results: list[Result]) -> dict[str, Any]:
    """Faults tried and survived, by kind, and all failures with their evidence; to be written as JSON."""
    tried: Counter[str] = Counter(one.kind for one in results if one.struck)
    failed: Counter[str] = Counter(one.kind for one in results if one.struck and one.problems)
    missed: Counter[str] = Counter(one.kind for one in results if not one.struck)
    kinds = {
        kind: {"tried": tried[kind], "survived": tried[kind] - failed[kind], "did_not_happen": missed[kind]}
        for kind in dict.fromkeys(one.kind for one in results)
    }
    return {
        "tried": tried.total(),
        "survived": tried.total() - failed.total(),
        "scenarios": sorted({one.scenario for one in results}),
        "most_extra_writes": max((one.extra_writes for one in results), default=0),
        "slowest_seconds": max((one.seconds for one in results), default=0.0),
        "kinds": kinds,
        "failures": [asdict(one) for one in results if one.problems],
    }


def table(summary: dict[str, Any]) -> str:
    """The tally for people."""
    rows = [("fault", "tried", "survived", "did not happen")]
    rows += [(kind, *map(str, counts.values())) for kind, counts in summary["kinds"].items()]
    rows.append(("all", str(summary["tried"]), str(summary["survived"]), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
