"""The repository's files: nothing outside of the folder is ever read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cijob.importers.gitlab.files import MAX_FILE_BYTES, Files, LocalFiles, MemoryFiles, Unreadable

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = {".gitlab-ci.yml": "a", "ci/one.yml": "1", "ci/deep/two.yml": "2", "README.md": "r"}


@pytest.fixture(params=["folder", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "memory":
        return MemoryFiles(TEXTS)
    for path, text in {**TEXTS, ".git/config.yml": "no"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return LocalFiles(tmp_path)


def test_a_slash_at_the_start_is_the_root_of_the_repository(files: Files) -> None:
    assert files.read("/ci/one.yml") == files.read("ci/one.yml") == "1"


def test_a_file_that_is_not_there_is_named(files: Files) -> None:
    with pytest.raises(Unreadable, match=r"there is no file ci/three\.yml"):
        files.read("ci/three.yml")


def test_only_files_that_are_the_repositorys_are_found(tmp_path: Path) -> None:
    for name in ("a.yml", "ignored.yml"):
        (tmp_path / name).write_text("x")
    files = LocalFiles(tmp_path, ("a.yml", "deleted.yml"))
    assert files.glob("*.yml") == files.wildcard("*.yml") == ["a.yml"]


def test_globs_find_files_but_nothing_of_git(files: Files) -> None:
    assert files.glob("**/*.yml") == [".gitlab-ci.yml", "ci/deep/two.yml", "ci/one.yml"]
    assert files.glob("/ci/*.yml") == []  # a / at the start is a part of the pattern to GitLab
    assert files.wildcard("ci/**.yml") == ["ci/deep/two.yml", "ci/one.yml"]
    assert files.glob("nowhere/*") == []


@pytest.mark.parametrize("path", ["../outside.yml", "ci/../../outside.yml", "link.yml", "folder/outside.yml"])
def test_what_leads_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.yml").write_text("secret")
    root = tmp_path / "root"
    (root / "ci").mkdir(parents=True)
    (root / "link.yml").symlink_to(tmp_path / "outside.yml")
    (root / "folder").symlink_to(tmp_path)
    files = LocalFiles(root)
    with pytest.raises(Unreadable, match="outside of the folder"):
        files.read(path)
    assert files.glob("../*") == []
    assert "folder/outside.yml" not in files.glob("**/*")


def test_a_path_of_the_machine_is_taken_where_it_is_inside(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("x")
    assert LocalFiles(tmp_path).read(str(tmp_path / "a.yml")) == "x"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "is a folder"),
        ("binary", "not a text in UTF-8"),
        ("large", "is larger than 2 MiB"),
        ("folder/../large/x", "no file"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"a" * (MAX_FILE_BYTES + 1))
    with pytest.raises(Unreadable, match=reason):
        LocalFiles(tmp_path).read(name)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbfa: b")
    assert LocalFiles(tmp_path).read("a.yml") == "a: b"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yml")
    with pytest.raises(Unreadable, match=r"fifo\.yml is no file but a pipe, a socket or a device"):
        LocalFiles(tmp_path).read("fifo.yml")
    assert LocalFiles(tmp_path).blob("fifo.yml") == ""
    assert LocalFiles(tmp_path, ["fifo.yml"]).glob("*.yml") == []
