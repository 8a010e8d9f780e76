"""`cijob convert`, as a program: CiJobs on the standard output, all else on the standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cijob.models import CiJobSpec
from cijob.validation import validate_spec

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "gitlab"
PIPELINE = """\
stages: [build, test]
build: {stage: build, image: alpine:3, script: ["echo a\\necho b"], artifacts: {paths: [x]}}
"unit: tests": {stage: test, image: alpine:3, script: [x], parallel: 2, tags: [gpu], release: {tag_name: y},
  cache: {paths: [y]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".gitlab-ci.yml").write_text(PIPELINE)
    return tmp_path


def convert(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cijob.cli", "convert", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def test_the_file_of_this_folder_becomes_cijobs(folder: Path) -> None:
    done = convert(folder)
    assert done.returncode == 0
    found = documents(done.stdout)
    assert [one["metadata"]["generateName"] for one in found] == ["build-", "unit-tests-1-2-", "unit-tests-2-2-"]
    assert [one["metadata"]["annotations"]["cijob.dev/pipeline-job"] for one in found] == [
        "build",
        "unit: tests 1/2",
        "unit: tests 2/2",
    ]
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("cijob.dev/v1alpha1", "CiJob")}
    assert all(validate_spec(CiJobSpec.model_validate(one["spec"])) == [] for one in found)


def test_what_is_not_converted_is_on_the_standard_error_with_its_line(folder: Path) -> None:
    told = convert(folder).stderr.splitlines()
    assert any(line.startswith(".gitlab-ci.yml:3: not converted: release: ") for line in told)
    assert any(line.startswith(".gitlab-ci.yml:3: not converted: tags: ") for line in told)
    assert told[-1] == "1 of 3 jobs converts completely"


def test_what_a_cijob_cannot_say_is_told(folder: Path) -> None:
    said = "Not in these CiJobs: the order of stages, artifacts, cache (`cijob run` keeps to it)"
    assert f"{said}, the repository's files (--git-url, or `cijob run`)." in convert(folder).stderr
    one = convert(folder, "--job", "unit: tests", "--git-url", "https://git.example.com/a/b.git", "--git-ref", "main")
    assert "Not in these CiJobs: artifacts, cache (`cijob run` keeps to it)." in one.stderr


def test_lines_are_of_files_as_seen_from_here(folder: Path) -> None:
    done = convert(folder.parent, f"{folder.name}/.gitlab-ci.yml")
    assert f"\n{folder.name}/.gitlab-ci.yml:3: not converted: release: " in f"\n{done.stderr}"
    assert done.stdout.startswith(f"# build, of the stage build: {folder.name}/.gitlab-ci.yml:2\n")
    (folder / "below").mkdir()
    assert f"\n{folder}/.gitlab-ci.yml:3: " in convert(folder / "below", "../.gitlab-ci.yml").stderr


def test_a_file_of_another_name_includes_from_the_root_of_its_repository(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "ci").mkdir()
    (folder / "ci" / "all.yml").write_text("include: {local: /.gitlab-ci.yml}\n")
    assert len(documents(convert(folder, "ci/all.yml").stdout)) == 3


def test_strict_fails_on_what_is_not_converted(folder: Path) -> None:
    assert convert(folder, "--strict").returncode == 1
    assert convert(folder, "--strict", "--job", "build").returncode == 0


def test_json_is_a_list_or_the_one(folder: Path) -> None:
    assert [one["kind"] for one in json.loads(convert(folder, "-o", "json").stdout)["items"]] == ["CiJob"] * 3
    assert json.loads(convert(folder, "-o", "json", "--job", "build").stdout)["kind"] == "CiJob"


def test_texts_of_many_lines_are_blocks(folder: Path) -> None:
    assert "- |-\n      echo a\n      echo b\n" in convert(folder, "--job", "build").stdout


def test_jobs_are_chosen_by_name_and_all_parallel_ones_by_theirs(folder: Path) -> None:
    assert len(documents(convert(folder, "--job", "unit: tests").stdout)) == 2
    assert len(documents(convert(folder, "--job", "unit: tests 2/2").stdout)) == 1
    done = convert(folder, "--job", "bild")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("\nerror: there is no job 'bild' in this pipeline\nDid you mean build?\n")


def test_a_job_that_does_not_run_now_is_told_apart_from_one_that_is_not_there(folder: Path) -> None:
    (folder / ".gitlab-ci.yml").write_text(
        "default: {image: i}\na: {script: [x]}\nb: {script: [x], parallel: 2, only: [tags]}\n"
    )
    done = convert(folder, "--job", "b")
    assert done.returncode == 2
    assert "there is no job 'b' in this pipeline\nBy its conditions it does not run now: choose another" in done.stderr
    assert len(documents(convert(folder, "--job", "b", "--tag", "v1").stdout)) == 2


def test_options_reach_the_jobs(folder: Path) -> None:
    done = convert(
        folder,
        *("--pool", "gpu=gpu-builds", "--var", "A=b=c", "--tag", "v1"),
        *("--git-url", "https://git.example.com/a.git", "--git-ref", "v1", "--git-secret", "creds"),
    )
    spec = documents(done.stdout)[1]["spec"]
    assert spec["poolName"] == "gpu-builds"
    assert (spec["variables"]["A"], spec["variables"]["CI_COMMIT_TAG"]) == ("b=c", "v1")
    assert spec["source"]["git"]["credentialsSecretRef"] == {"name": "creds"}


def test_a_folder_gets_a_file_for_each_job_in_order(folder: Path) -> None:
    done = convert(folder, "--output-dir", "out")
    assert done.stdout.splitlines() == ["out/1-build.yaml", "out/2-unit-tests-1-2.yaml", "out/3-unit-tests-2-2.yaml"]
    assert documents((folder / "out" / "2-unit-tests-1-2.yaml").read_text())[0]["kind"] == "CiJob"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nope.yml"], 1, "error: nope.yml is not there"),
        (["--branch", "a", "--tag", "b"], 2, "error: --branch and --tag exclude each other"),
        (["--git-ref", "a"], 2, "error: --git-ref and --git-secret belong to --git-url"),
        (["--var", "A"], 2, "'A' has no value: write NAME=VALUE."),
        (["."], 1, "error: . is a folder"),
    ],
)
def test_what_cannot_be_meant_is_said(folder: Path, arguments: list[str], code: int, message: str) -> None:
    done = convert(folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_with_errors_gives_nothing_but_these(folder: Path) -> None:
    (folder / ".gitlab-ci.yml").write_text(
        "a: {image: i, script: [x], timeout: soon}\nb: {image: i, script: [x], retry: 9}\n"
    )
    done = convert(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert ".gitlab-ci.yml:1: error: timeout: 'soon' is not a duration" in done.stderr
    assert ".gitlab-ci.yml:2: error: retry" in done.stderr
    assert "error: .gitlab-ci.yml is no pipeline that could run: 2 errors, named above" in done.stderr


def test_text_of_the_file_cannot_move_the_cursor(folder: Path) -> None:
    (folder / ".gitlab-ci.yml").write_text('"a\\e[2Jb": {image: i, script: [x], release: {tag_name: y}}\n')
    done = convert(folder)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("file", [EXAMPLES / ".gitlab-ci.yml", EXAMPLES / "pipeline" / ".gitlab-ci.yml"])
def test_our_examples_convert_completely(file: Path) -> None:
    done = convert(file.parent, "--strict", "--branch", "main")
    assert done.returncode == 0, done.stderr
