"""What every job finds in its environment, and what says where and when it runs: platform, suspend, priority."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.audit import assert_costs, requests
from tests.e2e.lab import Jobs, own_namespace, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Cluster, Job, Object

WITHOUT_DOCKER = {"docker": {"enabled": False}}
PRINT = "env | grep -E '^(CI|CIJOB_(NAME|NAMESPACE|UID|ATTEMPT|POOL|STATUS|EXIT_CODE))=' | sort"
SUSPENDED_MESSAGE = "The job is suspended; it starts once spec.suspend is false."


@pytest.fixture
def own(cluster: Cluster) -> Iterator[Jobs]:
    """CiJobs in a namespace of the test's own, so that the operator's writes can be counted."""
    with own_namespace(cluster, "e2e") as namespace:
        yield Jobs(cluster, namespace)


def body(job: Job) -> Object:
    """The CiJob as it is now."""
    return job.cluster.get("cijob", job.name, f"--namespace={job.namespace}")


def predefined(job: Job) -> dict[str, str]:
    """What a job must see, by the names of the design."""
    return {
        "CI": "true",
        "CIJOB_NAME": job.name,
        "CIJOB_NAMESPACE": job.namespace,
        "CIJOB_UID": body(job)["metadata"]["uid"],
        "CIJOB_ATTEMPT": "1",
        "CIJOB_POOL": "default",
    }


def lines(variables: dict[str, str]) -> str:
    """How PRINT shows them."""
    return "".join(f"{name}={value}\n" for name, value in sorted(variables.items(), key=lambda pair: f"{pair[0]}="))


def change(job: Job, **spec: object) -> None:
    """Change fields of the spec, as a user does."""
    patch = json.dumps({"spec": spec})
    job.cluster.run("patch", "cij", job.name, f"--namespace={job.namespace}", "--type=merge", f"--patch={patch}")


# --- predefined variables


def test_script_and_after_script_see_the_predefined_variables(jobs: Jobs) -> None:
    quiet = f"{{ {PRINT}; }} 2>/dev/null"
    job = jobs.start(
        "seen", **WITHOUT_DOCKER, script=[f"LC_ALL=C; {quiet}; exit 3"], afterScript=[f"LC_ALL=C; {quiet}"]
    )
    assert job.end()["exitCode"] == 3
    of_script = predefined(job)
    _, script, after = job.log().split("$ LC_ALL=C; ")
    assert script.endswith(lines(of_script))
    assert after.endswith(lines(of_script | {"CIJOB_STATUS": "failed", "CIJOB_EXIT_CODE": "3"}))


def test_a_command_sees_the_predefined_variables_and_may_refer_to_them(jobs: Jobs) -> None:
    job = jobs.start("seen", **WITHOUT_DOCKER, command=["sh", "-c", f"echo $0; {PRINT}", "$(CIJOB_NAME)-$(CI)"])
    assert job.end()["phase"] == "Succeeded"
    assert job.log() == f"{job.name}-true\n" + lines(predefined(job))


def test_the_user_may_set_ci_but_no_name_of_the_operators(jobs: Jobs) -> None:
    job = jobs.start("ci", **WITHOUT_DOCKER, variables={"CI": "no"}, script=['test "$CI" = no'])
    assert job.end()["phase"] == "Succeeded"
    manifest = {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "CiJob",
        "metadata": {"generateName": "refused-", "namespace": jobs.namespace},
        "spec": {"image": "ubuntu:25.10", "script": ["true"], "variables": {"CIJOB_POOL": "mine"}},
    }
    refused = jobs.cluster.run("create", "--filename=-", stdin=json.dumps(manifest), check=False)
    assert "names that start with CIJOB_ belong to the operator: choose another name" in refused.stderr


# --- platform


def test_a_job_for_the_nodes_own_platform_runs_there(jobs: Jobs) -> None:
    node = jobs.cluster.get("nodes")["items"][0]["metadata"]["labels"]
    system, architecture = node["kubernetes.io/os"], node["kubernetes.io/arch"]
    job = jobs.start("here", **WITHOUT_DOCKER, platform=f"{system}/{architecture}", script=["uname -m"])
    assert job.end()["phase"] == "Succeeded"
    assert job.pod()["spec"]["nodeSelector"] == {"kubernetes.io/os": system, "kubernetes.io/arch": architecture}


def test_a_job_for_a_platform_that_no_node_has_waits_and_says_so(jobs: Jobs) -> None:
    nodes = jobs.cluster.get("nodes")["items"]
    others = {"amd64", "arm64"} - {node["metadata"]["labels"]["kubernetes.io/arch"] for node in nodes}
    if not others:
        pytest.skip("the cluster has nodes of both architectures")
    job = jobs.start("elsewhere", **WITHOUT_DOCKER, platform=f"linux/{others.pop()}", script=["uname -m"])
    status = wait_for(
        lambda: found if (found := job.status()).get("reason") == "Unschedulable" else None,
        30,
        lambda: f"the reason of {job.status()}",
    )
    assert status["phase"] == "Starting"
    assert "node affinity/selector" in status["message"]
    job.cancel("Graceful")
    assert job.end(30)["reason"] == "Cancelled"


# --- suspend


def test_a_suspended_job_says_so_once_and_runs_when_it_is_let_go(own: Jobs) -> None:
    job = own.start("suspended", **WITHOUT_DOCKER, suspend=True, script=["echo it runs"])
    status = job.wait_for_phase("Queued", seconds=30)
    assert (status["reason"], status["message"]) == ("Suspended", SUSPENDED_MESSAGE)
    created = datetime.fromisoformat(body(job)["metadata"]["creationTimestamp"])
    written = next(entry["time"] for entry in _managed(job) if entry.get("subresource") == "status")
    assert (datetime.fromisoformat(written) - created).total_seconds() >= 4, "5 s, of which the stamps lose up to one"
    if own.cluster.audit_log is not None:
        assert requests(own.cluster, job) == Counter({"patch cijobs/status": 1})
    assert job.pods() == []

    change(job, suspend=False)
    status = job.end()
    assert (status["phase"], status["reason"]) == ("Succeeded", "Completed")
    assert job.log().endswith("it runs\n")


def _managed(job: Job) -> list[Object]:
    arguments = ("get", "cijob", job.name, f"--namespace={job.namespace}", "--show-managed-fields", "--output=json")
    return list(json.loads(job.cluster.run(*arguments).stdout)["metadata"]["managedFields"])


def test_a_job_that_is_let_go_at_once_costs_no_write_more(own: Jobs) -> None:
    job = own.start("brief", **WITHOUT_DOCKER, suspend=True, script=["sleep 1"])
    change(job, suspend=False)
    assert job.end()["phase"] == "Succeeded"
    if own.cluster.audit_log is not None:
        assert_costs(own.cluster, job)


def test_a_job_that_runs_is_not_stopped_by_suspend(jobs: Jobs) -> None:
    job = jobs.start("running", **WITHOUT_DOCKER, script=["until test -e go; do sleep 0.1; done"])
    job.wait_for_phase("Running")
    change(job, suspend=True)
    job.end_by("job", "touch", "go")
    assert job.end()["phase"] == "Succeeded"


def test_a_suspended_job_can_be_cancelled(jobs: Jobs) -> None:
    job = jobs.start("unwanted", **WITHOUT_DOCKER, suspend=True, script=["true"])
    job.wait_for_phase("Queued", seconds=30)
    job.cancel("Graceful")
    status = job.end(30)
    assert (status["phase"], status["reason"]) == ("Cancelled", "Cancelled")
    assert job.pods() == []


def test_a_retry_waits_while_the_job_is_suspended(jobs: Jobs) -> None:
    script = ['test "$CIJOB_ATTEMPT" = 2 || { until test -e go; do sleep 0.1; done; exit 7; }']
    job = jobs.start("again", **WITHOUT_DOCKER, retry={"limit": 1}, script=script)
    job.wait_for_phase("Running")
    change(job, suspend=True)
    job.end_by("job", "touch", "go")
    status = job.wait_for_phase("Queued", seconds=60)
    assert (status["reason"], status["attempt"], status["retries"]) == ("Suspended", 2, {"user": 1, "infra": 0})
    ended = datetime.fromisoformat(status["attempts"][0]["completionTime"])
    wait_for(lambda: (datetime.now(ended.tzinfo) - ended).total_seconds() > 12 or None, 30, lambda: "the usual 10 s")
    assert len(job.pods()) == 1
    change(job, suspend=None)
    status = job.end()
    assert (status["phase"], status["attempt"]) == ("Succeeded", 2)


# --- priority, and what selects jobs


def test_priority_is_stored_and_may_change(jobs: Jobs) -> None:
    job = jobs.start("urgent", **WITHOUT_DOCKER, priority=1000, script=["true"])
    assert body(job)["spec"]["priority"] == 1000
    change(job, priority=-1000)
    assert job.end()["phase"] == "Succeeded"
    described = job.cluster.run("describe", "cij", job.name, f"--namespace={job.namespace}").stdout
    assert described.partition("Priority:")[2].split()[0] == "-1000"


def test_jobs_are_selected_by_pool_and_phase(own: Jobs) -> None:
    done = own.start("done", **WITHOUT_DOCKER, script=["true"])
    waits = own.start("waits", **WITHOUT_DOCKER, suspend=True, script=["true"])
    assert done.end()["phase"] == "Succeeded"
    waits.wait_for_phase("Queued", seconds=30)

    def selected(selector: str) -> set[str]:
        here = f"--namespace={own.namespace}"
        found = own.cluster.run("get", "cij", here, f"--field-selector={selector}", "--output=name").stdout
        return {name.partition("/")[2] for name in found.split()}

    assert selected("spec.poolName=default") == {done.name, waits.name}
    assert selected("spec.poolName!=default") == set()
    assert selected("status.phase=Queued") == {waits.name}
    assert selected("status.phase=Succeeded,spec.poolName=default") == {done.name}
