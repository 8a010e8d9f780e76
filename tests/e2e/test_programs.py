"""Programs in and around inner containers: what they see of the sidecar's limits, and that demanding ones work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.images.extra import PROGRAMS
from tests.e2e.images import provide
from tests.e2e.test_containment import heredoc

if TYPE_CHECKING:
    from tests.e2e.pods import Pods

LIMITS = {"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}
#: Waits until a service manager in the container `machine` has started everything, or given up on some of it.
BOOT = r"""
docker run --detach --privileged --name machine --stop-signal SIGRTMIN+3 cijob-dev/systemd:1
until docker exec machine systemctl is-system-running 2>/dev/null | grep -E '^(running|degraded)$'; do sleep 0.2; done
docker exec machine systemctl is-active multi-user.target
docker stop machine
"""
BUILDER = r"""
docker buildx create --name other --driver docker-container --use
printf 'FROM busybox:stable\nRUN echo it is built > /result\nCMD cat /result\n' > Dockerfile
docker buildx build --quiet --load --tag mine .
docker run --rm mine
"""
#: `web` has its page late, and serves what it finds in the workspace; `client` asks once and fails if it came too early.
COMPOSE = r"""
services:
  web:
    image: busybox:stable
    command: sh -c 'sleep 2; cp /src/page /srv/index.html; exec httpd -f -p 8080 -h /srv'
    volumes: [".:/src:ro", "/srv"]
    networks: [inside]
    ports: ["8080:8080"]
    healthcheck: {test: wget -q -O - http://localhost:8080/index.html, interval: 500ms, timeout: 10s, retries: 60}
  client:
    image: busybox:stable
    command: sh -c 'wget -q -O - http://web:8080/index.html >/out/answer'
    volumes: ["./out:/out"]
    networks: [inside]
    depends_on: {web: {condition: service_healthy}}
networks: {inside: {}}
"""
COMPOSED = r"""
docker compose up --detach --quiet-pull
test "$(docker wait $(docker compose ps --all --quiet client))" = 0
cat out/answer
page() { exec 3<>"/dev/tcp/$1/8080" && printf 'GET /index.html HTTP/1.0\r\n\r\n' >&3 && timeout 20 grep workspace <&3; }
for host in localhost docker; do (page $host); done
docker compose ps --format '{{.Service}} is {{.Health}}'
docker compose down --volumes
test -z "$(docker ps --all --quiet)$(docker network ls --quiet --filter name=inside)"
"""


@pytest.fixture(scope="module", autouse=True)
def _images_of_programs() -> None:
    provide(*PROGRAMS)


def test_go_and_java_see_the_cpus_of_the_sidecar_and_those_that_docker_gave_them(pods: Pods) -> None:
    java = "docker run --rm cijob-dev/java:1 2>&1 | grep -E 'Provider|Effective CPU|Memory Limit'"
    pod = pods.start(
        "cpus",
        "docker run --rm cijob-dev/cpus:1",
        "docker run --rm --cpus 0.25 cijob-dev/cpus:1",
        java,
        java.replace("--rm", "--rm --cpus 0.25 --memory 256m"),
        docker=LIMITS,
    )
    lines = [line.strip() for line in pod.succeeded().splitlines()]
    assert [line for line in lines if line.startswith("limit=")] == ["limit=50000/100000", "limit=25000/100000"]
    assert lines.count("Effective CPU Count: 1") == 2, lines
    assert "Memory Limit: 256.00M" in lines
    pod.delete()


def test_a_service_manager_boots_in_a_privileged_container(pods: Pods) -> None:
    pod = pods.start("boot", BOOT, docker=LIMITS)
    lines = pod.succeeded().splitlines()
    assert {"running", "degraded"} & set(lines)
    assert "active" in lines
    pod.delete()


def test_buildx_builds_in_a_container_of_its_own(pods: Pods) -> None:
    pod = pods.start("buildx", BUILDER, docker=LIMITS)
    assert "it is built" in pod.succeeded().splitlines()
    pod.delete()


def test_compose_waits_for_health_publishes_ports_and_mounts_the_workspace(pods: Pods) -> None:
    files = "mkdir out; echo of the workspace >page", heredoc("compose.yaml", COMPOSE)
    lines = pods.start("compose", *files, COMPOSED).succeeded().splitlines()
    assert lines.count("of the workspace") == 3, lines
    assert "web is healthy" in lines
