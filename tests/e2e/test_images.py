"""The sidecar in images unlike the usual one: the same promises with each.

One Pod for each image: its script tries what a job does with a daemon, the test then looks at how the Pod ended.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cijob.models import CiJobSpec
from cijob.observation import observe_pod
from cijob.policies.outcome import outcome
from cijob.policies.waiting import waiting
from cijob.reasons import Reason
from tests.cluster.images.extra import DAEMONS
from tests.e2e import greedy
from tests.e2e.images import provide
from tests.e2e.lab import PATIENCE, wait_for
from tests.e2e.pods import CLIENT

if TYPE_CHECKING:
    from cijob.verdict import Verdict
    from tests.e2e.lab import Object
    from tests.e2e.pods import Pod, Pods

#: Seconds that the Pod's containers have to end. One that ignores SIGTERM runs when the script ends.
GRACE = 30
LIMIT = {"resources": {"limits": {"memory": "512Mi"}}}
SCRIPT = r"""
docker run --rm busybox:stable echo it runs
printf 'FROM busybox:stable\nRUN echo it is built > /result\nCMD cat /result\n' | docker build --quiet --tag mine -
docker run --rm mine
docker run --detach --stop-timeout 1 --publish 8080:80 busybox:stable sh -c 'echo it is served > index.html; httpd -f'
page() { exec 3<>"/dev/tcp/$1/8080" && printf 'GET /index.html HTTP/1.0\r\n\r\n' >&3 && timeout 5 grep served <&3; }
until (page 127.0.0.1) 2>/dev/null; do sleep 0.1; done
if (page "$(hostname -i)") 2>/dev/null; then echo the port is open to everyone; fi
EAT
echo "ended with $code"
docker inspect --format 'killed for memory: {{.State.OOMKilled}}' greedy
docker version --format 'the daemon has version {{.Server.Version}}'
docker info --format 'images are in {{.DriverStatus}}'
""".replace("EAT", greedy.run("greedy", "dd if=/dev/zero of=/dev/null bs=600M count=1", "busybox:stable"))
GRAPH_DRIVER, SNAPSHOTTER = "Backing Filesystem", "io.containerd.snapshotter.v1"


@pytest.fixture(scope="module", autouse=True)
def _images_of_daemons() -> None:
    provide(*DAEMONS)


@pytest.mark.parametrize(
    ("image", "endpoint", "store", "iptables"),
    [
        ("docker:29-dind-busybox", "TCP", GRAPH_DRIVER, "(nf_tables)"),
        ("docker:29-dind-busybox", "Unix", GRAPH_DRIVER, "(nf_tables)"),
        ("docker:29-dind-bare", "TCP", GRAPH_DRIVER, ""),  # no entry point that would say
        ("docker:29-dind-snapshotter", "TCP", SNAPSHOTTER, "(nf_tables)"),
        ("docker:29-dind-unshares", "Unix", GRAPH_DRIVER, "(nf_tables)"),
        ("docker:29-dind-legacy", "TCP", GRAPH_DRIVER, "(legacy)"),
    ],
)
def test_a_daemon_of_any_image_runs_builds_serves_contains_and_ends(
    pods: Pods, image: str, endpoint: str, store: str, iptables: str
) -> None:
    pod = pods.using(dind_image=image, termination_grace_seconds=GRACE).start(
        "image", SCRIPT, docker={**LIMIT, "endpoint": endpoint}
    )
    lines = pod.succeeded().splitlines()
    assert {"it runs", "it is built", "it is served"} <= set(lines), lines
    assert "the port is open to everyone" not in lines
    assert {"ended with 137", "killed for memory: true"} <= set(lines), f"an inner container outgrew the limit: {lines}"
    assert any(line.startswith("the daemon has version") for line in lines), f"the daemon outlived it: {lines}"
    assert store in "".join(line for line in lines if line.startswith("images are in")), lines
    assert ended(pod, "dind") == {"exitCode": 0, "restarts": 0}, f"{pod.body()['status']}\n{pod.log('dind')[-3000:]}"
    assert iptables in pod.log("dind"), pod.log("dind")[:3000]
    assert pod.report("dind")["ready"], pod.report("dind")
    pod.delete()


def ended(pod: Pod, container: str) -> Object:
    """How a container ended, and how often it had been started again before."""
    code = pod.end(container)["exitCode"]
    return {"exitCode": code, "restarts": pod.container(container)["restartCount"]}


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("busybox:stable", "the image has no dockerd on its PATH: docker.io/library/docker:dind is such an image"),
        ("docker:29-dind-no-iptables", "iptables works in neither flavour"),
    ],
)
def test_an_image_that_cannot_be_the_daemons_is_named_in_one_line(pods: Pods, image: str, message: str) -> None:
    pod = pods.using(dind_image=image).start("unfit", "docker version", docker={"startTimeout": "5s"})
    failed = wait_for(lambda: verdict_of(pod), PATIENCE, lambda: f"a verdict on {pod.body()}")
    assert failed.reason == Reason.DAEMON_NOT_READY
    assert message in failed.message
    # The kubelet may just have started it again.
    said = wait_for(lambda: pod.log("dind").splitlines() or None, PATIENCE, lambda: f"what {pod.body()} says")
    assert [line.partition(message)[0] for line in said] == ["cijob: "], said
    pod.delete()


def verdict_of(pod: Pod) -> Verdict | None:
    """What the operator would say of the Pod: whether the kubelet starts the job before such a daemon's end, is chance."""
    spec, seen = CiJobSpec(image=CLIENT, script=("docker version",)), observe_pod(pod.body())
    wait = waiting(spec, seen, timedelta(minutes=2), datetime.now(UTC))
    return (wait and wait.verdict) or outcome(spec, seen, timedelta(hours=1))
