"""Values of the file that refer to what only GitLab knows: its project's settings, its tokens, its registry."""

from __future__ import annotations

from cijob.importers.gitlab.model import Severity
from tests.unit.gitlab.loading import findings, loaded

TEXT = """
    variables:
      IMAGE: $CI_REGISTRY_IMAGE/app:$CI_COMMIT_REF_SLUG
    job:
      image: alpine
      variables: {TOKEN: $TOKEN, RELEASE: "$CI_COMMIT_TAG"}
      script: [x]
"""


def test_a_value_that_is_not_all_known_is_told_where_it_stands() -> None:
    told = [one for one in loaded(TEXT).findings if one.severity is Severity.WARNING]
    assert [(str(one.place), one.key, one.message, one.job) for one in told] == [
        (
            ".gitlab-ci.yml:3",
            "variables:IMAGE",
            "not all of its value is known: $CI_REGISTRY_IMAGE is not set here, give it with --var",
            "job",
        ),
        (
            ".gitlab-ci.yml:6",
            "variables:TOKEN",
            "not all of its value is known: $TOKEN is not set here, give it with --var",
            "job",
        ),
    ]


def test_what_the_user_gives_is_not_told() -> None:
    pipeline = loaded(TEXT, variables={"CI_REGISTRY_IMAGE": "registry.example.com/app", "TOKEN": "x"})
    assert [one for one in pipeline.findings if one.severity is Severity.WARNING] == []


def test_variables_of_a_job_that_are_no_mapping_are_an_error_with_its_line() -> None:
    (error,) = [one for one in findings("script: [x]\nvariables: a") if one.severity is Severity.ERROR]
    assert (error.place.line, error.message) == (3, "has to be a mapping of names to values")
