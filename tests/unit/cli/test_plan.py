"""From a pipeline's file and options to what is run, and what jobs leave for later ones."""

from __future__ import annotations

import tarfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli import console
from cijob.cli.errors import CliError
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.collect import Taken
from cijob.cli.options import Target
from cijob.cli.pipeline.artifacts import Store, repository
from cijob.cli.pipeline.plan import Plan, plan
from cijob.cli.runoptions import RunOptions
from tests.unit.cli.pipelines import a_job

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
build: {image: alpine, script: [make], tags: [big]}
deploy: {image: alpine, stage: deploy, script: [ship], when: manual, only: {variables: [$WHERE == "here"]}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline, which is in no git work tree."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    console.err.cache_clear()  # it is made for the stream of one process: here of one test
    (tmp_path / ".gitlab-ci.yml").write_text(FILE)
    return tmp_path


def planned(file: Path, **options: Any) -> Plan:  # noqa: ANN401  any option
    return plan(RunOptions(target=Target(), **options), file)


def names(made: Plan) -> list[str]:
    return [job.name for job in made.pipeline.jobs]


def test_the_options_are_what_rules_see(folder: Path) -> None:
    file = folder / ".gitlab-ci.yml"
    assert names(planned(file)) == ["build"]
    made = planned(file, variables={"WHERE": "here"}, manual=("deploy",), pools={"big": "large"})
    assert (names(made), made.play) == (["build", "deploy"], frozenset({"deploy"}))
    assert made.pipeline.jobs[0].spec["poolName"] == "large"
    assert made.folder == folder


def test_what_the_pipeline_is_for_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    planned(folder / ".gitlab-ci.yml", branch="feature")
    assert capfd.readouterr().err.startswith("cijob: the pipeline is for the branch feature\n")


def test_who_names_a_manual_job_wants_it_to_run(folder: Path) -> None:
    made = planned(folder / ".gitlab-ci.yml", variables={"WHERE": "here"}, jobs=("deploy",))
    assert (names(made), made.play) == (["deploy"], frozenset({"deploy"}))


def test_a_job_that_needs_a_manual_one_is_refused_unless_that_is_named_too(folder: Path) -> None:
    file = folder / ".gitlab-ci.yml"
    file.write_text("""
default: {image: alpine}
ask me: {script: [x], when: manual}
between: {script: [x], needs: [ask me]}
last: {script: [x], needs: [between]}
""")
    with pytest.raises(CliError) as refused:
        planned(file, jobs=("last",))
    assert refused.value.message == "between needs ask me, which is manual"
    assert refused.value.hint == "Start that, too: --manual 'ask me'"
    assert names(planned(file, jobs=("last",), manual=("ask me",))) == ["ask me", "between", "last"]


def test_strict_refuses_what_is_not_converted_but_only_in_jobs_that_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / ".gitlab-ci.yml"
    with pytest.raises(CliError, match="one thing is not converted"):
        planned(file, strict=True)
    assert ":2: not converted: tags" in capsys.readouterr().err
    assert names(planned(file, strict=True, jobs=("deploy",), variables={"WHERE": "here"})) == ["deploy"]


def test_includes_are_looked_for_in_the_workspace(folder: Path) -> None:
    below = folder / "ci"
    below.mkdir()
    (folder / "more.yml").write_text("more: {image: alpine, script: [x]}")
    (below / "main.yml").write_text("include: [{local: /more.yml}]")
    assert names(planned(below / "main.yml", workspace=folder)) == ["more"]
    with pytest.raises(CliError):
        planned(below / "main.yml")


def test_the_files_may_be_elsewhere_than_the_pipeline(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    made = planned(folder / ".gitlab-ci.yml", workspace=other)
    assert (names(made), made.folder) == (["build"], other)


def test_runs_have_different_numbers(folder: Path) -> None:
    first, second = planned(folder / ".gitlab-ci.yml").number, planned(folder / ".gitlab-ci.yml").number
    assert first < second


# --- artifacts ----------------------------------------------------------------------------------------------------------


def archive(path: Path, **files: str) -> Path:
    """A tar archive as a transfer leaves it."""
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, BytesIO(text.encode()))
    return path


def test_a_job_gets_the_artifacts_and_variables_of_the_jobs_that_it_takes_them_of(tmp_path: Path) -> None:
    store = Store(tmp_path, None)
    for name in ("a", "b"):
        job = a_job(name)
        taken = Taken(archive=archive(store.folder(job) / "x.tar", **{name: "12"}), dotenv={"e": f"V={name}"})
        store.add(job, taken, pytest.fail)
    taker = a_job("c", takes=("b", "none"))
    bundle = store.bundle(taker, Bundle())
    assert [one.parent.name for one in bundle.archives] == ["b"]
    assert bundle.size == 2
    assert store.left_for(taker) == [{"V": "b"}]
    assert store.bundle(a_job("d"), Bundle()) == Bundle()


def test_artifacts_are_left_where_the_user_wants_them_in_a_folder_for_each_job(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    store = Store(tmp_path / "scratch", tmp_path / "kept")
    for name in ("unit: [a b]", "unit: [a-b]"):
        job = a_job(name)
        store.add(job, Taken(archive=archive(store.folder(job) / "x.tar", report=name)), pytest.fail)
    kept = {str(path.relative_to(tmp_path / "kept")): path.read_text() for path in (tmp_path / "kept").rglob("report")}
    assert kept == {"unit-a-b/report": "unit: [a b]", "unit-a-b-2/report": "unit: [a-b]"}


def test_artifacts_that_cannot_be_left_where_the_user_wants_them_still_reach_later_jobs(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    store, told = Store(tmp_path, tmp_path / "kept"), list[str]()
    job = a_job("a")
    store.add(job, Taken(archive=archive(store.folder(job) / "x.tar", report="1")), told.append)
    assert store.lost
    assert told[0].startswith(f"the artifacts cannot be unpacked into {tmp_path / 'kept' / 'a'}: ")
    assert len(store.bundle(a_job("b", takes=("a",)), Bundle()).archives) == 1


def test_what_was_left_in_the_folder_of_the_files_is_not_brought_into_later_jobs(tmp_path: Path) -> None:
    for name in ("a.py", "out/build/x", "output"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    bundle = repository(tmp_path, tmp_path / "out")
    assert (bundle.names, bundle.size) == (frozenset({"a.py", "output"}), 10)
    assert "out/build/x" in repository(tmp_path, None).names
    assert "out/build/x" in repository(tmp_path, tmp_path.parent / "elsewhere").names


def test_what_is_missing_in_artifacts_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    store = Store(tmp_path, None)
    store.add(a_job("a"), Taken(unmatched=("dist/",), dotenv={"build.env": "# none\nA=1"}), told.append)
    assert told == [
        "artifacts: nothing matches dist/",
        "build.env:1: a line of a dotenv file is NAME=value: the line was left out",
    ]
    assert store.variables == {"a": {"A": "1"}}


@pytest.mark.parametrize(("names", "told"), [((".git/config", "a"), 1), ((".gitignore", "sub/.git/config"), 0)])
def test_a_part_of_git_among_artifacts_is_told(tmp_path: Path, names: tuple[str, ...], told: int) -> None:
    said: list[str] = []
    Store(tmp_path, None).add(a_job("a"), Taken(names=names), said.append)
    assert ["a part of .git is among them" in sentence for sentence in said] == [True] * told
