from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.cli.follow.logstream import LogStream
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from tests.unit import virtual_time
from tests.unit.cli.kubelet import NANO, LogFile
from tests.unit.cli.test_lines import T0, log_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cijob.cli.api import Api

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """How the FAKE API server answers one request for a log: with so many bytes (None: all), and then this error."""

    size: int | None = None
    error: Exception | None = None
    refusal: ApiError | None = None


WHOLE = Answer()
BROKEN = aiohttp.ClientPayloadError("reset")


class Response:
    """A FAKE answer, byte by byte in pieces of 50."""

    def __init__(self, data: bytes, error: Exception | None) -> None:
        self._data, self._error = data, error
        self.content = self
        self.closed = False

    async def iter_any(self) -> AsyncIterator[bytes]:
        for begin in range(0, len(self._data), 50):
            await asyncio.sleep(0.01)
            yield self._data[begin : begin + 50]
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True


@dataclass
class Server:
    """A FAKE API server: the log of one container, which ends after the answers that are given to it."""

    log: LogFile
    answers: list[Answer] = field(default_factory=list)
    pod_gone: bool = False
    over: bool = False
    queries: list[dict[str, str]] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)

    async def send(self, _method: str, _path: str, query: dict[str, str], *, limits: object) -> Response:
        del limits
        await asyncio.sleep(0.01)
        self.queries.append(dict(query))
        answer = self.answers.pop(0) if self.answers else WHOLE
        if answer.refusal is not None:
            raise answer.refusal
        tail = int(query["tailLines"]) if "tailLines" in query else None
        response = Response(self.log.answer(query.get("sinceTime"), tail)[: answer.size], answer.error)
        self.responses.append(response)
        return response

    async def get_pod(self, _namespace: str, _name: str) -> Body:
        if self.pod_gone:
            raise ApiNotFound(404, "NotFound", "gone")
        state = "running" if self.answers and not self.over else "terminated"
        return {"status": {"phase": "Running", "containerStatuses": [{"name": "job", "state": {state: {}}}]}}

    def read(self, *, follow: bool = True, **options: Any) -> bytes:  # noqa: ANN401  those of LogStream
        """All that a reader gets, in virtual time."""
        self.told: list[str] = []
        api: Api = self  # type: ignore[assignment]  # FAKE

        async def run() -> bytes:
            found = LogStream(api, "ns", "pod", "job", follow=follow, tell=self.told.append, **options).read()
            return b"".join([line async for line in found])

        return virtual_time.run(run())


def a_log(count: int = 3) -> LogFile:
    log = LogFile()
    for index in range(count):
        log.write((T0 + index * NANO, f"{index}\n".encode()))
    return log


bad_answers = st.one_of(
    st.builds(
        Answer, size=st.integers(0, 300), error=st.sampled_from([BROKEN, TimeoutError(), OSError("reset"), None])
    ),
    st.builds(
        Answer,
        refusal=st.sampled_from(
            [
                ApiUnavailable(0, "", "no answer"),
                ApiUnavailable(503, "", "busy"),
                ApiUnavailable(429, "", "slow down", retry_after=3),
                ApiError(400, "BadRequest", "container is waiting to start"),
            ]
        ),
    ),
)


@settings(deadline=None)
@given(log_files(), st.lists(bad_answers, max_size=8))
def test_every_byte_comes_once_whatever_the_server_does(log: LogFile, answers: list[Answer]) -> None:
    server = Server(log, list(answers))
    assert server.read() == log.text
    assert all(response.closed for response in server.responses)


def test_an_end_of_the_answer_is_not_the_end_of_the_log_while_the_container_runs() -> None:
    server = Server(a_log(), [Answer(size=40), Answer(size=40)])
    assert server.read() == b"0\n1\n2\n"
    assert [query["follow"] for query in server.queries] == ["true", "true", "false", "false"]


def test_the_last_answer_brings_nothing_new() -> None:
    server = Server(a_log(), [Answer(size=40), Answer(size=80)], over=True)
    assert server.read() == b"0\n1\n2\n"
    whole = Server(a_log())
    whole.read()
    assert [query["follow"] for query in whole.queries] == ["true", "false"]


def test_what_was_seen_is_asked_for_by_the_second_only() -> None:
    server = Server(a_log(), [Answer(error=BROKEN)])
    server.read(tail=5)
    assert "sinceTime" not in server.queries[0]
    assert server.queries[0]["tailLines"] == "5"
    assert server.queries[1]["sinceTime"] == "2026-01-31T12:00:01Z"
    assert "tailLines" not in server.queries[1]


TOKEN = "transfer-0123456789abcdef"  # noqa: S105  not a secret


def a_log_of_files(lines: int, hidden: int) -> LogFile:
    """So many lines of the job's own, and behind them so many of the transfer's."""
    log = LogFile()
    texts = [*range(lines), *(f"$ cijob_transfer={TOKEN} {number}" for number in range(hidden))]
    for at, text in enumerate(texts):
        log.write((T0 + at * NANO, f"{text}\n".encode()))
    return log


@pytest.mark.parametrize(
    ("hidden", "tail", "asked"),
    [(0, 5, ["21"]), (3, 5, ["21"]), (16, 5, ["21"]), (17, 5, ["21", "1029"]), (3, 0, ["16"]), (3, 5000, ["5016"])],
)
@pytest.mark.parametrize("follow", [True, False])
def test_the_last_lines_are_as_many_as_were_wanted_of_the_jobs_own(
    hidden: int, tail: int, asked: list[str], follow: bool
) -> None:
    server = Server(a_log_of_files(2000, hidden))
    shown = [
        one for one in server.read(follow=follow, tail=tail, token=TOKEN).splitlines() if TOKEN.encode() not in one
    ]
    assert shown == [f"{number}".encode() for number in range(2000)][max(0, 2000 - tail) :]
    assert [query["tailLines"] for query in server.queries if "tailLines" in query] == asked
    assert follow or len(server.queries) == len(asked)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 16), st.integers(0, 40), st.lists(bad_answers, max_size=8))
def test_the_last_lines_come_once_whatever_the_server_does(
    lines: int, hidden: int, tail: int, answers: list[Answer]
) -> None:
    server = Server(a_log_of_files(lines, hidden), list(answers))
    shown = [one for one in server.read(tail=tail, token=TOKEN).splitlines() if TOKEN.encode() not in one]
    whole = [f"{number}".encode() for number in range(lines)]
    assert shown == whole[lines - len(shown) :]
    assert len(shown) >= min(lines, tail)
    lost = any(answer.size is not None and answer.error is None for answer in answers)  # it looks like an end
    assert lost or len(shown) == min(lines, tail)
    assert all(response.closed for response in server.responses)


def test_a_log_that_is_not_followed_is_read_once() -> None:
    server = Server(a_log())
    assert server.read(follow=False, since=datetime(2026, 1, 31, 12, tzinfo=UTC)) == b"0\n1\n2\n"
    assert server.queries == [
        {"container": "job", "timestamps": "true", "follow": "false", "sinceTime": "2026-01-31T12:00:00Z"}
    ]


def test_a_server_that_is_gone_for_five_minutes_is_given_up() -> None:
    server = Server(a_log(), [Answer(refusal=ApiUnavailable(0, "", "no route")) for _ in range(1000)])

    async def run() -> float:
        api: Api = server  # type: ignore[assignment]  # FAKE
        with pytest.raises(ApiUnavailable):
            async for _ in LogStream(api, "ns", "pod", "job", follow=True).read():
                pass
        return virtual_time.now()

    assert 300 < virtual_time.run(run()) < 330
    assert len(server.queries) < 60


def test_trouble_is_told_when_it_lasts() -> None:
    short = Server(a_log(), [Answer(refusal=ApiUnavailable(0, "", "no route"))])
    short.read()
    assert short.told == []
    long = Server(a_log(), [Answer(refusal=ApiUnavailable(0, "", "no route")) for _ in range(6)])
    long.read()
    assert long.told
    assert long.told[0] == "no answer from the API server, trying again (no route)"


def test_a_pod_that_is_gone_before_anything_was_read_has_no_log() -> None:
    server = Server(a_log(), [Answer(refusal=ApiNotFound(404, "NotFound", "gone"))], pod_gone=True)
    with pytest.raises(ApiNotFound):
        server.read()


def test_a_pod_that_goes_meanwhile_is_told_and_what_was_read_stays() -> None:
    gone = Answer(refusal=ApiNotFound(404, "NotFound", "gone"))
    server = Server(a_log(), [Answer(size=40, error=BROKEN), gone], pod_gone=True)
    assert server.read() == b"0\n"
    assert server.told == ["the Pod pod is gone: the end of its log may be missing"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    server = Server(a_log(), [Answer(refusal=ApiError(status, "", "no"))])
    with pytest.raises(ApiError):
        server.read()
    assert len(server.queries) == 1
