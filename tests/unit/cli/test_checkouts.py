"""Which jobs of a run get a `.git`, and what is told where they get none; made of real repositories by the real git."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from cijob.cli.files.bundle import Bundle
from cijob.cli.pipeline import checkouts
from cijob.cli.pipeline.checkouts import Checkouts
from cijob.cli.pipeline.plan import Plan
from cijob.cli.repository import ref_of
from tests.unit.cli.pipelines import a_job, a_pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.importers.gitlab.model import PipelineJob

MIB = 1 << 20
PLAIN = a_job("plain")
SHORT = a_job("short", spec={"script": ["true"], "variables": {"GIT_DEPTH": "1"}})
CALLS = a_job("calls", spec={"script": ["true", "cd x && git describe"]})
WITHOUT = a_job("without", wants_files=False)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with three commits and a folder in it."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = tmp_path / "repo"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("x")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    for number in range(3):
        git(folder, "commit", "--quiet", "--allow-empty", f"--message={number}")
    return folder


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


class World:
    """The checkouts of a run in a folder, and what was told of them."""

    def __init__(self, folder: Path, scratch: Path, *jobs: PipelineJob) -> None:
        self.told: list[str] = []
        self.folder = folder
        scratch.mkdir(exist_ok=True)
        plan = Plan(a_pipeline(*jobs), 7, folder, frozenset(), ref_of(folder))
        self.checkouts = Checkouts(scratch, plan, self.told.append)

    def make(self, room: int = 256 * MIB) -> World:
        self.checkouts.make(room)
        return self

    def given(self, job: PipelineJob, limit: int = 256 * MIB) -> Bundle:
        return self.checkouts.add(job, Bundle.of(self.folder), limit)


def test_each_job_gets_the_commits_that_it_asks_for(repo: Path, tmp_path: Path) -> None:
    world = World(repo, tmp_path / "scratch", PLAIN, SHORT, WITHOUT).make()
    assert world.told == []
    for job, count in ((PLAIN, "3"), (SHORT, "1")):
        bundle = world.given(job)
        assert bundle.has_git
        found = next(entry.path for entry in bundle.entries if entry.name == ".git")
        assert git(found.parent, "rev-list", "--count", "HEAD") == count
    assert {path.name for path in (tmp_path / "scratch").iterdir()} == {"checkout.1", "checkout.20"}


def test_without_jobs_that_want_files_nothing_is_made(repo: Path, tmp_path: Path) -> None:
    World(repo, tmp_path / "scratch", WITHOUT).make()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_job_without_files_gets_no_git_either(repo: Path, tmp_path: Path) -> None:
    world = World(repo, tmp_path / "scratch", PLAIN).make()
    assert world.checkouts.add(PLAIN, Bundle(), MIB) == Bundle()


def test_a_folder_that_is_no_repository_has_none_and_nothing_is_told(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("x")
    world = World(tmp_path / "plain", tmp_path / "scratch", CALLS).make()
    assert (world.given(CALLS).has_git, world.told) == (False, [])
    assert repo.is_dir()


def test_a_part_of_a_repository_has_none_which_is_told_to_those_who_call_git(repo: Path, tmp_path: Path) -> None:
    assert World(repo / "sub", tmp_path / "scratch", PLAIN).make().told == []
    world = World(repo / "sub", tmp_path / "scratch", PLAIN, CALLS).make()
    assert world.told == [
        f"jobs get no .git: {repo / 'sub'} is a part of the repository {repo}, which --workspace brings as a whole"
    ]
    assert not world.given(CALLS).has_git


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("git describe", True),
        ("a=$(git log -1)", True),
        ("cat .git/HEAD", False),
        ("pip install git+https://x", False),
        ("digit", False),
        ("apt-get install git-lfs", False),
    ],
)
def test_a_script_calls_git_where_it_names_the_command(line: str, *, calls: bool, repo: Path, tmp_path: Path) -> None:
    job = a_job("a", spec={"afterScript": [line], "script": ["true"]})
    assert bool(World(repo / "sub", tmp_path / "scratch", job).make().told) is calls


def test_what_is_too_large_together_is_told_once_with_its_sizes_and_the_files_come(repo: Path, tmp_path: Path) -> None:
    world = World(repo, tmp_path / "scratch", PLAIN, CALLS).make()
    for job in (PLAIN, CALLS):
        bundle = world.given(job, limit=1000)
        assert (sorted(bundle.names), bundle.size) == (["sub/file"], 1)
    (told,) = world.told
    assert told.startswith("jobs get no .git: it is ")
    assert "their files are 1 B, and 1000 B are allowed: a smaller GIT_DEPTH" in told


def test_what_git_does_not_give_is_told(tmp_path: Path, repo: Path) -> None:
    git(tmp_path, "init", "--quiet", "new")
    (tmp_path / "new" / "file").write_text("x")
    world = World(tmp_path / "new", tmp_path / "scratch", PLAIN, SHORT).make()
    assert world.told == ["jobs get no .git: the repository has no commit yet"]
    assert world.given(PLAIN).names == {"file"}
    assert repo.is_dir()


def test_what_takes_a_while_is_told(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(repo, tmp_path / "scratch", PLAIN)
    monkeypatch.setattr(checkouts, "_A_WHILE", 0)
    asyncio.run(world.checkouts.prepare(MIB * 256))
    assert world.told == [f"making a .git for the jobs out of {repo}"]
    assert world.given(PLAIN).has_git
