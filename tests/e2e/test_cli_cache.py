"""`cache` of a `.gitlab-ci.yml` against the cluster: what a job leaves, the next run finds; and nothing about it fails a job."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cijob import Cijob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.lab import Cluster

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def cijob(cluster: Cluster, namespace: str) -> Cijob:
    return Cijob(cluster.kubeconfig, namespace)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's caches are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "cijob" / "caches"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def write(folder: Path, **jobs: Any) -> None:  # noqa: ANN401  keys of jobs
    """A pipeline whose jobs need no daemon; `_` in a name is a space."""
    named = {name.replace("_", " "): job for name, job in jobs.items()}
    text = yaml.safe_dump({"default": {"image": "ubuntu:25.10"}} | named, sort_keys=False)
    (folder / ".gitlab-ci.yml").write_text(text)


def said(done: Done, job: str) -> list[str]:
    """What the standard error has of the caches of a job."""
    return [line for line in done.stderr.splitlines() if line.startswith(f"cijob: {job}: ") and "cache" in line]


def lines(done: Done, job: str) -> list[str]:
    """What a job printed, without its commands."""
    start = f"{job} | "
    found = [line.removeprefix(start) for line in done.stdout.splitlines() if line.startswith(start)]
    return [line for line in found if not line.startswith("$ ")]


def archives(caches: Path) -> list[Path]:
    return sorted(caches.rglob("*.tar"))


def test_the_next_run_finds_what_a_job_left_until_its_key_changes(cijob: Cijob, folder: Path, caches: Path) -> None:
    script = "mkdir -p deps/bin; [ -e deps/x ] || { echo first >deps/x; ln -s ../x deps/bin/x; }; cat deps/bin/x; ls"
    cache = {"key": {"files": ["lock"], "prefix": "$CI_JOB_NAME"}, "paths": ["deps/"]}
    job = {"script": [script], "cache": cache, "artifacts": {"paths": ["deps/x"]}}
    write(folder, busybox=job | {"image": "busybox:stable"}, user=job | {"image": "cimg/base:current"})
    (folder / "lock").write_text("1")
    first = cijob.run("run", cwd=folder)
    assert first.returncode == 0, (first.stdout, first.stderr)
    key = said(first, "user")[0].split()[3]
    hashed = key.removeprefix("user-")
    assert said(first, "user") == [f"cijob: user: caches: {key} not found, {key} saved (6 B)"]
    assert len(archives(caches)) == 2
    assert {oct(one.stat().st_mode) for kept in archives(caches) for one in (kept, kept.parent)} == {
        "0o100600",
        "0o40700",
    }
    second = cijob.run("run", cwd=folder)
    assert [lines(second, job) for job in ("busybox", "user")] == [["first", "deps", "lock"]] * 2
    assert said(second, "user") == [f"cijob: user: caches: {key} restored (6 B), {key} unchanged"]
    # BusyBox's tar gives links a time of their own, which is a change.
    start = f"busybox-{hashed}"
    assert said(second, "busybox") == [f"cijob: busybox: caches: {start} restored (6 B), {start} saved (6 B)"]
    (folder / "lock").write_text("2")
    third = cijob.run("run", cwd=folder)
    assert hashed not in third.stderr
    assert "not found" in said(third, "user")[0]
    assert len(archives(caches)) == 4


def test_jobs_of_a_run_share_what_they_push_and_pull(cijob: Cijob, folder: Path, caches: Path) -> None:
    seen = "mkdir -p c; cat c/* 2>/dev/null || true; echo $CI_JOB_NAME >>c/log"
    write(
        folder,
        stages=["one", "two"],
        push={"stage": "one", "script": [seen], "cache": {"key": "k", "paths": ["c"], "policy": "push"}},
        both={"stage": "one", "script": [seen], "cache": {"key": "own", "paths": ["c"]}},
        pull={"stage": "two", "script": [seen], "cache": {"key": "k", "paths": ["c"], "policy": "pull"}},
        other={"stage": "two", "script": [seen], "cache": {"key": "new", "paths": ["c"], "fallback_keys": ["k"]}},
        none={"stage": "two", "script": [seen], "cache": []},
    )
    first = cijob.run("run", cwd=folder)
    assert first.returncode == 0, (first.stdout, first.stderr)
    shown = [lines(first, job) for job in ("push", "both", "pull", "other", "none")]
    assert shown == [[], [], ["push"], ["push"], []]
    assert said(first, "pull") == ["cijob: pull: caches: k restored (5 B)"]
    assert said(first, "other") == ["cijob: other: caches: k restored for new (5 B), new saved (11 B)"]
    assert said(first, "none") == []
    second = cijob.run("run", cwd=folder)
    # Nobody saved what `pull` wrote, and `push` found nothing.
    assert [lines(second, job) for job in ("push", "both", "pull")] == [[], ["both"], ["push"]]
    assert len(archives(caches)) == 3


def test_whatever_is_wrong_with_a_cache_fails_no_job(cijob: Cijob, folder: Path, caches: Path) -> None:
    fill = "mkdir -p c d; head -c 100000 /dev/zero >c/large; echo small >d/x"
    both = [{"key": "large", "paths": ["c"]}, {"key": "small", "paths": ["d"]}]
    write(
        folder,
        large={"script": [fill], "cache": both, "artifacts": {"paths": ["d"]}},
        fails={
            "script": [fill, "exit 3"],
            "allow_failure": True,
            "cache": [{"key": "no", "paths": ["d"]}, {"key": "yes", "paths": ["d"], "when": "always"}],
        },
    )
    done = cijob.run("run", "--cache-limit", "64Ki", cwd=folder)
    assert done.returncode == 0, (done.stdout, done.stderr)
    above = "the caches are more than 64.0 KiB. Keep less (cache:paths), or raise --cache-limit."
    assert said(done, "large") == [
        f"cijob: large: the cache large was not saved: {above}",
        "cijob: large: caches: large not found, small not found, small saved (6 B)",
    ]
    assert said(done, "fails") == ["cijob: fails: caches: no not found, yes not found, yes saved (6 B)"]
    (small,) = (kept for kept in archives(caches) if kept.name.startswith("small-"))
    small.write_bytes(small.read_bytes()[:600])
    again = cijob.run("run", "--job", "large", cwd=folder)
    assert again.returncode == 0, (again.stdout, again.stderr)
    assert said(again, "large") == [
        "cijob: large: the cache small was damaged, and is gone",
        "cijob: large: caches: large not found, small not found, large saved (97.7 KiB), small saved (6 B)",
    ]


def test_without_caches_none_is_restored_or_saved(cijob: Cijob, folder: Path, caches: Path) -> None:
    write(folder, make={"script": ["mkdir -p c; echo x >>c/x; cat c/x"], "cache": {"paths": ["c"]}})
    done = cijob.run("run", "--no-cache", cwd=folder)
    assert (done.returncode, done.stdout.splitlines()[1:], said(done, "make")) == (0, ["x"], [])
    assert not caches.exists()
    caches.parent.mkdir(parents=True)
    caches.write_text("in the way")
    done = cijob.run("run", cwd=folder)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["x"])
    assert f"cijob: caches are neither restored nor saved: {caches} cannot be used: File exists\n" in done.stderr
