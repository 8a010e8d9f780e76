"""What is lost is named: below keys that the user names, in needs and inputs, in variables of GitLab's runner, in scripts."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.document import read
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import Finding, Ref, Request
from tests.unit.gitlab.loading import FILE, errors, job, loaded, notes, warnings


def _findings(text: str, **others: str) -> list[Finding]:
    """Of a file and those that it includes."""
    return read(MemoryFiles({FILE: text, **others}), Request(file=FILE)).findings


class TestKeys:
    def test_of_the_needs_of_a_rule(self) -> None:
        text = "rules: [{if: $CI, needs: [{project: a/b, job: c, ref: main, artifacts: true}]}]"
        assert [one.partition(":")[2].partition(":")[0] for one in warnings(text)] == ["project"]

    def test_of_a_variable(self) -> None:
        assert errors("variables: {A: {valu: x}}") == [
            "variables:A: the variable A has no key valu; did you mean value?"
        ]

    def test_of_a_header(self) -> None:
        text = "spec:\n  inputs:\n    a: {default: x, rules: [{default: y}], foo: 1}\n  input: 1\n---\njob: {script: [x]}\n"
        assert [one.key for one in _findings(text)] == ["spec:input", "spec:inputs:rules", "spec:inputs:foo"]

    def test_of_an_include(self) -> None:
        found = _findings("include: {local: /a.yml, rule: []}\njob: {script: [x]}\n", **{"a.yml": "variables: {A: 1}"})
        assert [one.message for one in found] == ["GitLab has no such key; did you mean rules?"]


def test_inputs_of_an_include_are_a_mapping() -> None:
    text = "#file\ninclude: {local: a.yml, inputs: 3}\njob: {script: [x]}\n"
    assert "include:inputs: inputs are a mapping of names to values" in errors(text)


def test_a_job_that_mirrors_another_pipeline_is_left_out() -> None:
    text = "#file\na: {image: a, script: [x]}\nmirror:\n  needs: {pipeline: other/project}\n"
    assert [one.name for one in loaded(text).jobs] == ["a"]
    assert [one for one in warnings(text) if one.startswith("needs:pipeline: ")]


def test_a_job_of_the_name_pages_publishes_in_gitlab() -> None:
    assert "nothing is published" in warnings("#file\npages: {image: a, script: [x]}\n")[0]
    assert warnings("#file\npages: {image: a, script: [x], pages: false}\n") == []


def test_jobs_that_do_not_run_now_are_told_once() -> None:
    text = "#file\na: {image: a, script: [x]}\nb: {script: [x], only: [tags]}\nc: {script: [x], rules: [{if: $NO}]}\n"
    told = [one for one in loaded(text).findings if "do not run" in one.message]
    assert [(one.job, one.place.line) for one in told] == [("b", 3), ("c", 3)]
    assert told[0].message == "by their conditions these do not run for the branch main (push)"


@pytest.mark.parametrize(
    "variable",
    [
        "GIT_CLONE_PATH: /x",
        "GIT_CHECKOUT: 'false'",
        "RUNNER_SCRIPT_TIMEOUT: 5m",
        "DOCKER_AUTH_CONFIG: '{}'",
        "KUBERNETES_SERVICE_MEMORY_LIMIT: 1Gi",
        "KUBERNETES_CPU_REQUEST: 1",
        "KUBERNETES_NAMESPACE_OVERWRITE: x",
    ],
)
def test_what_a_runner_would_do_by_a_variable_is_named(variable: str) -> None:
    (line,) = warnings(f"variables: {{{variable}}}")
    assert line.startswith(f"variables:{variable.partition(':')[0]}: no effect here: ")


def test_what_a_runner_would_do_by_a_variable_of_a_service_is_named() -> None:
    text = "services: [{name: 'redis:7', variables: {KUBERNETES_SERVICE_CPU_LIMIT: 2, OTHER: 1}}]"
    (line,) = warnings(text)
    assert line.startswith("services:variables:KUBERNETES_SERVICE_CPU_LIMIT: no effect here: ")


@pytest.mark.parametrize("variable", ["GIT_CLEAN_FLAGS: -x", "GET_SOURCES_ATTEMPTS: 3", "FF_USE_FASTZIP: 'true'"])
def test_how_a_runner_works_is_noted(variable: str) -> None:
    assert warnings(f"variables: {{{variable}}}") == []
    assert any("how to work" in one for one in notes(f"variables: {{{variable}}}"))


@pytest.mark.parametrize("variable", ["GIT_CHECKOUT: 'true'", "GIT_CLONE_PATH: ''", "KUBERNETES_VERSION: 1"])
def test_what_changes_nothing_is_not_named(variable: str) -> None:
    assert warnings(f"variables: {{{variable}}}") == []


class TestScript:
    @pytest.mark.parametrize("line", ["docker login $CI_REGISTRY", "echo ${CI_REGISTRY}", "echo $GITLAB_USER_NAME"])
    def test_that_asks_for_what_only_gitlab_knows_is_named(self, line: str) -> None:
        (found,) = warnings(f"script: ['{line}']\nservices: ['docker:dind']")
        assert found.startswith("script: $")
        assert found.endswith(" is not set here, give it with --var")

    def test_is_not_named_where_it_is_given(self) -> None:
        assert warnings("script: [echo $CI_REGISTRY]", variables={"CI_REGISTRY": "r"}) == []

    @pytest.mark.parametrize(
        "line",
        [
            "echo $CI_COMMIT_TAG",
            "echo $CI_JOB_ID",
            "echo $CI_JOB_NAME",
            "export CI_REGISTRY=r; echo $CI_REGISTRY",
            "echo ${CI_REGISTRY:-r}",
            "echo $OTHER",
        ],
    )
    def test_that_can_do_without_is_not_named(self, line: str) -> None:
        assert warnings(f"script: ['{line}']") == []

    def test_that_comes_after_is_looked_at_too(self) -> None:
        assert warnings("after_script: [echo $CI_JOB_TOKEN $CI_JOB_STATUS]") == [
            "after_script: $CI_JOB_TOKEN is not set here, give it with --var"
        ]


class TestDaemon:
    def test_may_have_an_image_of_any_name_with_the_alias_docker(self) -> None:
        found = job("services: [{name: company/builder, alias: docker}]").spec
        assert "services" not in found
        assert "docker" not in found

    def test_loses_variables_that_configure_it(self) -> None:
        text = "services: [{name: docker:dind, variables: {DOCKER_MIN_API_VERSION: '1.24', DOCKER_TLS_CERTDIR: ''}}]"
        (found,) = warnings(text)
        assert found.endswith(": DOCKER_MIN_API_VERSION is left out")

    def test_is_waited_for_anyway(self) -> None:
        assert warnings("services: [{name: docker:dind, variables: {HEALTHCHECK_TCP_PORT: '2376'}}]") == []

    def test_is_reached_without_tls_by_docker_tls_too(self) -> None:
        text = "services: ['docker:dind']\nvariables: {DOCKER_TLS: 1}"
        assert "DOCKER_TLS" not in job(text).spec["variables"]
        assert any("DOCKER_TLS is left out" in one for one in notes(text))

    @pytest.mark.parametrize("value", ["$DOCKER_HOST", "$DOCKER_TLS_CERTDIR/client/ca.pem"])
    def test_is_not_where_another_variable_says(self, value: str) -> None:
        variables = f"DOCKER_HOST: tcp://docker:2376, DOCKER_TLS_CERTDIR: /certs, OTHER: {value}"
        (found,) = warnings(f"services: ['docker:dind']\nvariables: {{{variables}}}")
        assert found.startswith("variables:OTHER: ")

    def test_is_not_where_a_script_that_turns_tls_on_looks_for_it(self) -> None:
        text = "services: ['docker:dind']\nscript: [export DOCKER_TLS_VERIFY=1]"
        assert any("certificates" in one for one in warnings(text))


@pytest.mark.parametrize("source", ["schedule", "web", "api"])
def test_all_has_changed_in_a_pipeline_that_is_for_no_change(source: str) -> None:
    text = "rules: [{changes: [b]}]"
    ref = Ref(branch="main", changed=("c",), source=source)
    assert [one.name for one in loaded(f"job:\n  image: a\n  script: [x]\n  {text}\n", ref=ref).jobs] == ["job"]


@pytest.mark.parametrize("path", ["./", ".", "$CI_PROJECT_DIR", "$CI_PROJECT_DIR/"])
def test_artifacts_of_the_whole_folder_are_taken(path: str) -> None:
    found = job(f"artifacts: {{paths: ['{path}']}}").artifacts
    assert found is not None
    assert found.paths == (".",)
    assert warnings(f"artifacts: {{paths: ['{path}']}}") == []


@pytest.mark.parametrize("path", ["..", "a/..", "../x", "/etc"])
def test_artifacts_outside_of_the_folder_are_named(path: str) -> None:
    assert job(f"artifacts: {{paths: ['{path}']}}").artifacts is None
    assert warnings(f"artifacts: {{paths: ['{path}']}}") == [
        f"artifacts:paths: {path} is left out: artifacts are files of /workspace"
    ]


def test_an_environment_of_an_unknown_name_is_told() -> None:
    assert warnings("environment: {name: review/$WHO, url: 'https://$CI_ENVIRONMENT_SLUG.x'}") == [
        "environment:name: $WHO is not set here, give it with --var"
    ]


def test_dependencies_of_a_later_stage_are_refused() -> None:
    text = "#file\na: {image: a, script: [x], dependencies: [b]}\nb: {image: a, script: [x], stage: deploy}\n"
    assert errors(text) == ["dependencies: b is of a later stage"]


@pytest.mark.parametrize(
    ("image", "ports"), [("nginx:1", [80]), ("docker.io/library/nginx", [80]), ("bitnami/nginx", None)]
)
def test_a_web_server_of_somebody_else_may_have_another_port(image: str, ports: list[int] | None) -> None:
    assert job(f"services: ['{image}']").spec["services"][0].get("ports") == ports


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("image: [alpine]", "image:name: has to be a text, not a list"),
        ("image: {name: {a: b}}", "image:name: has to be a text, not a mapping"),
        ("image: 3.12", "image:name: 3.12 is no text: put it in quotes"),
        ("services: [[redis]]", "services:name: has to be a text, not a list"),
        ("services: [7]", "services:name: 7 is no text: put it in quotes"),
        ("resource_group: [a]", "resource_group: has to be a text, not a list"),
        ("environment: {name: [a]}", "environment:name: has to be a text, not a list"),
        ("environment: {name: a, url: 3}", "environment:url: 3 is no text: put it in quotes"),
        ("tags: [true]", "tags: true is no text: put it in quotes"),
    ],
)
def test_what_has_to_be_a_text_is(keys: str, told: str) -> None:
    assert errors(keys) == [told]


def test_a_tag_of_a_variable_that_is_not_set_needs_no_pool() -> None:
    assert warnings("tags: [$RUNNER]") == [
        "tags: not all of $RUNNER is known: $RUNNER is not set here, give it with --var"
    ]


def test_several_names_that_are_not_set_are_told_of_as_several() -> None:
    assert warnings("image: $A/$B:1") == [
        "image:name: not all of $A/$B:1 is known: $A, $B are not set here, give them with --var"
    ]


@pytest.mark.parametrize(
    ("timeout", "told"), [("0", "at least 1s: 0 becomes that"), ("1 mo", "at most 168h: 1 mo becomes that")]
)
def test_a_timeout_out_of_bounds_is_told(timeout: str, told: str) -> None:
    assert warnings(f"timeout: {timeout}") == [f"timeout: {told}"]


def test_a_misspelt_key_of_a_rule_is_told_once_with_the_nearest() -> None:
    found = [*errors("rules: [{iff: $CI}]"), *warnings("rules: [{iff: $CI}]")]
    assert found == ["rules:iff: rules do not know the key iff; did you mean if?"]


def test_nothing_is_retried_without_max() -> None:
    assert "retry" not in job("retry: {when: script_failure}").spec
    assert "retry: without `max` GitLab does not retry" in notes("retry: {when: script_failure}")


@pytest.mark.parametrize(
    "key", ["allow_failure: 'true'", "allow_failure: 3", "interruptible: 3", "artifacts: {untracked: 1}"]
)
def test_a_switch_that_is_neither_on_nor_off_is_refused(key: str) -> None:
    (found,) = errors(key)
    assert found.endswith("has to be true or false")
