"""`cijob run` of a `.gitlab-ci.yml` against the cluster: the mission's file, stages and graphs, files from job to job."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cijob import Cijob, breaking, cut_again_and_again
from tests.e2e.lab import ROOT, Job, wait_for

if TYPE_CHECKING:
    import subprocess

    from tests.e2e.lab import Cluster, Object

EXAMPLES = ROOT / "examples" / "gitlab"
CTRL_C = b"\x03"
#: Ends at once at SIGTERM.
PATIENT = "trap 'exit 3' TERM; echo ready; for i in $(seq 300); do sleep 0.2; done"


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    return Cijob(cluster.kubeconfig, namespace)


def write(folder: Path, jobs: dict[str, Any], **files: str) -> str:
    """A pipeline whose jobs need no daemon, and files beside it; gives its path."""
    for name, text in files.items():
        (folder / name).write_text(text)
    path = folder / ".gitlab-ci.yml"
    path.write_text(yaml.safe_dump({"default": {"image": "ubuntu:25.10"}} | jobs, sort_keys=False))
    return str(path)


def results(stderr: str) -> dict[str, str]:
    """Of each job what the table at the end says of it."""
    table = stderr[stderr.index("JOB ") :].splitlines()[1:]
    rows = [re.split(r" {3,}", line) for line in table if not line.startswith("cijob: ")]
    return {row[0]: row[1] for row in rows}


def of_pipeline(cluster: Cluster, namespace: str, stderr: str) -> list[Object]:
    """The CiJobs of a run whose look-up is told at its end."""
    found = re.search(r"cijob\.dev/pipeline=\d+", stderr)
    assert found, stderr
    return list(cluster.get("cijobs", f"--namespace={namespace}", f"--selector={found[0]}")["items"])


# --- the mission --------------------------------------------------------------------------------------------------------


def test_the_file_that_everybody_knows_runs_as_it_is(cijob: Cijob) -> None:
    # A CI server checks out a commit and no branch.
    done = cijob.run("run", str(EXAMPLES / ".gitlab-ci.yml"), "--branch", "main")
    assert done.returncode == 0, (done.stdout, done.stderr)
    lines = done.stdout.splitlines()
    assert lines[0] == "$ apt-get update && apt-get install -y docker.io"
    assert "$ docker pull ailhan/web-debug:latest" in lines
    assert "Status: Downloaded newer image for ailhan/web-debug:latest" in lines
    assert lines[-1] == "web-debug: 3 passed"
    assert "docker:dind is left out: the job has a Docker daemon of its own" in done.stderr


def test_the_exit_code_of_failing_tests_is_the_commands(cijob: Cijob, tmp_path: Path) -> None:
    pipeline = yaml.safe_load((EXAMPLES / ".gitlab-ci.yml").read_text().replace(":latest", ":failing"))
    del pipeline["run-tests123"]["before_script"]  # that apt-get works the test above shows, which takes its time
    (tmp_path / ".gitlab-ci.yml").write_text(yaml.safe_dump(pipeline | {"image": "docker:29-cli"}, sort_keys=False))
    done = cijob.run("run", cwd=tmp_path)
    assert done.returncode == 7, (done.stdout, done.stderr)
    assert "exited with 7: `docker run ailhan/web-debug:failing ./runtests.sh`" in done.stderr
    assert "`cijob describe run-tests123-" in done.stderr


def test_a_whole_pipeline_of_the_examples_runs(cijob: Cijob) -> None:
    done = cijob.run("run", str(EXAMPLES / "pipeline" / ".gitlab-ci.yml"), "--branch", "main")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert results(done.stderr) == {
        "build": "succeeded",
        "smoke": "succeeded",
        "unit: [api]": "succeeded",
        "unit: [web]": "succeeded",
        "lint": "failed (allowed)",
        "report": "succeeded",
    }
    report = [line for line in done.stdout.splitlines() if line.startswith("report | ")]
    assert report[-2:] == ["report | api ok", "report | web ok"]


# --- order, files and variables -----------------------------------------------------------------------------------------


def test_stages_needs_and_when_decide_what_runs_and_the_first_failure_is_the_exit_code(
    cijob: Cijob, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    pipeline = write(
        tmp_path,
        {
            "stages": ["build", "test", "deploy"],
            "build": {"stage": "build", "script": ["echo built"]},
            "lint": {"stage": "build", "script": ["exit 3"], "allow_failure": {"exit_codes": [3]}},
            "unit": {"stage": "test", "script": ["exit 5"]},
            "early": {"stage": "deploy", "needs": ["build"], "script": ["echo early"]},
            "ship": {"stage": "deploy", "script": ["echo never"]},
            "rescue": {"stage": "deploy", "when": "on_failure", "script": ["exit 6"]},
            "tidy": {"stage": "deploy", "when": "always", "script": ["echo tidied"]},
            "approve": {"stage": "deploy", "when": "manual", "needs": ["build"], "script": ["echo approved"]},
        },
    )
    done = cijob.run("run", pipeline)
    assert done.returncode == 5, done.stderr
    assert results(done.stderr) == {
        "build": "succeeded",
        "lint": "failed (allowed)",
        "unit": "failed",
        "early": "succeeded",
        "ship": "skipped",
        "rescue": "failed",
        "tidy": "succeeded",
        "approve": "manual",
    }
    assert "tidy | tidied" in done.stdout.splitlines()
    created = of_pipeline(cluster, namespace, done.stderr)
    names = {job["metadata"]["annotations"]["cijob.dev/pipeline-job"] for job in created}
    assert names == {"build", "lint", "unit", "early", "rescue", "tidy"}
    started = {job["metadata"]["annotations"]["cijob.dev/pipeline-job"]: job["status"]["startTime"] for job in created}
    assert started["unit"] >= max(started["build"], started["lint"])
    assert started["rescue"] >= started["unit"]
    assert "\x1b" not in done.stderr + done.stdout


def test_files_artifacts_and_variables_go_from_job_to_job(cijob: Cijob, tmp_path: Path) -> None:
    make = [
        "cat data.txt",
        "mkdir -p out/deep",
        "cp data.txt out/deep/a.txt",
        "touch out/b.log",
        "echo V=1.2 > build.env",
    ]
    pipeline = write(
        tmp_path,
        {
            "stages": ["build", "test"],
            "make": {
                "stage": "build",
                "script": make,
                "artifacts": {"paths": ["out/"], "exclude": ["**/*.log"], "reports": {"dotenv": "build.env"}},
            },
            "with": {"stage": "test", "script": ["cat out/deep/a.txt; ls out; echo version $V of $WHO"]},
            "without": {"stage": "test", "dependencies": [], "script": ["ls; echo version [$V]"]},
        },
        **{"data.txt": "precious\n"},
    )
    done = cijob.run("run", pipeline, "--artifacts", str(tmp_path / "kept"), "--var", "WHO=me")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "make | precious" in done.stdout.splitlines()
    shown = [line for line in done.stdout.splitlines() if line.startswith("with | ")]
    assert shown[1:] == ["with | precious", "with | deep", "with | version 1.2 of me"]
    shown = [line for line in done.stdout.splitlines() if line.startswith("without | ")]
    assert shown[1:] == ["without | data.txt", "without | version []"]
    kept = [path.relative_to(tmp_path / "kept") for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert kept == [Path("make/out/deep/a.txt")]


def test_artifacts_are_taken_behind_any_output_and_however_the_after_script_ends(cijob: Cijob, tmp_path: Path) -> None:
    ends = {"bare": None, "trapped": "trap 'echo mine' EXIT", "replaced": "exec true", "killed": "kill -9 $$"}
    jobs = {
        name: {
            "script": ["printf bye | tee bye"],
            "artifacts": {"paths": ["bye"]},
            **({"after_script": [end]} if end else {}),
        }
        for name, end in ends.items()
    }
    done = cijob.run("run", write(tmp_path, jobs), "--artifacts", str(tmp_path / "kept"))
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "bare | bye" in done.stdout.splitlines()
    assert "trapped | mine" in done.stdout.splitlines()
    assert [(tmp_path / "kept" / name / "bye").read_text() for name in ends] == ["bye"] * 4


def test_artifacts_above_their_limit_fail_the_job(cijob: Cijob, tmp_path: Path) -> None:
    script = ["head -c 3000000 /dev/zero > big"]
    pipeline = write(tmp_path, {"make": {"script": script, "artifacts": {"paths": ["big"]}}})
    done = cijob.run("run", pipeline, "--artifacts-limit", "1Mi")
    assert done.returncode == 1, done.stderr
    assert "the artifacts are more than 1.0 MiB" in done.stderr


def test_a_manual_job_that_blocks_stops_the_pipeline_unless_it_is_named(cijob: Cijob, tmp_path: Path) -> None:
    approve = {"stage": "build", "script": ["echo yes"], "rules": [{"when": "manual"}]}
    pipeline = write(tmp_path, {"approve": approve, "ship": {"stage": "deploy", "script": ["echo shipped"]}})
    blocked = cijob.run("run", pipeline)
    assert (blocked.returncode, blocked.stdout) == (0, ""), blocked.stderr
    assert "stopped after 0s at manual jobs, for which the rest waits: approve" in blocked.stderr
    assert "--manual approve runs it" in blocked.stderr
    done = cijob.run("run", pipeline, "--manual", "approve")
    assert done.returncode == 0, done.stderr
    assert "ship | shipped" in done.stdout.splitlines()


def test_only_the_jobs_that_are_named_run_with_what_they_need(cijob: Cijob, tmp_path: Path) -> None:
    pipeline = write(
        tmp_path,
        {
            "make": {"stage": "build", "script": ["echo x > x"], "artifacts": {"paths": ["x"]}},
            "lint": {"stage": "build", "script": ["exit 1"]},
            "unit": {"stage": "test", "script": ["cat x"]},
            "ship": {"stage": "deploy", "script": ["exit 1"]},
        },
    )
    done = cijob.run("run", pipeline, "--job", "unit")
    assert (done.returncode, set(results(done.stderr))) == (0, {"make", "unit"}), done.stderr


def test_one_job_of_a_resource_group_runs_at_a_time(cijob: Cijob, tmp_path: Path) -> None:
    both = {"script": ["echo begin; sleep 2; echo end"], "resource_group": "prod"}
    done = cijob.run("run", write(tmp_path, {"a": both, "b": both}))
    assert done.returncode == 0, done.stderr
    said = [line.partition(" | ")[2] for line in done.stdout.splitlines()]
    assert [line for line in said if line in {"begin", "end"}] == ["begin", "end", "begin", "end"]


# --- what is refused ----------------------------------------------------------------------------------------------------


def test_what_cannot_run_is_said_before_anything_is_created(
    cijob: Cijob, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    before = len(cluster.get("cijobs", f"--namespace={namespace}").get("items", []))
    job = {"script": ["true"]}
    for pipeline, options, message, code in (
        ({"a": job | {"needs": ["b"]}}, (), "error: needs", 1),
        ({"a": job | {"release": {"tag_name": "x"}}}, ("--strict",), "one thing is not converted", 1),
        ({"a": job | {"only": ["tags"]}}, (), "no job runs for the branch", 1),
        ({"deploy": job}, ("--job", "deplyo"), "Did you mean deploy?", 2),
        ({"a": job}, ("--detach",), "a pipeline cannot be left", 2),
        ({"a": job}, ("--workspace-limit", "1"), "1 B are allowed", 1),
    ):
        done = cijob.run("run", write(tmp_path, pipeline), *options)
        assert (done.returncode, done.stdout) == (code, ""), (pipeline, done.stderr)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert len(cluster.get("cijobs", f"--namespace={namespace}").get("items", [])) == before


def test_a_job_that_cannot_be_created_fails_and_the_pipeline_goes_on(cijob: Cijob, tmp_path: Path) -> None:
    jobs = {"a": {"stage": "build", "script": ["true"]}, "b": {"when": "always", "script": ["true"]}}
    done = cijob.run("run", write(tmp_path, jobs), "--namespace=absent-namespace")
    assert done.returncode == 1
    assert results(done.stderr) == {"a": "failed", "b": "failed"}
    assert "There is no namespace absent-namespace" in done.stderr


# --- interrupts, terminals, connections ---------------------------------------------------------------------------------


def test_a_signal_cancels_all_that_runs_and_nothing_else_starts(
    cijob: Cijob, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    patient = {"stage": "build", "script": [PATIENT]}
    jobs = {"a": patient, "b": patient, "c": {"stage": "deploy", "when": "always", "script": ["true"]}}
    process = cijob.start("run", write(tmp_path, jobs))
    assert process.stdout is not None
    ready = 0
    for line in process.stdout:
        ready += line.endswith(b" | ready\n")
        if ready == 2:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert set(results(err.decode()).values()) == {"cancelled"}
    phases = [job["status"]["phase"] for job in of_pipeline(cluster, namespace, err.decode())]
    assert phases == ["Cancelled", "Cancelled"]


def test_on_a_terminal_a_tree_stands_under_the_logs_and_goes_at_the_end(cijob: Cijob, tmp_path: Path) -> None:
    jobs = {
        "stages": ["build", "test"],
        "one": {"stage": "build", "script": [r"printf '\033[31mred\033[0m \033[5A\n'; sleep 5"]},
        "two": {"stage": "build", "script": ["echo hello; sleep 5"]},
        "three": {"stage": "test", "script": ["echo bye"]},
    }
    with cijob.terminal("run", write(tmp_path, jobs)) as terminal:
        assert terminal.end() == 0
        shown = terminal.shown.decode()
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert re.search(r"● one +\d+s, running on ", drawn)
    assert re.search(r"✓ one +\d+s", drawn)
    assert re.search(r"· three", drawn)
    assert "\x1b[31mred" in shown, "the job's own colours"
    assert "\x1b[5A" not in shown, "only the tree moves the cursor"
    end = shown[shown.rindex("\x1b[2K") :]
    assert "pipeline succeeded" in end
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor is shown again"


def test_who_leaves_a_pipeline_leaves_its_jobs_and_no_other_starts(
    cijob: Cijob, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    patient = {"stage": "build", "script": [PATIENT]}
    jobs = {"a": patient, "b": patient, "c": {"stage": "deploy", "script": ["true"]}}
    with cijob.terminal("run", write(tmp_path, jobs)) as terminal:
        terminal.wait_for(b"ready")
        terminal.type(CTRL_C)
        terminal.wait_for(b"[d]etach")
        terminal.type(b"d")
        assert terminal.end(30) == 0
        left = of_pipeline(cluster, namespace, terminal.shown.decode())
    # The one that is not ready yet may be at any point before that.
    assert {job["status"]["phase"] for job in left} <= {"Pending", "Queued", "Starting", "Running"}
    assert len(left) == 2
    for job in left:
        Job(cluster, namespace, job["metadata"]["name"]).cancel("Immediate")


def test_a_pipeline_comes_through_connections_that_break(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    jobs = {
        "stages": ["build", "test"],
        **{name: {"stage": "build", "script": ["for i in $(seq 10); do echo n$i; sleep 0.3; done"]} for name in "ab"},
        "last": {"stage": "test", "script": ["exit 4"]},
    }
    pipeline = write(tmp_path, jobs)
    with breaking(cluster) as (breaker, kubeconfig):
        process = Cijob(kubeconfig, namespace).start("run", pipeline, "--no-workspace")
        with cut_again_and_again(breaker, 0.7) as cuts:
            out, err = process.communicate(timeout=180)
    assert process.returncode == 4, err
    assert sum(cuts) > 3, "connections were broken"
    for name in "ab":
        mine = [line for line in out.decode().splitlines() if line.startswith(f"{name} | n")]
        assert mine == [f"{name} | n{i}" for i in range(1, 11)]


def test_the_job_that_is_deleted_fails_and_the_pipeline_ends(
    cijob: Cijob, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    process = cijob.start("run", write(tmp_path, {"a": {"script": [PATIENT]}, "b": {"script": ["true"]}}))
    name = wait_for(lambda: _created(process, "a"), 60, lambda: "the job to be created")
    cluster.run("delete", "cijob", name, f"--namespace={namespace}")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert b"was deleted before its end" in err


def _created(process: subprocess.Popen[bytes], job: str) -> str | None:
    assert process.stderr is not None
    found = re.match(rf"cijob: {job}: created (\S+)", process.stderr.readline().decode())
    return found[1] if found else None
