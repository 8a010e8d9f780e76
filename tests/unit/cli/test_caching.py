"""The caches of a job: into it and out of it beside its other files, and never the reason why it fails."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.files import again, archive, packing, transfer, unchanged
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.caching import Caching, Restored, ToSave
from cijob.cli.files.execute import Result
from cijob.errors import ApiUnavailable
from cijob.importers.gitlab.model import Artifacts, Cache, When
from tests.unit.cli.execs import NO_API, a_container, answers, run_beside
from tests.unit.launcher.userland import SHELLS, Container

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.execs import Executed

SPEC: dict[str, Any] = {"image": "a", "script": ["make"]}
LISTED = Result(0, b".\0\0./a\0./deps/b\0./deps/c\0\0")
OK = Result(0)


def tar(path: Path, **texts: str) -> Path:
    with tarfile.open(path, "w:", format=tarfile.GNU_FORMAT) as file:
        for name, text in texts.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    return path


def raw(tmp_path: Path, **texts: str) -> Result:
    """What pack.sh answers."""
    return Result(0, tar(tmp_path / "raw", **texts).read_bytes())


def a_cache(key: str = "k", path: str = "deps", when: When = When.ON_SUCCESS) -> Cache:
    return Cache(key=key, paths=(path,), when=when)


def caching(tmp_path: Path, *caches: Cache, most_bytes: int = 10_000, **changes: Any) -> Caching:  # noqa: ANN401
    to_save = tuple(ToSave(cache=one, target=tmp_path / f"{number}.tar") for number, one in enumerate(caches))
    return Caching(to_save=to_save, most_bytes=most_bytes, **changes)


def prepared(tmp_path: Path, given: Caching, **changes: Any) -> tuple[dict[str, Any], transfer.Transfer, str]:  # noqa: ANN401
    """The spec, the transfer and its token."""
    wanted = {"bundle": Bundle(), "artifacts": None, "into": tmp_path} | changes
    spec, made = transfer.prepare(SPEC, caching=given, **wanted)
    entry = (spec.get("beforeScript") or spec["afterScript"])[0]
    return spec, made, entry.partition("=")[2].partition(" ")[0]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "PAUSES", (0.0,) * 3)


def bundle(tmp_path: Path) -> Bundle:
    """A file of the repository, and the artifacts of another job."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w/file").write_text("file")
    return Bundle.of(tmp_path / "w").with_archives([tar(tmp_path / "artifacts", artifact="artifact")])


def restored(tmp_path: Path, **texts: str) -> Restored:
    return Restored(key="k", archive=tar(tmp_path / "held", **(texts or {"cached": "cached"})), size=6)


# --- into the job ----------------------------------------------------------------------------------------------------------


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        return file.getnames()


async def test_caches_come_over_the_repository_and_below_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = answers(monkeypatch, OK, OK, OK, OK)
    _, made, _ = prepared(tmp_path, Caching(restored=(restored(tmp_path),)), bundle=bundle(tmp_path))
    await made.started(NO_API, "n", "p")
    assert [names_in(data) for data in executed.inputs[:3]] == [["file"], ["cached"], ["artifact"]]
    assert executed.words[3][-1] == "brought"
    assert (made.owes, made.not_restored) == (False, "")


async def test_a_job_without_caches_is_brought_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = answers(monkeypatch, OK, OK)
    _, made, _ = prepared(tmp_path, Caching(), bundle=bundle(tmp_path))
    await made.started(NO_API, "n", "p")
    assert [names_in(data) for data in executed.inputs[:1]] == [["file", "artifact"]]


async def test_caches_that_cannot_be_unpacked_do_not_stop_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = answers(monkeypatch, OK, Result(1, b"tar: no\x1b[2J room\n"), OK, OK)
    _, made, _ = prepared(tmp_path, Caching(restored=(restored(tmp_path),)), bundle=bundle(tmp_path))
    await made.started(NO_API, "n", "p")
    assert executed.words[3][-1] == "brought"
    assert made.not_restored == "tar: no room"


async def test_caches_that_cannot_be_read_do_not_stop_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(restored(tmp_path), archive=tmp_path / "gone")
    executed = answers(monkeypatch, OK)
    _, made, _ = prepared(tmp_path, Caching(restored=(gone,)))
    await made.started(NO_API, "n", "p")
    assert executed.words[-1][-1] == "brought"
    assert "No such file" in made.not_restored


async def test_the_jobs_own_files_still_have_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = answers(monkeypatch, Result(1, b"no room\n"), OK)
    _, made, _ = prepared(tmp_path, Caching(restored=(restored(tmp_path),)), bundle=bundle(tmp_path))
    await made.started(NO_API, "n", "p")
    assert executed.words[-1][-2:] == ["failed", "no room"]


def test_caches_are_not_counted_as_files(tmp_path: Path) -> None:
    given = Caching(restored=(replace(restored(tmp_path), size=1 << 40),))
    prepared(tmp_path, given, bundle=bundle(tmp_path), limits=transfer.Limits(workspace=12))


# --- out of the job --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("artifacts", "caches", "when"),
    [
        (None, [When.ON_SUCCESS], "on_success"),
        (None, [When.ON_FAILURE, When.ON_FAILURE], "on_failure"),
        (None, [When.ON_FAILURE, When.ON_SUCCESS], "always"),
        (When.ON_SUCCESS, [When.ON_SUCCESS], "on_success"),
        (When.ON_FAILURE, [When.ON_SUCCESS], "always"),
        (When.ON_SUCCESS, [When.ALWAYS], "always"),
    ],
)
def test_the_container_is_held_once_for_all_that_is_wanted(
    tmp_path: Path, artifacts: When | None, caches: list[When], when: str
) -> None:
    left = None if artifacts is None else Artifacts(paths=("a",), when=artifacts)
    spec, _, _ = prepared(tmp_path, caching(tmp_path, *(a_cache(when=one) for one in caches)), artifacts=left)
    assert len(spec["afterScript"]) == 1
    assert f" cijob_when={when} " in spec["afterScript"][0]


async def held(made: transfer.Transfer, token: str, *, success: bool = True) -> Any:  # noqa: ANN401  Taken or None
    """What was taken of a job that says how its script ended."""
    await made.started(NO_API, "n", "p")
    made.shown(f"cijob: files wait ({token}, {'success' if success else 'failed'})\n".encode())
    return await made.finish(succeeded=success)


def commands(executed: Executed) -> list[str]:
    return [one.removeprefix("cijob-") for one in executed.commands]


async def test_artifacts_and_caches_are_taken_of_one_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = raw(tmp_path, a="1"), raw(tmp_path, deps__b="22", deps__c="3"), raw(tmp_path, a="1")
    executed = answers(monkeypatch, LISTED, *packed, OK)
    caches = a_cache(), a_cache("other", "a"), a_cache("none", "nope")
    _, made, token = prepared(tmp_path, caching(tmp_path, *caches), artifacts=Artifacts(paths=("a",)))
    taken = await held(made, token)
    assert commands(executed) == ["list.sh", "pack.sh", "pack.sh", "pack.sh", "mark.sh"]
    assert executed.words[-1][-1] == "taken"
    assert taken.names == ("a",)
    assert [(one.cache.key, one.size, one.problem) for one in made.saved] == [
        ("k", 3, ""),
        ("other", 1, ""),
        ("none", 0, ""),
    ]
    assert [one.archive for one in made.saved] == [tmp_path / "0.tar", tmp_path / "1.tar", None]
    assert names_in((tmp_path / "0.tar").read_bytes()) == ["deps/b", "deps/c"]


@pytest.mark.parametrize(("success", "keys"), [(True, ["s", "a"]), (False, ["f", "a"])])
async def test_what_is_saved_depends_on_how_the_script_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, success: bool, keys: list[str]
) -> None:
    packed = raw(tmp_path, deps__b="b", deps__c="c")
    answers(monkeypatch, LISTED, packed, packed, OK)
    whens = {"s": When.ON_SUCCESS, "f": When.ON_FAILURE, "a": When.ALWAYS}
    caches = [a_cache(key, when=when) for key, when in whens.items()]
    _, made, token = prepared(tmp_path, caching(tmp_path, *caches))
    assert await held(made, token, success=success) is None
    assert [one.cache.key for one in made.saved] == keys


async def test_the_caches_of_a_job_have_one_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = raw(tmp_path, deps__b="x" * 60, deps__c="")
    answers(monkeypatch, LISTED, packed, packed, packed, OK)
    _, made, token = prepared(tmp_path, caching(tmp_path, a_cache("1"), a_cache("2"), a_cache("3"), most_bytes=100))
    assert await held(made, token) is None
    said = "the caches are more than 100 B. Keep less (cache:paths), or raise --cache-limit."
    assert [one.problem for one in made.saved] == ["", said, said]
    assert sorted(os.listdir(tmp_path)) == ["0.tar", "raw"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Result(2, b"tar: no\x1b[2J disk\n"), "the caches could not be taken: tar: no disk"),
        (Result(0, b"no archive"), "the job's caches came damaged"),
        (OSError(errno.ENOSPC, "No space left"), "the caches cannot be kept on this machine: No space left. Make room"),
        (ApiUnavailable(0, "", "broke"), "broke"),
    ],
)
async def test_a_cache_that_cannot_be_taken_takes_nothing_else_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Result | Exception, problem: str
) -> None:
    tries = 4 if isinstance(answer, ApiUnavailable) else 1
    packed = raw(tmp_path, a="1"), *[answer] * tries, raw(tmp_path, a="1")
    executed = answers(monkeypatch, LISTED, *packed, OK)
    _, made, token = prepared(
        tmp_path, caching(tmp_path, a_cache(), a_cache("o", "a")), artifacts=Artifacts(paths=("a",))
    )
    taken = await held(made, token)
    assert (taken.names, taken.problem) == (("a",), "")
    assert [one.problem[: len(problem)] for one in made.saved] == [problem, ""]
    assert executed.words[-1][-1] == "taken"


async def test_artifacts_that_cannot_be_taken_keep_no_cache_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, LISTED, Result(2, b"tar: no\n"), raw(tmp_path, deps__b="b", deps__c="c"), OK)
    _, made, token = prepared(tmp_path, caching(tmp_path, a_cache()), artifacts=Artifacts(paths=("a",)))
    taken = await held(made, token)
    assert taken.problem == "the artifacts could not be taken: tar: no"
    assert [one.problem for one in made.saved] == [""]


async def test_names_that_lead_out_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Result(0, b".\0\0./deps/../../etc/passwd\0/etc/passwd\0./deps/b\0\0")
    hostile = tmp_path / "hostile"
    with tarfile.open(hostile, "w") as file:
        for name in ("../x", "/etc/passwd", "deps/../../etc/passwd", "deps/b", "deps/b/../../y"):
            file.addfile(tarfile.TarInfo(name))
    answers(monkeypatch, listed, Result(0, hostile.read_bytes()), OK)
    _, made, token = prepared(tmp_path, caching(tmp_path, a_cache()))
    assert await held(made, token) is None
    (saved,) = made.saved
    assert saved.archive is None or names_in(saved.archive.read_bytes()) == ["deps/b"]
    assert (saved.archive is None) == bool(saved.problem)


@pytest.mark.parametrize(("when", "missed"), [(When.ON_SUCCESS, 1), (When.ALWAYS, 1), (When.ON_FAILURE, 0)])
async def test_a_job_that_offers_nothing_still_succeeds(tmp_path: Path, when: When, missed: int) -> None:
    _, made, _ = prepared(tmp_path, caching(tmp_path, a_cache(when=when)))
    await made.started(NO_API, "n", "p")
    assert await made.finish(succeeded=True) is None
    assert ["did not offer its caches" in one.problem for one in made.saved] == [True] * missed


async def test_a_killed_job_has_no_caches(tmp_path: Path) -> None:
    _, made, _ = prepared(tmp_path, caching(tmp_path, a_cache()))
    await made.started(NO_API, "n", "p")
    assert await made.finish(succeeded=False) is None
    assert made.saved == ()


# --- what has not changed --------------------------------------------------------------------------------------------------


async def test_a_cache_that_is_what_it_was_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = restored(tmp_path, deps__b="bb", deps__c="c")
    given = caching(tmp_path, a_cache(), restored=(before,))
    given = replace(given, to_save=(replace(given.to_save[0], before=before),))
    executed = answers(monkeypatch, OK, OK, LISTED, Result(0, b"2 0 ./deps/b\n1 0 ./deps/c\n"), OK)
    _, made, token = prepared(tmp_path, given)
    assert await held(made, token) is None
    assert commands(executed)[-3:] == ["list.sh", "stat.sh", "mark.sh"]
    assert [(one.unchanged, one.archive, one.size) for one in made.saved] == [(True, None, 6)]


async def test_one_with_a_new_file_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = restored(tmp_path, deps__b="bb")
    given = caching(tmp_path, a_cache())
    given = replace(given, to_save=(replace(given.to_save[0], before=before),))
    executed = answers(monkeypatch, LISTED, raw(tmp_path, deps__b="bb", deps__c="c"), OK)
    _, made, token = prepared(tmp_path, given)
    assert await held(made, token) is None
    assert commands(executed) == ["list.sh", "pack.sh", "mark.sh"]
    assert [one.unchanged for one in made.saved] == [False]


@pytest.mark.parametrize(
    "answer",
    [
        Result(0, b"2 1 ./deps/b\n1 0 ./deps/c\n"),
        Result(0, b"3 0 ./deps/b\n1 0 ./deps/c\n"),
        Result(0, b"1 0 ./deps/c\n"),
        Result(127, b"2 0 ./deps/b\n1 0 ./deps/c\n"),
    ],
)
async def test_one_that_is_not_what_it_was_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Result
) -> None:
    before = restored(tmp_path, deps__b="bb", deps__c="c")
    given = caching(tmp_path, a_cache())
    given = replace(given, to_save=(replace(given.to_save[0], before=before),))
    answers(monkeypatch, LISTED, answer, raw(tmp_path, deps__b="b", deps__c="c"), OK)
    _, made, token = prepared(tmp_path, given)
    assert await held(made, token) is None
    assert [one.unchanged for one in made.saved] == [False]


@pytest.fixture(params=SHELLS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    return a_container(tmp_path / "cijob", str(request.param))


def test_files_that_went_into_a_job_and_were_left_alone_are_what_they_were(job: Container, tmp_path: Path) -> None:
    made, here = tmp_path / "made", tmp_path / "here"
    (made / "deps/empty").mkdir(parents=True)
    here.mkdir()
    (made / "deps/a file").write_text("text")
    (made / "deps/b").hardlink_to(made / "deps/a file")
    (made / "deps/link").symlink_to("nowhere/at/all")
    for one in ("deps/a file", "deps/link"):
        os.utime(made / one, (1000, 1000), follow_symlinks=False)
    names = ("deps/a file", "deps/b", "deps/empty", "deps/link")
    packed = run_beside(job, "pack.sh", stdin=b"".join(f"./{name}\0".encode() for name in names), folder=made)
    (tmp_path / "raw").write_bytes(packed.stderr)
    kept = tmp_path / "kept.tar"
    archive.keep(tmp_path / "raw", kept, set(names), set(), 1000, archive.CACHES)
    known, stats = unchanged.read(kept)
    assert known == set(names)
    assert run_beside(job, "unpack.sh", stdin=kept.read_bytes(), folder=here).code == 0

    def now() -> unchanged.Stats:
        stdin = b"".join(f"./{name}\0".encode() for name in stats)
        return unchanged.parse(run_beside(job, "stat.sh", stdin=stdin, folder=here).stderr)

    left = now()
    if job.shell == "busybox":  # its tar leaves links a time of their own: such a cache is saved again
        left["deps/link"] = stats["deps/link"]
    assert left == stats
    (here / "deps/b").write_text("more")
    assert now() != stats


def test_what_is_not_there_or_cannot_be_asked_is_changed(job: Container, tmp_path: Path) -> None:
    assert run_beside(job, "stat.sh", stdin=b"./nope\0", folder=tmp_path).code != 0
    (job.bin / "stat").unlink()
    if job.shell != "busybox":  # Debian's has stat inside
        assert run_beside(job, "stat.sh", stdin=b"./cijob\0", folder=tmp_path).code != 0


def test_lines_that_are_none_of_stats_are_left_out() -> None:
    assert unchanged.parse(b"welcome\n1 2 ./a b\nx 2 ./c\n\n3 4 ./d\nand more") == {"a b": (1, 2), "d": (3, 4)}


def test_files_of_git_itself_are_not_untracked() -> None:
    listing = packing.Listing((), (".git/HEAD", ".gitignore", "known", "made"))
    scope = packing.Scope(known=frozenset({"known"}), working_dir="/w")
    assert scope.choose(listing, (), untracked=True) == ((".gitignore", "made"), ())
    assert scope.choose(listing, (".git",)) == ((".git/HEAD",), ())
