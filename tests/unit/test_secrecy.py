"""Values from Secrets stay out of status, Events and the operator's log: a test for each text that comes from a Pod.

`hunter2` stands for the value. It is in no manifest: only a node, and what runs there, can say it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob import logs
from cijob.actions import Observed, ReadLog
from cijob.decisions import decide
from cijob.policies.outcome import final_verdict
from cijob.policies.secrecy import cleaned
from cijob.policies.waiting import waiting
from cijob.settings import Settings
from tests.unit.builders import JOB_KEY, CiJobBuilder, PodBuilder, a_cijob, a_pod, at, report, waits
from tests.unit.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = timedelta(hours=1)
VALUE = "hunter2"
FROM_SECRET = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}]
FROM_CONFIG = [{"name": "TOKEN", "valueFrom": {"configMapKeyRef": {"name": "api", "key": "token"}}}]
RUNTIME = f'runc create failed: exec: "--token={VALUE}": executable file not found in $PATH'
COMMAND = a_cijob().with_command("/bin/tool", "--token=$(TOKEN)")


def messages(job: CiJobBuilder, pod: PodBuilder) -> str:
    """All that the operator would say on a Pod while it starts, when it is hopeless, and at its end."""
    waits_for = [waiting(job.job.spec, pod.pod, timedelta(seconds=120), at(seconds)) for seconds in (5, 9999)]
    end = final_verdict(job.job.spec, pod.ended("Failed").pod, HOUR)
    return "\n".join([end.message, *(wait.message for wait in waits_for if wait is not None)])


# --- what the runtime says of a container that it cannot make or start


@pytest.mark.parametrize(
    "pod",
    [
        a_pod().dind_running().waiting("RunContainerError", RUNTIME),
        a_pod().dind_running().waiting("CreateContainerError", RUNTIME),
        a_pod().terminated(128, reason="StartError", report=RUNTIME),
        a_pod().terminated(127, reason="ContainerCannotRun", report=RUNTIME),
    ],
    ids=["run", "create", "StartError", "ContainerCannotRun"],
)
@pytest.mark.parametrize(
    ("job", "shown"),
    [
        (COMMAND.with_spec(env=FROM_SECRET), False),
        (COMMAND.with_spec(envFrom=[{"secretRef": {"name": "api"}}]), False),
        (a_cijob().with_command("/tool").with_spec(args=["a$(TOKEN)b"], env=FROM_SECRET), False),
        (COMMAND.with_spec(env=FROM_CONFIG), True),
        (COMMAND.with_spec(envFrom=[{"configMapRef": {"name": "api"}}]), True),
        (a_cijob().with_command("/bin/tool", "$TOKEN").with_spec(env=FROM_SECRET), True),
        (a_cijob().with_spec(env=FROM_SECRET), True),
    ],
    ids=["env", "envFrom", "args", "ConfigMap", "ConfigMap whole", "the program's own $TOKEN", "script"],
)
def test_the_runtime_s_words_are_not_shown_where_a_command_may_hold_a_secret_s_value(
    job: CiJobBuilder, pod: PodBuilder, *, shown: bool
) -> None:
    said = messages(job, pod)

    assert (VALUE in said) == shown
    assert ("kubectl describe pod" in said) != shown


def test_the_same_holds_for_a_service() -> None:
    service: dict[str, Any] = {"command": ["/bin/db", "--token=$(TOKEN)"]}
    death = {"exitCode": 128, "reason": "StartError", "message": RUNTIME}
    loop = {**waits("CrashLoopBackOff"), "lastState": {"terminated": death}, "restartCount": 2}
    for state in (waits("RunContainerError", RUNTIME), waits("CreateContainerError", RUNTIME), loop):
        pod = a_pod().dind_running().init("db", state)
        assert VALUE not in messages(a_cijob().with_service(**service, env=FROM_SECRET), pod)
        assert VALUE in messages(a_cijob().with_service(**service, env=FROM_CONFIG), pod)


# --- what the kubelet says of an image that it cannot pull, and git's lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'unexpected status from GET request to https://auth.example.com/token?account=hunter2&scope=x: 401 ""',
            'unexpected status from GET request to https://auth.example.com/token?*** 401 ""',
        ),
        (
            'Get "https://s3.example.com/blob?X-Amz-Signature=hunter2": EOF',
            'Get "https://s3.example.com/blob?***": EOF',
        ),
        (
            "fatal: unable to access 'https://me:hunter2@example.com/x.git/': 403",
            "fatal: unable to access 'https://***@example.com/x.git/': 403",
        ),
        (
            "https://hunter2@example.com http://me:hun@ter2@example.com/x",
            "https://***@example.com http://***@example.com/x",
        ),
        ("ssh://git@example.com:22/x@y", "ssh://git@example.com:22/x@y"),
        ("git@example.com: Permission denied (publickey).", "git@example.com: Permission denied (publickey)."),
        ("https://example.com/a@b?c", "https://example.com/a@b?***"),
        ("why?", "why?"),
    ],
)
def test_addresses_lose_what_may_be_a_credential(text: str, shown: str) -> None:
    assert cleaned(text) == shown


PULL = f"failed to authorize: GET request to https://auth.example.com/token?account={VALUE}: 401 Unauthorized"
GIT = f"fatal: unable to access 'https://me:{VALUE}@git.example.com/x.git/': 403"


@pytest.mark.parametrize(
    "pod",
    [
        a_pod().dind_waiting("ImagePullBackOff", PULL),
        a_pod().dind_running().waiting("ImagePullBackOff", PULL),
        a_pod().dind_running().init("db", waits("ErrImagePull", PULL)),
        a_pod().dind_running().init("git", waits("ErrImagePull", PULL)),
        a_pod().dind_running().git_ended(1, GIT),
        a_pod().dind_running().git_ended(128, GIT, reason="StartError"),
    ],
    ids=["daemon", "job", "service", "git", "git's lines", "git's start"],
)
def test_no_container_s_trouble_tells_them(pod: PodBuilder) -> None:
    said = messages(a_cijob().with_git().with_service(), pod)

    assert VALUE not in said
    assert "example.com" in said


# --- what a job writes where `job.sh` leaves its report


@pytest.mark.parametrize("field", ["part", "signal", "daemon", "service"])
def test_words_of_a_report_are_never_repeated(field: str) -> None:
    forged = report(3, **{field: VALUE})

    assert VALUE not in messages(a_cijob().with_service(), a_pod().terminated(3, report=forged))
    assert VALUE not in messages(COMMAND, a_pod().terminated(3, report=forged))


@pytest.mark.parametrize("reason", ["Error", "Completed", "OOMKilled", "Evicted"])
def test_a_termination_message_that_is_no_report_is_never_repeated(reason: str) -> None:
    for text in (VALUE, json.dumps({"message": VALUE}), json.dumps([VALUE])):
        pod = a_pod().terminated(3, reason=reason, report=text)
        service = {"state": {"terminated": {"exitCode": 1, "reason": reason, "message": text}}}
        assert VALUE not in messages(a_cijob().with_service(), pod.init("db", service))


# --- a service's log


def asked(job: CiJobBuilder) -> tuple[object, str]:
    """What is done about a service that was not ready, and what is said in the end."""
    pod = a_pod().terminated(125, report=report(125, part="services", service="db")).pod
    first = decide(job.job, Observed(pod=pod), Settings(), at(70))
    last = decide(job.job, Observed(pod=pod, log=VALUE), Settings(), at(70))
    assert last.status is not None
    return first.action, str(last.status.message)


def test_the_log_of_a_service_with_values_from_secrets_is_not_even_read() -> None:
    action, said = asked(a_cijob().with_service(env=FROM_SECRET))

    assert action is None
    assert VALUE not in said
    assert f"kubectl logs {a_pod().pod.name} -c db" in said


@pytest.mark.parametrize("fields", [{}, {"env": FROM_CONFIG}, {"variables": {"A": "b"}}])
def test_that_of_another_service_is(fields: dict[str, Any]) -> None:
    action, said = asked(a_cijob().with_service(**fields))

    assert isinstance(action, ReadLog)
    assert said.endswith(f"It said last: {VALUE}")


def test_a_neighbour_s_secret_does_not_hide_a_log() -> None:
    action, _ = asked(a_cijob().with_spec(env=FROM_SECRET).with_service("db").with_service("cache", env=FROM_SECRET))

    assert isinstance(action, ReadLog)


# --- the operator's log


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """The process's logging at its most talkative."""
    root, others = logging.getLogger(), [logging.getLogger(name) for name in ("kopf", "asyncio", "aiohttp.access")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in (root, *others)]
    logs.configure(Settings(log_format="json", log_level="debug"))
    structlog.configure(cache_logger_on_first_use=False)  # modules would keep these loggers for the tests after this
    yield capsys
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.mark.parametrize("broken", [False, True])
def test_a_log_at_level_debug_has_nothing_of_a_pod_s_environment(
    logged: pytest.CaptureFixture[str], *, broken: bool
) -> None:
    """Not even literal values, and not where the operator itself goes wrong with a Pod in its hands."""
    world = World(COMMAND.with_spec(env=[*FROM_SECRET, {"name": "PLAIN", "value": "a-literal"}]))
    world.api.webhook = lambda pod: {**pod, "metadata": {**pod["metadata"], "labels": 1}} if broken else pod

    async def life() -> None:
        await world.work()
        world.api.kubelet(lambda pod: pod.terminated(128, reason="StartError", report=RUNTIME).ended("Failed"))
        await world.work(at(61))

    log = structlog.get_logger("cijob.test")
    try:
        asyncio.run(life())
    except AttributeError:
        log.exception("internal error")

    said = logged.readouterr().err
    assert ("internal error" in said) == broken
    assert "created the Pod" in said or broken
    assert VALUE not in said
    assert "a-literal" not in said
    assert VALUE not in json.dumps([world.api.jobs.get(JOB_KEY), world.api.events])


# --- whatever a Pod says

TEXTS = st.text(max_size=200) | st.sampled_from(["\x1b[31mred\x1b[0m\n\u202e", "x" * 5000, "\ud800", "a\r\nb" * 400])


@settings(deadline=None)
@given(
    text=TEXTS,
    entry=TEXTS.filter(lambda text: text and "\ud800" not in text),
    code=st.integers(1, 255),
    part=st.sampled_from(["script", "before", "services", "daemon", "x"]),
    number=st.integers(-1, 3),
    numbers=st.lists(st.none() | st.integers(0, 1 << 63), min_size=4, max_size=4),
)
def test_any_message_is_bounded_and_printable(
    text: str, entry: str, code: int, part: str, number: int, numbers: list[int | None]
) -> None:
    peak, inner, size, free = numbers
    trouble: dict[str, Any] = {"oomKilled": {"name": text, "image": text, "limit": inner}} if inner else {}
    trouble |= {"disk": {"size": size, "free": free}} if size and free else {}
    told = report(
        code, part=part, entry=number, service="db", signal=text, peakMemory=peak, innerPeakMemory=inner, **trouble
    )
    job = a_cijob().with_spec(script=["true", entry], beforeScript=[entry]).with_git().with_service()
    pods = [
        a_pod().terminated(code, report=told),
        a_pod().terminated(code, report=told, reason="OOMKilled"),
        a_pod().terminated(code, report=text, reason="StartError"),
        a_pod().dind_running().waiting("ErrImagePull", text),
        a_pod().dind_running().init("db", waits("RunContainerError", text)),
        a_pod().dind_running().git_ended(code, text),
        a_pod().started().with_status(message=text, reason=text),
    ]

    for pod in pods:
        said = messages(job, pod)
        for line in said.split("\n"):
            assert len(line) <= 1024
            assert line.isprintable()
            assert line.encode(), "it can be sent"


@settings(deadline=None)
@given(text=TEXTS, retries=st.integers(0, 1))
def test_so_is_the_status_with_a_log_and_between_two_attempts(text: str, retries: int) -> None:
    job = a_cijob().with_service().with_retry(retries).job
    pod = a_pod().terminated(125, report=report(125, part="services", service="db")).pod

    decision = decide(job, Observed(pod=pod, log=text), Settings(), at(70))

    assert decision.status is not None
    said = str(decision.status.message)
    assert len(said) <= 1024
    assert said.isprintable()
    assert ("Attempt 2 starts at" in said) == bool(retries)
