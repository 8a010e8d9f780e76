"""The predefined variables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cijob.importers.gitlab.model import Ref, Request
from cijob.importers.gitlab.predefined import predefined, slug

REQUEST = Request(
    file=".gitlab-ci.yml",
    ref=Ref(
        branch="Feature/Größe",
        sha="0123456789abcdef0123456789abcdef01234567",
        url="https://gitlab.example.com/group/sub/project.git",
        message="One line\n\nand more\n",
        author="A <a@example.com>",
    ),
    pipeline_id=42,
)


def test_a_branch_has_its_names_and_no_tag() -> None:
    variables = predefined(REQUEST)
    assert variables["CI_COMMIT_BRANCH"] == variables["CI_COMMIT_REF_NAME"] == "Feature/Größe"
    assert variables["CI_COMMIT_REF_SLUG"] == "feature-gr--e"
    assert "CI_COMMIT_TAG" not in variables
    assert variables["CI_COMMIT_REF_PROTECTED"] == "false"


def test_a_tag_is_no_branch() -> None:
    variables = predefined(replace(REQUEST, ref=Ref(tag="v1.0")))
    assert (variables["CI_COMMIT_TAG"], variables["CI_COMMIT_REF_SLUG"]) == ("v1.0", "v1-0")
    assert "CI_COMMIT_BRANCH" not in variables


def test_an_unknown_state_is_the_default_branch() -> None:
    variables = predefined(Request(file="x", ref=Ref(default_branch="trunk")))
    assert variables["CI_COMMIT_BRANCH"] == variables["CI_DEFAULT_BRANCH"] == "trunk"
    assert variables["CI_COMMIT_REF_PROTECTED"] == "true"
    assert "CI_COMMIT_SHA" not in variables
    assert "CI_PROJECT_NAME" not in variables


def test_a_merge_request_has_no_commit_branch() -> None:
    variables = predefined(replace(REQUEST, ref=replace(REQUEST.ref, source="merge_request_event")))
    assert "CI_COMMIT_BRANCH" not in variables
    assert variables["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"] == "Feature/Größe"
    assert variables["CI_MERGE_REQUEST_TARGET_BRANCH_NAME"] == "main"
    assert variables["CI_MERGE_REQUEST_PROJECT_PATH"] == "group/sub/project"


def test_a_commit_is_told() -> None:
    variables = predefined(REQUEST)
    assert variables["CI_COMMIT_SHORT_SHA"] == "01234567"
    assert variables["CI_COMMIT_TITLE"] == "One line"
    assert variables["CI_COMMIT_DESCRIPTION"] == "and more\n"
    assert variables["CI_COMMIT_AUTHOR"] == "A <a@example.com>"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.example.com/group/sub/project.git",
        "https://gitlab.example.com/group/sub/project",
        "ssh://git@gitlab.example.com:2222/group/sub/project.git",
        "git@gitlab.example.com:group/sub/project.git",
    ],
)
def test_the_project_is_told_by_its_address(url: str) -> None:
    variables = predefined(Request(file="x", ref=Ref(url=url)))
    assert variables["CI_PROJECT_PATH"] == "group/sub/project"
    assert variables["CI_PROJECT_NAME"] == "project"
    assert variables["CI_PROJECT_NAMESPACE"] == "group/sub"
    assert variables["CI_PROJECT_ROOT_NAMESPACE"] == "group"
    assert variables["CI_PROJECT_PATH_SLUG"] == "group-sub-project"
    assert variables["CI_SERVER_HOST"] == "gitlab.example.com"
    assert variables["CI_PROJECT_URL"] == "https://gitlab.example.com/group/sub/project"


def test_a_folder_has_a_name_and_no_server() -> None:
    variables = predefined(Request(file="x", ref=Ref(url="/srv/git/project.git")))
    assert variables["CI_PROJECT_NAME"] == "project"
    assert "CI_SERVER_HOST" not in variables


def test_a_job_has_its_name_its_group_and_its_place() -> None:
    variables = predefined(REQUEST, "unit tests: [linux, 3.12]", "test", index=2, total=4)
    assert variables["CI_JOB_NAME"] == "unit tests: [linux, 3.12]"
    assert variables["CI_JOB_GROUP_NAME"] == "unit tests"
    assert variables["CI_JOB_NAME_SLUG"] == "unit-tests---linux--3-12"
    assert variables["CI_JOB_STAGE"] == "test"
    assert (variables["CI_NODE_INDEX"], variables["CI_NODE_TOTAL"]) == ("2", "4")
    assert predefined(REQUEST, "unit 2/4", "test")["CI_JOB_GROUP_NAME"] == "unit"
    assert "CI_NODE_INDEX" not in predefined(REQUEST, "unit", "test")


def test_a_slug_has_no_dash_at_its_ends_and_is_no_longer_than_a_label() -> None:
    assert slug("/" + "x" * 80) == "x" * 62
    assert slug("--A--") == "a"
