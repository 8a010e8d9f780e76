"""What is read of a raw Pod and of a termination message. The samples are a kubelet's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.observation import ContainerState, Terminated, observe_pod
from cijob.reports import DaemonReport, JobReport
from tests.unit.builders import JOB_NAME, JOB_UID, NAMESPACE, POD_NAME, POD_UID, Body, a_pod, at

#: `kubectl get pod -o json` of a Pod whose job failed while its sidecar still ran (kubelet 1.36), without its spec's details.
KUBELET = json.loads(r"""
{
  "apiVersion": "v1", "kind": "Pod",
  "metadata": {
    "name": "web-xk2p9-5f1e2d3c", "namespace": "team-a", "uid": "8d1f6f43-7a51-4a0f-8c52-5f0b3b1d7f10",
    "resourceVersion": "48213", "creationTimestamp": "2026-01-31T12:00:00Z", "generation": 1,
    "labels": {"app.kubernetes.io/managed-by": "cijob-operator", "cijob.dev/attempt": "1", "cijob.dev/job": "web-xk2p9"},
    "annotations": {"cijob.dev/launcher-script": "cijob_entry script 1 1 'exit 7'\neval \"$cijob_text\"\n"},
    "ownerReferences": [
      {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "1"},
      {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "name": "web-xk2p9",
       "uid": "2f0c8a0e-96d8-4b8e-a1c4-3b1a60a0b5de", "controller": true, "blockOwnerDeletion": true}
    ]
  },
  "spec": {
    "activeDeadlineSeconds": 3600, "nodeName": "node-1", "restartPolicy": "Never",
    "initContainers": [{"name": "dind", "image": "docker:29-dind", "restartPolicy": "Always"}],
    "containers": [{"name": "job", "image": "ubuntu:25.10"}]
  },
  "status": {
    "phase": "Running", "qosClass": "Burstable", "hostIP": "10.0.0.2", "podIP": "10.244.0.7",
    "startTime": "2026-01-31T12:00:01Z",
    "conditions": [
      {"type": "PodReadyToStartContainers", "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-31T12:00:02Z"},
      {"type": "Initialized", "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-31T12:00:03Z"},
      {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [job]",
       "lastProbeTime": null, "lastTransitionTime": "2026-01-31T12:00:09Z"},
      {"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-31T12:00:00Z"}
    ],
    "initContainerStatuses": [{
      "name": "dind", "image": "docker.io/library/docker:29-dind", "imageID": "docker.io/library/docker@sha256:1",
      "containerID": "containerd://1", "ready": true, "started": true, "restartCount": 0, "lastState": {},
      "state": {"running": {"startedAt": "2026-01-31T12:00:02Z"}}
    }],
    "containerStatuses": [{
      "name": "job", "image": "docker.io/library/ubuntu:25.10", "imageID": "docker.io/library/ubuntu@sha256:2",
      "containerID": "containerd://2", "ready": false, "started": false, "restartCount": 0, "lastState": {},
      "state": {"terminated": {
        "containerID": "containerd://2", "exitCode": 7, "reason": "Error",
        "message": "{\"exitCode\":7,\"part\":\"script\",\"entry\":1,\"signal\":null,\"daemon\":\"ready\",\"peakMemory\":4567040}\n",
        "startedAt": "2026-01-31T12:00:03Z", "finishedAt": "2026-01-31T12:00:08Z"
      }}
    }]
  }
}
""")


def test_a_kubelets_pod_is_read_whole() -> None:
    pod = observe_pod(KUBELET)

    assert (pod.namespace, pod.name, pod.uid) == (
        "team-a",
        "web-xk2p9-5f1e2d3c",
        "8d1f6f43-7a51-4a0f-8c52-5f0b3b1d7f10",
    )
    assert pod.resource_version == 48213
    assert (pod.owner_name, pod.owner_uid) == ("web-xk2p9", "2f0c8a0e-96d8-4b8e-a1c4-3b1a60a0b5de")
    assert (pod.attempt, pod.stop, pod.sidecar) == (1, "", True)
    assert (pod.phase, pod.reason, pod.message, pod.terminal) == ("Running", "", "", False)
    assert (pod.node_name, pod.created, pod.start_time) == ("node-1", at(0), at(1))
    assert pod.active_deadline_seconds == 3600
    assert (pod.deletion_timestamp, pod.deletion_asked_at) == (None, None)
    assert (pod.disruption, pod.unschedulable) == ("", "")
    assert pod.dind == ContainerState(running_since=at(2))
    message = KUBELET["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    ended = Terminated(exit_code=7, reason="Error", message=message, started_at=at(3), finished_at=at(8))
    assert pod.job == ContainerState(terminated=ended)
    assert JobReport.parse(message) == JobReport(
        exit_code=7, part="script", entry=1, signal="", daemon="ready", peak_memory=4567040
    )


def test_a_pod_that_was_just_created_is_read() -> None:
    body: Body = {
        "metadata": {
            "name": POD_NAME,
            "namespace": NAMESPACE,
            "uid": POD_UID,
            "resourceVersion": "5",
            "creationTimestamp": "2026-01-31T12:00:00Z",
        }
    }

    pod = observe_pod(body)

    assert (pod.owner_name, pod.owner_uid, pod.attempt, pod.phase) == ("", "", 0, "Pending")
    assert (pod.start_time, pod.active_deadline_seconds, pod.sidecar) == (None, 0, False)
    assert pod.job == pod.dind == ContainerState()


@pytest.mark.parametrize(
    "owner",
    [
        {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "name": "x", "uid": "1"},
        {"apiVersion": "batch/v1", "kind": "CiJob", "name": "x", "uid": "1", "controller": True},
        {"apiVersion": "cijob.dev/v1alpha1", "kind": "Build", "name": "x", "uid": "1", "controller": True},
        {"apiVersion": "cijob.dev.example.com/v1", "kind": "CiJob", "name": "x", "uid": "1", "controller": True},
    ],
    ids=["no controller", "another group", "another kind", "a group that only begins alike"],
)
def test_only_a_cijob_that_controls_it_owns_a_pod(owner: dict[str, object]) -> None:
    assert a_pod().with_meta(ownerReferences=[owner]).pod.owner_uid == ""


def test_a_later_version_of_the_api_owns_a_pod_too() -> None:
    owner = {"apiVersion": "cijob.dev/v1", "kind": "CiJob", "name": JOB_NAME, "uid": JOB_UID, "controller": True}

    assert a_pod().with_meta(ownerReferences=[owner]).pod.owner_uid == JOB_UID


@pytest.mark.parametrize("attempt", ["", "one", "-1", "1.5", "²"])
def test_an_attempt_that_is_no_number_is_none_of_ours(attempt: str) -> None:
    assert a_pod().with_meta(labels={"cijob.dev/attempt": attempt}).pod.attempt == 0


def test_conditions_that_do_not_hold_say_nothing() -> None:
    pod = a_pod().with_condition("DisruptionTarget", status="False", reason="EvictionByEvictionAPI")

    assert pod.pod.disruption == ""
    assert pod.with_condition("PodScheduled", status="True").pod.unschedulable == ""
    assert a_pod().disrupted("PreemptionByScheduler").pod.disruption == "PreemptionByScheduler"


def test_a_deletion_is_asked_for_a_grace_period_before_its_timestamp() -> None:
    pod = a_pod().being_deleted(asked=50, grace=60).pod

    assert (pod.deletion_timestamp, pod.deletion_asked_at) == (at(110), at(50))


def test_a_restarted_sidecar_keeps_its_last_end() -> None:
    """What the kubelet writes while a sidecar is in CrashLoopBackOff."""
    status = {
        "name": "dind",
        "restartCount": 2,
        "state": {
            "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=dind"}
        },
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-31T12:00:30Z"}},
    }

    dind = a_pod().with_status(initContainerStatuses=[status]).pod.dind

    assert (dind.restart_count, dind.waiting_reason, dind.running_since) == (2, "CrashLoopBackOff", None)
    assert dind.waiting_message.startswith("back-off 10s")
    assert dind.death == Terminated(exit_code=137, reason="OOMKilled", finished_at=at(30))


def test_other_containers_are_not_the_jobs() -> None:
    status = {"name": "istio-proxy", "state": {"terminated": {"exitCode": 1}}, "restartCount": 3}

    pod = a_pod().with_status(containerStatuses=[status], initContainerStatuses=[status]).pod

    assert pod.job == pod.dind == pod.git == ContainerState()


def test_the_checkout_and_the_services_are_seen() -> None:
    pod = a_pod().dind_running().restarted("db", 137, reason="OOMKilled", times=2).git_ended(128, "fatal: x").pod

    assert [name for name, _ in pod.services] == ["db"]
    assert (pod.service("db").restart_count, pod.service("db").running_since) == (2, at(31))
    assert pod.service("db").death == Terminated(
        exit_code=137, reason="OOMKilled", started_at=at(3), finished_at=at(30)
    )
    assert pod.service("cache") == ContainerState()
    assert pod.git.terminated is pod.failed_checkout is pod.end
    assert a_pod().git_ended(0, reason="Completed").pod.end is None


@pytest.mark.parametrize(
    "status", [None, {}, {"containerStatuses": None, "initContainerStatuses": None, "conditions": None}]
)
def test_a_pod_without_a_status_is_pending(status: object) -> None:
    pod = observe_pod({**a_pod().body, "status": status})

    assert (pod.phase, pod.job) == ("Pending", ContainerState())


# --- termination messages

NO_NUMBERS: list[object] = ["3", 1.5, True, [1], {}]
GOOD: Body = {"exitCode": 1, "part": "script", "entry": 3, "signal": "TERM", "daemon": "lost", "peakMemory": None}


def test_a_report_is_read() -> None:
    assert JobReport.parse(json.dumps(GOOD) + "\n") == JobReport(
        exit_code=1, part="script", entry=3, signal="TERM", daemon="lost", peak_memory=None
    )
    services = JobReport.parse(json.dumps(GOOD | {"part": "services", "service": "db", "innerPeakMemory": 3}))
    assert services is not None
    assert (services.part, services.service, services.trouble.peak_memory) == ("services", "db", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "error: make failed\n",
        "{",
        "{}",
        "null",
        "[]",
        '"{}"',
        "{" * 4096,
        '{"a":' * 800,
        '{"a":' + "[" * 4000,
        json.dumps(GOOD)[:-1],
        json.dumps(GOOD) + json.dumps(GOOD),
        *(
            json.dumps({key: value for key, value in GOOD.items() if key != left})
            for left in ("exitCode", "part", "daemon")
        ),
        *(json.dumps(GOOD | {"exitCode": value}) for value in [*NO_NUMBERS, 1.0, None]),
        *(json.dumps(GOOD | {"entry": value}) for value in NO_NUMBERS[:4]),
        *(json.dumps(GOOD | {"peakMemory": value}) for value in [*NO_NUMBERS, float("nan"), -1, 1 << 63]),
        *(json.dumps(GOOD | {"innerPeakMemory": value}) for value in [*NO_NUMBERS, -1]),
        *(
            json.dumps(GOOD | {"oomKilled": {"name": "a", "image": "b", "limit": value}})
            for value in [*NO_NUMBERS, -1, 1 << 63]
        ),
        *(json.dumps(GOOD | {"oomKilled": value}) for value in [1, "a", [], {"name": "a"}]),
        json.dumps(GOOD | {"disk": {"size": 1}}),
        json.dumps(GOOD | {"disk": {"size": 1, "free": -1}}),
        '{"exitCode": 1e400, "part": "script", "daemon": "none"}',
        '{"exitCode": ' + "9" * 4000 + ".0}",
    ],
)
def test_what_a_job_writes_itself_is_no_report(text: str) -> None:
    assert JobReport.parse(text) is None


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_any_text_is_harmless(text: str) -> None:
    for candidate in (text, "{" + text, json.dumps(GOOD)[:20] + text):
        JobReport.parse(candidate)
        DaemonReport.parse(candidate)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "ready", "message", "oomKilled", "disk"]), JSON))
def test_any_json_is_harmless_and_gives_only_whole_numbers(data: dict[str, object]) -> None:
    report = JobReport.parse(json.dumps(data))
    daemon = DaemonReport.parse(json.dumps(data))

    if report is not None:
        assert type(report.exit_code) is type(report.entry) is int
        assert report.exit_code == data["exitCode"]
    assert (daemon is not None) == isinstance(data.get("ready"), bool)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"ready":true,"message":"dockerd ended with 2.","exitCode":2}\n',
            DaemonReport(ready=True, message="dockerd ended with 2."),
        ),
        ('{"ready":false,"message":null}', DaemonReport(ready=False)),
        ('{"ready":"true"}', None),
        ('{"ready":1}', None),
        ("", None),
        ("{}", None),
        ("failed to start daemon", None),
    ],
)
def test_the_daemons_report_is_read(text: str, expected: DaemonReport | None) -> None:
    assert DaemonReport.parse(text) == expected


def test_a_pods_owner_of_any_kind_and_its_jobs_label_are_seen() -> None:
    theirs = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "y", "controller": True}]

    assert (a_pod().pod.owned, a_pod().pod.job_label) == (True, "build-42")
    assert a_pod().with_meta(ownerReferences=theirs).pod.owned
    assert not a_pod().with_meta(ownerReferences=None).pod.owned
    assert a_pod().with_meta(labels=None).pod.job_label == ""
