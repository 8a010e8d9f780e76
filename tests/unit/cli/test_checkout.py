"""The `.git` of a pipeline's jobs, made of real repositories by the real git."""

from __future__ import annotations

import doctest
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.files import checkout
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.checkout import Checkout, check_out, depth_of, root_of, trusting
from cijob.cli.repository import ref_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOM = 1 << 28
SECRET = "correct-horse"  # noqa: S105  of nobody


class Repository:
    """A repository with two commits on main, the first of them tagged, and a remote with a password in its address."""

    def __init__(self, folder: Path, *how: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *how)
        self.git("remote", "add", "origin", f"https://me:{SECRET}@gitlab.example.com/group/app.git")
        self.commit("README.md")
        self.git("tag", "--annotate", "--message=the first", "v1.0")
        self.commit("src/run.sh")

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def write(self, path: str, text: str = "x") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, path: str, text: str = "a change") -> str:
        self.write(path, text)
        self.git("add", path)
        self.git("commit", "--quiet", f"--message={text}")
        return self.git("rev-parse", "HEAD")


class Job:
    """The working directory of a job: the files that were brought in, unpacked, as another machine has them."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder = folder
        with tarfile.open(fileobj=io.BytesIO(b"".join(bundle.blocks()))) as tar:
            tar.extractall(folder, filter="data")

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def refs(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname)").split())


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-c", "protocol.file.allow=always", *who, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True, timeout=60).stdout.strip()


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Whatever the machine's own configuration says. Gives the user's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    return home / ".gitconfig"


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repo")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Checkout]:
    """Makes a checkout of a folder, as a run does."""

    def make(
        folder: Path, depth: int = 20, limit: int = ROOM, branch: str | None = None, tag: str | None = None
    ) -> Checkout:
        ref = ref_of(folder, branch=branch, tag=tag)
        into = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        return check_out(folder.resolve(), into, ref, number=7, depth=depth, limit=limit)

    return make


@pytest.fixture
def job(tmp_path: Path, made: Callable[..., Checkout]) -> Callable[..., Job]:
    """A job of a pipeline in a folder."""

    def unpack(folder: Path, **how: int | str) -> Job:
        checkout = made(folder, **how)
        assert checkout.problem == ""
        return Job(tmp_path / f"job-{len(list(tmp_path.iterdir()))}", Bundle.of(folder).with_entries(checkout.entries))

    return unpack


# --- as GitLab's runner makes it ----------------------------------------------------------------------------------------


def test_a_job_finds_its_commit_checked_out_without_a_branch(repo: Repository, job: Callable[..., Job]) -> None:
    there = job(repo.folder)
    assert there.git("rev-parse", "HEAD") == repo.git("rev-parse", "HEAD")
    assert there.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert there.refs() == {"refs/remotes/origin/main", "refs/pipelines/7", "refs/tags/v1.0"}
    assert there.git("describe", "--tags").startswith("v1.0-1-g")
    assert there.git("fsck", "--strict") == ""


def test_so_many_commits_are_there_as_the_depth_says(repo: Repository, job: Callable[..., Job]) -> None:
    for number in range(5):
        repo.commit("README.md", str(number))
    there = job(repo.folder, depth=3)
    assert there.git("rev-list", "--count", "HEAD") == "3"
    assert "refs/tags/v1.0" not in there.refs()
    assert job(repo.folder, depth=0).git("rev-list", "--count", "HEAD") == "7"


def test_a_pipeline_for_a_branch_has_that_branch_of_the_commit_that_is_checked_out(
    repo: Repository, job: Callable[..., Job]
) -> None:
    there = job(repo.folder, branch="feature/x")
    assert there.git("rev-parse", "origin/feature/x") == repo.git("rev-parse", "HEAD")
    assert "refs/remotes/origin/main" not in there.refs()


def test_a_pipeline_for_a_tag_has_it_with_its_message_and_no_branch(repo: Repository, job: Callable[..., Job]) -> None:
    repo.git("tag", "--annotate", "--message=the second", "v2.0")
    there = job(repo.folder, tag="v2.0")
    assert there.refs() == {"refs/tags/v1.0", "refs/tags/v2.0", "refs/pipelines/7"}
    assert there.git("describe", "--exact-match") == "v2.0"
    assert there.git("tag", "--list", "--format=%(contents:subject)", "v2.0") == "the second"


@pytest.mark.parametrize("tag", ["v3.0", "v1.0"])
def test_a_tag_that_does_not_mean_the_commit_is_made_to(repo: Repository, job: Callable[..., Job], tag: str) -> None:
    assert job(repo.folder, tag=tag).git("rev-parse", f"{tag}^{{commit}}") == repo.git("rev-parse", "HEAD")


def test_a_detached_head_is_the_branch_that_the_user_names(repo: Repository, job: Callable[..., Job]) -> None:
    repo.git("switch", "--quiet", "--detach")
    repo.commit("more")
    assert job(repo.folder, branch="main").git("rev-parse", "origin/main") == repo.git("rev-parse", "HEAD")


def test_depth_0_means_all_branches_and_tags_those_of_the_remote_before_those_of_here(
    repo: Repository, job: Callable[..., Job], tmp_path: Path
) -> None:
    repo.git("branch", "theirs")
    git(tmp_path, "clone", "--quiet", str(repo.folder), "clone")
    clone = object.__new__(Repository)
    clone.folder = tmp_path / "clone"
    clone.git("switch", "--quiet", "--create", "mine")
    clone.commit("mine")
    clone.git("switch", "--quiet", "theirs")
    clone.commit("not pushed")
    clone.git("switch", "--quiet", "main")
    head = clone.commit("not pushed either")
    there = job(clone.folder, depth=0)
    names = {f"refs/remotes/origin/{name}" for name in ("main", "mine", "theirs")}
    assert there.refs() == {*names, "refs/tags/v1.0", "refs/pipelines/7"}
    assert there.git("rev-parse", "origin/theirs") == repo.git("rev-parse", "theirs")
    assert there.git("rev-parse", "origin/main") == head
    assert there.git("rev-parse", "--is-shallow-repository") == "false"


def test_the_remote_is_told_without_credentials_and_nothing_tells_of_this_machine(
    repo: Repository, made: Callable[..., Checkout]
) -> None:
    repo.git("config", "credential.helper", "!echo password=hunter2")
    repo.git("config", "http.extraHeader", "Authorization: Bearer hunter2")
    repo.write(".git/hooks/post-checkout", "hunter2").chmod(0o755)
    entries = made(repo.folder).entries
    content = b"".join(entry.path.read_bytes() for entry in entries if entry.path.is_file())
    assert b"https://gitlab.example.com/group/app.git" in content
    for word in (SECRET, "hunter2", str(repo.folder)):
        assert word.encode() not in content
    assert not {entry.name for entry in entries} & {".git/FETCH_HEAD", ".git/logs", ".git/hooks"}


def test_without_a_remote_there_is_none(repo: Repository, job: Callable[..., Job]) -> None:
    repo.git("remote", "remove", "origin")
    assert job(repo.folder).git("remote") == ""


def test_a_long_history_is_a_few_files(repo: Repository, made: Callable[..., Checkout]) -> None:
    for number in range(30):
        repo.commit("README.md", str(number))
        repo.git("branch", f"branch-{number}")
    for depth in (20, 0):
        assert len(made(repo.folder, depth=depth).entries) < 25


# --- what is not committed ----------------------------------------------------------------------------------------------


def test_what_is_not_committed_is_what_git_tells_of(repo: Repository, job: Callable[..., Job]) -> None:
    repo.commit("gone")
    repo.commit("staged")
    (repo.folder / "gone").unlink()
    repo.write("README.md", "edited")
    repo.write("staged", "edited")
    repo.git("add", "staged")
    repo.write("new")
    there = job(repo.folder)
    assert sorted(there.git("status", "--short").split("\n")) == sorted(
        ["M README.md", " D gone", " M staged", "?? new"]
    )
    assert there.git("diff", "--name-only", "HEAD").split() == ["README.md", "gone", "staged"]
    assert there.git("describe", "--dirty").endswith("-dirty")


def test_a_clean_work_tree_is_clean_at_once_without_a_look_at_its_files(
    repo: Repository, job: Callable[..., Job]
) -> None:
    there = job(repo.folder)
    there.git("diff-index", "--quiet", "HEAD")  # it trusts the index alone
    assert there.git("status", "--short") == ""


def test_what_the_job_changes_is_seen(repo: Repository, job: Callable[..., Job]) -> None:
    there = job(repo.folder)
    (there.folder / "README.md").write_text("b change")  # as long as it was
    assert there.git("status", "--short") == "M README.md"


def test_the_users_repository_is_only_read(repo: Repository, made: Callable[..., Checkout]) -> None:
    repo.write("README.md", "edited")

    def state() -> dict[Path, tuple[int, int]]:
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in repo.folder.rglob("*")}

    before = state()
    for depth in (20, 0):
        assert made(repo.folder, depth=depth).entries
    assert state() == before


@pytest.mark.parametrize("setting", ["core.fileMode=false", "core.autocrlf=true"])
def test_files_that_the_users_git_takes_for_unchanged_are_unchanged(
    repo: Repository, job: Callable[..., Job], setting: str
) -> None:
    repo.git("config", *setting.split("="))
    if setting == "core.autocrlf=true":
        repo.commit("text", "one\r\ntwo\r\n")
    else:
        (repo.folder / "src/run.sh").chmod(0o755)
    assert repo.git("status", "--short") == ""
    assert job(repo.folder).git("status", "--short") == ""


def test_submodules_are_there_as_files_and_not_initialised(
    repo: Repository, job: Callable[..., Job], tmp_path: Path
) -> None:
    library = Repository(tmp_path / "library")
    repo.git("submodule", "--quiet", "add", str(library.folder), "lib")
    repo.git("commit", "--quiet", "--message=lib")
    there = job(repo.folder)
    assert (there.folder / "lib/README.md").is_file()
    assert there.git("status", "--short") == ""
    assert there.git("submodule", "status") == f"-{library.git('rev-parse', 'HEAD')} lib"


# --- repositories of all kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["with space", "%41#?", "ünï", "new\nline", "-dash", "quote'\""])
def test_the_folder_may_have_any_name(tmp_path: Path, job: Callable[..., Job], name: str) -> None:
    repo = Repository(tmp_path / "parent" / name)
    assert root_of(repo.folder) == repo.folder
    assert job(repo.folder).git("status", "--short") == ""


def test_a_linked_work_tree_has_its_own_commit(repo: Repository, job: Callable[..., Job], tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    linked = object.__new__(Repository)
    linked.folder = tmp_path / "linked"
    head = linked.commit("more")
    there = job(linked.folder)
    assert (there.git("rev-parse", "HEAD"), there.git("status", "--short")) == (head, "")
    assert root_of(linked.folder) == linked.folder


def test_a_submodule_is_a_repository_too(repo: Repository, job: Callable[..., Job], tmp_path: Path) -> None:
    repo.git("submodule", "--quiet", "add", str(Repository(tmp_path / "library").folder), "lib")
    assert root_of(repo.folder / "lib") == repo.folder / "lib"
    assert job(repo.folder / "lib").git("describe", "--tags").startswith("v1.0-1-g")


@pytest.mark.parametrize(("depth", "count"), [(20, "2"), (1, "1"), (0, "2")])
def test_of_a_shallow_repository_there_is_what_it_has(
    repo: Repository, job: Callable[..., Job], tmp_path: Path, depth: int, count: str
) -> None:
    repo.commit("more")
    git(tmp_path, "clone", "--quiet", "--depth=2", repo.folder.as_uri(), "shallow")
    there = job(tmp_path / "shallow", depth=depth)
    assert there.git("rev-list", "--count", "HEAD") == count
    assert there.git("status", "--short") == ""


def test_of_a_partial_clone_what_it_lacks_is_not_fetched(
    repo: Repository, made: Callable[..., Checkout], tmp_path: Path
) -> None:
    for text in ("once", "and never again"):
        repo.commit("README.md", text)
    repo.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", repo.folder.as_uri(), "partial")
    program, ran = tmp_path / "program", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\nexit 1\n")
    program.chmod(0o755)
    git(tmp_path / "partial", "config", "remote.origin.url", "ssh://nowhere.invalid/app.git")
    git(tmp_path / "partial", "config", "core.sshCommand", str(program))
    assert "git fetch: " in made(tmp_path / "partial").problem
    assert not ran.exists()


def test_a_repository_with_longer_hashes_stays_one(tmp_path: Path, job: Callable[..., Job]) -> None:
    there = job(Repository(tmp_path / "sha256", "--object-format=sha256").folder)
    assert len(there.git("rev-parse", "HEAD")) == 64
    assert there.git("status", "--short") == ""


def test_before_the_first_commit_there_is_nothing_to_check_out(tmp_path: Path, made: Callable[..., Checkout]) -> None:
    git(tmp_path, "init", "--quiet", "new")
    assert made(tmp_path / "new") == Checkout(problem="the repository has no commit yet")


def test_the_root_of_a_folder_is_its_work_trees(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo.folder / "src")
    assert root_of(repo.folder / "src") == root_of(tmp_path / "link") == repo.folder
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    assert root_of(tmp_path / "bare.git") is root_of(repo.folder / ".git") is root_of(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_repository_is_read_where_the_users_git_reads_it(
    repo: Repository, job: Callable[..., Job], nobodys_settings: Path
) -> None:
    for path in (repo.folder, *repo.folder.rglob("*")):
        os.chown(path, 12345, 12345)
    assert root_of(repo.folder) is None
    nobodys_settings.write_text(f"[safe]\n  directory = {repo.folder}\n")
    assert root_of(repo.folder) == repo.folder
    assert job(repo.folder).git("status", "--short") == ""


# --- the user's own git -------------------------------------------------------------------------------------------------


def test_neither_settings_nor_variables_of_the_users_git_get_in_the_way_or_run(
    repo: Repository, nobodys_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ref_of(repo.folder)
    program, ran = tmp_path / "program", tmp_path / "ran"
    program.write_text(f"#!/bin/sh\necho \"$@\" >> '{ran}'\nexit 1\n")
    program.chmod(0o755)
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        for folder in (template / "hooks", repo.folder / ".git/hooks"):
            (folder / hook).symlink_to(program)
    settings = f"""
[init]
    templateDir = {template}
    defaultObjectFormat = sha256
[core]
    hooksPath = {template}/hooks
    fsmonitor = {program}
    sshCommand = {program}
    attributesFile = {tmp_path}/attributes
[filter "evil"]
    clean = {program}
    process = {program}
    required = true
[uploadpack]
    packObjectsHook = {program}
[protocol "file"]
    allow = never
[url "https://nowhere.invalid/"]
    insteadOf = file:///
[fetch]
    fsckObjects = true
    unpackLimit = 10000
[commit]
    gpgSign = true
[remote "origin"]
    uploadpack = {program}
[extensions]
    worktreeConfig = true
"""
    (tmp_path / "attributes").write_text("* filter=evil\n")
    nobodys_settings.write_text(settings)
    with (repo.folder / ".git/config").open("a") as file:
        file.write(settings)
    for name, value in {
        "GIT_DIR": str(tmp_path / "other.git"),
        "GIT_WORK_TREE": str(tmp_path / "other"),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_TEMPLATE_DIR": str(template),
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_TRACE": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.allow",
        "GIT_CONFIG_VALUE_0": "never",
        "GIT_SSH_COMMAND": str(program),
        "GIT_NAMESPACE": "elsewhere",
    }.items():
        monkeypatch.setenv(name, value)
    found = check_out(repo.folder, tmp_path / "scratch", ref, number=7, depth=20, limit=ROOM)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    nobodys_settings.unlink()
    assert not ran.exists(), ran.read_text()
    assert found.problem == ""
    config = (tmp_path / "scratch/work/.git/config").read_text()
    assert not [word for word in ("program", "filter", "insteadOf", "gpg") if word in config]
    assert ".git/hooks" not in {entry.name for entry in found.entries}


def test_without_the_program_git_there_is_no_repository(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert root_of(repo.folder) is None


# --- bounds -------------------------------------------------------------------------------------------------------------


def test_a_history_above_the_limit_is_not_even_fetched_whole(
    repo: Repository, made: Callable[..., Checkout], tmp_path: Path
) -> None:
    repo.folder.joinpath("random").write_bytes(os.urandom(3 << 20))
    repo.git("add", "random")
    repo.git("commit", "--quiet", "--message=large")
    found = made(repo.folder, limit=2 << 20)
    assert (found.entries, found.problem) == ((), f"it is more than the 2.0 MiB that the limit leaves: {checkout.LESS}")
    assert max(path.lstat().st_size for path in tmp_path.glob("scratch-*/**/*")) <= 2 << 20
    assert made(repo.folder, limit=5 << 20).problem == ""


def test_git_has_a_limited_time(
    repo: Repository, made: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "_PATIENCE", 0)
    assert made(repo.folder).problem == "git took more than 0 s"


def test_what_git_says_is_told_where_it_fails(repo: Repository, made: Callable[..., Checkout]) -> None:
    assert made(repo.folder, branch="no..branch").problem.startswith("git fetch: fatal: invalid refspec")


def test_a_folder_that_cannot_be_written_is_told(repo: Repository, tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_text("")
    found = check_out(repo.folder, tmp_path / "file" / "x", ref_of(repo.folder), number=7, depth=1, limit=ROOM)
    assert found.problem == "it cannot be written: Not a directory"


# --- variables ----------------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_depth_is_one_that_git_takes(text: str) -> None:
    assert 0 <= depth_of({"GIT_DEPTH": text}) < 2**31


def test_the_depth_is_that_of_gitlab_unless_the_job_says_another() -> None:
    assert depth_of({}) == 20
    assert [depth_of({"GIT_DEPTH": text}) for text in ("50", " 7 ", "0", "", "9" * 30, "9" * 5000)] == [
        50,
        7,
        0,
        0,
        2**31 - 1,
        2**31 - 1,
    ]


def test_a_job_trusts_its_working_directory_unless_it_sets_gits_settings_itself() -> None:
    spec = {"image": "alpine", "variables": {"A": "b"}}
    assert trusting(spec)["variables"] == {
        "A": "b",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    for own in ({"variables": {"GIT_CONFIG_COUNT": "0"}}, {"env": [{"name": "GIT_CONFIG_COUNT", "value": "0"}]}):
        assert trusting(own) == own


def test_the_examples_of_checkouts_hold() -> None:
    assert doctest.testmod(checkout).failed == 0
