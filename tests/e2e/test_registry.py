"""imagePullSecrets against a real registry with a password: what the kubelet pulls, what docker in the job pulls and pushes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.registry import PASSWORD, USERNAME
from tests.e2e.conftest import OPERATOR_NAMESPACE
from tests.e2e.images import provide
from tests.e2e.lab import own_namespace
from tests.e2e.registry import config, secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Cluster, Job, Jobs, Object
    from tests.e2e.pods import Pods

#: Images with docker in them: one of root's, and one of a user.
CLIENT, NON_ROOT = "docker:29-cli", "cimg/base:current"
WRONG = "wrong-horse"
#: What no one but the holder of the Secret may read, in each form that it has there.
UNSPEAKABLE = (PASSWORD, *(base64.b64encode(text.encode()).decode() for text in (PASSWORD, f"{USERNAME}:{PASSWORD}")))
#: Prints what differs between the Secret's file and docker's own, whoever runs it.
COMPARE = 'cmp /.cijob/docker-secret/config.json "$DOCKER_CONFIG/config.json" && echo same || echo different'


@pytest.fixture(scope="module")
def registry(cluster: Cluster, namespace: str) -> str:
    """HOST:PORT of the registry; the namespace gets Secrets for it."""
    host = cluster.private_registry
    secret(cluster, namespace, "right", config(host, PASSWORD))
    secret(cluster, namespace, "wrong", config(host, WRONG))
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "password", "namespace": namespace},
            "stringData": {"password": PASSWORD},
        }
    )
    return host


@pytest.fixture(scope="module", autouse=True)
def refused(jobs: Jobs, registry: str) -> Iterator[dict[str, Job]]:
    """Jobs whose images cannot be pulled: their end takes the grace of two minutes."""
    with own_namespace(jobs.cluster, "elsewhere") as elsewhere:
        secret(jobs.cluster, elsewhere, "elsewhere", config(registry, PASSWORD))
        private = {"image": f"{registry}/library/busybox:stable", "imagePullPolicy": "Always"}
        yield {
            "without": start(jobs, "without", "true", secrets=(), **private),
            "wrong": start(jobs, "wrong", "true", secrets=("wrong",), **private),
            "elsewhere": start(jobs, "elsewhere", "true", secrets=("elsewhere",), **private),
            "service": start(jobs, "service", "true", secrets=("wrong",), services=[{"name": "web", **private}]),
        }


def start(jobs: Jobs, name: str, *script: str, secrets: tuple[str, ...] = ("right",), **spec: Any) -> Job:  # noqa: ANN401
    """Start a job with these Secrets."""
    given = {"imagePullSecrets": [{"name": secret} for secret in secrets]} if secrets else {}
    return jobs.start(name, **{"image": CLIENT, **given, "script": list(script), **spec})


# --- what the kubelet pulls


def test_the_image_of_a_job_is_pulled_with_any_of_the_secrets(jobs: Jobs, registry: str) -> None:
    image = f"{registry}/library/busybox:stable"
    options: Object = {"image": image, "imagePullPolicy": "Always", "docker": {"enabled": False}}
    start(jobs, "pulled", "true", **options).succeeded()
    start(jobs, "second", "true", secrets=("wrong", "right"), **options).succeeded()


def test_the_image_of_a_service_is_pulled_with_the_secret(jobs: Jobs, registry: str) -> None:
    service = {
        "name": "web",
        "image": f"{registry}/library/busybox:stable",
        "imagePullPolicy": "Always",
        "command": ["sh", "-c", "echo served > index.html; httpd -f -p 8080"],
        "ports": [8080],
    }
    job = start(jobs, "web", "wget -q -O - http://web:8080/index.html", image="busybox:stable", services=[service])
    assert job.succeeded().endswith("served\n")


def test_the_image_of_the_daemon_is_pulled_with_the_secret(pods: Pods, registry: str) -> None:
    image = f"{registry}/library/docker:29-dind"
    private = pods.using(dind_image=image, dind_image_pull_policy="Always")
    private.start("dind", "docker version", imagePullSecrets=[{"name": "right"}]).succeeded()


# --- docker in the job


@pytest.mark.parametrize("image", [CLIENT, NON_ROOT])
def test_docker_in_the_job_pulls_and_pushes_with_the_first_secret(jobs: Jobs, registry: str, image: str) -> None:
    pushed = f"{registry}/{jobs.namespace}/pushed:1"
    job = start(
        jobs,
        "push",
        'stat -c "%a %u" "$DOCKER_CONFIG/config.json"; id -u',
        f"docker pull --quiet {registry}/library/busybox:stable",
        f"docker tag {registry}/library/busybox:stable {pushed}; docker push --quiet {pushed}",
        f"docker rmi --force {pushed} {registry}/library/busybox:stable; docker run --rm {pushed} echo it came back",
        image=image,
        secrets=("right", "wrong"),
    )
    log = job.succeeded()
    assert log.endswith("it came back\n")
    user = "0" if image == CLIENT else "3434"
    assert f"\n600 {user}\n{user}\n" in log


@pytest.mark.parametrize("image", [CLIENT, NON_ROOT])
def test_docker_login_and_logout_work_and_leave_the_secret_alone(jobs: Jobs, registry: str, image: str) -> None:
    pull = f"docker pull --quiet {registry}/library/busybox:stable"
    job = start(
        jobs,
        "login",
        COMPARE,
        f"docker logout {registry}; {COMPARE}; if {pull}; then exit 9; fi",
        f"printenv PASSWORD | docker login --username {USERNAME} --password-stdin {registry}; {pull}",
        "if echo broken >/.cijob/docker-secret/config.json; then exit 9; fi",
        image=image,
        env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "password"}}}],
    )
    log = job.succeeded()
    assert [line for line in log.splitlines() if line in {"same", "different"}] == ["same", "different"]
    assert "no basic auth credentials" in log
    assert "Login Succeeded" in log


def test_builds_push_with_the_secret_and_pull_private_bases(jobs: Jobs, registry: str) -> None:
    provide("moby/buildkit:buildx-stable-1")
    base, built = f"{registry}/library/busybox:stable", f"{registry}/{jobs.namespace}/built"
    job = start(
        jobs,
        "buildx",
        f"printf 'FROM {base}\\nRUN echo it is built >/result\\nCMD cat /result\\n' >Dockerfile",
        f"docker buildx build --quiet --push --tag {built}:1 .",
        "docker buildx create --name other --driver docker-container --use",
        "printf 'FROM busybox:stable\\nCMD echo behind the mirror\\n' >mirrored",
        f"docker buildx build --quiet --push --tag {built}:2 .",
        f"docker buildx build --quiet --push --tag {built}:3 --file mirrored .",
        *(f"docker run --rm --pull always {built}:{number}" for number in (1, 2, 3)),
    )
    lines = job.succeeded().splitlines()
    assert (lines.count("it is built"), lines.count("behind the mirror")) == (2, 1)


def test_compose_pulls_private_images(jobs: Jobs, registry: str) -> None:
    content = {"services": {"app": {"image": f"{registry}/library/busybox:stable", "command": "echo it runs"}}}
    job = start(jobs, "compose", f"echo '{json.dumps(content)}' >compose.yaml", "docker compose up --pull always")
    assert "app-1  | it runs" in job.succeeded()


def test_a_command_finds_the_configuration(jobs: Jobs, registry: str) -> None:
    job = jobs.start(
        "command",
        image=CLIENT,
        imagePullSecrets=[{"name": "right"}],
        command=["docker", "run", "--rm", f"{registry}/library/busybox:stable", "echo", "it runs"],
    )
    assert job.succeeded().endswith("it runs\n")


def test_docker_config_of_the_users_own_wins(jobs: Jobs, registry: str) -> None:
    job = start(
        jobs,
        "own",
        "test $DOCKER_CONFIG = /tmp/own && test ! -e /tmp/own/config.json",
        f"if docker pull {registry}/library/busybox:stable; then exit 9; fi",
        variables={"DOCKER_CONFIG": "/tmp/own"},  # noqa: S108 - in the container
    )
    assert "no basic auth credentials" in job.succeeded()


def test_a_secret_that_is_not_there_holds_nothing_up(jobs: Jobs) -> None:
    job = start(jobs, "nothing", "test ! -e $DOCKER_CONFIG/config.json; docker pull busybox:stable", secrets=("never",))
    job.succeeded()


def test_without_secrets_docker_is_left_as_it_is(jobs: Jobs) -> None:
    job = start(jobs, "plain", 'test -z "${DOCKER_CONFIG+set}"; ls -A /.cijob', secrets=())
    assert job.succeeded().endswith("\ndaemon\nlauncher\nrun\n")


# --- what is refused, and what is said about it; last, since the grace has passed by then


@pytest.mark.parametrize("case", ["without", "wrong", "elsewhere"])
def test_an_image_that_the_secrets_do_not_open_says_so_in_the_registrys_words(
    refused: dict[str, Job], registry: str, case: str
) -> None:
    status = refused[case].end()
    assert (status["phase"], status["reason"]) == ("Failed", "ImagePullFailed"), status
    assert f"{registry}/library/busybox:stable" in status["message"]
    assert "authorization failed" in status["message"] or "401 Unauthorized" in status["message"], status["message"]


def test_an_image_of_a_service_that_the_secrets_do_not_open_names_the_service(refused: dict[str, Job]) -> None:
    status = refused["service"].end()
    assert (status["phase"], status["reason"]) == ("Failed", "ServiceImagePullFailed"), status
    assert "web" in status["message"]


def test_the_password_is_in_no_status_event_or_log_of_the_operator(jobs: Jobs, refused: dict[str, Job]) -> None:
    del refused
    seen = [jobs.cluster.get(kind, f"--namespace={jobs.namespace}") for kind in ("cijobs", "pods", "events")]
    assert all(found["items"] for found in seen)
    operator = [
        jobs.cluster.run("logs", f"--namespace={OPERATOR_NAMESPACE}", pod["metadata"]["name"]).stdout
        for pod in jobs.cluster.get("pods", f"--namespace={OPERATOR_NAMESPACE}")["items"]
    ]
    assert all(operator)
    text = json.dumps(seen) + "".join(operator)
    assert not [word for word in (*UNSPEAKABLE, WRONG) if word in text]
