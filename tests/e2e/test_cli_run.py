"""`cijob run` and `cijob logs` against the cluster: in a pipe, on a real pseudo-terminal, through broken connections."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cijob import Cijob, breaking, cut_again_and_again
from tests.e2e.lab import Job

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.e2e.lab import Cluster, Jobs

CTRL_C = b"\x03"
#: Ends at once at SIGTERM, and says so.
PATIENT = "trap 'echo cleaning up; exit 3' TERM; echo ready; for i in $(seq 300); do sleep 0.2; done"
#: No daemon: these jobs are about the command line, and start faster so.
PLAIN = ("--set", "docker.enabled=false")
#: A daemon that is seen starting: else it may be ready before the kubelet has said that the job's container runs.
SLOW_DAEMON = ("--set", "docker.resources.limits.cpu=200m")
#: What such a job says itself when the daemon takes more than 5 s, as on a busy machine.
SLOW = "cijob: waiting for the Docker daemon...\n"
#: Runs until `go_on` is called, which is no question of time.
UNTIL_TOLD = "until test -e /workspace/go; do sleep 0.1; done"


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    return Cijob(cluster.kubeconfig, namespace)


def name_in(text: str) -> str:
    """The name of the CiJob that was created."""
    found = re.search(r"created (\S+) in the namespace", text)
    assert found, text
    return found[1]


def go_on(job: Job) -> None:
    """Let a script with UNTIL_TOLD in it go on."""
    job.end_by("job", "touch", "/workspace/go")


def started(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Wait for a line on a command's stdout."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.rstrip(b"\n") == text:
            return
    raise AssertionError(f"it ended without {text!r}")


# --- in a pipe ----------------------------------------------------------------------------------------------------------


def test_the_log_goes_to_stdout_and_all_else_to_stderr(cijob: Cijob) -> None:
    done = cijob.run("run", "--image", "ubuntu:25.10", *SLOW_DAEMON, "--", "echo hello; exit 7")
    assert (done.returncode, done.stdout.removeprefix(SLOW)) == (7, "$ echo hello; exit 7\nhello\n")
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert "waiting for the Docker daemon" in done.stderr
    assert "failed after" in done.stderr
    assert "(ScriptFailed): The job failed. Entry 1 of 1" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("cijob: ")]
    assert len(lines) == len(set(lines)), "each state once"


def test_bytes_that_are_no_text_arrive(cijob: Cijob) -> None:
    process = cijob.start("run", "--image", "ubuntu:25.10", *PLAIN, "--", r"printf '\033[31ma\000b \377 end\n'")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.partition(b"\n")[2].endswith(b"\x1b[31ma\x00b \xff end\n"), out


def test_a_manifest_with_options_runs(cijob: Cijob, tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "CiJob",
        "spec": {"image": "ubuntu:25.10", "script": ['echo "$A$B"'], "variables": {"A": "1", "B": "1"}},
    }
    (tmp_path / "greeting.json").write_text(json.dumps(manifest))
    options = (*PLAIN, "--set", "variables.A=2", "--var", "B=3", "--timeout", "5m")
    done = cijob.run("run", "greeting.json", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "23"), done.stderr
    assert name_in(done.stderr).startswith("greeting-")
    from_stdin = cijob.run("run", "-", *options, stdin=json.dumps(manifest))
    assert (from_stdin.returncode, from_stdin.stdout.splitlines()[-1]) == (0, "23"), from_stdin.stderr


def test_a_job_that_is_left_is_named_and_its_log_is_there_later(cijob: Cijob) -> None:
    left = cijob.run(
        "run", "--detach", "-o", "name", "--image", "ubuntu:25.10", *PLAIN, "--", "echo one; sleep 3; echo two"
    )
    assert left.returncode == 0, left.stderr
    name = left.stdout.strip().removeprefix("cijob.cijob.dev/")
    followed = cijob.run("logs", name, "-f")
    assert followed.returncode == 0, followed.stderr
    assert followed.stdout.splitlines()[1:] == ["one", "two"]
    assert cijob.run("logs", name, "--tail", "1").stdout == "two\n"
    stamped = cijob.run("logs", name, "--timestamps", "--tail=1").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z two\n", stamped)


def test_what_cannot_run_is_said_before_anything_is_created(cijob: Cijob) -> None:
    image = ("--image", "ubuntu:25.10")
    for arguments, message in (
        ((*image, "--set", "scirpt=x", "--", "true"), "did you mean script?"),
        ((*image, "--set", "poolName=defualt", "--", "true"), "Did you mean default?"),
        (("absent.yaml",), "there is no file absent.yaml"),
        (("--namespace=absent-namespace", *image, "--", "true"), "There is no namespace absent-namespace"),
    ):
        done = cijob.run("run", *arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_signal_cancels_gracefully_where_nobody_can_be_asked(cijob: Cijob) -> None:
    process = cijob.start("run", "--image", "ubuntu:25.10", *PLAIN, "--", PATIENT)
    started(process, b"ready")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert b"cleaning up" in out
    assert b"was cancelled" in err


def test_a_job_whose_log_nobody_reads_any_more_goes_on(cijob: Cijob, cluster: Cluster, namespace: str) -> None:
    script = f"echo ready; {UNTIL_TOLD.replace('sleep', 'echo still; sleep')}"
    process = cijob.start("run", "--image", "ubuntu:25.10", *PLAIN, "--", script)
    started(process, b"ready")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 1  # how the job ends is not known
    process.stderr.close()
    assert "the job goes on" in err
    assert "Traceback" not in err
    job = Job(cluster, namespace, name_in(err))
    go_on(job)
    assert job.end()["phase"] == "Succeeded"


def test_logs_says_what_is_not_there(cijob: Cijob, jobs: Jobs) -> None:
    waiting = jobs.start("waiting", script=["true"], suspend=True)
    waiting.wait_for_phase("Queued")
    done = cijob.run("logs", waiting.name)
    assert done.returncode == 1
    assert "has no log yet: queued: The job is suspended" in done.stderr
    assert "did you mean" in cijob.run("logs", waiting.name[:-1]).stderr.lower()


def test_a_pod_that_is_gone_is_said_to_be(cijob: Cijob, jobs: Jobs, cluster: Cluster, namespace: str) -> None:
    job = jobs.start("gone", script=["echo here"], docker={"enabled": False})
    job.end()
    assert "here\n" in cijob.run("logs", job.name).stdout
    pod = job.pod()["metadata"]["name"]
    cluster.run("delete", "pod", pod, f"--namespace={namespace}")
    done = cijob.run("logs", job.name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the Pod of attempt 1" in done.stderr


# --- on a terminal ------------------------------------------------------------------------------------------------------


def test_on_a_terminal_one_line_says_what_happens_until_the_log_comes(cijob: Cijob) -> None:
    with cijob.terminal("run", "--image", "ubuntu:25.10", *SLOW_DAEMON, "--", "echo hello; exit 5") as terminal:
        assert terminal.end() == 5
        shown = terminal.shown
    assert b"waiting for the Docker daemon" in shown
    # The live line was there, and gone (its row erased, the cursor shown again) before the log's first line.
    before, _, after = shown.replace(SLOW.strip().encode() + b"\r\n", b"").partition(b"$ echo hello")
    assert before.endswith((b"\x1b[2K", b"\x1b[?25h", b"\r"))
    assert b"\x1b[2K" in before
    assert b"\nhello\r\n" in after
    assert b"exited with 5" in re.sub(rb"\s+", b" ", after)
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h"), "the cursor is shown again"


def test_ctrl_c_asks_and_d_detaches(cijob: Cijob, cluster: Cluster, namespace: str) -> None:
    with cijob.terminal("run", "--image", "ubuntu:25.10", *PLAIN, "--", PATIENT) as terminal:
        terminal.wait_for(b"\nready")
        terminal.type(CTRL_C)
        terminal.wait_for(b"[d]etach")
        terminal.type(b"d")
        assert terminal.end(30) == 0
        assert b"goes on" in terminal.shown
        name = name_in(terminal.shown.decode())
    job = Job(cluster, namespace, name)
    job.wait_for_phase("Running")  # the log may be there before the operator has said so
    job.cancel("Immediate")


def test_ctrl_c_asks_any_other_key_goes_on_and_c_cancels(cijob: Cijob) -> None:
    script = f"echo first; sleep 3; {PATIENT}"
    with cijob.terminal("run", "--image", "ubuntu:25.10", *PLAIN, "--", script) as terminal:
        terminal.wait_for(b"\nfirst")
        terminal.type(CTRL_C)
        terminal.wait_for(b"[d]etach")
        terminal.type(b"x")
        terminal.wait_for(b"\nready")
        terminal.shown = b""
        terminal.type(CTRL_C)
        terminal.wait_for(b"[c]ancel")
        terminal.type(b"c")
        assert terminal.end(90) == 130
        assert b"cleaning up" in terminal.shown


def test_a_second_ctrl_c_cancels_without_an_answer(cijob: Cijob) -> None:
    with cijob.terminal("run", "--image", "ubuntu:25.10", *PLAIN, "--", PATIENT) as terminal:
        terminal.wait_for(b"\nready")
        terminal.type(CTRL_C)
        terminal.wait_for(b"[d]etach")
        terminal.type(CTRL_C)
        assert terminal.end(90) == 130


def test_the_end_of_the_job_ends_the_question(cijob: Cijob, cluster: Cluster, namespace: str) -> None:
    script = f"echo ready; {UNTIL_TOLD}; exit 6"
    with cijob.terminal("run", "--image", "ubuntu:25.10", *PLAIN, "--", script) as terminal:
        terminal.wait_for(b"\nready")
        terminal.type(CTRL_C)
        terminal.wait_for(b"[d]etach")
        go_on(Job(cluster, namespace, name_in(terminal.shown.decode())))
        assert terminal.end(60) == 6


# --- through a connection that breaks -----------------------------------------------------------------------------------


def test_no_line_is_lost_or_repeated_when_connections_break(cluster: Cluster, namespace: str) -> None:
    long_line = "head -c 40000 /dev/zero | tr '\\0' x; echo"
    script = f"for i in $(seq 2000); do echo line $i; [ $((i % 200)) != 0 ] || {{ sleep 0.7; {long_line}; }}; done"
    with breaking(cluster) as (breaker, kubeconfig):
        process = Cijob(kubeconfig, namespace).start("run", "--image", "ubuntu:25.10", *PLAIN, "--", script)
        started(process, b"line 1")
        with cut_again_and_again(breaker, 0.6) as cuts:
            out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert sum(cuts) > 5, "connections were broken"
    lines = out.decode().splitlines()
    assert [line for line in lines if line.startswith("line")] == [f"line {i}" for i in range(2, 2001)]
    assert [line for line in lines if not line.startswith("line")] == ["x" * 40000] * 10


def test_an_api_server_that_is_away_for_a_while_is_waited_for(cluster: Cluster, namespace: str) -> None:
    with breaking(cluster) as (breaker, kubeconfig):
        script = f"echo ready; {UNTIL_TOLD}; echo more; exit 3"
        process = Cijob(kubeconfig, namespace).start("run", "--image", "ubuntu:25.10", *PLAIN, "--", script)
        started(process, b"ready")
        breaker.closed = True
        breaker.cut()
        assert process.stderr is not None
        said = b""
        while b"no answer from the API server, trying again" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        go_on(Job(cluster, namespace, name_in(said.decode())))
        breaker.closed = False
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert out == b"more\n"
