"""The command line, running programs, and the cache of built programs."""

from pathlib import Path

import pytest

from tests.cluster import toolchain
from tests.cluster.cli import main
from tests.cluster.errors import ClusterError
from tests.cluster.progress import wait_until
from tests.cluster.shell import run, tail, write
from tests.cluster.toolchain import Toolchain, go_version, source_hash


def test_a_failing_program_is_told_with_its_output_and_what_to_do() -> None:
    with pytest.raises(ClusterError) as caught:
        run(["sh", "-c", "echo broken >&2; exit 3"], hint="Mend it.")
    assert str(caught.value).splitlines() == [
        "`sh -c 'echo broken >&2; exit 3'` failed with exit code 3", "  | broken", "  What to do: Mend it.",
    ]  # fmt: skip


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ClusterError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ClusterError, match="took more than 0 s"):
        run(["sleep", "60"], seconds=0.1)


def test_a_condition_that_never_holds_is_given_up_with_detail() -> None:
    with pytest.raises(ClusterError, match=r"(?s)in vain for the moon.*it is day"):
        wait_until(lambda: False, 0.1, "the moon", lambda: "it is day")


def test_a_file_with_the_same_text_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write(path, "one")
    before = path.stat()
    write(path, "one")
    assert path.stat().st_ino == before.st_ino
    write(path, "two")
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_tail_is_the_last_lines() -> None:
    assert tail("1\n2\n3\n\n", 2) == "2\n3"


def test_a_build_is_kept_and_a_failed_one_is_not(tmp_path: Path) -> None:
    tools, built = Toolchain(tmp_path), []

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ClusterError("no disk")

    def build(folder: Path) -> None:
        built.append(list(folder.iterdir()))
        (folder / "program").touch()

    with pytest.raises(ClusterError, match="no disk"):
        tools.cached("x-v1.2.3", "0" * 64, fail)
    folder = tools.cached("x-v1.2.3", "0" * 64, build)
    assert tools.cached("x-v1.2.3", "0" * 64, build) == folder
    assert (folder / "program").exists()
    assert built == [[]], "built once, in an empty folder"


def test_sources_are_hashed_by_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.go").write_text("x")
    first = source_hash(tmp_path)
    (tmp_path / "a.go").rename(tmp_path / "b.go")
    assert source_hash(tmp_path) != first
    (tmp_path / "b.go").rename(tmp_path / "a.go")
    assert source_hash(tmp_path) == first


@pytest.mark.parametrize(("says", "version"), [("go1.26.8", (1, 26)), ("go1.25rc1", (1, 25)), ("devel", (0,))])
def test_gos_version_is_read(monkeypatch: pytest.MonkeyPatch, says: str, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(toolchain, "run", lambda *_words, **_options: says)
    assert go_version(Path("go")) == version


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--instance", "12", "status"], "there is no instance 12"),
        (["--instance", "8", "kubeconfig"], "the cluster is down"),
        (["--instance", "8", "load-image", "nothing:1"], "the cluster is down"),
        (["--instance", "8", "build-image", "--tag", "x", "/nonexistent"], "the cluster is down"),
    ],
)
def test_mistakes_are_answered_in_words(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIJOB_DEV_STATE", str(tmp_path))
    monkeypatch.setattr("tests.cluster.embedded.require_root", lambda: None)
    monkeypatch.setattr("tests.cluster.packages.ensure", lambda: None)
    assert main(["--driver", "embedded", *words]) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")
