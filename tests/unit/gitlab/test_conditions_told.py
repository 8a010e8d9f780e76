"""Conditions that ask for what only GitLab knows: decided here without it, and so told."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import ImportFailed, Request, Severity
from cijob.importers.gitlab.pipeline import load
from tests.unit.gitlab.loading import FILE, loaded, warnings

PLAIN = "#file\nplain: {image: a, script: [x]}\n"


def _job(conditions: str) -> str:
    return f"{PLAIN}job: {{image: a, script: [x], {conditions}}}\n"


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (
            "rules: [{if: '$CI_PROJECT_NAMESPACE == \"group\"'}]",
            "rules:if: $CI_PROJECT_NAMESPACE is not set here, and so this does not hold; give it with --var",
        ),
        (
            "rules: [{if: '$CI_PROJECT_ID != \"42\"', when: never}, {when: on_success}]",
            "rules:if: $CI_PROJECT_ID is not set here, and so this holds; give it with --var",
        ),
        (
            "rules: [{if: '$GITLAB_USER_LOGIN =~ $CI_BOTS'}]",
            "rules:if: $GITLAB_USER_LOGIN, $CI_BOTS are not set here, and so this does not hold; give them with --var",
        ),
        (
            "only: {variables: [$CI_PROJECT_ID == '42']}",
            "only:variables: $CI_PROJECT_ID is not set here, and so this does not hold; give it with --var",
        ),
        (
            "except: {variables: [$CI_PROJECT_VISIBILITY == 'public']}",
            "except:variables: $CI_PROJECT_VISIBILITY is not set here, and so this does not hold; give it with --var",
        ),
        (
            "only: [main@group/project]",
            "only:refs: $CI_PROJECT_PATH is not set here, and so it is taken to be the one that is named; give it with --var",
        ),
        (
            "rules: [{exists: [$CI_PROJECT_NAMESPACE/x]}]",
            "rules:exists: $CI_PROJECT_NAMESPACE is not set here, give it with --var",
        ),
    ],
)
def test_what_a_job_asks_for_and_is_not_set_is_told(conditions: str, told: str) -> None:
    assert warnings(_job(conditions)) == [told]


def test_what_a_variable_of_the_file_is_made_of_and_is_not_set_is_told() -> None:
    (told,) = warnings(_job("variables: {NAME: 'x-$CI_PROJECT_NAMESPACE'}, rules: [{if: $NAME == 'x-group'}]"))
    assert told.startswith("rules:if: $CI_PROJECT_NAMESPACE is not set here, and so this does not hold")


def test_what_a_pipeline_asks_for_is_told_also_where_there_is_none() -> None:
    workflow = "workflow: {rules: [{if: $CI_PROJECT_ID == '42'}]}\n"
    assert [one.partition(" is ")[0] for one in warnings(PLAIN + workflow)] == ["workflow:rules:if: $CI_PROJECT_ID"]


def test_what_an_include_asks_for_is_told() -> None:
    text = "include: [{local: a.yml, rules: [{if: $CI_PROJECT_ID == '42'}]}]\njob: {image: a, script: [x]}\n"
    found = load(MemoryFiles({FILE: text, "a.yml": "b: {script: [x]}"}), Request(file=FILE)).findings
    assert [(one.key, str(one.place)) for one in found if one.severity is Severity.WARNING] == [
        ("include:rules:if", f"{FILE}:1")
    ]


@pytest.mark.parametrize(
    "rules",
    [
        "[{if: $CI_COMMIT_TAG || $CI_MERGE_REQUEST_IID || $CI_PIPELINE_TRIGGERED}]",  # of some pipelines only
        "[{if: '$CI_JOB_TOKEN || $CI_RUNNER_ID'}]",  # of no pipeline when GitLab looks
        "[{if: $DEPLOY == 'yes'}]",  # the user's own: unset is as good as any value
        "[{if: $CI_COMMIT_BRANCH || $CI_PROJECT_ID == '42'}]",  # not asked for
        "[{if: $CI_COMMIT_TAG && $CI_PROJECT_ID == '42'}]",
        "[{if: $CI_COMMIT_BRANCH}, {if: $CI_PROJECT_ID == '42'}]",  # never reached
    ],
)
def test_what_decides_nothing_is_not_told(rules: str) -> None:
    assert warnings(_job(f"rules: {rules}")) == []


def test_what_the_user_gives_is_not_told() -> None:
    text = _job("rules: [{if: $CI_PROJECT_ID == '42'}]")
    assert warnings(text, variables={"CI_PROJECT_ID": "42"}) == []
    assert [one.name for one in loaded(text, variables={"CI_PROJECT_ID": "42"}).jobs] == ["plain", "job"]


class TestNoJob:
    """A pipeline in which no job is left."""

    TRIGGERS = "#file\na: {trigger: {include: a/.gitlab-ci.yml, strategy: depend}}\nb: {trigger: group/project}\n"

    def test_names_those_that_can_be_no_cijob_and_why(self) -> None:
        with pytest.raises(ImportFailed) as caught:
            loaded(self.TRIGGERS)
        found = caught.value.findings
        assert {one.job for one in found if one.key.startswith("trigger")} == {"a", "b"}
        (error,) = [one.message for one in found if one.severity is Severity.ERROR]
        assert error.startswith("no job runs here for the branch main (push): those that GitLab would run besides")

    def test_says_what_was_found_on_the_way(self) -> None:
        text = "#file\njob: {image: a, script: [x], rules: [{if: $CI_PROJECT_ID}]}\n"
        with pytest.raises(ImportFailed) as caught:
            loaded(text)
        assert "$CI_PROJECT_ID is not set here" in str([one.message for one in caught.value.findings])
        assert "choose another with --branch, --tag or --var" in str(caught.value)

    def test_says_what_was_found_in_the_file_where_workflow_rules_make_no_pipeline(self) -> None:
        text = "#file\ninclude: {remote: 'https://example.com/x.yml'}\nworkflow: {rules: [{if: $NO}]}\n" + PLAIN[6:]
        assert [one.partition(": ")[0] for one in warnings(text)] == ["include:remote"]
