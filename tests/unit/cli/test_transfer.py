"""The files of a job: its entries in each shell, what the client does, and what it makes of breaks."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.errors import CliError
from cijob.cli.files import again, collect, packing, taking, transfer
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.collect import Taken
from cijob.cli.files.execute import Result
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.importers.gitlab.model import Artifacts, When
from tests.unit.cli.execs import NO_API, a_container, answers, run_beside
from tests.unit.launcher.userland import SECONDS, SHELLS, Container

if TYPE_CHECKING:
    from pathlib import Path


TOKEN = "transfer-0123456789abcdef"  # noqa: S105  not a secret
SPEC: dict[str, Any] = {"image": "a", "script": ["make"], "beforeScript": ["b"], "afterScript": ["c"]}


@pytest.fixture(params=SHELLS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """A job container in each userland, with the tools that files need."""
    return a_container(tmp_path / "cijob", str(request.param))


def mark(job: Container, kind: str, text: str = "") -> None:
    (job.run_dir / f"{TOKEN}.{kind}").write_text(text)


# --- the entries ------------------------------------------------------------------------------------------------------------


def test_the_script_starts_when_the_files_are_there(job: Container) -> None:
    job.write(["echo script"], before=[transfer.bring_entry(TOKEN)])
    with job.start() as running:
        running.wait_until((job.run_dir / "entry").exists)
        mark(job, "brought")
        ended = running.end()
    assert ended.code == 0
    assert [line for line in ended.lines if TOKEN not in line] == ["$ echo script", "script"]
    assert len(ended.lines) == 3


def test_a_job_without_its_files_fails_and_says_why(job: Container) -> None:
    assert run_beside(job, "mark.sh", TOKEN, "failed", "no room").code == 0
    ended = job.run("echo script", before=[transfer.bring_entry(TOKEN)])
    assert ended.code == 1
    assert ended.lines[1:] == ["cijob: no room"]


def test_a_job_waits_for_its_files_for_so_long(job: Container) -> None:
    ended = job.run("echo script", before=[transfer.bring_entry(TOKEN, seconds=1)])
    assert (ended.code, ended.lines[1:]) == (1, ['cijob: no files came within 1 s: was "cijob run" ended?'])


def test_waiting_leaves_nothing_in_the_scripts_shell(job: Container) -> None:
    mark(job, "brought")
    script = "echo ${cijob_transfer-none}${cijob_seconds-}${cijob_marks-}; false; echo on"
    ended = job.run(script, before=[transfer.bring_entry(TOKEN)])
    assert ended.lines[2:] == ["none"]
    assert ended.code == 1


def test_the_container_is_held_behind_the_after_script_until_the_artifacts_are_taken(job: Container) -> None:
    job.write(["true"], after=[transfer.take_entry(TOKEN, "on_success"), "echo after; exit 3"])
    with job.start() as running:
        running.wait_for("after")
        running.wait_for(f'cijob: files wait up to 240 s for "cijob run" ({TOKEN}, success)')
        assert run_beside(job, "mark.sh", TOKEN, "taken").code == 0
        ended = running.end()
    assert ended.code == 0
    assert "afterScript ended with 3" in ended.lines[-2]


@pytest.mark.parametrize(
    "after", ["trap 'echo mine' EXIT", "exec true", "kill -9 $$", "set -e; false", "exit 3", "unset CIJOB_ROOT; cd /"]
)
def test_the_container_is_held_however_the_after_script_ends(job: Container, after: str) -> None:
    mark(job, "taken")
    ended = job.run("true", after=[transfer.take_entry(TOKEN, "always"), after])
    assert ended.lines[-1] == f'cijob: files wait up to 240 s for "cijob run" ({TOKEN}, success)'


def test_an_after_script_that_takes_too_long_still_leaves_its_files(job: Container) -> None:
    job.env["CIJOB_AFTER_TIMEOUT"] = "1"
    mark(job, "taken")
    ended = job.run("true", after=[transfer.take_entry(TOKEN, "always"), "sleep 100"])
    assert any("afterScript took too long" in line for line in ended.lines)
    assert ended.lines[-1].startswith("cijob: files wait")


@pytest.mark.parametrize(
    "asked",
    ["../../etc 240 always", "t 1000 always", "t -1 always", "t 010 always", "t 5 5 always", "t  always", "t 240", "", "t:1 2 always"],
)  # fmt: skip
def test_what_the_script_itself_writes_there_holds_nothing(job: Container, asked: str) -> None:
    ended = job.run(f"echo '{asked}' > $CIJOB_ROOT/run/hold", after=["true"])
    assert not any("files wait" in line for line in ended.lines)
    assert ended.code == 0


def test_a_log_without_newlines_loses_nothing_to_the_transfer(job: Container) -> None:
    job.write(["printf one"], after=[transfer.take_entry(TOKEN, "always"), "printf two"])
    own = transfer.Transfer(TOKEN, (), NOTHING, transfer.no_progress)
    with job.start() as running:
        running.wait_for(f'twocijob: files wait up to 240 s for "cijob run" ({TOKEN}, success)')
        assert run_beside(job, "mark.sh", TOKEN, "taken").code == 0
        ended = running.end()
    shown = b"".join(own.shown(f"{line}\n".encode()) for line in ended.lines)
    assert shown == b"$ printf one\none\n$ printf two\ntwo\n"


def test_the_container_is_held_for_so_long(job: Container) -> None:
    ended = job.run("true", after=[transfer.take_entry(TOKEN, "always", seconds=1)])
    assert (ended.code, ended.lines[-1]) == (0, 'cijob: nobody took the files within 1 s: was "cijob run" ended?')


@pytest.mark.parametrize(
    ("when", "script", "held"),
    [
        ("on_success", "true", True),
        ("on_success", "false", False),
        ("on_failure", "true", False),
        ("on_failure", "false", True),
        ("always", "true", True),
        ("always", "false", True),
    ],
)
def test_artifacts_are_for_these_outcomes(job: Container, when: str, script: str, held: bool) -> None:
    mark(job, "taken")
    ended = job.run(script, after=[transfer.take_entry(TOKEN, when)])
    assert any("cijob: files wait" in line for line in ended.lines) is held


def test_who_cancels_at_once_does_not_wait_for_artifacts(job: Container) -> None:
    job.write(["true"], after=[transfer.take_entry(TOKEN, "always")])
    with job.start() as running:
        running.wait_for(f'cijob: files wait up to 240 s for "cijob run" ({TOKEN}, success)')
        (job.launcher / "cancel").write_text("Immediate")
        running.signal(signal.SIGTERM)
        running.end()


def test_who_is_told_to_end_waits_for_artifacts_as_long_as_the_grace_period_allows(job: Container) -> None:
    job.env["CIJOB_GRACE"] = "4"
    job.write(["true"], after=[transfer.take_entry(TOKEN, "always")])
    with job.start() as running:
        running.wait_for(f'cijob: files wait up to 240 s for "cijob run" ({TOKEN}, success)')
        running.signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)
        assert running.end().code == 0


# --- what is run beside the script ------------------------------------------------------------------------------------------


def test_files_arrive(job: Container, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    long = "sub/" + "n" * 200
    (source / long).write_text("long")
    (source / "run.sh").write_text("x")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("run.sh")
    result = run_beside(job, "unpack.sh", stdin=b"".join(Bundle.of(source).blocks()), folder=target)
    assert (result.code, result.stderr) == (0, b"")
    assert (target / long).read_text() == "long"
    assert (target / "link").is_symlink()
    assert os.access(target / "run.sh", os.X_OK)


def test_an_archive_that_ends_early_is_said_and_not_marked(job: Container, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_bytes(bytes(100_000))
    half = b"".join(Bundle.of(tmp_path / "source").blocks())[:50_000]
    result = run_beside(job, "unpack.sh", stdin=half, folder=tmp_path)
    assert result.code == 1
    assert b"the job's files could not be unpacked: " in result.stderr
    assert list(job.run_dir.iterdir()) == []


def test_an_image_without_tar_is_said_and_all_input_is_read(job: Container, tmp_path: Path) -> None:
    if job.shell == "busybox":
        pytest.skip("Debian's BusyBox has tar inside")
    (job.bin / "tar").unlink()
    command = [str(job.bin / "sh"), *packing.shell("unpack.sh")[1:]]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=job.env, cwd=tmp_path, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert b"the job's image has no tar" in process.stderr.readline()
        assert process.stdin.write(bytes(10_000_000)) == 10_000_000
        process.stdin.close()
        assert process.wait(SECONDS) == 1


@pytest.mark.parametrize("find", [True, False])
def test_what_is_there_is_listed_and_packed(job: Container, tmp_path: Path, find: bool) -> None:
    if not find:
        (job.bin / "find").unlink()
    folder = tmp_path / "work"
    (folder / "sub/empty").mkdir(parents=True)
    for name in (".hidden", "sub/a b", "sub/new\nline", "-f", "sub/ümlaut"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe")
    listed = run_beside(job, "list.sh", folder=folder)
    listing = packing.parse(listed.stderr)
    assert set(listing.folders) == {"sub", "sub/empty"}
    assert set(listing.files) == {".hidden", "sub/a b", "sub/new\nline", "-f", "sub/ümlaut", "link"}
    asked = [*listing.files, "sub/empty"]
    packed = run_beside(job, "pack.sh", stdin=b"".join(f"./{name}\0".encode() for name in asked), folder=folder)
    (tmp_path / "raw").write_bytes(packed.stderr)
    assert packed.code == 0
    with tarfile.open(tmp_path / "raw") as tar:
        assert {name.removeprefix("./") for name in tar.getnames()} == set(asked)


def test_no_listing_is_an_error() -> None:
    with pytest.raises(CliError, match="could not be listed"):
        packing.parse(b"Welcome to the machine\n")


# --- choosing ---------------------------------------------------------------------------------------------------------------


def wish(folder: Path, artifacts: Artifacts, known: frozenset[str] | None = None) -> collect.Wish:
    return collect.Wish(artifacts, packing.Scope(known=known, working_dir="/workspace"), folder, 1000, 10)


def test_reports_are_read_beside_the_artifacts_and_patterns_without_a_match_are_named(tmp_path: Path) -> None:
    listing = packing.Listing((), ("a", "b.env"))
    artifacts = Artifacts(paths=("a", "nope", "../x"), dotenv=("b.env", "c.env"))
    assert collect.choose(wish(tmp_path, artifacts), listing) == (("a",), ("b.env",), ("../x", "nope", "c.env"))


def test_untracked_is_what_was_not_brought_in_and_not_excluded(tmp_path: Path) -> None:
    listing = packing.Listing(("out",), ("brought", "made", "out/made", "log"))
    artifacts = Artifacts(untracked=True, exclude=("log",))
    chosen, _, unmatched = collect.choose(wish(tmp_path, artifacts, frozenset({"brought"})), listing)
    assert (chosen, unmatched) == (("made", "out/made"), ())
    assert collect.choose(wish(tmp_path, artifacts), listing) == ((), (), ("untracked",))


# --- prepare ----------------------------------------------------------------------------------------------------------------


def bundle(folder: Path, text: str = "x") -> Bundle:
    folder.mkdir(exist_ok=True)
    (folder / "a").write_text(text)
    return Bundle.of(folder)


def test_a_job_that_moves_nothing_stays_as_it_is() -> None:
    spec, moving = transfer.prepare(SPEC, bundle=Bundle(), artifacts=Artifacts())
    assert spec == SPEC
    assert not moving.moves


def test_the_entries_come_first_and_the_given_spec_stays_as_it_is(tmp_path: Path) -> None:
    before = {**SPEC}
    spec, moving = transfer.prepare(
        SPEC, bundle=bundle(tmp_path / "w"), artifacts=Artifacts(paths=("a",), when=When.ALWAYS), into=tmp_path
    )
    assert before == SPEC
    assert moving.moves
    assert [spec["beforeScript"][1:], spec["afterScript"][1:]] == [["b"], ["c"]]
    assert "cijob_when=always" in spec["afterScript"][0]


def test_a_job_that_runs_a_command_cannot_be_given_files(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="this one has a command"):
        transfer.prepare({"image": "a", "command": ["b"]}, bundle=bundle(tmp_path / "w"), artifacts=None)


def test_too_many_bytes_are_refused_before_anything_is_created(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="are allowed"):
        transfer.prepare(SPEC, bundle=bundle(tmp_path / "w", "xx"), artifacts=None, limits=transfer.Limits(workspace=1))


# --- the transfer -----------------------------------------------------------------------------------------------------------


NOTHING = taking.Wishes(scope=packing.Scope(known=None, working_dir="/workspace"))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "PAUSES", (0.0,) * 3)


def moving(tmp_path: Path, artifacts: Artifacts | None = None) -> tuple[transfer.Transfer, str]:
    """A transfer and its token."""
    spec, made = transfer.prepare(SPEC, bundle=bundle(tmp_path / "w"), artifacts=artifacts, into=tmp_path)
    token = spec["beforeScript"][0].partition("=")[2].partition(" ")[0]
    return made, token


@pytest.mark.usefixtures("no_pauses")
async def test_a_broken_connection_is_tried_again_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broke = ApiUnavailable(0, "", "broke")
    executed = answers(monkeypatch, broke, Result(0), broke, Result(0), Result(0))
    made, _ = moving(tmp_path)
    owed = made.owes
    await made.started(NO_API, "n", "p")
    assert (owed, made.owes) == (True, False)
    again = ["cijob-unpack.sh", "cijob-mark.sh"]
    assert executed.commands == ["cijob-unpack.sh", *again, *again]
    assert len({data for data in executed.inputs if data}) == 1
    assert executed.words[-1][-1] == "brought"


async def test_why_files_were_not_unpacked_is_told_to_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = answers(monkeypatch, Result(1, b"no room\nnone at all\n"), Result(0))
    await moving(tmp_path)[0].started(NO_API, "n", "p")
    assert executed.words[-1][-2:] == ["failed", "no room"]


@pytest.mark.usefixtures("no_pauses")
async def test_after_some_tries_it_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, *[ApiUnavailable(0, "", "broke")] * 4)
    with pytest.raises(CliError, match="could not be brought into the job: broke"):
        await moving(tmp_path)[0].started(NO_API, "n", "p")


@pytest.mark.parametrize(
    "error", [ApiNotFound(404, "NotFound", 'pods "p" not found'), ApiError(500, "", 'container not found ("job")')]
)
async def test_a_container_that_ends_meanwhile_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ApiError
) -> None:
    answers(monkeypatch, error)
    await moving(tmp_path)[0].started(NO_API, "n", "p")


async def test_a_refusal_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ApiError(403, "Forbidden", "the cluster does not allow exec on the Pods of CiJobs"))
    with pytest.raises(CliError, match="lets nobody into running jobs"):
        await moving(tmp_path)[0].started(NO_API, "n", "p")
    answers(monkeypatch, ApiError(403, "Forbidden", 'User "x" cannot create resource "pods/exec"'))
    with pytest.raises(CliError, match="you may not run commands"):
        await moving(tmp_path)[0].started(NO_API, "n", "p")


async def test_artifacts_are_taken_when_the_job_offers_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    with tarfile.open(raw, "w") as tar:
        tar.addfile(tarfile.TarInfo("./a"))
    listed = Result(0, b".\0\0./a\0./b\0\0")
    executed = answers(monkeypatch, Result(0), Result(0), listed, Result(0, raw.read_bytes()), Result(0))
    made, token = moving(tmp_path, Artifacts(paths=("a",)))
    await made.started(NO_API, "n", "p")
    assert made.shown(f"$ cijob_transfer={token} # ...\n".encode()) == b""
    assert made.shown(f"cijob: files wait ({token}, success)\n".encode()) == b""
    assert made.shown(b"cijob: something else\n") == b"cijob: something else\n"
    taken = await made.finish(succeeded=True)
    assert taken is not None
    assert (taken.names, taken.problem, taken.archive) == (("a",), "", tmp_path / "artifacts.tar")
    files = ["cijob-unpack.sh", "cijob-mark.sh", "cijob-list.sh", "cijob-pack.sh", "cijob-mark.sh"]
    assert executed.commands == files
    assert executed.words[-1][-1] == "taken"
    assert executed.inputs[3] == b"./a\0"


@pytest.mark.usefixtures("no_pauses")
async def test_a_job_is_let_go_when_its_artifacts_cannot_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = answers(monkeypatch, *[Result(0)] * 2, *[ApiUnavailable(0, "", "broke")] * 5, Result(0))
    made, token = moving(tmp_path, Artifacts(paths=("a",)))
    await made.started(NO_API, "n", "p")
    made.shown(f"cijob: ({token})\n".encode())
    assert await made.finish(succeeded=True) == Taken(problem="broke")
    assert executed.words[-1][-1] == "taken"


async def taken_of(listing: packing.Listing, wished: collect.Wish) -> Taken:
    return await collect.collect(packing.Place(NO_API, "n", "p"), listing, wished, transfer.no_progress)


async def test_too_many_files_are_not_taken(tmp_path: Path) -> None:
    listing = packing.Listing((), tuple(map(str, range(11))))
    with pytest.raises(CliError, match="11 files, and 10 are allowed"):
        await taken_of(listing, wish(tmp_path, Artifacts(paths=("**",))))


async def test_more_bytes_than_allowed_are_not_even_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Result(0, bytes(200_000)))
    with pytest.raises(CliError, match="more than 1000 B"):
        await taken_of(packing.Listing((), ("a",)), wish(tmp_path, Artifacts(paths=("a",))))
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_what_tar_says_in_the_job_steers_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Result(2, b"tar: no\x1b[2J room\n"))
    with pytest.raises(CliError, match=r"^the artifacts could not be taken: tar: no room$"):
        await taken_of(packing.Listing((), ("a",)), wish(tmp_path, Artifacts(paths=("a",))))


async def test_a_job_that_offers_nothing_has_nothing_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Result(0), Result(0))
    made, _ = moving(tmp_path, Artifacts(paths=("a",)))
    await made.started(NO_API, "n", "p")
    assert await made.finish(succeeded=False) is None
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("when", "problem"),
    [(When.ON_SUCCESS, "did not offer its artifacts"), (When.ALWAYS, "did not offer"), (When.ON_FAILURE, None)],
)
async def test_artifacts_that_a_success_did_not_offer_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: When, problem: str | None
) -> None:
    answers(monkeypatch, Result(0), Result(0))
    made, _ = moving(tmp_path, Artifacts(paths=("a",), when=when))
    await made.started(NO_API, "n", "p")
    taken = await made.finish(succeeded=True)
    assert (taken is None) == (problem is None)
    assert taken is None or (problem or "") in taken.problem


async def test_lines_of_the_job_are_shown_up_to_what_the_transfer_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, Result(0), Result(0), Result(0, b".\0\0\0"), Result(0))
    made, token = moving(tmp_path, Artifacts(paths=("a",)))
    await made.started(NO_API, "n", "p")
    assert made.shown(f"no newline$ cijob_transfer={token} cijob_seconds=1 # x\n".encode()) == b"no newline\n"
    assert made.shown(f"bye\rcijob: files wait ({token}, success)\n".encode()) == b"bye\r\n"
    taken = await made.finish(succeeded=True)
    assert taken == Taken(unmatched=("a",))


async def test_a_full_disk_here_is_a_problem_and_lets_the_job_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = answers(monkeypatch, Result(0), Result(0), OSError(errno.ENOSPC, "No space left on device"), Result(0))
    made, token = moving(tmp_path, Artifacts(paths=("a",)))
    await made.started(NO_API, "n", "p")
    made.shown(f"cijob: ({token})\n".encode())
    taken = await made.finish(succeeded=True)
    assert taken is not None
    assert "cannot be kept on this machine: No space left on device" in taken.problem
    assert executed.words[-1][-1] == "taken"


async def test_what_goes_wrong_with_the_files_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Result(0))
    made, _ = moving(tmp_path)
    (tmp_path / "w/a").unlink()
    with pytest.raises(CliError, match="cannot be read"):
        await made.started(NO_API, "n", "p")
    with suppress(CliError):
        await made.aclose()
