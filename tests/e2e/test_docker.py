"""What jobs do with their Docker daemon. Who else can reach it, and the ports of its containers: test_network.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.lab import Jobs

CLIENT = "docker:29-cli"


def test_a_unix_endpoint_listens_on_no_port_at_all(jobs: Jobs) -> None:
    job = jobs.start(
        "unix", image=CLIENT, docker={"endpoint": "Unix"}, script=["docker version", "cat /proc/net/tcp /proc/net/tcp6"]
    )
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert "local_address" in log
    assert not [line for line in log.splitlines() if line.split()[3:4] == ["0A"]], "0A: it listens"


def test_clients_down_to_api_1_40_are_served(jobs: Jobs) -> None:
    job = jobs.start("old-client", image=CLIENT, script=["DOCKER_API_VERSION=1.40 docker version", "docker version"])
    assert job.end()["phase"] == "Succeeded", job.log()
    assert "(minimum version 1.40)" in job.log()


def test_an_image_is_built_and_run(jobs: Jobs) -> None:
    dockerfile = 'FROM ubuntu:25.10\nRUN echo built > /result\nCMD ["cat", "/result"]\n'
    job = jobs.start(
        "build",
        image=CLIENT,
        script=[
            f"cat > Dockerfile <<'END'\n{dockerfile}END",
            "docker build --tag mine .",
            'test "$(docker run --rm mine)" = built',
        ],
    )
    assert job.end()["phase"] == "Succeeded", job.log()


def test_a_folder_of_the_workspace_is_mounted_into_a_container(jobs: Jobs) -> None:
    job = jobs.start(
        "volume",
        image=CLIENT,
        script=[
            "mkdir sub && echo from the job > sub/in",
            'docker run --rm --volume "$PWD/sub:/data" ubuntu:25.10 sh -c "tr a-z A-Z < /data/in > /data/out"',
            'test "$(cat sub/out)" = "FROM THE JOB"',
        ],
    )
    assert job.end()["phase"] == "Succeeded", job.log()


def test_the_job_container_is_not_privileged_and_has_no_token(jobs: Jobs) -> None:
    job = jobs.start(
        "bounds",
        script=[
            "test ! -e /var/run/secrets/kubernetes.io/serviceaccount",
            "! mount -t tmpfs none /mnt 2>/dev/null",
            "! test -e /dev/kmsg",
            "grep CapEff /proc/self/status",
        ],
    )
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert "00000000a80425fb" in log, "a container's default capabilities, not all"
    spec = job.pod()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"] == {"privileged": False}


def test_an_image_of_a_user_other_than_root_uses_docker(jobs: Jobs) -> None:
    for endpoint in ("TCP", "Unix"):
        job = jobs.start(
            "non-root",
            image="cimg/base:current",
            docker={"endpoint": endpoint},
            script=["id -u", "docker run --rm ubuntu:25.10 echo hello > greeting", "grep hello greeting"],
        )
        status, log = job.end(), job.log()
        assert status["phase"] == "Succeeded", log
        assert "3434" in log
