"""What becomes of a job's keys in the spec of its CiJob."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.model import Ref, Severity
from cijob.models import CiJobSpec
from cijob.validation import validate_spec
from tests.unit.gitlab.loading import errors, findings, job, notes, warnings


def test_a_plain_job_needs_nothing_but_image_and_script() -> None:
    spec = job("script: [a, b]").spec
    assert spec.pop("variables")["CI_JOB_NAME"] == "job"
    assert spec.pop("env") == [{"name": "CI_JOB_ID", "value": "$(CIJOB_UID)"}]
    assert spec == {"image": "alpine:3", "script": ["a", "b"], "docker": {"enabled": False}}


def test_the_three_scripts_stay_apart() -> None:
    spec = job("before_script: [a]\nscript: [b]\nafter_script: [c]").spec
    assert (spec["beforeScript"], spec["script"], spec["afterScript"]) == (["a"], ["b"], ["c"])


def test_a_dollar_in_a_script_is_the_shells() -> None:
    assert job("variables: {A: x}\nscript: ['echo $A $$']").spec["script"] == ["echo $A $$"]


def test_empty_commands_are_left_out() -> None:
    assert job('script: ["", a, "  "]').spec["script"] == ["a"]


def test_more_commands_than_a_cijob_can_have_are_lines_of_the_last() -> None:
    lines = [f"echo {number}" for number in range(205)]
    script = job(f"script: {lines}").spec["script"]
    assert len(script) == 200
    assert "\n".join(script).splitlines() == lines


@pytest.mark.parametrize("script", ["[]", '[""]', "null"])
def test_a_job_without_commands_is_refused(script: str) -> None:
    assert any("script" in one for one in errors(f"script: {script}"))


class TestVariables:
    def test_are_expanded(self) -> None:
        found = job('variables: {A: "$B-$CI_COMMIT_REF_NAME", B: x, C: "$$5"}').spec["variables"]
        assert (found["A"], found["C"]) == ("x-main", "$5")

    def test_of_the_user_go_above_the_files(self) -> None:
        assert job("variables: {A: file}", variables={"A": "user"}).spec["variables"]["A"] == "user"

    def test_that_belong_to_the_operator_are_left_out(self) -> None:
        text = "variables: {CIJOB_NAME: x}"
        assert "CIJOB_NAME" not in job(text).spec["variables"]
        assert len(warnings(text)) == 1

    def test_of_the_pipeline_are_found_where_they_stand(self) -> None:
        text = "#file\nvariables:\n  A: b\n  CIJOB_X: y\njob: {image: a, script: [x]}\n"
        assert [one.place.line for one in findings(text, Severity.WARNING)] == [4]

    def test_of_the_job_are_found_there_although_the_pipeline_has_them_too(self) -> None:
        text = "#file\nvariables: {CIJOB_X: y}\njob:\n  variables: {CIJOB_X: z}\n  image: a\n  script: [x]\n"
        assert [one.place.line for one in findings(text, Severity.WARNING)] == [4]

    def test_of_the_pipeline_are_found_although_the_job_has_none(self) -> None:
        text = "#file\nvariables: {CIJOB_X: y}\njob:\n  variables:\n  image: a\n  script: [x]\n"
        assert [one.place.line for one in findings(text, Severity.WARNING)] == [2]

    def test_of_the_commit_have_room(self) -> None:
        found = job("script: [x]", ref=Ref(branch="main", sha="a" * 40, message="x" * 40000)).spec["variables"]
        assert len(found["CI_COMMIT_MESSAGE"]) == 32768

    def test_of_an_environment_are_set(self) -> None:
        text = 'environment: {name: review/$CI_COMMIT_REF_SLUG, url: "https://$CI_ENVIRONMENT_SLUG.example.com"}'
        found = job(text).spec["variables"]
        assert found["CI_ENVIRONMENT_NAME"] == "review/main"
        assert found["CI_ENVIRONMENT_URL"] == f"https://{found['CI_ENVIRONMENT_SLUG']}.example.com"
        assert found["CI_ENVIRONMENT_SLUG"].startswith("review-main-")
        assert notes(text)[0].startswith("environment: no deployment")


class TestImage:
    def test_is_expanded(self) -> None:
        assert job('image: "python:$V"\nvariables: {V: "3.12"}').spec["image"] == "python:3.12"

    def test_with_an_unknown_variable_is_told(self) -> None:
        assert warnings('image: "python:$V"') == [
            "image:name: not all of python:$V is known: $V is not set here, give it with --var"
        ]

    def test_that_is_all_unknown_is_refused(self) -> None:
        assert errors("image: $IMAGE") == [
            "image:name: the image has no name: $IMAGE is not set here, give it with --var"
        ]

    def test_may_have_an_empty_entry_point(self) -> None:
        assert warnings('image: {name: a, entrypoint: [""]}') == []
        assert warnings("image: {name: a, entrypoint: []}") == []

    @pytest.mark.parametrize("words", ["[/bin/sh, -c]", "['/bin/bash', '-lc']", "[/usr/bin/env, bash]", "[sh]"])
    def test_with_a_shell_as_entry_point_is_the_same_without(self, words: str) -> None:
        text = f"image: {{name: a, entrypoint: {words}}}"
        assert warnings(text) == []
        assert notes(text)[0].startswith("image:entrypoint: a script does not go through")

    def test_with_an_entry_point_of_its_own_is_told(self) -> None:
        assert warnings("image: {name: a, entrypoint: [/init, --now]}") == [
            "image:entrypoint: a script does not go through the image's entry point: /init --now"
        ]

    @pytest.mark.parametrize(
        ("gitlab", "cijob"), [("always", "Always"), ("if-not-present", "IfNotPresent"), ("[never]", "Never")]
    )
    def test_has_a_pull_policy(self, gitlab: str, cijob: str) -> None:
        assert job(f"image: {{name: a, pull_policy: {gitlab}}}").spec["imagePullPolicy"] == cijob

    def test_has_one_pull_policy_only(self) -> None:
        text = "image: {name: a, pull_policy: [always, if-not-present]}"
        assert job(text).spec["imagePullPolicy"] == "Always"
        assert warnings(text)[0].startswith("image:pull_policy: only the first counts")

    def test_with_a_made_up_pull_policy_is_refused(self) -> None:
        assert errors("image: {name: a, pull_policy: sometimes}")[0].startswith("image:pull_policy: 'sometimes'")

    @pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8"])
    def test_has_a_platform(self, platform: str) -> None:
        assert job(f"image: {{name: a, docker: {{platform: {platform}}}}}").spec["platform"] == "linux/arm64"

    def test_of_another_platform_is_told(self) -> None:
        text = "image: {name: a, docker: {platform: linux/s390x}}"
        assert "platform" not in job(text).spec
        assert len(warnings(text)) == 1

    def test_runs_as_its_own_user(self) -> None:
        assert warnings("image: {name: a, docker: {user: me}}")[0].startswith("image:docker:user: ")

    def test_that_is_not_named_is_that_of_gitlab_com_and_told(self) -> None:
        text = "#file\njob: {script: [x]}\n"
        assert job(text).spec["image"] == "ruby:3.1"
        assert "names no image" in warnings(text)[0]
        assert "unless you say --default-image" in warnings(text)[0]

    def test_that_is_not_named_is_the_one_that_is_given(self) -> None:
        text = "#file\njob: {script: [x]}\n"
        assert job(text, default_image="alpine:3").spec["image"] == "alpine:3"
        assert job("image: a", default_image="alpine:3").spec["image"] == "a"
        assert warnings(text, default_image="alpine:3") == []


class TestTimeout:
    @pytest.mark.parametrize(
        ("gitlab", "cijob"),
        [("3h 30m", "3h30m"), ("1 hour 20 minutes", "1h20m"), ("90", "1m30s"), ("2 weeks", "168h"), ("0.2", "1s")],
    )
    def test_is_written_as_a_cijob_has_it(self, gitlab: str, cijob: str) -> None:
        assert job(f'timeout: "{gitlab}"').spec["timeout"] == cijob

    def test_above_the_most_is_told(self) -> None:
        assert warnings("timeout: 2 weeks") == ["timeout: at most 168h: 2 weeks becomes that"]

    def test_that_is_none_is_refused(self) -> None:
        assert errors("timeout: soon")[0].startswith("timeout: 'soon' is not a duration")


class TestTags:
    def test_choose_the_pool(self) -> None:
        assert job("tags: [gpu]", pools={"gpu": "gpu-builds"}).spec["poolName"] == "gpu-builds"

    def test_without_a_pool_are_told(self) -> None:
        assert warnings("tags: [gpu, x]", pools={"x": "x"}) == [
            "tags: no pool is given for the tag gpu: say --pool gpu=POOL"
        ]

    def test_that_mean_two_pools_are_refused(self) -> None:
        assert errors("tags: [a, b]", pools={"a": "one", "b": "two"})[0].startswith("tags: the tags mean several pools")

    def test_are_expanded(self) -> None:
        assert job("tags: [$T]\nvariables: {T: gpu}", pools={"gpu": "p"}).spec["poolName"] == "p"


class TestSource:
    def test_is_checked_out_with_gitlabs_depth(self) -> None:
        ref = Ref(branch="main", sha="a" * 40)
        spec = job("script: [x]", git_url="https://h/a.git", git_secret="s", ref=ref).spec  # noqa: S106  a name
        assert spec["source"] == {
            "git": {"url": "https://h/a.git", "ref": "a" * 40, "depth": 20, "credentialsSecretRef": {"name": "s"}}
        }

    def test_obeys_the_variables_of_git(self) -> None:
        text = "variables: {GIT_DEPTH: 0, GIT_SUBMODULE_STRATEGY: recursive}"
        git = job(text, git_url="https://h/a.git", git_ref="v1").spec["source"]["git"]
        assert git == {"url": "https://h/a.git", "ref": "v1", "depth": 0, "submodules": "Recursive"}

    @pytest.mark.parametrize("strategy", ["none", "empty"])
    def test_is_not_wanted_by_some(self, strategy: str) -> None:
        found = job(f"variables: {{GIT_STRATEGY: {strategy}}}", git_url="https://h/a.git")
        assert "source" not in found.spec
        assert not found.wants_files

    def test_is_wanted_by_others(self) -> None:
        assert job("variables: {GIT_STRATEGY: clone}").wants_files

    def test_with_a_made_up_depth_is_refused(self) -> None:
        assert errors("variables: {GIT_DEPTH: deep}", git_url="https://h/a.git")[0].startswith("variables:GIT_DEPTH:")


def test_what_the_api_server_would_refuse_is_an_error_with_its_line() -> None:
    text = "image: alpine:3\nvariables:\n  A: b\nservices:\n" + "".join(f"  - redis:{n}\n" for n in range(9))
    found = findings(text, Severity.ERROR)
    assert found
    assert {(one.key, one.place.line) for one in found} == {("services", 5)}


def test_a_spec_with_all_of_it_is_one_that_can_run() -> None:
    spec = job(
        """
        image: {name: alpine:3, pull_policy: always, docker: {platform: linux/amd64}}
        services: [docker:dind, {name: postgres:17, alias: db}]
        timeout: 1h
        retry: {max: 2, when: [script_failure, runner_system_failure], exit_codes: [75]}
        tags: [t]
        before_script: [a]
        after_script: [b]
        """,
        pools={"t": "p"},
        git_url="https://h/a.git",
    ).spec
    assert validate_spec(CiJobSpec.model_validate(spec)) == []


def test_a_number_of_the_job_that_is_given_is_kept() -> None:
    spec = job("script: [a]", variables={"CI_JOB_ID": "7"}).spec
    assert "env" not in spec
    assert spec["variables"]["CI_JOB_ID"] == "7"


def test_after_script_sees_how_the_job_ended_by_gitlab_s_name_where_it_asks() -> None:
    export = 'export CI_JOB_STATUS="$CIJOB_STATUS"'
    assert job("after_script: [a, echo $CI_JOB_STATUS]").spec["afterScript"] == [export, "a", "echo $CI_JOB_STATUS"]
    assert job("after_script: [a, b]").spec["afterScript"] == ["a", "b"]
