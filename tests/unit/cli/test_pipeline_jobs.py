"""The CiJobs of a pipeline's jobs, and the variables that one leaves for the next."""

from __future__ import annotations

import doctest
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.pipeline import jobs
from cijob.cli.pipeline.jobs import manifest, stem, with_timeout
from cijob.cli.pipeline.variables import DOTENV_VARIABLES, parse_dotenv, with_dotenv
from cijob.importers.gitlab.files import LocalFiles
from cijob.importers.gitlab.model import Request
from cijob.importers.gitlab.pipeline import load
from cijob.importers.gitlab.variables import Variable
from tests.unit.cli.pipelines import a_job

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.importers.gitlab.variables import Layer


def test_a_cijob_has_the_name_of_its_job_and_tells_its_pipeline() -> None:
    made = manifest(a_job("unit: [linux, 3.12]", "test"), {"image": "alpine"}, 42)
    assert made == {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "CiJob",
        "metadata": {
            "generateName": "unit-linux-3-12-",
            "labels": {"cijob.dev/pipeline": "42"},
            "annotations": {"cijob.dev/pipeline-job": "unit: [linux, 3.12]", "cijob.dev/pipeline-stage": "test"},
        },
        "spec": {"image": "alpine"},
    }


@given(st.text())
def test_every_name_of_a_job_gives_a_name_that_a_label_may_hold(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", stem(name))
    assert len(f"{stem(name)}-abcde") <= 63


def test_a_long_name_is_cut_and_does_not_end_in_a_dash() -> None:
    assert stem("a" * 49 + " b") == "a" * 49


def test_the_timeout_that_a_person_gives_is_for_jobs_that_have_none() -> None:
    assert with_timeout({"timeout": "1h"}, "5m") == {"timeout": "1h"}
    assert with_timeout({}, "5m") == {"timeout": "5m"}
    assert with_timeout({}, None) == {}


def test_a_dotenv_file_is_read_as_gitlab_reads_it() -> None:
    text = b'\xef\xbb\xbfURL=https://example.com/?a=b\r\n SPACED = x y \nQUOTED="q"\nEMPTY=\n\nURL2=$URL'
    assert parse_dotenv(text, "build.env") == (
        {"URL": "https://example.com/?a=b", "SPACED": "x y", "QUOTED": '"q"', "EMPTY": "", "URL2": "$URL"},
        [],
    )


@pytest.mark.parametrize("line", ["# a comment", "A B=c", "=x", "1A=x", "CIJOB_NAME=x", "A=\0"])
def test_a_line_that_is_no_variable_is_told_and_the_others_count(line: str) -> None:
    found, problems = parse_dotenv(f"A=1\n{line}\nB=2".encode(), "build.env")
    assert found == {"A": "1", "B": "2"}
    assert len(problems) == 1
    assert problems[0].startswith("build.env:2: ")


def test_a_dotenv_file_has_limits() -> None:
    many = "".join(f"V{number}=x\n" for number in range(DOTENV_VARIABLES + 5)).encode()
    found, problems = parse_dotenv(many, "f")
    assert (len(found), len(problems)) == (DOTENV_VARIABLES, 1)
    found, problems = parse_dotenv(b"A=" + b"x" * 6000, "f")
    assert (found, len(problems)) == ({}, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(text: bytes) -> None:
    found, _ = parse_dotenv(text, "f")
    assert all(name.isascii() for name in found)


def test_what_a_job_left_counts_more_than_the_jobs_own_and_less_than_what_the_user_gave() -> None:
    spec = {"image": "alpine", "variables": {"A": "user", "B": "own", "C": "own"}}
    merged = with_dotenv(spec, [{"A": "first", "B": "first"}, {"B": "second", "D": "$C/$A"}], {"A": "user"})
    assert merged["variables"] == {"A": "user", "B": "second", "C": "own", "D": "own/user"}
    assert spec["variables"] == {"A": "user", "B": "own", "C": "own"}
    assert with_dotenv(spec, [], {"A": "user"}) is spec


def test_variables_that_are_built_on_what_a_job_left_have_its_value(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(
        "make: {image: a, script: [x], artifacts: {reports: {dotenv: env}}}\n"
        "test: {image: a, stage: test, script: [x], variables: {K: own, W: w-$K, L: $W/$CI_JOB_NAME, U: $USER_GAVE}}\n"
    )
    user = {"USER_GAVE": "$K"}
    job = load(LocalFiles(tmp_path), Request(file="ci.yml", variables=user)).jobs[1]
    assert job.spec["variables"]["W"] == "w-own"
    found = with_dotenv(job.spec, [{"K": "3"}], user, job.layers)["variables"]
    assert {name: found[name] for name in "KWLU"} == {"K": "3", "W": "w-3", "L": "w-3/test", "U": "$K"}
    assert found.keys() == job.spec["variables"].keys()


def test_what_refers_to_itself_by_what_a_job_left_stays_as_it_is() -> None:
    layers: tuple[Layer, ...] = ({"W": Variable("w-$K")},)
    spec = {"variables": {"W": "w-"}}
    assert with_dotenv(spec, [{"K": "$W"}], {}, layers)["variables"] == {"W": "w-", "K": "$W"}


def test_the_example_of_a_name_holds() -> None:
    assert doctest.testmod(jobs).failed == 0
