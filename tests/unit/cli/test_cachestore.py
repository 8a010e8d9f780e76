"""The caches on the user's machine: whole files, or none; within bounds; and nobody else's."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import threading
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.files import cachestore
from cijob.cli.files.cachestore import CacheStore, folder_of, make_room


def archive(store: CacheStore, text: str = "x", name: str = "a") -> Path:
    """An archive as a job leaves it."""
    target = store.target()
    with tarfile.open(target, "w:", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, BytesIO(text.encode()))
    return target


def text_of(store: CacheStore, *keys: str) -> str | None:
    """What is kept under the first of the keys that has something."""
    found, _ = store.find(keys)
    if found is None:
        return None
    with tarfile.open(found.archive) as tar:
        content = tar.extractfile("a")
        assert content is not None
        return content.read().decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "caches"


@pytest.fixture
def store(root: Path, tmp_path: Path) -> CacheStore:
    return CacheStore(root, tmp_path)


def kept(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*.tar") if not path.parent.name.startswith("."))


def test_what_is_put_is_found_by_its_key_in_the_next_run(root: Path, tmp_path: Path, store: CacheStore) -> None:
    store.put("deps", archive(store, "one"))
    store.put("deps", archive(store, "two"))
    store.close()
    with closing(CacheStore(root, tmp_path)) as later:
        found, damaged = later.find(["nope", "deps"])
        assert found is not None
        assert (found.key, found.size, damaged) == ("deps", 3, ())
        assert text_of(later, "deps") == "two"
        assert later.find(["nope"]) == (None, ())
    assert len(kept(root)) == 1


def test_a_folder_has_caches_of_its_own_whatever_way_leads_there(root: Path, tmp_path: Path) -> None:
    for name in ("a/p", "b/p"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/p")
    with closing(CacheStore(root, tmp_path / "a/p")) as one, closing(CacheStore(root, tmp_path / "b/p")) as other:
        one.put("k", archive(one))
        assert text_of(other, "k") is None
        with closing(CacheStore(root, tmp_path / "link")) as same:
            assert text_of(same, "k") == "x"


def test_nobody_else_can_read_them(root: Path, store: CacheStore) -> None:
    store.put("k", archive(store))
    (found,) = kept(root)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (root, found.parent, found)] == [0o700, 0o700, 0o600]


def test_an_open_folder_is_closed(root: Path, tmp_path: Path) -> None:
    root.mkdir(mode=0o755)
    CacheStore(root, tmp_path).close()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_not_used(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        CacheStore(root, tmp_path)


def test_a_file_in_the_way_is_an_error_with_its_name(root: Path, tmp_path: Path) -> None:
    root.write_text("")
    with pytest.raises(OSError, match="File exists") as caught:
        CacheStore(root, tmp_path)
    assert caught.value.filename == str(root)


@given(st.lists(st.text(), min_size=1, max_size=4, unique=True))
def test_any_texts_are_keys_and_none_is_anothers(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    root = tmp_path_factory.mktemp("root")
    with closing(CacheStore(root, root)) as store:
        for number, key in enumerate(keys):
            store.put(key, archive(store, str(number)))
        assert [text_of(store, key) for key in keys] == list(map(str, range(len(keys))))
    assert all(path.parent.parent == root and len(path.name) < 100 for path in kept(root))


@pytest.mark.parametrize("damage", ["", "cut", "no end", "zeros", "text", "header", "tail"])
def test_a_damaged_archive_is_gone_and_said_and_the_next_key_is_tried(
    root: Path, store: CacheStore, damage: str
) -> None:
    store.put("k", archive(store, "x" * 3000))
    (path,) = kept(root)
    good = path.read_bytes()
    store.put("other", archive(store, "good"))
    second = archive(store, "y" * 3000).read_bytes()
    bad = {
        "cut": good[:2000],
        "no end": good[: 512 + 3072],
        "zeros": bytes(10240),
        "text": b"no archive at all" * 1000,
        "header": good[: 512 + 3072] + b"?" * 512 + second,
        "tail": good + b"more",
    }
    path.write_bytes(bad.get(damage, b""))
    found, damaged = store.find(["k", "other"])
    if damage == "zeros":  # an archive of nothing
        assert found is not None
        assert (found.key, found.size) == ("k", 0)
        return
    assert found is not None
    assert (found.key, damaged, path.exists()) == ("other", ("k",), False)


def test_what_a_run_has_found_stays_for_it(root: Path, tmp_path: Path, store: CacheStore) -> None:
    store.put("k", archive(store, "old"))
    with closing(CacheStore(root, tmp_path)) as other:
        found, _ = other.find(["k"])
        assert found is not None
        store.put("k", archive(store, "new"))
        make_room(root, root / "none", most=0)
        assert kept(root) == []
        with tarfile.open(found.archive) as tar:
            content = tar.extractfile("a")
            assert content is not None
            assert content.read() == b"old"
        assert text_of(other, "k") is None
    assert not found.archive.exists()


def test_a_file_system_without_second_names_gets_copies(store: CacheStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    store.put("k", archive(store))
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert text_of(store, "k") == "x"


def test_a_reader_beside_writers_sees_whole_archives_only(root: Path, tmp_path: Path, store: CacheStore) -> None:
    sizes = [100_000, 200_000, 300_000]
    store.put("k", archive(store, "x" * sizes[0]))
    failed: list[object] = []

    def write(size: int) -> None:
        with closing(CacheStore(root, tmp_path)) as own:
            for _ in range(20):
                own.put("k", archive(own, "x" * size))

    def read() -> None:
        with closing(CacheStore(root, tmp_path)) as own:
            for _ in range(60):
                found, damaged = own.find(["k"])
                if damaged or found is None or found.size not in sizes:
                    failed.append((found, damaged))

    threads = [threading.Thread(target=write, args=(size,)) for size in sizes[1:]] + [threading.Thread(target=read)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []


def test_an_archive_that_is_replaced_while_it_is_taken_is_there_all_the_same(
    store: CacheStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: link(2) says ENOENT of a file that lost its name after it was looked up, a gap too small to be hit at will."""

    def gone(self: Path, _target: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "not found", str(self))

    store.put("k", archive(store, "kept"))
    monkeypatch.setattr(Path, "hardlink_to", gone)
    assert text_of(store, "k") == "kept"
    assert store.find(["other"]) == (None, ())


def test_what_was_not_used_for_longest_goes_first(
    root: Path, store: CacheStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cachestore, "MOST_KEPT", 1)
    for age, key in enumerate(("new", "older", "oldest")):
        store.put(key, archive(store))
        os.utime(kept_as(root, key), (1000 - age, 1000 - age))
    size = kept_as(root, "new").stat().st_size
    assert text_of(store, "oldest") == "x"  # it is used now
    make_room(root, kept_as(root, "new"), most=2 * size)
    assert [path.name.partition("-")[0] for path in kept(root)] == ["new", "oldest"]
    make_room(root, kept_as(root, "new"), most=0)
    assert [path.name.partition("-")[0] for path in kept(root)] == ["new"]


def kept_as(root: Path, key: str) -> Path:
    return next(path for path in kept(root) if path.name.startswith(f"{key}-"))


def test_putting_makes_room(root: Path, store: CacheStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", archive(store))
    os.utime(kept_as(root, "a"), (1000, 1000))
    monkeypatch.setattr(make_room, "__defaults__", (10_240,))
    store.put("b", archive(store))
    assert [path.name.partition("-")[0] for path in kept(root)] == ["b"]


def test_what_killed_runs_left_goes_after_a_day(root: Path, store: CacheStore) -> None:
    old, young = root / ".run-old", root / ".run-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "1.tar").write_text("x")
    os.utime(old, (1000, 1000))
    store.put("k", archive(store))
    assert (old.exists(), young.exists()) == (False, True)


def test_a_full_disk_leaves_what_was_there(root: Path, store: CacheStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store.put("k", archive(store, "old"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put("k", archive(store, "new"))
    assert text_of(store, "k") == "old"
    store.close()
    assert list(root.iterdir()) == [kept(root)[0].parent]


def test_the_folder_is_where_other_programs_have_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert folder_of({"XDG_CACHE_HOME": "/var/c"}) == Path("/var/c/cijob/caches")
    assert folder_of({"XDG_CACHE_HOME": "relative"}) == Path("/home/me/.cache/cijob/caches")
    assert folder_of({}) == Path("/home/me/.cache/cijob/caches")
