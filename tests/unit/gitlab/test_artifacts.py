"""`artifacts` and `dependencies`: which files a job leaves, and which jobs get them."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.model import Artifacts, When
from tests.unit.gitlab.loading import errors, job, pipeline, refused, warnings

ARTIFACTS = """
stages: [one, two, three]
a: {stage: one, script: [x], artifacts: {paths: [a]}}
b: {stage: one, script: [x], artifacts: {paths: [b]}}
none: {stage: one, script: [x]}
c: {stage: two, script: [x], artifacts: {paths: [c]}}
job: {stage: three, script: [x], %s}
"""


class TestArtifacts:
    @pytest.mark.parametrize(
        ("keys", "takes"),
        [
            ("", ("a", "b", "c")),
            ("dependencies: []", ()),
            ("dependencies: [b, none]", ("b",)),
            ("needs: [c, none]", ("c",)),
            ("needs: [a, {job: b, artifacts: false}]", ("a",)),
            ("needs: [a, b], dependencies: [b]", ("b",)),
            ("needs: []", ()),
        ],
    )
    def test_are_taken_from(self, keys: str, takes: tuple[str, ...]) -> None:
        assert pipeline(ARTIFACTS % keys).jobs[-1].takes == takes

    def test_are_not_taken_within_a_stage(self) -> None:
        assert pipeline(ARTIFACTS % "").jobs[0].takes == ()

    def test_of_a_job_that_is_not_there_are_refused(self) -> None:
        assert refused(ARTIFACTS % "dependencies: [nope]") == ["dependencies: there is no job nope; did you mean none?"]

    def test_are_taken_although_a_file_was_not_read(self) -> None:
        text = "include: {project: a/b, file: c.yml}\n" + ARTIFACTS % "dependencies: [a, elsewhere]"
        assert pipeline(text).jobs[-1].takes == ("a",)

    def test_are_globs_in_the_working_directory(self) -> None:
        text = """
            variables: {OUT: dist}
            artifacts:
              paths: [$OUT/, ./a, "$CI_PROJECT_DIR/b/**/*.o", /etc/passwd, ../up, a/../../b]
              exclude: [dist/tmp]
              when: always
              untracked: true
              reports: {dotenv: build.env}
            """
        assert job(text).artifacts == Artifacts(
            paths=("dist/", "a", "b/**/*.o"),
            exclude=("dist/tmp",),
            when=When.ALWAYS,
            untracked=True,
            dotenv=("build.env",),
        )
        assert len(warnings(text)) == 3

    @pytest.mark.parametrize(
        "text", ["artifacts: {reports: {junit: x.xml}}", "artifacts: {expire_in: 1 day}", "script: [x]"]
    )
    def test_are_none_where_no_later_job_gets_any(self, text: str) -> None:
        assert job(text).artifacts is None

    def test_at_a_made_up_time_are_refused(self) -> None:
        assert errors("artifacts: {paths: [a], when: soon}")[0].startswith("artifacts:when: 'soon'")
