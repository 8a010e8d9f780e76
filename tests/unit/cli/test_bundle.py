"""What of a folder is brought into a job, and as what."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from cijob.cli.errors import CliError
from cijob.cli.files.bundle import Bundle

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> None:
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, "-C", str(folder), *words], check=True, capture_output=True, timeout=20)


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A work tree: `tracked` committed, `new` not yet, `ignored` ignored, `gone` deleted, `sub/in` in a folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init")
    (folder / ".gitignore").write_text("ignored\n")
    write(folder, "tracked", "gone", "sub/in")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "x")
    write(folder, "new", "ignored")
    (folder / "gone").unlink()
    return folder


def unpacked(bundle: Bundle) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(bundle.blocks()))) as tar:
        return {member.name: member for member in tar}


def test_a_work_tree_is_what_git_tracks_or_would(work_tree: Path) -> None:
    assert Bundle.of(work_tree).names == {".gitignore", "tracked", "new", "sub/in"}


def test_what_git_knew_below_a_folder_that_is_a_link_now_is_not_brought(work_tree: Path, tmp_path: Path) -> None:
    write(tmp_path, "outside/in")
    (work_tree / "sub" / "in").unlink()
    (work_tree / "sub").rmdir()
    (work_tree / "sub").symlink_to(tmp_path / "outside")
    assert Bundle.of(work_tree).names == {".gitignore", "tracked", "new", "sub"}


def test_a_repository_names_no_program_to_run_here(work_tree: Path, tmp_path: Path) -> None:
    watcher = tmp_path / "watcher"
    watcher.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    watcher.chmod(0o755)
    git(work_tree, "config", "core.fsmonitor", str(watcher))
    assert "tracked" in Bundle.of(work_tree).names
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_a_work_tree_is_what_is_below_it(work_tree: Path) -> None:
    assert Bundle.of(work_tree / "sub").names == {"in"}


def test_a_repository_within_is_brought_as_its_own_git_sees_it(work_tree: Path) -> None:
    inner = work_tree / "inner"
    inner.mkdir()
    git(inner, "init")
    (inner / ".gitignore").write_text("secret\n")
    write(inner, "code", "secret")
    assert {"inner/code", "inner/.gitignore"} <= Bundle.of(work_tree).names
    assert "inner/secret" not in Bundle.of(work_tree).names


def test_a_folder_without_git_is_all_of_it_with_its_empty_folders(tmp_path: Path) -> None:
    write(tmp_path, "a", "b/c")
    (tmp_path / "empty").mkdir()
    assert Bundle.of(tmp_path).names == {"a", "b", "b/c", "empty"}


def test_a_work_tree_that_git_refuses_is_not_taken_whole(tmp_path: Path) -> None:
    write(tmp_path, "a", ".git/HEAD")
    with pytest.raises(CliError, match="git cannot list the files"):
        Bundle.of(tmp_path)


def test_without_git_on_the_machine_a_work_tree_is_not_taken_whole(
    work_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CliError, match="there is no git here"):
        Bundle.of(work_tree)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="there is no folder"):
        Bundle.of(tmp_path / "nope")


def test_modes_links_and_long_names_arrive_and_owners_do_not(tmp_path: Path) -> None:
    long = "l" * 120 + "/" + "m" * 120
    write(tmp_path, "run.sh", long, "umläut")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("../elsewhere")
    found = unpacked(Bundle.of(tmp_path))
    assert found["run.sh"].mode == 0o755
    assert (found["link"].issym(), found["link"].linkname) == (True, "../elsewhere")
    assert found[long].size == len(long)
    assert "umläut" in found
    assert {(member.uid, member.gid, member.uname) for member in found.values()} == {(0, 0, "")}


def test_names_that_are_no_text_arrive(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    assert set(unpacked(Bundle.of(tmp_path))) == {os.fsdecode(b"caf\xe9")}


def test_sockets_and_pipes_stay_here_and_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        bundle = Bundle.of(tmp_path)
    assert (bundle.entries, set(bundle.skipped)) == ((), {"pipe", "socket"})


def test_the_size_is_known_before_and_a_limit_names_the_largest(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big/file").write_bytes(bytes(3 * 1024 * 1024))
    write(tmp_path, "small")
    bundle = Bundle.of(tmp_path)
    assert bundle.size == 3 * 1024 * 1024 + len("small")
    bundle.check(bundle.size)
    with pytest.raises(CliError, match=r"are 3\.0 MiB, and 1\.0 MiB are allowed: big/ 3\.0 MiB"):
        bundle.check(1024 * 1024)


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(100))
    bundle = Bundle.of(tmp_path)
    (tmp_path / "log").write_bytes(b"")
    with pytest.raises(CliError, match="log became shorter"):
        b"".join(bundle.blocks())


def test_a_file_that_grows_is_brought_as_long_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one")
    bundle = Bundle.of(tmp_path)
    (tmp_path / "log").write_bytes(b"one, two")
    assert unpacked(bundle)["log"].size == 3


def test_artifacts_come_over_the_files_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "work", "a")
    archive = tmp_path / "artifacts.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"newer"))
    bundle = Bundle.of(tmp_path / "work").with_archives([archive])
    assert bundle.size == 1 + 5
    with tarfile.open(fileobj=io.BytesIO(b"".join(bundle.blocks()))) as tar:
        assert [member.size for member in tar if member.name == "a"] == [1, 5]


def test_artifacts_that_are_gone_are_said(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="cannot be read"):
        Bundle().with_archives([tmp_path / "nope.tar"])
