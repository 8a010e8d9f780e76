"""Testcontainers, Python's own package, in a job: its containers, its networks, its clean-up, and nothing to configure."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster.registry import PASSWORD
from tests.e2e.images import provide
from tests.e2e.lab import ROOT
from tests.e2e.registry import config, secret
from tests.e2e.test_containment import heredoc

if TYPE_CHECKING:
    from tests.e2e.lab import Jobs, Object

#: python:3-slim with the packages that the example would install.
IMAGE = "cijob-dev/testcontainers:1"
SUITE = r"""
from pathlib import Path
from urllib.request import urlopen

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy

def server(page):
    command = ["sh", "-c", f"echo {page} >index.html; httpd -f -p 8080"]
    container = DockerContainer("busybox:stable").with_command(command).with_exposed_ports(8080)
    return container.waiting_for(HttpWaitStrategy(8080, "/index.html"))

def url(container):
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8080)}/index.html"

def test_containers_are_reached_by_their_published_ports():
    with server("one") as one, server("two") as two:
        assert [urlopen(url(page)).read() for page in (one, two)] == [b"one\n", b"two\n"]

def test_containers_of_one_network_find_each_other():
    with Network() as network, server("named").with_network(network).with_network_aliases("web"):
        with DockerContainer("busybox:stable").with_network(network).with_command("sleep 60") as client:
            code, output = client.exec("wget -q -O - http://web:8080/index.html")
            assert (code, output) == (0, b"named\n")

def test_a_folder_of_the_workspace_is_mounted():
    Path("data").mkdir()
    folder = Path("data").absolute()
    container = DockerContainer("busybox:stable").with_volume_mapping(str(folder), "/data", "rw")
    with container.with_command("sleep 60") as client:
        assert client.exec(["sh", "-c", "echo written >/data/file"])[0] == 0
    assert Path("data/file").read_text() == "written\n"
"""
DATABASES = r"""
import psycopg
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer

def test_postgres_and_redis_answer():
    with PostgresContainer("postgres:17", driver=None) as postgres, RedisContainer("redis:8") as redis:
        with psycopg.connect(postgres.get_connection_url()) as connection:
            assert connection.execute("select 6 * 7").fetchone() == (42,)
        assert redis.get_client().incr("counter") == 1
"""
PRIVATE = r"""
from testcontainers.core.container import DockerContainer

def test_it_runs():
    with DockerContainer("HOST/library/busybox:stable").with_command("sleep 60") as container:
        assert container.exec("echo it runs")[1] == b"it runs\n"
"""
LEAK = r"""
import os
import time

from testcontainers.core.container import DockerContainer, Reaper

# Testcontainers does not wait until Ryuk listens, and Docker's proxy takes a connection before that only to drop it.
deadline = time.monotonic() + 60
while True:
    Reaper.get_instance()
    Reaper._socket.settimeout(60)
    try:
        if Reaper._socket.recv(3) == b"ACK":
            break
    except ConnectionError:
        pass
    assert time.monotonic() < deadline, "Ryuk does not answer"
    Reaper.delete_instance()
print("left behind:", DockerContainer("busybox:stable").with_command("sleep 600").start().get_wrapped_container().short_id, flush=True)
os.kill(os.getpid(), 9)
"""
#: Waits until only Ryuk, or nothing, is left of the containers.
LEFT = r"""
import time

import docker

deadline = time.monotonic() + 60
while left := [found.name for found in docker.from_env().containers.list() if "ryuk" not in found.name]:
    assert time.monotonic() < deadline, left
    time.sleep(0.2)
print("nothing is left")
"""


@pytest.fixture(scope="module", autouse=True)
def _images() -> None:
    """The job's image, and that of Ryuk."""
    provide("testcontainers/ryuk:0.8.1")
    cluster = [sys.executable, str(ROOT / "tests" / "cluster")]
    folder = str(ROOT / "tests" / "e2e" / "testcontainers")
    for command in (["build-image", "--tag", IMAGE, folder], ["load-image", IMAGE]):
        subprocess.run([*cluster, *command], check=True, timeout=1200)


@pytest.mark.parametrize("endpoint", ["TCP", "Unix"])
def test_a_suite_of_testcontainers_is_green(jobs: Jobs, endpoint: str) -> None:
    script = [heredoc("test_suite.py", SUITE), "pytest -p no:cacheprovider test_suite.py"]
    log = jobs.start("suite", image=IMAGE, docker={"endpoint": endpoint}, script=script).succeeded()
    assert "3 passed" in log


def test_postgres_and_redis_are_a_line_each(jobs: Jobs) -> None:
    provide("postgres:17", "redis:8")
    script = [heredoc("test_databases.py", DATABASES), "pytest test_databases.py"]
    assert "1 passed" in jobs.start("databases", image=IMAGE, script=script).succeeded()


def test_what_a_killed_test_left_is_removed(jobs: Jobs) -> None:
    script = [heredoc("leak.py", LEAK), heredoc("left.py", LEFT), "python leak.py || test $? = 137", "python left.py"]
    log = jobs.start("killed", image=IMAGE, script=script).succeeded()
    assert "left behind:" in log
    assert log.endswith("nothing is left\n")


def test_the_example_passes_as_it_is_written(jobs: Jobs) -> None:
    manifest: Object = yaml.safe_load((ROOT / "examples" / "testcontainers.yaml").read_text())
    manifest["spec"]["image"] = IMAGE  # what it installs is there already
    assert "1 passed" in jobs.apply(manifest).succeeded()


def test_a_private_image_is_pulled_with_the_jobs_secret(jobs: Jobs) -> None:
    host = jobs.cluster.private_registry
    secret(jobs.cluster, jobs.namespace, "registry", config(host, PASSWORD))
    suite = heredoc("test_private.py", PRIVATE.replace("HOST", host))
    spec = {"imagePullSecrets": [{"name": "registry"}], "script": [suite, "pytest test_private.py"]}
    assert "1 passed" in jobs.start("private", image=IMAGE, **spec).succeeded()
