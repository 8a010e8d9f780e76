"""What a git work tree says of itself, asked of real repositories."""

from __future__ import annotations

import doctest
import subprocess
from typing import TYPE_CHECKING

import pytest

from cijob.cli import repository
from cijob.cli.files.bundle import Bundle
from cijob.cli.repository import address, files_of, in_words, last_commit, ref_of
from cijob.importers.gitlab.model import Ref

if TYPE_CHECKING:
    from pathlib import Path


class Repository:
    """A repository with one commit on main."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("README.md")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=True, text=True).stdout.strip()

    def write(self, path: str, text: str = "x") -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, path: str, message: str = "a change") -> str:
        self.write(path, message)
        self.git("add", path)
        self.git("commit", "--quiet", f"--message={message}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    # Whatever the machine's own configuration says, and whatever repository the tests themselves run in.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Repository(tmp_path / "repo")


def test_the_last_commit_of_a_file_is_the_last_that_changed_it(repo: Repository, tmp_path: Path) -> None:
    first = repo.commit("below/lock")
    second = repo.commit("other")
    repo.write("new")
    repo.write("below/lock", "not committed")
    assert last_commit(repo.folder, "below/lock") == first
    assert last_commit(repo.folder / "below", "lock") == first
    assert last_commit(repo.folder, "other") == second
    assert [last_commit(repo.folder, path) for path in ("new", "nope", "../x")] == [""] * 3
    assert last_commit(tmp_path, "lock") == ""


def test_its_files_are_those_that_git_does_not_ignore(repo: Repository) -> None:
    repo.commit(".gitignore", "out/")
    for path in ("src/new.py", "out/app"):
        repo.write(path)
    assert files_of(repo.folder) == (".gitignore", "README.md", "src/new.py")
    assert files_of(repo.folder / "src") == ("new.py",)


def test_without_git_its_files_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert files_of(tmp_path) is None


def test_the_folder_says_which_repository_is_meant_also_in_a_hook_of_another(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other")
    other.commit("other.py", "another")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git/index"))
    repo.write(".git/info/exclude", "secret\n")
    repo.write("secret")
    assert ref_of(repo.folder).message == "a change"
    assert files_of(repo.folder) == ("README.md",)
    assert Bundle.of(repo.folder).names == {"README.md"}


def test_a_branch_is_told_with_its_commit(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--create", "feature/x")
    sha = repo.commit("src/a.py", "Subject\n\nBody")
    repo.git("remote", "add", "origin", "https://me:secret@gitlab.example.com/group/app.git")
    ref = ref_of(repo.folder)
    assert (ref.branch, ref.tag, ref.sha, ref.default_branch) == ("feature/x", "", sha, "main")
    assert (ref.message, ref.author) == ("Subject\n\nBody", "Ada <ada@example.com>")
    assert ref.timestamp[10] == "T"
    assert ref.url == "https://gitlab.example.com/group/app.git"


def test_a_folder_without_git_says_only_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert ref_of(tmp_path) == Ref()
    assert ref_of(tmp_path, tag="v1") == Ref(tag="v1")
    assert ref_of(tmp_path, branch="b") == Ref(branch="b")


def test_without_the_program_git_nothing_is_known(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert ref_of(repo.folder) == Ref()


def test_a_repository_without_a_commit_has_a_branch(tmp_path: Path, repo: Repository) -> None:
    del repo  # for its environment
    folder = tmp_path / "new"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=trunk"], cwd=folder, check=True)
    assert ref_of(folder) == Ref(branch="trunk")


def test_a_commit_that_is_checked_out_by_its_tag_is_that_tag(repo: Repository) -> None:
    repo.commit("a.py")
    repo.git("tag", "v1.0")
    assert ref_of(repo.folder).tag == ""
    repo.git("switch", "--quiet", "--detach", "v1.0")
    ref = ref_of(repo.folder)
    assert (ref.branch, ref.tag, ref.changed) == ("", "v1.0", None)


def test_a_detached_head_is_the_one_branch_that_is_there_or_one_of_its_own_and_never_a_guess(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--create", "feature")
    repo.commit("a.py")
    repo.git("switch", "--quiet", "--detach")
    assert ref_of(repo.folder).branch == "feature"
    assert ref_of(repo.folder, branch="other").branch == "other"
    repo.git("branch", "second")
    alone = ref_of(repo.folder)
    assert (alone.branch, alone.tag) == (f"detached-{alone.sha[:8]}", "")
    repo.commit("b.py")
    alone = ref_of(repo.folder)
    assert alone.branch == f"detached-{alone.sha[:8]}"
    assert "as HEAD is at none: --branch" in in_words(alone)


def test_a_branch_is_one_though_the_remote_has_it_too(repo: Repository, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(repo.folder), "clone"], cwd=tmp_path, check=True)
    subprocess.run(["git", "switch", "--quiet", "--detach"], cwd=tmp_path / "clone", check=True)
    assert ref_of(tmp_path / "clone").branch == "main"


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (Ref(branch="b"), "the pipeline is for the branch b"),
        (Ref(tag="v1"), "the pipeline is for the tag v1"),
        (Ref(default_branch="trunk"), "the pipeline is for the branch trunk, as git says of none"),
    ],
)
def test_what_a_pipeline_is_for_is_said_and_whether_it_is_a_guess(ref: Ref, words: str) -> None:
    assert in_words(ref).startswith(words)


def test_the_user_says_which_branch_or_tag_it_is(repo: Repository) -> None:
    assert ref_of(repo.folder, branch="other").branch == "other"
    ref = ref_of(repo.folder, tag="v2")
    assert (ref.branch, ref.tag) == ("", "v2")


def test_changed_are_all_files_since_the_branch_left_the_default_branch_and_what_is_not_committed(
    repo: Repository,
) -> None:
    repo.git("switch", "--quiet", "--create", "topic")
    repo.commit("a.py")
    repo.commit("dir with space/b.py")
    repo.git("switch", "--quiet", "main")
    repo.commit("only-on-main.py")
    repo.git("switch", "--quiet", "topic")
    repo.write("README.md", "edited")
    repo.write("new.py")
    repo.write(".gitignore", "ignored.py\n")
    repo.write("ignored.py")
    assert ref_of(repo.folder).changed == (".gitignore", "README.md", "a.py", "dir with space/b.py", "new.py")


def test_on_the_default_branch_changed_is_what_the_remote_has_not(repo: Repository, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", repo.folder, tmp_path / "clone"], check=True)
    clone = object.__new__(Repository)
    clone.folder = tmp_path / "clone"
    clone.commit("a.py")
    clone.commit("b.py")
    assert ref_of(clone.folder).changed == ("a.py", "b.py")


def test_on_the_default_branch_that_the_remote_has_too_changed_is_the_last_commit(repo: Repository) -> None:
    repo.commit("a.py")
    repo.commit("b.py")
    assert ref_of(repo.folder).changed == ("b.py",)


def test_at_the_first_commit_there_is_nothing_to_compare_with(repo: Repository) -> None:
    assert ref_of(repo.folder).changed is None


def test_in_a_folder_of_the_repository_paths_begin_there(repo: Repository) -> None:
    repo.git("switch", "--quiet", "--create", "topic")
    repo.commit("app/a.py")
    repo.commit("outside.py")
    repo.write("app/new.py")
    assert ref_of(repo.folder / "app").changed == ("a.py", "new.py")


def test_the_default_branch_is_the_remotes(repo: Repository, tmp_path: Path) -> None:
    repo.git("branch", "--move", "main", "trunk")
    subprocess.run(["git", "clone", "--quiet", repo.folder, tmp_path / "clone"], check=True)
    assert ref_of(tmp_path / "clone").default_branch == "trunk"


def test_without_a_remote_master_is_the_default_branch_where_there_is_no_main(repo: Repository) -> None:
    repo.git("branch", "--move", "main", "master")
    assert ref_of(repo.folder).default_branch == "master"


@pytest.mark.parametrize(
    ("remote", "told"),
    [
        ("https://gitlab.example.com/a/b.git", "https://gitlab.example.com/a/b.git"),
        ("https://token@gitlab.example.com/a/b.git", "https://gitlab.example.com/a/b.git"),
        ("ssh://git@gitlab.example.com:2222/a/b.git", "ssh://git@gitlab.example.com:2222/a/b.git"),
        ("ssh://git:secret@gitlab.example.com/a/b.git", "ssh://git@gitlab.example.com/a/b.git"),
        ("gitlab.example.com:a/b.git", "ssh://gitlab.example.com/a/b.git"),
        ("/srv/git/b.git", ""),
        ("../b.git", ""),
        ("file:///srv/git/b.git", ""),
        ("https://a:b@c@gitlab.example.com/a.git", ""),
        ("", ""),
    ],
)
def test_an_address_is_told_without_credentials(remote: str, told: str) -> None:
    assert address(remote) == told


def test_the_examples_of_addresses_hold() -> None:
    assert doctest.testmod(repository).failed == 0
