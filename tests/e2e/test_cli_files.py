"""Files into jobs and out of them, and shells in them, on the cluster: in pipes, on a terminal, through broken connections."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import termios
from fcntl import ioctl
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cijob import Cijob, as_account, breaking, environment
from tests.e2e.images import provide

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.lab import Cluster, Job, Jobs

#: These jobs are about files, and start faster without a daemon.
WITHOUT_DOCKER = {"docker": {"enabled": False}}
PLAIN = ("--set", "docker.enabled=false")
#: Userlands whose tar, find and shell differ: GNU and BusyBox.
IMAGES = ("ubuntu:25.10", "busybox:stable")


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    return Cijob(cluster.kubeconfig, namespace)


@pytest.fixture(scope="module")
def running(jobs: Jobs) -> Job:
    """A job that runs for long, with a daemon and a service."""
    provide("cijob-dev/web:1")
    service = {"name": "web", "image": "cijob-dev/web:1"}
    job = jobs.start("shell", services=[service], variables={"COLOUR": "blue"}, script=["echo going", "sleep 3000"])
    job.wait_for_log("going")
    job.wait_for_phase("Running")
    return job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work tree."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/run.sh").write_text("#!/bin/sh\necho it runs\n")
    (tmp_path / "sub/run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("sub/run.sh")
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text("x")
    (tmp_path / ("long" * 50)).write_text("x")
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True, timeout=20)
    return tmp_path


def manifest(folder: Path, **spec: Any) -> str:  # noqa: ANN401  any field of a spec
    """The manifest of a CiJob without a daemon; gives its path."""
    path = folder.parent / f"{folder.name}.yaml"
    whole = {"image": "ubuntu:25.10", **WITHOUT_DOCKER, **spec}
    body = {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "metadata": {"generateName": "files-"}, "spec": whole}
    path.write_text(yaml.safe_dump(body))
    return str(path)


# --- into a job ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", IMAGES)
def test_a_folder_is_there_before_the_script_as_git_sees_it(cijob: Cijob, folder: Path, image: str) -> None:
    script = "pwd; ls -A | sort; ./link; stat -c %u:%g:%a sub/run.sh"
    done = cijob.run("run", "--image", image, "-w", str(folder), *PLAIN, "--", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *(f"$ {script}", "/workspace", ".gitignore", "link", "long" * 50, "sub"),
        *("it runs", "0:0:755"),
    ]
    assert "bringing files in: " in done.stderr


def test_each_attempt_is_given_the_files_and_followed(cijob: Cijob, folder: Path) -> None:
    script = ["sub/run.sh && rm -r sub", 'echo "attempt $CIJOB_ATTEMPT"; test "$CIJOB_ATTEMPT" -gt 1']
    done = cijob.run("run", manifest(folder, script=script, retry={"limit": 1}), "-w", str(folder))
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line == "it runs" or line.startswith("attempt ")]
    assert said == ["it runs", "attempt 1", "it runs", "attempt 2"]
    assert "attempt 1 did not end well, attempt 2 follows: The job failed." in done.stderr
    (name,) = re.findall(r"created (\S+) in the namespace", done.stderr)
    first = cijob.run("logs", name, "--attempt", "1").stdout.splitlines()
    assert [line for line in first if line.startswith("attempt ")] == ["attempt 1"]
    assert "it is at attempt 2" in cijob.run("logs", name, "--attempt", "3").stderr


def test_files_arrive_whole_through_connections_that_break(cluster: Cluster, cijob: Cijob, tmp_path: Path) -> None:
    content = bytes(range(256)) * 64 * 1024
    (tmp_path / "large").write_bytes(content)
    with breaking(cluster) as (breaker, kubeconfig):
        breaker.cut_after = [number * len(content) // 2 for number in (1, 2, 3)]  # in the midst of the files, each time
        command = ("run", "--image", "ubuntu:25.10", "-w", str(tmp_path), *PLAIN, "--", "sha256sum large")
        done = Cijob(kubeconfig, cijob.namespace).run(*command)
    assert done.returncode == 0, done.stderr
    assert f"{hashlib.sha256(content).hexdigest()}  large" in done.stdout.splitlines()
    assert (breaker.cut_after, breaker.carried > 2 * len(content)) == ([], True), "they began anew"


def test_a_folder_above_the_limit_creates_nothing(cluster: Cluster, cijob: Cijob, folder: Path) -> None:
    (folder / "large").write_bytes(bytes(3 * 1024 * 1024))
    command = ("run", "--image", "ubuntu:25.10", "-w", str(folder), "--workspace-limit", "1Mi", "--", "true")
    before = cluster.get("cijobs", f"--namespace={cijob.namespace}").get("items", [])
    done = cijob.run(*command)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the files for the job are 3.0 MiB, and 1.0 MiB are allowed: large 3.0 MiB")
    assert len(cluster.get("cijobs", f"--namespace={cijob.namespace}").get("items", [])) == len(before)


def test_who_may_not_run_commands_is_told_before_a_job_is_created(
    cluster: Cluster, cijob: Cijob, folder: Path, tmp_path: Path
) -> None:
    here = f"--namespace={cijob.namespace}"
    cluster.run("create", "role", "no-exec", here, "--verb=create,get,list,watch", "--resource=cijobs.cijob.dev")
    somebody = as_account(cluster, cijob.namespace, "no-exec", tmp_path, "--role=no-exec")
    before = cluster.get("cijobs", here).get("items", [])
    command = ("run", "--image", "ubuntu:25.10", "-w", str(folder), "--", "true")
    done = somebody.run(*command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: you may not run commands in the Pods of the namespace {cijob.namespace}")
    assert len(cluster.get("cijobs", here).get("items", [])) == len(before)


# --- out of a job -------------------------------------------------------------------------------------------------------


def test_artifacts_go_from_job_to_job_whatever_their_userlands(cijob: Cijob, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("source")
    make = [
        "mkdir -p out/empty 'out/a b'",
        "cp source 'out/a b/copy'",
        "chmod 755 'out/a b/copy'",
        "ln -s /etc/hostname out/l",
    ]
    see = ["ls -l out | grep -c '^[dl]'", "stat -c %a 'out/a b/copy'", "readlink out/l", "cat 'out/a b/copy'"]
    pipeline: dict[str, Any] = {
        "make": {"stage": "build", "image": IMAGES[1], "script": make, "artifacts": {"paths": ["out/"]}},
        "see": {"stage": "test", "image": IMAGES[0], "script": see},
        "back": {"stage": "test", "image": IMAGES[1], "script": see},
    }
    (tmp_path / ".gitlab-ci.yml").write_text(yaml.safe_dump(pipeline))
    left = tmp_path / "left"
    done = cijob.run("run", str(tmp_path / ".gitlab-ci.yml"), "--artifacts", str(left))
    assert done.returncode == 0, (done.stdout, done.stderr)
    for name in ("see", "back"):
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ") and "$ " not in line]
        assert [line.partition("| ")[2] for line in lines] == ["3", "755", "/etc/hostname", "source"]
    # On this machine a link out of the folder is not wanted.
    assert [path.read_text() for path in left.rglob("copy")] == ["source"]
    assert not [path for path in left.rglob("*") if path.is_symlink()]


# --- a shell ------------------------------------------------------------------------------------------------------------


def test_a_command_in_a_pipe_has_its_input_output_errors_and_exit_code(cijob: Cijob, running: Job) -> None:
    done = cijob.run(
        "shell", running.name, "--", "sh", "-c", "cat; echo $COLOUR; pwd; echo bad >&2; exit 9", stdin="in\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (9, "in\nblue\n/workspace\n", "bad\n")


def test_bytes_go_in_and_out_as_they_are(cijob: Cijob, running: Job, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as file:
        command = cijob.command("shell", running.name, "--", "cat")
        done = subprocess.run(
            command, stdin=file, capture_output=True, check=True, timeout=60, env=environment(cijob.kubeconfig)
        )
    assert done.stdout == data


def test_a_terminal_gets_a_shell_with_its_size_and_is_left_as_it_was(cijob: Cijob, running: Job) -> None:
    with cijob.terminal("shell", running.name, columns=97) as terminal:
        before = termios.tcgetattr(terminal.file)
        terminal.wait_for(b"# ")
        # The news of a window is not in step with keys: ask until it is there.
        terminal.type(b"until stty size | grep '^24 97'; do sleep 0.1; done; echo $0\r")
        terminal.wait_for(b"\r24 97\r\nbash\r\n")
        ioctl(terminal.file, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        terminal.type(b"until stty size | grep '^40 120'; do sleep 0.1; done\r")
        terminal.wait_for(b"\r40 120\r\n")
        terminal.type(b"sh -c 'echo go; exec sleep 100'\r")
        terminal.wait_for(b"\rgo\r\n")
        terminal.type(b"\x03")  # the command's, not ours
        terminal.wait_for(b"^C")
        terminal.type(b"exit 7\r")
        assert terminal.end() == 7
        assert termios.tcgetattr(terminal.file) == before


def test_the_daemons_container_can_be_entered(cijob: Cijob, running: Job) -> None:
    done = cijob.run("shell", running.name, "--container", "dind", "--", "docker", "version")
    assert done.returncode == 0, done.stderr
    assert "Server:" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--container", "webb"), "{job} has no container webb\nDid you mean web? It has job, dind, web."),
        (("--", "no-such-program"), "the container job of {job} has no no-such-program\nName it by its path."),
        (
            ("--container", "web"),
            "the container web of {job} has no /bin/sh\nIt can run its own programs: name one behind --.",
        ),
    ],
)
def test_what_cannot_be_entered_is_said(cijob: Cijob, running: Job, words: tuple[str, ...], said: str) -> None:
    done = cijob.run("shell", running.name, *words)
    assert (done.returncode, done.stderr.strip()) == (1, f"error: {said.format(job=running.name)}")


def test_a_job_that_has_ended_has_no_shell(cijob: Cijob, jobs: Jobs) -> None:
    job = jobs.start("over", script=["true"], **WITHOUT_DOCKER)
    job.succeeded()
    done = cijob.run("shell", job.name)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"error: {job.name} does not run any more: it is Succeeded"
