"""spec.services with real servers: how jobs reach them, what is waited for, and how failures are told."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any

import pytest

from cijob.names import SERVICES_DIR
from tests.e2e.images import provide
from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job, Jobs, Object
    from tests.e2e.pods import Pods

POSTGRES, REDIS, WEB = "postgres:17", "redis:8", "cijob-dev/web:1"
SHELL = "busybox:stable"
NO_DOCKER = {"enabled": False}
DB: Object = {
    "name": "db",
    "image": POSTGRES,
    "variables": {"POSTGRES_USER": "ci", "POSTGRES_PASSWORD": "pa$$ $(word)", "POSTGRES_DB": "app"},
    "ports": [5432],
    "ready": ["pg_isready", "--host=localhost"],
}
CACHE: Object = {"name": "cache", "image": REDIS, "ports": [6379]}
#: A service that does nothing, and ends when it is asked to: as process 1, `sleep` would not.
IDLE = "trap exit TERM; while :; do sleep 0.5; done"
SLEEP = ["sh", "-c", IDLE]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


@pytest.fixture(scope="module", autouse=True)
def lost(jobs: Jobs) -> Job:
    """A job with a service whose image nobody has: its end takes the grace of two minutes."""
    provide(POSTGRES, REDIS, WEB)
    services = [CACHE, {"name": "db", "image": "nobody/has:this"}]
    return jobs.start("lost", image=SHELL, docker=NO_DOCKER, services=services, script=["echo NOT REACHED"])


def failed(job: Job, seconds: float = 120) -> str:
    """Wait for the failure of a service; gives the status's message."""
    status = job.end(seconds)
    assert (status["phase"], status["reason"]) == ("Failed", "ServiceNotReady"), status
    return str(status["message"])


# --- what a job has of them


def test_a_script_starts_when_database_and_cache_answer_under_their_names(jobs: Jobs) -> None:
    job = jobs.start(
        "query",
        image=POSTGRES,
        docker=NO_DOCKER,
        services=[DB, CACHE],
        variables={"PGPASSWORD": "pa$$ $(word)"},
        script=[
            "psql -h db -U ci app -c 'CREATE TABLE t AS SELECT generate_series(1, 10) AS n'",
            "psql -h localhost -U ci app --tuples-only --no-align -c 'SELECT sum(n) FROM t'",
            "redis-cli -h cache SET greeting hello && redis-cli -h cache GET greeting",
        ],
    )
    log = job.succeeded()
    assert "\nSELECT 10\n" in log
    assert "\n55\n" in log
    assert log.endswith("\nOK\nhello\n")
    assert "cijob: " not in log


def test_variables_arrive_byte_for_byte_and_the_workspace_is_shared(pods: Pods) -> None:
    odd = {"A": "a$$b $(A) ${A} $A", "B": "  'single' \"double\" \\ `x`\n\ttwo lines\n", "C": "ü=é=", "D": ""}
    write = 'printf "%s|" "$A" "$B" "$C" "${D-unset}" >here; echo "${CI-unset}" >>here; mv here there'
    service = {
        "name": "odd",
        "image": "cimg/base:current",
        "command": ["sh", "-c"],
        "args": [f"cd /workspace; {write}; {IDLE}"],
        "variables": odd,
        "ready": ["test", "-e", "/workspace/there"],
    }
    script = 'printf "%s|" "$A" "$B" "$C" "$D" >mine; echo unset >>mine; cmp mine there; rm there; echo same'
    pod = pods.start("odd", script, image=SHELL, docker=NO_DOCKER, services=[service], variables=odd)
    assert pod.succeeded().endswith("\nsame\n")


def test_services_start_beside_the_job_and_none_waits_for_another(pods: Pods) -> None:
    slow = {"name": "slow", "image": SHELL, "command": SLEEP, "ready": ["test", "-e", "/workspace/go"]}
    pod = pods.start(
        "beside",
        "echo ran",
        image="cimg/base:current",
        docker=NO_DOCKER,
        services=[slow | {"startTimeout": "10m"}, CACHE, {"name": "last", "image": SHELL, "command": SLEEP}],
    )
    pod.wait_for_log("cijob: waiting for slow: its check has not succeeded yet...")
    assert all(pod.container(name)["state"].get("running") for name in ("slow", "cache", "last", "job"))
    pod.execute("last", "touch", "/workspace/go")
    assert pod.succeeded().endswith("\nran\n")


def test_ports_are_enough_for_an_image_without_a_shell(pods: Pods) -> None:
    web = {"name": "web", "image": WEB, "args": ["-p", "8080"], "ports": [8080]}
    script = "wget -q -O - http://web:8080/workspace/page"
    pod = pods.start("web", script, image=SHELL, docker=NO_DOCKER, services=[web], beforeScript=["echo found >page"])
    assert pod.succeeded().endswith("\nfound\n")


def test_a_job_with_a_command_starts_when_its_services_are_ready(pods: Pods) -> None:
    services = [CACHE | {"ready": ["redis-cli", "ping"]}, DB]
    words = ["sh", "-c", "redis-cli -h cache PING && pg_isready -h db"]
    pod = pods.start("command", image=REDIS, docker=NO_DOCKER, services=services, command=words, script=None)
    assert pod.succeeded() == "PONG\ndb:5432 - accepting connections\n"


def test_a_job_with_a_command_whose_service_is_never_ready_does_not_start(jobs: Jobs) -> None:
    never = {"name": "never", "image": SHELL, "command": SLEEP, "startTimeout": "3s"}
    for asked in ({"ports": [5432]}, {"ready": ["false"]}):
        services = [CACHE, never | asked]
        job = jobs.start("command", image=SHELL, docker=NO_DOCKER, services=services, command=["echo", "NOT REACHED"])
        assert "never was not ready after 3 s" in failed(job)


def test_a_server_on_all_addresses_is_open_to_other_pods_and_one_on_localhost_is_not(pods: Pods) -> None:
    """Published ports of Docker are closed to them; services are the user's own."""
    closed = CACHE | {"name": "closed", "args": ["--port", "7000", "--bind", "127.0.0.1"], "ports": [7000]}
    pod = pods.start(
        "open", "until [ -e done ]; do sleep 0.2; done", image=SHELL, docker=NO_DOCKER, services=[CACHE, closed]
    )
    pod.wait_for_log("$ until")
    address = pod.body()["status"]["podIP"]
    ask = f"echo PING | timeout 5 nc {address}"
    other = pods.start("other", f"{ask} 6379", f"! {ask} 7000", image=SHELL, docker=NO_DOCKER)
    assert other.succeeded().count("+PONG") == 1
    pod.cluster.end_by(pod.namespace, pod.name, "job", "touch", "done")
    pod.succeeded()


def test_inner_containers_reach_a_service_through_the_host(pods: Pods) -> None:
    closed = {"name": "closed", "image": REDIS, "args": ["--port", "7000", "--bind", "127.0.0.1"], "ports": [7000]}
    ask = "busybox:stable sh -c 'echo PING | timeout 10 nc $0 $1' "
    pod = pods.start(
        "inner",
        f"docker run --rm --add-host cache:host-gateway {ask} cache 6379",
        f"docker run --rm --network host {ask} localhost 6379",
        f"docker run --rm --network host {ask} localhost 7000",
        f"! docker run --rm --add-host closed:host-gateway {ask} closed 7000",
        "docker network create own && docker run --rm --network own --add-host cache:host-gateway "
        + ask
        + "cache 6379",
        services=[CACHE, closed],
    )
    assert pod.succeeded().count("\n+PONG") == 4


# --- how they end


def test_services_end_with_the_job_and_one_that_will_not_delays_no_verdict(jobs: Jobs) -> None:
    services = [CACHE, {"name": "stubborn", "image": SHELL, "command": STUBBORN}]
    job = jobs.start("ends", image=SHELL, docker=NO_DOCKER, services=services, script=["exit 3"])
    status = job.end()
    pod = job.pod()
    assert (status["reason"], status["exitCode"]) == ("ScriptFailed", 3)
    assert pod["status"]["phase"] == "Running"
    ends = wait_for(
        lambda: pod["status"] if (pod := job.pod())["status"]["phase"] == "Failed" else None,
        120,
        lambda: str(job.pod()),
    )
    script, *others = (
        datetime.fromisoformat(one["state"]["terminated"]["finishedAt"])
        for one in (*ends["containerStatuses"], *ends["initContainerStatuses"])
    )
    delay, whole = datetime.fromisoformat(status["completionTime"]) - script, max(others) - script
    assert delay < whole / 4, f"the verdict came after {delay}, the end of the Pod after {whole}"
    assert job.status() == status


def test_a_cancelled_job_does_not_wait_on(jobs: Jobs) -> None:
    never = {"name": "never", "image": SHELL, "command": SLEEP, "ready": ["false"], "startTimeout": "30m"}
    job = jobs.start("cancelled", image=SHELL, docker=NO_DOCKER, services=[never], script=["echo NOT REACHED"])
    job.wait_for_log("cijob: waiting for never")
    job.cancel("Graceful")
    assert job.end(90)["phase"] == "Cancelled"
    assert "NOT REACHED" not in job.log()


# --- failures


def test_a_service_that_is_never_ready_is_shown_with_its_last_lines(jobs: Jobs) -> None:
    say = f"i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo line $i; done; {IDLE}"
    never = {"name": "never", "image": SHELL, "command": ["sh", "-c", say], "ports": [5432], "startTimeout": "3s"}
    job = jobs.start("never", image=SHELL, docker=NO_DOCKER, services=[CACHE, never], script=["echo NOT REACHED"])
    message = failed(job)
    assert "never" in message
    assert "3 s" in message
    assert "line 30" in message
    assert "line 3 " not in message
    said = (
        "cijob: never was not ready after 3 s: nothing listens on its port 5432; see the log of the container never\n"
    )
    assert job.log() == said
    assert job.status()["exitCode"] == 125


def test_a_service_that_ends_at_once_is_shown_with_its_last_lines(jobs: Jobs) -> None:
    open_db = {"name": "db", "image": POSTGRES, "ports": [5432], "startTimeout": "15s"}
    message = failed(jobs.start("crash", image=SHELL, docker=NO_DOCKER, services=[open_db], script=["true"]))
    assert re.search(r"db was not ready after 15 s: its container exited with 1 and was restarted \d times?\.", message)
    assert "https://www.postgresql.org/docs/current/auth-trust.html" in message


def after_a_check(manifest: Object) -> None:
    """Let the job start only when the check has failed once: how soon a busy kubelet begins with it, is not said."""
    spec = manifest["spec"]
    mounts = [one for one in spec["containers"][0]["volumeMounts"] if one["mountPath"] == SERVICES_DIR]
    wait = f"until [ -s {SERVICES_DIR}/down.last ]; do sleep 0.1; done"
    spec["initContainers"] += [
        {"name": "patient", "image": SHELL, "command": ["sh", "-c", wait], "volumeMounts": mounts}
    ]


def test_what_a_failing_check_says_is_in_the_jobs_log(pods: Pods) -> None:
    down = {"name": "down", "image": REDIS, "command": SLEEP, "ready": ["redis-cli", "ping"], "startTimeout": "3s"}
    pod = pods.start("check", "true", image=SHELL, docker=NO_DOCKER, services=[down], change=after_a_check)
    assert pod.report() | {"peakMemory": 0} == {
        "exitCode": 125, "part": "services", "entry": 0, "signal": None, "daemon": "none", "peakMemory": 0, "service": "down",
    }  # fmt: skip
    assert pod.log().endswith(
        "cijob: down was not ready after 3 s: its check has not succeeded; see the log of the container down\n"
        "cijob: its check said last:\nCould not connect to Redis at 127.0.0.1:6379: Connection refused\n"
    )


def test_of_a_service_with_values_from_secrets_nothing_is_shown(jobs: Jobs, cluster: Cluster, namespace: str) -> None:
    data = {"key": base64.b64encode(b"correct-horse").decode()}
    cluster.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word", "namespace": namespace}, "data": data}
    )
    leaky: Object = {
        "name": "leaky",
        "image": SHELL,
        "command": ["sh", "-c", f'echo "it is $WORD"; {IDLE}'],
        "env": [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "word", "key": "key"}}}],
        "ready": ["sh", "-c", 'test "$WORD" = correct-horse && exit 1'],
        "startTimeout": "3s",
    }
    job = jobs.start("leaky", image=SHELL, docker=NO_DOCKER, services=[leaky], script=["true"])
    message = failed(job)
    assert "correct-horse" not in message
    assert "it is" not in message
    assert f"kubectl logs {job.pod()['metadata']['name']} -c leaky" in message


def test_a_second_server_on_a_port_shows_that_the_port_is_taken(jobs: Jobs) -> None:
    """No `ports` of the second: the API server refuses one port twice, where it is told."""
    late = "until redis-cli ping; do sleep 0.1; done; exec redis-entrypoint --unixsocket /tmp/own"
    second = {
        "name": "second",
        "image": REDIS,
        "command": ["sh", "-c", late],  # else it may be the first
        "ready": ["redis-cli", "-s", "/tmp/own", "ping"],  # noqa: S108
        "startTimeout": "20s",
    }
    message = failed(jobs.start("twice", image=SHELL, docker=NO_DOCKER, services=[CACHE, second], script=["true"]))
    assert "second was not ready after 20 s: its container exited with 1" in message
    assert "Failed listening on port 6379" in message


def test_one_port_of_two_services_is_refused(jobs: Jobs) -> None:
    services: list[Any] = [CACHE, CACHE | {"name": "other"}]
    with pytest.raises(CalledProcessError) as error:
        jobs.start("refused", image=SHELL, docker=NO_DOCKER, services=services, script=["true"])
    says = "two services cannot listen on one port, since they share the job's network"
    assert says in error.value.stderr


def test_a_service_whose_image_cannot_be_pulled_is_named(lost: Job) -> None:
    status = lost.end()
    assert (status["phase"], status["reason"]) == ("Failed", "ServiceImagePullFailed"), status
    assert "db" in status["message"]
    assert "nobody/has:this" in status["message"]
