"""A job is not trusted: nothing in its archives reaches this machine beside the folder that it was meant for."""

from __future__ import annotations

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.cli.errors import CliError
from cijob.cli.files import archive

LIMIT = 1024 * 1024


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def write(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(b"x" * one.size))
    return path


def test_only_what_was_asked_for_is_kept_each_once_and_under_its_plain_name(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", *map(member, ["./a", "b", "../c", "/d", "a"]))
    kept = archive.keep(raw, tmp_path / "kept", {"a"}, set(), LIMIT)
    assert kept.names == ("a",)
    with tarfile.open(tmp_path / "kept") as tar:
        assert tar.getnames() == ["a"]


def test_devices_and_pipes_are_not_kept_and_missed(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", member("a", tarfile.CHRTYPE), member("b", tarfile.FIFOTYPE))
    with pytest.raises(CliError, match="2 of the job's artifacts did not come, such as a"):
        archive.keep(raw, tmp_path / "kept", {"a", "b"}, set(), LIMIT)


def test_texts_are_given_and_kept_only_where_they_are_artifacts_too(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", member("a.env", size=3), member("b", size=1))
    kept = archive.keep(raw, tmp_path / "kept", {"b"}, {"a.env"}, LIMIT)
    assert (kept.names, kept.texts) == (("b",), {"a.env": "xxx"})
    both = archive.keep(raw, tmp_path / "both", {"b", "a.env"}, {"a.env"}, LIMIT)
    assert both.names == ("a.env", "b")
    with tarfile.open(tmp_path / "both") as tar:
        content = tar.extractfile("a.env")
        assert content is not None
        assert content.read() == b"xxx"


def test_far_more_entries_than_were_asked_for_are_refused(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", *[member(str(number)) for number in range(100)], member("a"))
    with pytest.raises(CliError, match="has more in it than was asked for"):
        archive.keep(raw, tmp_path / "kept", {"a"}, set(), LIMIT)


def test_a_full_disk_is_not_said_to_be_damage(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", member("a", size=LIMIT))
    with pytest.raises(CliError, match="cannot be kept on this machine: No space left on device"):
        archive.keep(raw, Path("/dev/full"), {"a"}, set(), LIMIT)


def test_several_archives_behind_each_other_are_one(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", member("a")), write(tmp_path / "2", member("b"))
    raw = tmp_path / "raw"
    raw.write_bytes(one.read_bytes() + two.read_bytes())
    assert archive.keep(raw, tmp_path / "kept", {"a", "b"}, set(), LIMIT).names == ("a", "b")


def test_more_than_the_limit_is_refused_by_what_the_archive_says(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", member("a", size=100))
    with pytest.raises(CliError, match="the artifacts are more than 99 B"):
        archive.keep(raw, tmp_path / "kept", {"a"}, set(), 99)


def test_an_archive_that_ends_early_is_damaged(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", member("a", size=5000))
    raw.write_bytes(raw.read_bytes()[:2000])
    with pytest.raises(CliError, match="came damaged"):
        archive.keep(raw, tmp_path / "kept", {"a"}, set(), LIMIT)


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, b"no archive" * 100])
def test_what_is_no_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "raw").write_bytes(content)
    with pytest.raises(CliError):
        archive.keep(tmp_path / "raw", tmp_path / "kept", {"a"}, set(), LIMIT)


@pytest.mark.parametrize(
    ("bad", "left_out"),
    [
        ([member("../evil")], ["../evil"]),
        ([member("/tmp/evil")], ["/tmp/evil"]),  # noqa: S108  a name in an archive
        ([member("a/../../evil")], ["a/../../evil"]),
        ([member("l", tarfile.SYMTYPE, "/etc")], ["l"]),
        ([member("l", tarfile.SYMTYPE, "..")], ["l"]),
        ([member("a/l", tarfile.SYMTYPE, "x/../../../y")], ["a/l"]),
        ([member("l", tarfile.SYMTYPE, "in"), member("l/evil")], ["l/evil"]),
        ([member("m", tarfile.SYMTYPE, "a/b/l/.."), member("a/b/l", tarfile.SYMTYPE, "../..")], ["m"]),
        ([member("l", tarfile.SYMTYPE, "in"), member("l")], ["l"]),
        ([member("l", tarfile.LNKTYPE, "l")], ["l"]),
        ([member("s", tarfile.SYMTYPE, "in"), member("l", tarfile.LNKTYPE, "s")], ["l"]),
        ([member("l", tarfile.LNKTYPE, "../../etc/passwd")], ["l"]),
        ([member("l", tarfile.LNKTYPE, "/etc/passwd")], ["l"]),
        ([member("d", tarfile.CHRTYPE)], ["d"]),
    ],
)
def test_what_leads_out_of_the_folder_is_left_out_and_named(
    tmp_path: Path, bad: list[tarfile.TarInfo], left_out: list[str]
) -> None:
    path = write(tmp_path / "bad", *bad, member("good", size=1))
    assert list(archive.unpack(path, tmp_path / "into")) == left_out
    assert (tmp_path / "into/good").read_bytes() == b"x"


def test_links_that_stay_inside_are_unpacked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "fine", member("a/b"), member("a/l", tarfile.SYMTYPE, "b"), member("a/m", tarfile.SYMTYPE, "../a/b")
    )
    assert archive.unpack(path, tmp_path / "into") == ()
    assert (tmp_path / "into/a/l").readlink() == Path("b")


_NAMES = st.sampled_from(["a", "b", "a/b", "a/b/c", "..", "../x", "/x", "a/../../x", "l", "l/x", "l/a", "a/b/l"])
_KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
_TARGETS = st.sampled_from(
    [".", "..", "a", "a/b", "../x", "../../outside", "/", "l", "a/..", "a/../..", "l/..", "a/b/l/..", "../.."]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(member, _NAMES, _KINDS, _TARGETS, st.just(0)), max_size=6))
def test_nothing_is_ever_written_beside_the_folder(members: list[tarfile.TarInfo]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "outside").mkdir()
        path = write(folder / "archive", *members)
        with suppress(CliError):  # a folder where a file was, or the like
            archive.unpack(path, folder / "into")
        assert sorted(one.name for one in folder.iterdir() if one.name != "into") == ["archive", "outside"]
        assert list((folder / "outside").iterdir()) == []
        for link in (one for one in (folder / "into").rglob("*") if one.is_symlink()):
            assert Path(os.path.realpath(link)).is_relative_to((folder / "into").resolve()), link
