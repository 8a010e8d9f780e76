"""Services: which of them is the Docker daemon, what becomes of the others, and how Docker's clients find the daemon."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.dind import calls_docker, is_daemon
from cijob.importers.gitlab.images import split
from cijob.importers.gitlab.services import derived
from tests.unit.gitlab.loading import errors, job, notes, warnings


@pytest.mark.parametrize(
    ("image", "repository", "tag"),
    [
        ("postgres", "postgres", ""),
        ("postgres:17", "postgres", "17"),
        ("h:5000/a/b", "h:5000/a/b", ""),
        ("h:5000/a/b:1-x", "h:5000/a/b", "1-x"),
        ("a@sha256:00", "a", ""),
        ("a:1@sha256:00", "a", "1"),
        ("a:", "a", ""),
    ],
)
def test_an_image_has_a_repository_and_a_tag(image: str, repository: str, tag: str) -> None:
    assert split(image) == (repository, tag)


class TestDaemon:
    @pytest.mark.parametrize(
        "image",
        [
            "docker:dind",
            "docker:27-dind",
            "docker:dind-rootless",
            "docker:27.3.1-dind-alpine3.20",
            "docker:stable-dind",
            "docker:dind@sha256:00",
            "docker.io/library/docker:20.10-dind",
            "registry.example.com:5000/mirror/docker:19.03.12-dind",
            "docker",
            "registry.example.com/ci/docker-dind:1",
            "registry.example.com/tools:dind",
        ],
    )
    def test_is_meant_by(self, image: str) -> None:
        assert is_daemon(image)
        spec = job(f"services: ['{image}']").spec
        assert "docker" not in spec
        assert "services" not in spec

    @pytest.mark.parametrize("image", ["postgres:17", "registry:2", "docker/compose:1", "a/docker-registry:2", "dindo"])
    def test_is_not_meant_by(self, image: str) -> None:
        assert not is_daemon(image)

    def test_is_not_there_without_such_a_service(self) -> None:
        assert job("services: [redis]").spec["docker"] == {"enabled": False}

    def test_that_is_left_out_is_said_once(self) -> None:
        assert notes("services: [docker:dind]") == [
            "services: docker:dind is left out: the job has a Docker daemon of its own, of the version that the pool says"
        ]

    def test_may_come_from_an_unknown_registry(self) -> None:
        text = "services: ['$REGISTRY/docker:dind']"
        assert warnings(text) == []
        assert notes(text)[0].startswith("services: $REGISTRY/docker:dind is left out")

    def test_is_there_where_docker_is_called(self) -> None:
        text = "script: [docker build .]\nvariables: {DOCKER_HOST: 'unix:///var/run/docker.sock'}"
        assert warnings(text) == []
        assert "docker" not in job(text).spec
        assert job(text).spec["variables"]["DOCKER_HOST"] == "tcp://docker:2375"
        assert (
            "script: the script calls docker: the job gets a Docker daemon of its own, not that of a runner's host"
            in notes(text)
        )

    @pytest.mark.parametrize(
        "script",
        [
            "docker build .",
            "cd a && docker run x",
            "if true; then docker ps; fi",
            "docker-compose up",
            "sudo docker ps",
            "a=$(docker ps)",
            "DOCKER_BUILDKIT=1 docker build .",
            "cd a && A='b c' D=\"e f\" docker build .",
            "time docker build .",
            "exec docker run x",
            "sudo -E docker ps",
            "! docker ps",
            "{ docker ps; }",
            "docker ps | xargs docker rm",
            "/usr/bin/docker ps",
            "docker \\\n  run x",
        ],
    )
    def test_is_called_by(self, script: str) -> None:
        assert calls_docker(script)

    @pytest.mark.parametrize(
        "script",
        [
            "echo docker build",
            "cd docker",
            "apt-get install docker.io",
            "./docker run",
            "command -v docker",
            "A=docker run",
            "time ./docker-build.sh",
        ],
    )
    def test_is_not_called_by(self, script: str) -> None:
        assert not calls_docker(script)

    @pytest.mark.parametrize("image", ["docker:29-cli", "{name: 'mirror.example.com/docker:$V', entrypoint: ['']}"])
    def test_is_there_for_an_image_of_docker(self, image: str) -> None:
        text = f"image: {image}\nvariables: {{V: '29'}}\nscript: [make image]"
        assert "docker" not in job(text).spec
        assert (
            "image: the image is docker's: the job gets a Docker daemon of its own, not that of a runner's host"
            in notes(text)
        )

    @pytest.mark.parametrize(
        "words",
        [
            "[--mtu=1400]",
            "[--mtu, '1400']",
            "[dockerd, --host=tcp://0.0.0.0:2375]",
            "[--tls=false]",
            "['-H', 'tcp://0:1']",
        ],
    )
    def test_needs_no_options_of_where_it_listens(self, words: str) -> None:
        text = f"services: [{{name: docker:dind, command: {words}}}]"
        assert warnings(text) == []
        assert any(one.startswith("services:command: left out") for one in notes(text))

    def test_with_options_that_the_pool_has_is_told(self) -> None:
        text = (
            "services: [{name: docker:dind, command: [--mtu=1, --registry-mirror=https://m, --insecure-registry, r]}]"
        )
        assert warnings(text) == [
            "services:command: the daemon is the pool's to configure: --registry-mirror=https://m --insecure-registry r is left out"
        ]

    def test_with_variables_of_its_own_is_told(self) -> None:
        text = "services: [{name: docker:dind, variables: {DOCKER_TLS_CERTDIR: '', HTTP_PROXY: http://p}}]"
        assert warnings(text) == ["services:variables: the daemon is the pool's to configure: HTTP_PROXY is left out"]


def docker_variables(text: str) -> dict[str, str]:
    """The variables of Docker's clients of a job that has a daemon."""
    found = job(f"services: [docker:dind]\n{text}").spec["variables"]
    return {name: value for name, value in found.items() if name.startswith("DOCKER_")}


class TestClients:
    @pytest.mark.parametrize(
        "host", ["tcp://docker:2375", "tcp://docker:2375/", "tcp://localhost:2375", "tcp://127.0.0.1:2375/"]
    )
    def test_that_are_right_stay_as_they_are(self, host: str) -> None:
        text = f'services: [docker:dind]\nvariables: {{DOCKER_HOST: "{host}", DOCKER_TLS_CERTDIR: ""}}'
        assert job(text).spec["variables"]["DOCKER_HOST"] == host
        assert len(notes(text)) == 1

    def test_with_tls_find_the_daemon_without_it(self) -> None:
        text = (
            'variables: {DOCKER_HOST: "tcp://docker:2376", DOCKER_TLS_CERTDIR: /certs, DOCKER_TLS_VERIFY: 1, '
            'DOCKER_CERT_PATH: "$DOCKER_TLS_CERTDIR/client", DOCKER_DRIVER: overlay2}'
        )
        assert docker_variables(text) == {
            "DOCKER_HOST": "tcp://docker:2375",
            "DOCKER_TLS_CERTDIR": "",
            "DOCKER_DRIVER": "overlay2",
        }
        said = notes(f"services: [docker:dind]\n{text}")
        assert any(one.startswith("variables:DOCKER_TLS_CERTDIR: no TLS") for one in said)
        assert any("tcp://docker:2376 becomes tcp://docker:2375" in one for one in said)

    def test_find_the_daemon_by_its_alias(self) -> None:
        text = 'services: [{name: docker:dind, alias: dockerhost}]\nvariables: {DOCKER_HOST: "tcp://dockerhost:2375"}'
        assert job(text).spec["variables"]["DOCKER_HOST"] == "tcp://docker:2375"
        assert any("tcp://dockerhost:2375 becomes" in one for one in notes(text))

    def test_of_a_runners_own_socket_find_the_daemon(self) -> None:
        assert docker_variables("variables: {DOCKER_HOST: unix:///var/run/docker.sock}") == {
            "DOCKER_HOST": "tcp://docker:2375"
        }

    def test_that_mean_another_daemon_are_told(self) -> None:
        text = 'services: [docker:dind]\nvariables: {DOCKER_HOST: "tcp://build.example.com:2376"}'
        assert job(text).spec["variables"]["DOCKER_HOST"] == "tcp://build.example.com:2376"
        assert warnings(text)[0].startswith("variables:DOCKER_HOST: tcp://build.example.com:2376 is not the job's own")

    def test_without_a_daemon_stay_as_they_are(self) -> None:
        found = job('variables: {DOCKER_HOST: "tcp://h:2376", DOCKER_TLS_VERIFY: 1}').spec["variables"]
        assert (found["DOCKER_HOST"], found["DOCKER_TLS_VERIFY"]) == ("tcp://h:2376", "1")

    @pytest.mark.parametrize(
        "line", ["export DOCKER_HOST=tcp://docker:2376", "docker --tlsverify ps", "ls /certs/client"]
    )
    def test_in_a_script_with_tls_are_told(self, line: str) -> None:
        assert warnings(f"services: [docker:dind]\nscript: ['{line}']")[0].startswith("script: the script speaks of")

    def test_in_a_script_under_an_alias_are_told(self) -> None:
        text = "services: [{name: docker:dind, alias: dh}]\nscript: ['curl http://dh:8080/']"
        assert warnings(text) == ["services:alias: the script names dh: the daemon and its ports are at docker"]


class TestOthers:
    @pytest.mark.parametrize(
        ("image", "names"),
        [
            ("postgres:17", ("postgres",)),
            ("tutum/wordpress:latest", ("tutum-wordpress", "tutum__wordpress")),
            ("registry.example.com:5000/a/b:1", ("registry.example.com-a-b", "registry.example.com__a__b")),
        ],
    )
    def test_have_the_names_that_gitlab_makes(self, image: str, names: tuple[str, ...]) -> None:
        assert derived(image) == names

    def test_become_containers(self) -> None:
        text = """
            services:
              - name: postgres:17
                alias: db
                entrypoint: [docker-entrypoint.sh]
                command: [postgres, -c, fsync=off]
                variables: {POSTGRES_DB: $APP}
                pull_policy: if-not-present
            variables: {APP: shop, POSTGRES_PASSWORD: x}
            """
        assert job(text).spec["services"] == [
            {
                "name": "db",
                "image": "postgres:17",
                "imagePullPolicy": "IfNotPresent",
                "command": ["docker-entrypoint.sh"],
                "args": ["postgres", "-c", "fsync=off"],
                "variables": {"APP": "shop", "POSTGRES_PASSWORD": "x", "POSTGRES_DB": "shop"},
                "ports": [5432],
            }
        ]

    def test_know_nothing_of_dockers_clients(self) -> None:
        text = "services: [docker:dind, redis]\nvariables: {DOCKER_HOST: 'tcp://docker:2376', A: b}"
        assert job(text).spec["services"][0]["variables"] == {"A": "b"}

    def test_are_waited_for_where_their_port_is_known(self) -> None:
        assert job("services: [redis:7]").spec["services"] == [{"name": "redis", "image": "redis:7", "ports": [6379]}]
        assert any("waits for redis:7 on port 6379" in one for one in notes("services: [redis:7]"))

    def test_are_waited_for_where_their_port_is_said(self) -> None:
        text = "services: [{name: app:1, variables: {HEALTHCHECK_TCP_PORT: '8080'}}]"
        assert job(text).spec["services"][0]["ports"] == [8080]
        assert warnings(text) == []

    @pytest.mark.parametrize("service", ["app:1", "{name: redis, command: [redis-server, --port, '7000']}"])
    def test_whose_port_is_unknown_are_told(self, service: str) -> None:
        text = f"services: [{service}]"
        assert "ports" not in job(text).spec["services"][0]
        assert warnings(text)[0].startswith("services: nothing waits for")

    def test_have_one_name(self) -> None:
        text = "services: [{name: 'postgres:17', alias: 'db, pg'}]"
        assert job(text).spec["services"][0]["name"] == "db"
        assert warnings(text) == ["services:alias: a service has one name, db: it is not reached as pg"]

    def test_under_the_name_of_their_image_are_missed_only_where_it_is_used(self) -> None:
        text = "services: [{name: 'postgres:17', alias: db}]\nvariables: {%s}"
        assert warnings(text % "URL: 'postgres://me@postgres:5432/x'") == [
            "services:alias: a service has one name, db: it is not reached as postgres"
        ]
        assert warnings(text % "DB_HOST: postgres")
        assert warnings(text % "URL: 'postgres://me@db:5432/x'") == []
        assert warnings(text % "POSTGRES_USER: postgres") == []

    def test_with_a_name_that_is_no_dns_label_are_told(self) -> None:
        text = "services: [{name: 'redis:7', alias: My_Cache}]"
        assert job(text).spec["services"][0]["name"] == "my-cache"
        assert warnings(text)[0].startswith("services:alias: the service is reached as my-cache, not as My_Cache")

    def test_of_a_platform_set_that_of_the_job(self) -> None:
        text = "services: [{name: 'redis:7', docker: {platform: linux/arm64}}]"
        assert job(text).spec["platform"] == "linux/arm64"

    def test_without_an_image_are_refused(self) -> None:
        assert errors("services: [{alias: db}]") == ["services:name: the service has no image"]

    def test_with_the_same_port_cannot_stand_beside_each_other(self) -> None:
        text = "services: [{name: 'postgres:16', alias: a}, {name: 'postgres:17', alias: b}]"
        assert "two services cannot listen on one port" in errors(text)[0]
