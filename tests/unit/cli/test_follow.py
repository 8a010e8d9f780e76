from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob import names
from cijob.cli.errors import CliError
from cijob.cli.follow.follow import Outcome, follow
from cijob.errors import ApiError, ApiExpired, ApiNotFound, ApiUnavailable
from cijob.models import Phase
from tests.unit import virtual_time
from tests.unit.cli.kubelet import NANO, LogFile
from tests.unit.cli.test_lines import T0
from tests.unit.cli.test_logstream import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cijob.cli.api import Api
    from cijob.cli.files.transfer import Transfer

Body = dict[str, Any]
UID = "0c5b1b9e-7d3c-4f7e-9c4e-1f1f3d3b0c11"
GONE = ApiUnavailable(0, "", "no route")


@dataclass
class World:
    """A FAKE API server: a CiJob, its Pods and their logs, as they were at times; watches end after `broken` events."""

    job: Body = field(default_factory=lambda: {"metadata": {"name": "x", "uid": UID}, "spec": {}, "status": {}})
    pods: dict[str, Body] = field(default_factory=dict)
    logs: dict[str, LogFile] = field(default_factory=dict)
    broken: int = 100
    errors: list[Exception] = field(default_factory=list)
    cancels: list[tuple[str, str, str]] = field(default_factory=list)
    forbidden: frozenset[str] = frozenset()
    silent: bool = False
    deleted: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()

    async def change(self, seconds: float, *, job: Body | None = None, pod: tuple[int, str] | None = None) -> None:
        """After so many seconds: a new status of the CiJob, a state of an attempt's container."""
        await asyncio.sleep(seconds)
        if job is not None:
            self.job = deepcopy(self.job)
            self.job["status"] |= job
        if pod is not None:
            number, state = pod
            name = names.pod_name("x", UID, number)
            self.logs.setdefault(name, LogFile())
            self.pods[name] = {
                "metadata": {"name": name, "uid": name},
                "spec": {"nodeName": "node1", "containers": [{"name": "job", "image": "ubuntu"}]},
                "status": {"containerStatuses": [{"name": "job", "state": {state: {}}}]},
            }
        self.version += 1
        async with self._changed:
            self._changed.notify_all()

    def objects(self, path: str) -> list[Body]:
        found = deepcopy(list(self.pods.values()) if path.endswith("/pods") else [self.job] * (not self.deleted))
        for body in found:
            body["metadata"]["resourceVersion"] = str(self.version)
        return found

    async def list_all(self, path: str, _selector: object) -> tuple[list[Body], int]:
        await asyncio.sleep(0.01)
        kind = path.rpartition("/")[2]
        if kind in self.forbidden:
            raise ApiError(403, "Forbidden", f"cannot list {kind}")
        if self.errors:
            raise self.errors.pop()
        return self.objects(path), self.version

    async def watch(self, path: str, version: int, _selector: object) -> AsyncIterator[Body]:
        for _ in range(self.broken):
            async with self._changed:
                await self._changed.wait_for(lambda: self.version > version)  # noqa: B023  awaited at once
            version = self.version
            for body in self.objects(path):
                yield {"type": "MODIFIED", "object": body}
            if self.deleted and not path.endswith("/pods"):
                gone = deepcopy(self.job)
                gone["metadata"]["resourceVersion"] = str(version)
                yield {"type": "DELETED", "object": gone}
        raise self.errors.pop() if self.errors else ApiUnavailable(0, "", "broken")

    async def send(self, _method: str, path: str, query: dict[str, str], *, limits: object) -> Response:
        del limits
        await asyncio.sleep(0.01)
        if "log" in self.forbidden:
            raise ApiError(403, "Forbidden", "cannot get pods/log")
        pod = path.split("/")[-2]
        if query["follow"] == "true":
            async with self._changed:
                await self._changed.wait_for(lambda: self._ended(pod) and not self.silent)
        return Response(self.logs[pod].answer(query.get("sinceTime")), None)

    async def get_pod(self, _namespace: str, name: str) -> Body:
        if "pods" in self.forbidden:
            raise ApiError(403, "Forbidden", "cannot get pods")
        if name not in self.pods:
            raise ApiNotFound(404, "NotFound", "no such Pod")
        return self.pods[name]

    async def cancel_job(self, _namespace: str, name: str, uid: str, mode: str) -> Body:
        self.cancels.append((name, uid, mode))
        return {}

    def _ended(self, pod: str) -> bool:
        return "terminated" in self.pods[pod]["status"]["containerStatuses"][0]["state"]

    def write(self, number: int, *lines: bytes) -> None:
        """Lines of an attempt's log."""
        log = self.logs.setdefault(names.pod_name("x", UID, number), LogFile())
        for line in lines:
            log.write((T0 + len(log.lines) * NANO, line))


@dataclass
class Seen:
    """A View that remembers."""

    what: list[tuple[str, object]] = field(default_factory=list)

    def progress(self, text: str) -> None:
        if ("progress", text) not in self.what[-1:]:
            self.what.append(("progress", text))

    def line(self, data: bytes) -> None:
        self.what.append(("line", data))

    def note(self, text: str) -> None:
        self.what.append(("note", text))

    def attempt(self, number: int) -> None:
        self.what.append(("attempt", number))

    def all(self, kind: str) -> list[object]:
        return [value for one, value in self.what if one == kind]


async def followed(world: World, *changes: Any, transfer: Any = None) -> tuple[Outcome, Seen]:  # noqa: ANN401  coroutines of `change`; a FAKE
    async def happen() -> None:
        for change in changes:
            await change

    seen, api = Seen(), world
    happening = asyncio.ensure_future(happen())
    real: Api = api  # type: ignore[assignment]  # FAKE
    moved: Transfer | None = transfer
    try:
        return await follow(real, "ns", "x", UID, seen, transfer=moved), seen
    finally:
        happening.cancel()
        await asyncio.gather(happening, return_exceptions=True)


FAILED: Body = {"phase": "Failed", "reason": "ScriptFailed", "message": "The job failed.", "exitCode": 7, "attempt": 1}
DONE: Body = {"phase": "Succeeded", "reason": "Completed", "message": "The job succeeded.", "exitCode": 0}


async def through_one_attempt(world: World, seconds: float = 1) -> tuple[Outcome, Seen]:
    """What was shown of an attempt that ran for so long and succeeded."""
    return await followed(
        world,
        world.change(1, pod=(1, "running")),
        world.change(seconds, pod=(1, "terminated")),
        world.change(1, job=DONE),
    )


def test_a_job_is_followed_from_its_creation_to_its_end() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World()
        world.write(1, b"one\n", b"two\n")
        return await followed(
            world,
            world.change(1, job={"phase": "Queued", "reason": "PoolAtCapacity", "message": "The pool is full."}),
            world.change(1, pod=(1, "waiting")),
            world.change(1, pod=(1, "running")),
            world.change(1, job={"phase": "Running", "attempt": 1}),
            world.change(1, pod=(1, "terminated")),
            world.change(1, job=FAILED),
        )

    outcome, seen = virtual_time.run(run())
    assert outcome == Outcome(Phase.FAILED, "ScriptFailed", "The job failed.", 7, 1)
    assert seen.all("line") == [b"one\n", b"two\n"]
    assert seen.all("attempt") == [1]
    assert list(dict.fromkeys(seen.all("progress"))) == [
        "waiting for the operator",
        "queued: The pool is full.",
        "pulling or starting the job's container (ubuntu) on node1",
        "waiting for the Docker daemon",
        "the script has ended: waiting for the verdict",
        "",
    ]


@settings(deadline=None)
@given(
    st.integers(0, 3),
    st.lists(st.sampled_from([GONE, ApiExpired(410, "", ""), ApiUnavailable(503, "", "")]), max_size=12),
)
def test_broken_watches_and_refused_lists_change_nothing(broken: int, errors: list[Exception]) -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World(broken=broken, errors=list(errors))
        world.write(1, b"one\n")
        return await through_one_attempt(world, seconds=3)

    outcome, seen = virtual_time.run(run())
    assert outcome.phase is Phase.SUCCEEDED
    assert seen.all("line") == [b"one\n"]


def test_every_attempt_is_shown_also_one_that_came_and_went_unseen() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World()
        for number in (1, 2, 3):
            world.write(number, f"attempt {number}\n".encode())
        return await followed(
            world,
            world.change(1, pod=(1, "running")),
            world.change(1, pod=(1, "terminated")),
            world.change(0, pod=(2, "terminated")),
            world.change(0, pod=(3, "running"), job={"phase": "Running", "attempt": 3}),
            world.change(1, pod=(3, "terminated")),
            world.change(1, job=DONE | {"attempt": 3}),
        )

    outcome, seen = virtual_time.run(run())
    assert (outcome.attempt, seen.all("attempt")) == (3, [1, 2, 3])
    assert seen.all("line") == [b"attempt 1\n", b"attempt 2\n", b"attempt 3\n"]


def test_an_attempt_that_never_started_has_no_log() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World()
        return await followed(world, world.change(1, pod=(1, "waiting")), world.change(1, job=FAILED))

    outcome, seen = virtual_time.run(run())
    assert outcome.phase is Phase.FAILED
    assert not seen.all("attempt")


def test_the_rest_of_a_log_is_read_on_a_new_connection_when_the_old_one_is_dead() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World(silent=True)
        world.write(1, b"one\n")
        return await through_one_attempt(world)

    outcome, seen = virtual_time.run(run())
    assert outcome.phase is Phase.SUCCEEDED
    assert seen.all("line") == [b"one\n"]


def test_a_pod_that_went_before_it_was_seen_is_told_of() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World()
        return await followed(world, world.change(1, job=FAILED | {"attempts": [{"attempt": 1}]}))

    _, seen = virtual_time.run(run())
    assert seen.all("note") == ["the Pod of attempt 1 is gone, and its log with it"]


@pytest.mark.parametrize("forbidden", [{"pods"}, {"log"}])
def test_without_the_right_to_read_pods_or_logs_the_outcome_is_still_told(forbidden: set[str]) -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World(forbidden=frozenset(forbidden))
        return await through_one_attempt(world)

    outcome, seen = virtual_time.run(run())
    assert outcome.phase is Phase.SUCCEEDED
    assert len(seen.all("note")) == 1
    assert "log cannot be shown" in str(seen.all("note")[0])


def test_a_server_that_is_gone_for_long_is_given_up_and_the_job_goes_on() -> None:
    async def run() -> None:
        await followed(World(errors=[GONE] * 1000))

    with pytest.raises(CliError) as caught:
        virtual_time.run(run())
    assert caught.value.message == "lost sight of x: no route"
    assert caught.value.hint == "The job goes on without you: `cijob logs x -n ns -f` looks again."


def test_a_job_that_is_deleted_meanwhile_has_no_outcome() -> None:
    async def run() -> None:
        world = World()

        async def delete() -> None:
            world.deleted = True
            await world.change(0)

        await followed(world, world.change(1, pod=(1, "waiting")), delete())

    with pytest.raises(CliError, match="was deleted before its end"):
        virtual_time.run(run())


def test_that_no_operator_looks_is_told_once() -> None:
    async def run() -> tuple[Outcome, Seen]:
        world = World()
        return await followed(world, world.change(60, job=FAILED))

    _, seen = virtual_time.run(run())
    assert seen.all("note") == ["no operator has looked at the job yet: `cijob doctor` tells whether one is alive"]


class Files:
    """A FAKE transfer: lines with a mark are its own."""

    def __init__(self, error: CliError | None = None) -> None:
        self.pods: list[str] = []
        self._error = error

    async def started(self, _api: object, _namespace: str, pod: str) -> None:
        self.pods.append(pod)
        if self._error is not None:
            raise self._error

    def shown(self, line: bytes) -> bytes:
        return b"" if b"mark" in line else line


def test_a_transfer_is_told_of_each_attempt_and_its_lines_are_not_shown() -> None:
    files = Files()

    async def run() -> tuple[Outcome, Seen]:
        world = World()
        world.write(1, b"mark 1\n", b"one\n")
        world.write(2, b"two\n", b"mark 2\n")
        return await followed(
            world,
            world.change(1, pod=(1, "running")),
            world.change(1, pod=(1, "terminated")),
            world.change(1, pod=(2, "running"), job={"phase": "Running", "attempt": 2}),
            world.change(1, pod=(2, "terminated")),
            world.change(1, job=DONE | {"attempt": 2}),
            transfer=files,
        )

    _, seen = virtual_time.run(run())
    assert seen.all("line") == [b"one\n", b"two\n"]
    assert files.pods == [names.pod_name("x", UID, number) for number in (1, 2)]


def test_a_job_that_waits_for_its_files_in_vain_is_cancelled() -> None:
    world: list[World] = []

    async def run() -> None:
        world.append(World())
        files = Files(CliError("the image has no tar"))
        await followed(world[0], world[0].change(1, pod=(1, "running")), transfer=files)

    with pytest.raises(CliError, match="the image has no tar"):
        virtual_time.run(run())
    assert world[0].cancels == [("x", UID, "Immediate")]


@pytest.mark.parametrize(
    ("phase", "exit_code", "code"),
    [
        (Phase.SUCCEEDED, 0, 0),
        (Phase.FAILED, 7, 7),
        (Phase.FAILED, None, 1),
        (Phase.FAILED, 0, 1),
        (Phase.CANCELLED, 143, 130),
    ],
)
def test_the_exit_code_of_a_command_is_the_jobs(phase: Phase, exit_code: int | None, code: int) -> None:
    assert Outcome(phase, "", "", exit_code, 1).code == code
