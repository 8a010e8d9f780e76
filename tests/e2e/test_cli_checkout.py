"""What git says in the jobs of a pipeline whose folder is a repository, on the cluster."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cijob import Cijob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.lab import Cluster

#: An image with git whose user is not root, and so not the owner of the working directory.
IMAGE = "cimg/base:current"


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    return Cijob(cluster.kubeconfig, namespace)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def repository(folder: Path, jobs: dict[str, Any]) -> str:
    """A repository with a pipeline and 25 commits, of which one is tagged; then a file is changed. Gives the pipeline's path."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", "https://me:secret@gitlab.example.com/group/app.git")
    (folder / ".gitlab-ci.yml").write_text(yaml.safe_dump({"default": {"image": IMAGE}} | jobs, sort_keys=False))
    (folder / "code").write_text("one\n")
    git(folder, "add", ".")
    for number in range(25):
        git(folder, "commit", "--quiet", "--allow-empty", f"--message=commit {number}")
        if number == 22:
            git(folder, "tag", "v1.2")
    return str(folder / ".gitlab-ci.yml")


def answers(output: str, job: str) -> dict[str, list[str]]:
    """What each command of a job printed."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        if line.startswith(f"{job} | $ "):
            lines = found[line.removeprefix(f"{job} | $ ")] = []
        elif line.startswith(f"{job} | "):
            lines.append(line.removeprefix(f"{job} | "))
    return found


def test_git_knows_the_commit_and_what_is_not_committed(cijob: Cijob, tmp_path: Path) -> None:
    asked = [
        "id -u",
        "git describe --tags",
        "git log -1 --format=%s",
        "git rev-list --count HEAD",
        "git diff --name-only HEAD",
        "git status --short",
        "git remote get-url origin",
        'test "$(git rev-parse origin/main)" = "$CI_COMMIT_SHA"',
    ]
    dirty = {"script": asked}
    made = {"script": ["git fsck", "git commit-tree -m made HEAD^{tree} >made"], "artifacts": {"untracked": True}}
    whole = {"script": ["git rev-list --count HEAD"], "variables": {"GIT_DEPTH": "0"}}
    one = {"script": ["git rev-list --count HEAD"], "variables": {"GIT_DEPTH": "1"}}
    none = {"script": ["ls -A"], "variables": {"GIT_STRATEGY": "none"}}
    who = {"variables": {f"GIT_{one}_{two}": "ada" for one in ("AUTHOR", "COMMITTER") for two in ("NAME", "EMAIL")}}
    pipeline = repository(tmp_path, who | {"dirty": dirty, "made": made, "whole": whole, "one": one, "none": none})
    (tmp_path / "code").write_text("two\n")
    (tmp_path / "new").write_text("new\n")
    done = cijob.run("run", pipeline, "--artifacts", str(tmp_path / "kept"))
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = answers(done.stdout, "dirty")
    assert found == {
        "id -u": ["3434"],
        "git describe --tags": [f"v1.2-2-g{git(tmp_path, 'rev-parse', '--short', 'HEAD')}"],
        "git log -1 --format=%s": ["commit 24"],
        "git rev-list --count HEAD": ["20"],
        "git diff --name-only HEAD": ["code"],
        "git status --short": [" M code", "?? new"],
        "git remote get-url origin": ["https://gitlab.example.com/group/app.git"],
        asked[-1]: [],
    }
    assert answers(done.stdout, "whole") == {"git rev-list --count HEAD": ["25"]}
    assert answers(done.stdout, "one") == {"git rev-list --count HEAD": ["1"]}
    assert answers(done.stdout, "none") == {"ls -A": []}
    # The object that git wrote is none of what the job leaves.
    assert [path.name for path in (tmp_path / "kept" / "made").iterdir()] == ["made"]


def test_a_clean_work_tree_is_clean_and_a_tag_is_there(cijob: Cijob, tmp_path: Path) -> None:
    script = ["git diff-index --quiet HEAD --", "git describe --exact-match --tags", 'test -z "$(git status --short)"']
    pipeline = repository(tmp_path, {"clean": {"script": script}})
    done = cijob.run("run", pipeline, "--tag", "v2.0")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "v2.0" in done.stdout.splitlines()


def test_a_history_that_is_too_large_stays_here_and_the_job_succeeds(cijob: Cijob, tmp_path: Path) -> None:
    pipeline = repository(tmp_path, {"small": {"script": ["test ! -e .git", "cat code"]}})
    done = cijob.run("run", pipeline, "--workspace-limit", "2Ki")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "jobs get no .git: " in done.stderr
    assert "one" in done.stdout.splitlines()
