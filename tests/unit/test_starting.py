"""What holds an attempt back, what is told of it and when: a table of sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cijob.actions import CreatePod, Decision, Observed
from cijob.decisions import decide
from cijob.policies.starting import Hold, held
from cijob.pool import NO_RULES, BuildPoolSpec, PoolView
from cijob.reasons import MESSAGES, Reason
from cijob.settings import Settings
from tests.unit.builders import POD_UID, CiJobBuilder, a_cijob, at

TURN = PoolView(spec=NO_RULES)
FULL = PoolView(spec=NO_RULES, admitted=False)
ROOM = replace(FULL, reason=None)
HELD = replace(FULL, reason=Reason.POOL_HELD)
NAMESPACE_FULL = replace(FULL, reason=Reason.NAMESPACE_AT_CAPACITY)
QUOTA = replace(FULL, reason=Reason.QUOTA_EXCEEDED)
ABSENT = None
PATIENT = a_cijob().with_spec(queueTimeout="60s")
SUSPENDED = a_cijob().with_spec(suspend=True)


def told(reason: str, job: CiJobBuilder | None = None) -> CiJobBuilder:
    """A job whose status says what it waits for."""
    return (job or a_cijob()).with_status("Queued", reason=reason)


@pytest.mark.parametrize(
    ("says", "job", "pool", "now", "hold"),
    [
        ("one that has its turn starts", a_cijob(), TURN, 100, None),
        ("one in a full pool waits", a_cijob(), FULL, 1, Hold(reason=Reason.POOL_AT_CAPACITY, wants=True, until=at(5))),
        ("and is told after 5 s", a_cijob(), FULL, 5, Hold(reason=Reason.POOL_AT_CAPACITY, wants=True, tell=True)),
        ("once", told("PoolAtCapacity"), FULL, 99, Hold(reason=Reason.POOL_AT_CAPACITY, wants=True)),
        (
            "and not when its namespace is full instead",
            told("PoolAtCapacity"),
            NAMESPACE_FULL,
            99,
            Hold(reason=Reason.NAMESPACE_AT_CAPACITY, wants=True),
        ),
        (
            "nor when a quota was used up before",
            told("QuotaExceeded"),
            FULL,
            99,
            Hold(reason=Reason.POOL_AT_CAPACITY, wants=True),
        ),
        ("but of the quota itself", told("PoolAtCapacity"), QUOTA, 99, Hold(reason=Reason.QUOTA_EXCEEDED, wants=True, tell=True)),
        ("but when the pool is held", told("PoolAtCapacity"), HELD, 99, Hold(reason=Reason.POOL_HELD, wants=True, tell=True)),
        ("which is told once", told("PoolHeld"), HELD, 99, Hold(reason=Reason.POOL_HELD, wants=True)),
        ("with room, its turn may come any moment", a_cijob(), ROOM, 1, Hold(wants=True, until=at(5))),
        ("and it is looked at again, not told, if it is old", a_cijob(), ROOM, 99, Hold(wants=True, until=at(104))),
        ("or if it was told", told("PoolAtCapacity"), ROOM, 99, Hold(wants=True)),
        ("an absent pool may come", a_cijob(), ABSENT, 1, Hold(reason=Reason.POOL_NOT_FOUND, wants=True, until=at(5))),
        ("and is told", a_cijob(), ABSENT, 9, Hold(reason=Reason.POOL_NOT_FOUND, wants=True, tell=True)),
        ("a suspended job wants no turn", SUSPENDED, FULL, 1, Hold(reason=Reason.SUSPENDED, until=at(5))),
        ("not even one that is there", SUSPENDED, TURN, 1, Hold(reason=Reason.SUSPENDED, until=at(5))),
        ("and says so", SUSPENDED, TURN, 5, Hold(reason=Reason.SUSPENDED, tell=True)),
        ("who waits is looked at in time", PATIENT, FULL, 5, Hold(reason=Reason.POOL_AT_CAPACITY, wants=True, tell=True, until=at(60))),
        ("with room, not turned away in the last moment", PATIENT, ROOM, 60, Hold(wants=True, until=at(65))),
    ],
)  # fmt: skip
def test_what_holds_an_attempt_back(
    says: str, job: CiJobBuilder, pool: PoolView | None, now: float, hold: Hold | None
) -> None:
    assert held(job.job, pool, at(now)) == hold, says


@pytest.mark.parametrize(
    ("job", "pool", "detail"),
    [
        (PATIENT, FULL, MESSAGES[Reason.POOL_AT_CAPACITY]),
        (PATIENT, ABSENT, MESSAGES[Reason.POOL_NOT_FOUND]),
        (PATIENT, HELD, MESSAGES[Reason.POOL_HELD]),
        (PATIENT.with_spec(suspend=True), TURN, MESSAGES[Reason.SUSPENDED]),
    ],
)
def test_who_waits_for_too_long_fails_and_learns_what_for(
    job: CiJobBuilder, pool: PoolView | None, detail: str
) -> None:
    assert held(job.job, pool, at(59)) is not None
    hold = held(job.job, pool, at(60))

    assert hold is not None
    assert hold.verdict is not None
    assert hold.verdict.reason is Reason.QUEUE_TIMEOUT
    assert hold.verdict.message.endswith(f"It was 60s. {detail}")


def test_another_attempt_waits_from_when_it_may_start() -> None:
    job = PATIENT.with_spec(queueTimeout="5s").with_retry(1).between_attempts(ended=60, user=1).job  # may start at 70

    hold = held(job, FULL, at(70))
    assert hold == Hold(reason=Reason.POOL_AT_CAPACITY, wants=True, until=at(75))
    late = held(job, FULL, at(75))
    assert late is not None
    assert late.verdict is not None


def test_what_the_pool_does_not_allow_is_final_and_all_of_it_is_said() -> None:
    pool = BuildPoolSpec.model_validate({"limits": {"timeout": "1h"}, "images": ["docker.io/team/*"]})
    job = a_cijob().with_spec(timeout="2h", suspend=True).job

    for view in (PoolView(spec=pool), PoolView(spec=pool, admitted=False)):
        hold = held(job, replace(view, selected=False), at(0))
        assert hold is not None
        assert hold.verdict is not None
        assert hold.verdict.reason is Reason.NOT_ALLOWED
        assert hold.verdict.message == (
            f"{MESSAGES[Reason.NOT_ALLOWED]} namespace: team-a; the pool's namespaceSelector does not select it; "
            "spec.timeout: 2h; at most 1h; spec.image: ubuntu:25.10; one of docker.io/team/*"
        )


# --- in a decision


def decided(job: CiJobBuilder, pool: PoolView | None, now: float = 10) -> Decision:
    """The decision without a Pod."""
    return decide(job.job, Observed(pool=pool, absent=frozenset({POD_UID})), Settings(), at(now))


def test_a_turn_makes_a_pod_with_the_pools_settings_and_defaults() -> None:
    pool = BuildPoolSpec.model_validate(
        {
            "docker": {"image": "mine/docker:29-dind"},
            "defaults": {"timeout": "10m", "resources": {"limits": {"cpu": "2"}}},
            "placement": {"nodeSelector": {"pool": "builds"}},
        }
    )
    decision = decided(a_cijob(), PoolView(spec=pool))

    assert isinstance(decision.action, CreatePod)
    spec = decision.action.manifest["spec"]
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["initContainers"][0]["image"] == "mine/docker:29-dind"
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "2"}
    assert spec["nodeSelector"] == {"pool": "builds"}


def test_a_wait_is_one_status_and_a_later_look() -> None:
    assert decided(a_cijob(), FULL, 1) == Decision(wants=True, look_again_at=at(5))
    decision = decided(PATIENT, FULL, 5)
    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == ("Queued", "PoolAtCapacity")
    assert (decision.wants, decision.look_again_at, decision.action) == (True, at(60), None)


def test_the_time_after_a_failure_is_waited_out_before_a_turn_is_wanted() -> None:
    job = a_cijob().with_retry(1).between_attempts(ended=60, user=1)

    assert decided(job, FULL, 69) == Decision(look_again_at=at(70))
    assert decided(job, FULL, 70).wants


def test_a_cancelled_job_ends_whatever_the_pool_says() -> None:
    for pool in (FULL, HELD, ABSENT, replace(FULL, selected=False)):
        decision = decided(a_cijob().with_cancel("Graceful"), pool)
        assert decision.verdict is not None
        assert decision.verdict.reason is Reason.CANCELLED


def test_a_bad_spec_is_told_before_the_pool_is_asked() -> None:
    pool = BuildPoolSpec.model_validate({"limits": {"timeout": "1h", "resources": {"cpu": "1"}}})
    for spec in ({"timeout": "soon"}, {"resources": {"limits": {"cpu": "much"}}}, {"queueTimeout": "later"}):
        decision = decided(a_cijob().with_spec(**spec), PoolView(spec=pool))
        assert decision.verdict is not None
        assert decision.verdict.reason is Reason.INVALID_SPEC
