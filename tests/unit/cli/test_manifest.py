from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from cijob.cli.errors import CliError
from cijob.cli.manifest import Manifest, PipelineFile, read

if TYPE_CHECKING:
    from pathlib import Path

JOB = """\
apiVersion: cijob.dev/v1alpha1
kind: CiJob
metadata: {generateName: x-}
spec: {image: ubuntu, script: [true]}
"""
#: Nine of nine of nine...
ALIASES = "a0: &a0 [x], " + ", ".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))


def written(folder: Path, text: str | bytes, name: str = "job.yaml") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def refused(path: str) -> CliError:
    with pytest.raises(CliError) as caught:
        read(path)
    return caught.value


def test_a_manifest_is_one_by_its_kind(tmp_path: Path) -> None:
    found = read(written(tmp_path, JOB, ".gitlab-ci.yml"))
    assert isinstance(found, Manifest)
    assert found.jobs[0]["spec"]["image"] == "ubuntu"


def test_all_documents_and_lists_are_read_in_order(tmp_path: Path) -> None:
    listed = f"apiVersion: v1\nkind: List\nitems:\n- {JOB.replace('x-', 'b-').replace(chr(10), chr(10) + '  ')}"
    found = read(written(tmp_path, f"---\n{JOB}---\n# nothing\n---\n{listed}"))
    assert isinstance(found, Manifest)
    assert [job["metadata"]["generateName"] for job in found.jobs] == ["x-", "b-"]


def test_a_date_is_a_text_as_for_kubectl(tmp_path: Path) -> None:
    found = read(written(tmp_path, f"{JOB}status: {{a: 2026-01-31}}"))
    assert isinstance(found, Manifest)
    assert found.jobs[0]["status"] == {"a": "2026-01-31"}


@pytest.mark.parametrize(
    "text",
    [
        "test: {script: [make]}",
        "build:\n  script: [!reference [.a, script]]\n",
        "spec: {inputs: {x: {}}}\n---\ntest: {script: [make]}",
        "stages: [a]",
        ".a: &x {script: [make]}\n.b: &x {script: [test]}\nc: *x",
        "test: {script: [make], variables: {SIGN: =}}",
        "test: {script: [make], variables: {A: !!python/name:os.system }}",
        "test: {kind: CiJob, script: [make]}",
        "test: kind\nother: {apiVersion: v1}",
    ],
)
def test_what_has_no_kind_is_a_pipeline(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text, "ci.yml")
    assert read(path) == PipelineFile(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a: b: c", ":1: this is no YAML: mapping values are not allowed here"),
        ("a:\n\t- b", ":2: this is no YAML"),
        ("[" * 5000, "this is no YAML: more than 200 levels deep"),
        ("just words", "neither a manifest nor a pipeline"),
        ("kind: Pod", "holds a Pod: cijob runs CiJobs only"),
        ("apiVersion: v1", "holds something without a kind"),
        (JOB.replace("v1alpha1", "v1"), "apiVersion is 'cijob.dev/v1', but CiJobs are of cijob.dev/v1alpha1"),
        (JOB.replace("{image: ubuntu, script: [true]}", "[]"), "spec must be a map of fields"),
        (f"{JOB}---\n- a\n", "one of its documents is no map"),
        (f"{JOB}status: {{a: !!binary aGk=}}", ": status.a: !!binary is nothing that JSON"),
        (f"{JOB}status: {{a: [!!set {{b}}]}}", ": status.a[0]: !!set is nothing that JSON"),
        (f"{JOB}status: {{a: .nan}}", ": status.a: such a number is nothing that JSON"),
        (f"{JOB}status: 0x{'f' * 5000}", ": status: such a number is nothing that JSON"),
        (f"{JOB}status: {{yes: a}}", ": status: the key True is no text"),
        (f"{JOB}status: !own a", "could not determine a constructor for the tag '!own'"),
        ("kind: List\nitems: &i [{kind: List, items: *i}]", "an alias that holds itself"),
        ("kind: List\nitems: 5", "items of a List must be a list"),
        (f"{JOB}status: {{{ALIASES}}}", "its aliases multiply them"),
        (b"\xff\xfe\x00", "is no text in UTF-8 (byte 0)"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refused(written(tmp_path, text)).message


def test_a_file_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, JOB, "docker-run.yaml")
    error = refused(str(tmp_path / "docker_run.yaml"))
    assert error.message.startswith("there is no file")
    assert error.hint == f"Did you mean {tmp_path / 'docker-run.yaml'}?"
    assert "no folder" in refused(str(tmp_path / "absent" / "x.yaml")).hint


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    assert refused(str(tmp_path)).message == f"{tmp_path} is a folder"


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    assert "3145728 bytes" in refused(written(tmp_path, b"#" * 4_000_000)).message


@pytest.mark.parametrize(("text", "fine"), [(JOB, True), ("test: {script: [make]}", False)])
def test_stdin_may_be_a_manifest_and_no_pipeline(monkeypatch: pytest.MonkeyPatch, text: str, fine: bool) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    if fine:
        assert isinstance(read("-"), Manifest)
    else:
        assert "stdin" in refused("-").message
