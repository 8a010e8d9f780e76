"""The caches of a run: what is told of them, what they are bounded by, and that nothing of them is an error."""

from __future__ import annotations

import errno
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import pytest

from cijob.cli.errors import CliError
from cijob.cli.files.cachestore import CacheStore
from cijob.cli.files.caching import Saved
from cijob.cli.options import Target
from cijob.cli.pipeline import caches as module
from cijob.cli.pipeline.caches import Caches
from cijob.cli.pipeline.plan import Plan
from cijob.cli.runoptions import RunOptions
from cijob.errors import ApiError
from cijob.importers.gitlab.model import Cache, PipelineJob, Policy, Ref
from tests.unit.cli.pipelines import a_job, a_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cijob.cli.api import Api
    from cijob.cli.pipeline.boards import Board

KIB = 1024


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg/cijob/caches"


class Told:
    """FAKE of a board: it keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.note = self.notes.append


@pytest.fixture
def board() -> Told:
    return Told()


@pytest.fixture
def told(board: Told) -> list[str]:
    """The notes."""
    return board.notes


def a_run(project: Path, board: Told, limit: int = 10 * KIB) -> Caches:
    return Caches(project, limit, cast("Board", board))


@pytest.fixture
def caches(tmp_path: Path, board: Told) -> Iterator[Caches]:
    made = a_run(tmp_path, board)
    made.open()
    yield made
    made.close()


def of(*keys: str, **fields: Any) -> PipelineJob:  # noqa: ANN401  of a Cache
    """A job with a cache for each key."""
    return a_job("job", caches=tuple(Cache(key=key, paths=("a",), **fields) for key in keys))


def left(target: Path, size: int) -> Path:
    """An archive as `Transfer` leaves it."""
    with tarfile.open(target, "w:", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.size = size
        tar.addfile(member, BytesIO(bytes(size)))
    return target


def run(caches: Caches, job: PipelineJob, **sizes: int) -> None:
    """A job that leaves so many bytes in its caches."""
    found = caches.find(job)
    saved = [
        Saved(cache=one.cache, archive=left(one.target, sizes[one.cache.key]), size=sizes[one.cache.key])
        for one in found.caching.to_save
        if one.cache.key in sizes
    ]
    caches.keep(job, found, tuple(saved), "")


def test_a_line_says_what_was_restored_and_saved(caches: Caches, board: Told) -> None:
    run(caches, of("k"), k=KIB)
    run(caches, of("k"), k=2 * KIB)
    run(caches, of("new", fallback_keys=("none", "k")), new=1)
    run(caches, of("k", policy=Policy.PULL), k=5)
    run(caches, of("k", policy=Policy.PUSH), k=7)
    run(caches, of("k"), k=7)
    run(caches, a_job("without"))
    assert board.notes == [
        "job: caches: k not found, k saved (1.0 KiB)",
        "job: caches: k restored (1.0 KiB), k saved (2.0 KiB)",
        "job: caches: k restored for new (2.0 KiB), new saved (1 B)",
        "job: caches: k restored (2.0 KiB)",
        "job: caches: k saved (7 B)",
        "job: caches: k restored (7 B), k saved (7 B)",
    ]


def test_caches_that_were_not_taken_are_told(caches: Caches, board: Told) -> None:
    job = of("a", "b", "c", policy=Policy.PUSH)
    found = caches.find(job)
    a, b, c = (one.cache for one in found.caching.to_save)
    caches.keep(job, found, (Saved(cache=a, problem="no tar"), Saved(cache=b, unchanged=True), Saved(cache=c)), "")
    assert board.notes == [
        "job: the cache a was not saved: no tar",
        "job: caches: b unchanged, c not saved, as it has no files",
    ]


def test_caches_that_were_not_unpacked_are_not_told_as_restored(caches: Caches, board: Told) -> None:
    run(caches, of("k"), k=1)
    caches.keep(of("k"), caches.find(of("k")), (), "no room")
    assert board.notes[1:] == ["job: its caches were not restored: no room"]


def test_only_a_caches_own_archive_is_compared_with(caches: Caches) -> None:
    run(caches, of("k"), k=1)
    (own,) = caches.find(of("k")).caching.to_save
    (other,) = caches.find(of("new", fallback_keys=("k",))).caching.to_save
    (pushed,) = caches.find(of("k", policy=Policy.PUSH)).caching.to_save
    assert own.before is not None
    assert (other.before, pushed.before) == (None, None)


def test_what_is_above_the_limit_together_is_not_restored(caches: Caches, told: list[str]) -> None:
    run(caches, of("a", "b", "c"), a=6 * KIB, b=5 * KIB, c=4 * KIB)
    found = caches.find(of("a", "b", "c", "d"))
    assert [one.key for one in found.caching.restored] == ["a", "c"]
    assert told[1:] == ["job: the cache b is not restored: its 5.0 KiB are above --cache-limit"]
    assert [one.before is not None for one in found.caching.to_save] == [True, False, True, False]


def test_a_damaged_one_is_told_and_replaced(caches: Caches, board: Told, root: Path) -> None:
    run(caches, of("k"), k=1)
    (path,) = (one for one in root.glob("*/k-*.tar"))
    path.write_bytes(b"")
    run(caches, of("k"), k=3)
    assert board.notes[2:] == ["job: caches: k not found, k saved (3 B)"]
    assert board.notes[1:2] == ["job: the cache k was damaged, and is gone"]


def test_a_full_disk_is_told(caches: Caches, board: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CacheStore, "put", full)
    run(caches, of("k"), k=1)
    monkeypatch.setattr(CacheStore, "find", full)
    assert caches.find(of("k")).caching.restored == ()
    assert [one.partition(": No space")[0] for one in board.notes] == [
        "job: the cache k was not saved: the caches cannot be kept on this machine",
        "job: caches: k not found",
        "job: the cache k is not restored",
    ]


def test_a_folder_that_cannot_be_made_leaves_the_caches_out(tmp_path: Path, board: Told, root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_text("in the way")
    made = a_run(tmp_path, board)
    made.open()
    run(made, of("k"), k=1)
    assert board.notes == [f"caches are neither restored nor saved: {root} cannot be used: File exists"]


@pytest.mark.parametrize(
    ("options", "job", "made"),
    [({}, of("k"), True), ({"caches": False}, of("k"), False), ({}, a_job("without"), False)],
)
def test_folders_are_made_where_there_are_caches_to_keep(
    tmp_path: Path, board: Told, root: Path, options: dict[str, Any], job: PipelineJob, made: bool
) -> None:
    planned = Plan(pipeline=a_pipeline(job), number=1, folder=tmp_path, play=frozenset(), ref=Ref())
    found = Caches.of(planned, RunOptions(target=Target(), **options), cast("Board", board))
    assert root.exists() is made
    found.close()
    assert list(root.parent.rglob("*")) == ([root] if made else [])


class FakeApi:
    """FAKE: a namespace and a right."""

    namespace = "n"

    def __init__(self, *, logs: bool) -> None:
        self.logs = logs

    async def may(self, *what: str, namespace: str) -> bool:
        assert (what, namespace) == (("get", "pods/log"), "n")
        return self.logs


@pytest.mark.parametrize(
    ("refusal", "logs", "said"),
    [
        (
            CliError("you may not run commands in running jobs", "Ask."),
            True,
            "you may not run commands in running jobs",
        ),
        (ApiError(403, "Forbidden", "no reviews"), True, "no reviews"),
        (None, False, "you may not read logs in the namespace n"),
        (None, True, None),
    ],
)
async def test_who_may_not_move_files_or_read_logs_runs_without_caches(
    caches: Caches,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception | None,
    logs: bool,
    said: str | None,
) -> None:
    async def may_execute(_api: object, _namespace: str) -> None:
        if refusal is not None:
            raise refusal

    monkeypatch.setattr(module, "may_execute", may_execute)
    for _ in range(2):  # it is told once
        await caches.check(cast("Api", FakeApi(logs=logs)))
    assert told == ([] if said is None else [f"caches are neither restored nor saved: {said}"])
    assert bool(caches.find(of("k")).caching.to_save) is (said is None)
