"""The story of a CiJob, out of its status and its Pods."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.looking.timeline import timeline, waiting_words
from tests.unit.builders import POD_NAME, CiJobBuilder, PodBuilder, a_cijob, a_pod, at


def told(job: CiJobBuilder, *pods: PodBuilder, now: float = 100) -> list[str]:
    """What the timeline says, each with its second."""
    moments = timeline(job.body, [pod.body for pod in pods], at(now))
    return [f"{(one.at - at(0)).total_seconds():.0f} {one.what}" for one in moments]


def test_a_job_that_runs() -> None:
    assert told(a_cijob().running(), a_pod().running()) == [
        "0 created",
        f"0 attempt 1: Pod {POD_NAME} created",
        "1 attempt 1: Pod started on the node node-1",
        "2 attempt 1: Docker daemon started",
        "3 attempt 1: job container started",
        "100 Running, for 97s",
    ]


def test_a_job_that_waits_says_for_what_and_for_how_long() -> None:
    job = a_cijob().with_status("Queued", reason="PoolAtCapacity")
    assert told(job) == ["0 created", "100 Queued: PoolAtCapacity, for 100s"]


def test_the_wait_for_the_pod_is_told_where_it_was_worth_a_word() -> None:
    pod = a_pod().with_meta(creationTimestamp=at(12).isoformat())
    assert f"12 attempt 1: Pod {POD_NAME} created after a wait of 12s" in told(a_cijob().running(), pod)


def test_attempts_whose_pods_are_gone_are_told_from_the_status() -> None:
    job = a_cijob().between_attempts("NodeLost", 60, infra=1)
    assert told(job) == [
        "0 created",
        f"1 attempt 1: Pod {POD_NAME} started on the node node-1",
        "60 attempt 1: NodeLost, after 59s",
        "100 Pending: NodeLost, for 40s",
    ]


def test_the_end_of_an_attempt_is_told_once_with_its_reason_and_exit_code() -> None:
    job = a_cijob().between_attempts("ScriptFailed", 60, user=1)
    attempts = [{**job.body["status"]["attempts"][0], "exitCode": 7}]
    said = told(job.with_(status={"attempts": attempts}), a_pod().terminated(7))
    assert [line for line in said if "60 " in line] == ["60 attempt 1: ScriptFailed, exit code 7, after 59s"]


def test_a_container_whose_end_the_status_does_not_have_yet_is_told_from_the_pod() -> None:
    assert "60 attempt 1: job container ended with 7" in told(a_cijob().running(), a_pod().terminated(7))


def test_a_finished_job_ends_with_its_end() -> None:
    said = told(a_cijob().finished("Cancelled", "Cancelled", 70), now=5000)
    assert said[-1] == "70 Cancelled: Cancelled"


def test_a_daemon_that_died_and_who_ended_the_pod_are_told() -> None:
    pod = a_pod().running().dind_restarted(2, finished=30)
    pod = pod.with_condition(
        "DisruptionTarget", status="True", reason="EvictionByEvictionAPI", lastTransitionTime=at(40).isoformat()
    )
    said = told(a_cijob().running(), pod)
    assert [int(line.partition(" ")[0]) for line in said] == [0, 0, 1, 3, 30, 31, 40, 100]
    assert "30 attempt 1: Docker daemon ended with 2 and is started again" in said
    assert "31 attempt 1: Docker daemon started again" in said
    assert "40 attempt 1: the cluster ends the Pod (EvictionByEvictionAPI)" in said


def test_checkout_and_services_have_their_names() -> None:
    pod = a_pod().git_ended(3, finished=20).init("db", {"state": {"running": {"startedAt": at(4).isoformat()}}})
    said = told(a_cijob().running(), pod)
    assert "20 attempt 1: checkout ended with 3" in said
    assert "4 attempt 1: service db started" in said


def test_what_a_node_says_of_a_container_that_does_not_start() -> None:
    pod = a_pod().waiting("ImagePullBackOff", "manifest unknown")
    assert waiting_words([pod.body]) == ["container job: ImagePullBackOff: manifest unknown"]
    assert waiting_words([a_pod().running().body]) == []


@given(
    st.lists(st.sampled_from(["NodeLost", "ScriptFailed"]), max_size=5),
    st.sampled_from(["Pending", "Queued", "Starting", "Running", "Succeeded", "Failed", "Cancelled"]),
)
def test_whatever_happened_it_is_told_in_order_from_the_creation_to_the_end_or_to_now(
    reasons: list[str], phase: str
) -> None:
    attempts = [
        {"attempt": number, "podName": f"x-{number}", "startTime": stamped(number * 20), "reason": reason}
        | {"completionTime": stamped(number * 20 + 10)}
        for number, reason in enumerate(reasons, start=1)
    ]
    job = a_cijob().with_status(phase, reason="Why", attempts=attempts, attempt=len(reasons) + 1)
    moments = timeline(job.body, [], at(1000))
    assert moments[0].what == "created"
    assert [one.at for one in moments] == sorted(one.at for one in moments)
    assert moments[-1].what.startswith(phase)
    assert sum("Pod" in one.what for one in moments) == len(reasons)


def stamped(seconds: float) -> str:
    """A time as the API has it."""
    return at(seconds).isoformat()
