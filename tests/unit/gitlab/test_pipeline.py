"""A whole file: stages, needs, artifacts, parallel jobs, and when there is no pipeline at all."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.findings import incomplete, told
from cijob.importers.gitlab.model import (
    Finding,
    ImportFailed,
    Need,
    Place,
    Ref,
    Severity,
    When,
)
from tests.unit.gitlab.loading import errors, findings, job, loaded, notes, pipeline, refused, warnings

HERE = Place("f", 1)


def test_the_job_that_everybody_knows() -> None:
    found = loaded("""
        image: ubuntu:25.10
        services: [docker:dind]
        variables: {DOCKER_HOST: "tcp://docker:2375/", DOCKER_TLS_CERTDIR: ""}
        stages: [test123]
        run-tests123:
          stage: test123
          before_script: [apt-get update && apt-get install -y docker.io]
          script:
            - docker pull ailhan/web-debug:latest
            - docker run ailhan/web-debug:latest ./runtests.sh
        """)
    assert found.stages == ("test123",)
    (one,) = found.jobs
    assert (one.name, one.stage, one.when, one.needs) == ("run-tests123", "test123", When.ON_SUCCESS, None)
    assert one.spec["beforeScript"] == ["apt-get update && apt-get install -y docker.io"]
    assert one.spec["variables"]["DOCKER_HOST"] == "tcp://docker:2375/"
    assert "docker" not in one.spec
    assert incomplete(found.findings) == set()


class TestStages:
    def test_are_in_order_and_so_are_their_jobs(self) -> None:
        found = pipeline("stages: [b, a]\nx: {stage: a, script: [x]}\ny: {stage: b, script: [x]}")
        assert found.stages == ("b", "a")
        assert [one.name for one in found.jobs] == ["y", "x"]

    def test_at_the_edges_are_there_with_their_jobs(self) -> None:
        found = pipeline("stages: [a]\nx: {stage: a, script: [x]}\ny: {stage: .pre, script: [x]}")
        assert found.stages == (".pre", "a")
        assert [one.name for one in found.jobs] == ["y", "x"]

    def test_at_the_edges_make_no_pipeline_by_themselves(self) -> None:
        assert refused("x: {stage: .pre, script: [x]}")[0].startswith(": only jobs of .pre and .post run")


class TestNeeds:
    def test_are_jobs_by_name(self) -> None:
        found = pipeline("a: {script: [x]}\nb: {script: [x], needs: [a]}\nc: {script: [x], needs: []}")
        assert [one.needs for one in found.jobs] == [None, (Need("a"),), ()]

    def test_say_whether_they_bring_artifacts_and_may_be_missing(self) -> None:
        found = pipeline("a: {script: [x]}\nb: {script: [x], needs: [{job: a, artifacts: false, optional: true}]}")
        assert found.jobs[1].needs == (Need("a", artifacts=False, optional=True),)

    def test_of_a_parallel_job_are_all_of_it(self) -> None:
        found = pipeline(
            "a: {script: [x], parallel: 2}\nb: {script: [x], needs: [a]}\nc: {script: [x], needs: [a 2/2]}"
        )
        assert found.jobs[2].needs == (Need("a 1/2"), Need("a 2/2"))
        assert found.jobs[3].needs == (Need("a 2/2"),)

    def test_of_a_matrix_may_be_some_of_it(self) -> None:
        found = pipeline("""
a: {script: [x], parallel: {matrix: [{OS: [linux, mac], V: ["1", "2"]}]}}
b: {script: [x], needs: [{job: a, parallel: {matrix: [{OS: linux, V: ["1", "2"]}]}}]}
""")
        assert found.jobs[-1].needs == (Need("a: [linux, 1]"), Need("a: [linux, 2]"))

    def test_of_a_parallel_job_that_runs_in_part_are_refused_unless_they_are_optional(self) -> None:
        text = """a: {{script: [x], parallel: {{matrix: [{{V: [b, c]}}]}}, rules: [{{if: $V == 'b'}}]}}
d: {{script: [x], needs: [{{job: a, optional: {}}}]}}
"""
        assert refused(text.format("false"))[0].startswith("needs: a: [c] does not run in this pipeline")
        assert pipeline(text.format("true")).jobs[-1].needs == (Need("a: [b]", optional=True),)

    @pytest.mark.parametrize(
        ("needs", "sentence"),
        [
            ("[bild]", "there is no job bild; did you mean build?"),
            (
                "[idle]",
                "idle does not run in this pipeline: write `optional: true` where that may be, or choose another pipeline",
            ),
            ("[later]", "later is of a later stage"),
            ("[{artifacts: true}]", "a need is the name of a job, or a mapping with `job`"),
            ("[{job: build, parallel: {matrix: [{A: b}]}}]", "build has no job with these variables in its matrix"),
        ],
    )
    def test_that_cannot_be_met_are_refused(self, needs: str, sentence: str) -> None:
        text = f"""stages: [a, b]
build: {{stage: a, script: [x]}}
idle: {{stage: a, script: [x], rules: [{{if: $NO}}]}}
later: {{stage: b, script: [x]}}
job: {{stage: a, script: [x], needs: {needs}}}
"""
        (said,) = refused(text)
        assert said.startswith(f"needs: {sentence}")

    @pytest.mark.parametrize("name", ["idle", "nowhere"])
    def test_that_are_optional_are_dropped_where_they_cannot_be_met(self, name: str) -> None:
        found = pipeline(f"""
idle: {{script: [x], rules: [{{if: $NO}}]}}
job: {{script: [x], needs: [{{job: {name}, optional: true}}]}}
""")
        assert found.jobs[0].needs == ()

    def test_in_lists_within_the_list_count(self) -> None:
        text = (
            "a: {script: [x]}\nb: {script: [x], needs: [[a]]}\nc: {script: [x], rules: [{if: $CI, needs: [[a, [b]]]}]}"
        )
        found = pipeline(text).jobs
        assert [[need.job for need in one.needs or ()] for one in found] == [[], ["a"], ["a", "b"]]

    def test_have_all_of_the_jobs_dependencies(self) -> None:
        text = "a: {script: [x], stage: build}\nb: {script: [x], stage: build}\nc: {script: [x], needs: [a], dependencies: [a, b]}"
        assert refused(text) == [
            "dependencies: b is not among the job's needs, and it gets artifacts of these only: name it there, too"
        ]
        assert pipeline(text.replace("needs: [a]", "needs: []")).jobs

    def test_in_a_circle_are_refused(self) -> None:
        text = "a: {script: [x], needs: [b]}\nb: {script: [x], needs: [a]}"
        assert "circle" in refused(text)[0]

    def test_of_other_projects_leave_the_stage_to_decide(self) -> None:
        text = "job: {image: a, script: [x], needs: [{project: a/b, job: c, ref: m, artifacts: true}]}"
        assert loaded(text).jobs[0].needs is None

    def test_of_a_rule_go_above_the_jobs(self) -> None:
        found = pipeline("""
a: {script: [x]}
b: {script: [x], needs: [a], rules: [{if: $CI, needs: []}]}
""")
        assert found.jobs[1].needs == ()

    def test_of_a_job_that_is_left_out_are_left_out(self) -> None:
        text = "#file\na: {trigger: x/y}\nb: {image: i, script: [x], needs: [a]}\n"
        assert loaded(text).jobs[0].needs == ()
        assert [one.partition(": ")[0] for one in warnings(text)] == ["trigger", "needs"]

    def test_of_a_file_that_was_not_read_are_left_out(self) -> None:
        text = (
            "#file\ninclude: {project: a/b, file: c.yml}\nb: {image: i, script: [x], needs: [a], dependencies: [a]}\n"
        )
        assert loaded(text).jobs[0].needs == ()
        assert [one.partition(": ")[0] for one in warnings(text)] == ["include:project", "needs"]


class TestFailure:
    @pytest.mark.parametrize(
        ("keys", "allowed", "codes"),
        [
            ("", False, set()),
            ("allow_failure: true", True, set()),
            ("allow_failure: {exit_codes: 3}", True, {3}),
            ("allow_failure: {exit_codes: [3, 4]}", True, {3, 4}),
            ("when: manual", True, set()),
            ("when: manual\nallow_failure: false", False, set()),
            ("allow_failure: true\nrules: [{if: $CI, allow_failure: false}]", False, set()),
        ],
    )
    def test_may_be_allowed(self, keys: str, allowed: bool, codes: set[int]) -> None:
        found = job(f"script: [x]\n{keys}")
        assert (found.allow_failure, set(found.allowed_exit_codes)) == (allowed, codes)

    def test_with_a_made_up_exit_code_is_refused(self) -> None:
        assert errors("allow_failure: {exit_codes: x}")[0].startswith("allow_failure:exit_codes")


def test_variables_of_a_rule_go_above_the_jobs_and_into_its_values() -> None:
    found = job("""
        image: "alpine:$V"
        variables: {V: "1", W: "w$V"}
        rules: [{if: $CI, variables: {V: "2"}}]
        """)
    assert (found.spec["image"], found.spec["variables"]["W"]) == ("alpine:2", "w2")


def test_a_delayed_job_has_its_delay() -> None:
    found = job("when: delayed\nstart_in: 90 seconds")
    assert (found.when, found.start_in) == (When.DELAYED, 90)


def test_a_job_has_its_resource_group_expanded() -> None:
    assert job("resource_group: deploy-$CI_COMMIT_REF_NAME").resource_group == "deploy-main"


def test_a_job_is_interruptible_if_it_says_so() -> None:
    assert job("interruptible: true").interruptible
    assert not job("script: [x]").interruptible


class TestWorkflow:
    RULES = "#file\nworkflow: {rules: [{if: $CI_COMMIT_TAG, variables: {A: w, B: w}}]}\njob: {image: a, script: [x], variables: {B: j}}\n"

    def test_may_make_no_pipeline(self) -> None:
        assert errors(self.RULES) == [
            "workflow:rules: workflow:rules make no pipeline for the branch main (push): choose another with --branch, --tag or --var"
        ]

    def test_has_variables_for_all_jobs_below_the_jobs_own(self) -> None:
        found = loaded(self.RULES, ref=Ref(tag="v1")).jobs[0].spec["variables"]
        assert (found["A"], found["B"]) == ("w", "j")

    def test_names_the_pipeline(self) -> None:
        assert loaded("workflow: {name: for $CI_COMMIT_REF_NAME}\njob: {image: a, script: [x]}").name == "for main"


def test_no_job_makes_no_pipeline() -> None:
    assert errors("rules: [{if: $NO}]")[0].startswith(": no job runs for the branch main (push)")


def test_variables_in_a_circle_are_refused() -> None:
    assert "circle" in errors('variables: {A: "$B", B: "$A"}')[0]
    assert "circle" in errors('#file\nvariables: {A: "$B", B: "$A"}\njob: {image: a, script: [x]}\n')[0]


def test_all_errors_are_found_at_once() -> None:
    text = "#file\na: {image: i, script: [x], timeout: soon}\nb: {image: i, script: [x], retry: 9}\n"
    assert [one.job for one in findings(text, Severity.ERROR)] == ["a", "b"]


def test_jobs_without_a_daemon_are_said() -> None:
    assert [
        one.job
        for one in findings("#file\na: {image: i, script: [x]}\nb: {image: i, script: [x], services: [docker:dind]}\n")
        if "no Docker daemon" in one.message
    ] == ["a"]


def test_a_job_of_steps_is_left_out() -> None:
    text = "#file\na: {run: [{name: x, script: y}]}\nb: {image: i, script: [x]}\n"
    assert [one.name for one in loaded(text).jobs] == ["b"]
    assert incomplete(loaded(text).findings) == {"a"}
    assert notes(text) == []


def test_findings_of_several_jobs_are_told_once() -> None:
    def finding(line: int, name: str) -> Finding:
        return Finding(Severity.WARNING, Place("f.yml", line), "cache", "is lost", name)

    assert told([finding(9, "z"), *(finding(2, name) for name in "abcdea")]) == [
        "f.yml:2: not converted: cache: is lost (a, b, c and 2 more)",
        "f.yml:9: not converted: cache: is lost (z)",
    ]


def test_a_failed_import_says_where() -> None:
    with pytest.raises(ImportFailed, match=r"\.gitlab-ci\.yml:2: .*soon"):
        loaded("job: {image: i, script: [x],\n  timeout: soon}")
