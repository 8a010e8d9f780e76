"""Every answer of `POST pods`, told apart, as the reconciler acts on it.

The API server is a FAKE, in memory; its texts are those of `test_creation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from tests.unit.builders import a_pod
from tests.unit.test_creation import (
    DOWN_WEBHOOK,
    LIMIT_RANGE,
    NO_REQUESTS,
    POD_SECURITY,
    POLICY,
    QUOTA,
    RACED_QUOTA,
    RBAC,
    SERVICE_ACCOUNT,
    TERMINATING,
    WEBHOOK,
)
from tests.unit.world import World

POST, STATUS, EVENT = "POST pod", "PATCH job/status", "POST event"


@dataclass(frozen=True)
class Answer:
    """An answer, and what becomes of the CiJob: the requests, phase and reason, the pause, the loudest log line."""

    says: str
    error: ApiError
    requests: tuple[str, ...] = (POST,)
    phase: str | None = None
    reason: str | None = None
    pause: float | None = 0.2
    log: str = "info"


AGAIN = [
    Answer("another operator changed the quota meanwhile", ApiConflict(409, "Conflict", RACED_QUOTA), log="debug"),
    Answer("a conflict of another kind", ApiConflict(409, "Conflict", "please apply your changes"), log="debug"),
    Answer("too many requests", ApiUnavailable(429, "TooManyRequests", "slow down"), log="warning"),
    Answer(
        "too many requests, and a time",
        ApiUnavailable(429, "TooManyRequests", "slow down", retry_after=17.0),
        pause=17.0,
        log="warning",
    ),
    Answer("a server error", ApiUnavailable(500, "InternalError", "etcdserver: timed out"), log="warning"),
    Answer("a webhook that is down", ApiUnavailable(500, "InternalError", DOWN_WEBHOOK), log="warning"),
    Answer("a gateway that gave up", ApiUnavailable(504, "Timeout", "timed out"), log="warning"),
    Answer("no answer", ApiUnavailable(0, "", "connection reset"), log="warning"),
    Answer("a namespace without its service account yet", ApiError(403, "Forbidden", SERVICE_ACCOUNT)),
]
WAITS = [
    Answer("a quota that is used up", ApiError(403, "Forbidden", QUOTA), (POST, STATUS), "Pending", "QuotaExceeded"),
    Answer("a namespace that goes", ApiError(403, "Forbidden", TERMINATING), log=""),
    Answer("a namespace that is gone", ApiNotFound(404, "NotFound", 'namespaces "team-a" not found'), log=""),
    Answer("missing rights", ApiError(403, "Forbidden", RBAC), log="error"),
    Answer("no credentials", ApiError(401, "Unauthorized", "Unauthorized"), log="error"),
]
FINAL = [
    Answer(says, error, (POST, STATUS, EVENT), "Failed", reason, None)
    for says, error, reason in [
        ("Pod security", ApiError(403, "Forbidden", POD_SECURITY), "PodRejected"),
        ("an admission webhook", ApiError(403, "Forbidden", WEBHOOK), "PodRejected"),
        ("a policy", ApiError(422, "Invalid", POLICY), "PodRejected"),
        ("a limit range", ApiError(403, "Forbidden", LIMIT_RANGE), "PodRejected"),
        ("a malformed Pod", ApiError(422, "Invalid", "spec.containers[0].image: Invalid value"), "PodRejected"),
        ("a quota that demands limits", ApiError(403, "Forbidden", NO_REQUESTS), "ConfigError"),
    ]
]
LEVELS = ["", "debug", "info", "warning", "error"]


@pytest.mark.parametrize("answer", [*AGAIN, *WAITS, *FINAL], ids=lambda answer: answer.says)
async def test_the_answer(answer: Answer) -> None:
    world = World()
    world.api.refuse(POST, answer.error)

    with capture_logs() as logs:
        requests = await world.work()

    assert requests == list(answer.requests)
    assert (world.status.get("phase"), world.status.get("reason")) == (answer.phase, answer.reason)
    assert world.queue.retries == ([] if answer.pause is None else [answer.pause])
    assert max((line["log_level"] for line in logs), key=LEVELS.index, default="") == answer.log
    assert world.api.pods == {}


@pytest.mark.parametrize("answer", [*AGAIN, *WAITS], ids=lambda answer: answer.says)
async def test_what_passes_is_followed_by_the_pod(answer: Answer) -> None:
    world = World()
    world.api.refuse(POST, answer.error)
    await world.work()

    assert await world.work_again() == [POST]
    assert len(world.api.pods) == 1
    assert world.queue._failures == {}


@pytest.mark.parametrize("answer", FINAL, ids=lambda answer: answer.says)
async def test_what_is_final_is_asked_once(answer: Answer) -> None:
    world = World()
    world.api.refuse(POST, answer.error)
    await world.work()

    assert await world.work_again() == []
    assert world.api.pods == {}


async def test_a_pod_that_is_there_already_is_adopted_if_it_is_this_attempts() -> None:
    world = World()
    world.api.store_pod(a_pod().running())
    world.api.told.pop()

    assert await world.work() == [POST, "GET pod", STATUS]
    assert world.status["phase"] == "Running"


@pytest.mark.parametrize(
    "pod",
    [
        a_pod().of_another_job(),
        a_pod().with_meta(ownerReferences=None),
        a_pod().with_meta(labels={"cijob.dev/attempt": "2"}),
    ],
)
async def test_a_pod_that_is_there_already_and_another_s_is_a_conflict_of_names(pod: object) -> None:
    world = World()
    world.api.store_pod(pod)  # type: ignore[arg-type]  # a PodBuilder each
    world.api.told.pop()

    assert await world.work() == [POST, "GET pod", STATUS, EVENT]
    assert world.status["reason"] == "PodNameConflict"


async def test_a_lost_answer_is_asked_again_and_finds_the_pod() -> None:
    world = World()
    world.see()
    world.api.lose_answer(POST)
    await world.operator.reconcile(("team-a", "build-42"))
    world.api.told.clear()

    assert await world.work_again() == [POST, "GET pod"]
    assert len(world.api.pods) == 1
