from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.errors import CliError
from cijob.cli.options import Target
from cijob.cli.overrides import check, completed, of_image
from cijob.cli.runoptions import RunOptions

Body = dict[str, Any]


def a_job(**spec: object) -> Body:
    return {"metadata": {"generateName": "x-"}, "spec": {"image": "ubuntu", "script": ["true"], **spec}}


def options(*sets: str, **rest: Any) -> RunOptions:  # noqa: ANN401  any of its fields
    return RunOptions(target=Target(), sets=sets, **rest)


def test_one_word_is_a_line_of_shell() -> None:
    assert of_image("ubuntu", ("make && make test",))["spec"] == {"image": "ubuntu", "script": ["make && make test"]}


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=2, max_size=5))
def test_several_words_reach_the_command_as_they_are(words: list[str]) -> None:
    assert shlex.split(of_image("ubuntu", tuple(words))["spec"]["script"][0]) == words


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ubuntu:25.10", "ubuntu-"),
        ("registry.example.com:5000/team/My_App@sha256:0123", "my-app-"),
        ("registry.example.com:5000/app", "app-"),
        (":::", "run-"),
        ("a" * 300, "a" * 40 + "-"),
    ],
)
def test_a_job_of_an_image_is_named_after_it(image: str, name: str) -> None:
    assert of_image(image, ("true",))["metadata"]["generateName"] == name


def test_a_manifest_without_a_name_is_named_after_its_file() -> None:
    job = completed({"spec": a_job()["spec"]}, options(), "jobs/Nightly Build.ci.yaml")
    assert job["metadata"] == {"generateName": "nightly-build-"}


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("timeout=10m", ("spec", "timeout"), "10m"),
        ("spec.timeout=10m", ("spec", "timeout"), "10m"),
        ("docker.enabled=false", ("spec", "docker", "enabled"), False),
        ("retry.limit=2", ("spec", "retry", "limit"), 2),
        ("image=a:1=b", ("spec", "image"), "a:1=b"),
        ("variables.DEBUG=1", ("spec", "variables", "DEBUG"), "1"),
        ("variables.EMPTY=", ("spec", "variables", "EMPTY"), ""),
        ("variables.ON=true", ("spec", "variables", "ON"), "true"),
        ("script=[a, b]", ("spec", "script"), ["a", "b"]),
        ("script[1]=later", ("spec", "script", 1), "later"),
        ("services[0]={name: db, image: postgres}", ("spec", "services", 0, "name"), "db"),
        ("metadata.labels.team=web", ("metadata", "labels", "team"), "web"),
    ],
)
def test_set_puts_a_value_where_its_path_says(text: str, path: tuple[str | int, ...], value: object) -> None:
    at: Any = completed(a_job(), options(text))
    for step in path:
        at = at[step]
    assert at == value


@pytest.mark.parametrize(
    "text",
    ["timeout", "=x", "a..b=c", "image.x=1", "script.x=1", "script[9999]=x", "timeout={", "[0]=x"],
)
def test_a_set_that_fits_nowhere_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="--set"):
        completed(a_job(), options(text))


@pytest.mark.parametrize("value", ["!!binary aGk=", ".nan", "{1: x}", "2026-01-31"])
def test_a_set_holds_what_json_can_say(value: str) -> None:
    with pytest.raises(CliError, match=r"--set metadata\.annotations="):
        completed(a_job(), options(f"metadata.annotations={value}"))
    at: Any = completed(a_job(), options("variables.A=2026-01-31"))
    assert at["spec"]["variables"]["A"] == "2026-01-31"


def test_the_manifest_itself_stays_as_it_was() -> None:
    job = a_job(variables={"A": "1"})
    completed(job, options("variables.B=2", variables={"A": "3"}))
    assert job == a_job(variables={"A": "1"})


def test_variables_and_timeout_go_above_the_manifests() -> None:
    job = completed(a_job(variables={"A": "1", "B": "2"}, timeout="1h"), options(variables={"A": "3"}, timeout="5m"))
    assert (job["spec"]["variables"], job["spec"]["timeout"]) == ({"A": "3", "B": "2"}, "5m")


def test_a_repository_is_a_source() -> None:
    rest: Body = {"git_url": "https://example.com/x.git", "git_ref": "main", "git_secret": "s"}
    assert completed(a_job(), options(**rest))["spec"]["source"] == {
        "git": {"url": "https://example.com/x.git", "ref": "main", "credentialsSecretRef": {"name": "s"}}
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"scirpt": ["x"]}, "spec.scirpt: there is no such field: did you mean script?"),
        ({"docker": {"enabeld": True}}, "spec.docker.enabeld: there is no such field: did you mean enabled?"),
        (
            {"services": [{"name": "a", "image": "b", "prots": []}]},
            "spec.services[0].prots: there is no such field: did you mean ports?",
        ),
        ({"zzz": 1}, "spec.zzz: there is no such field: `kubectl explain cij.spec` lists those that there are"),
        ({"timeout": "soon"}, "spec.timeout"),
        ({"image": 5}, "spec.image: must be text"),
    ],
)
def test_a_spec_that_cannot_run_is_refused_in_a_sentence(spec: Body, message: str) -> None:
    with pytest.raises(CliError) as caught:
        check({"image": "ubuntu", "script": ["true"], **spec})
    assert caught.value.message.startswith(message)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(CliError) as caught:
        check({"imag": "ubuntu", "timeout": 5})
    assert [line.strip().partition(":")[0] for line in caught.value.message.splitlines()[1:]] == [
        "spec.imag",
        "spec.image",
        "spec.timeout",
    ]


def test_user_keys_of_maps_are_no_fields() -> None:
    check({"image": "ubuntu", "script": ["true"], "variables": {"scirpt": "x"}, "resources": {"limits": {"cpu": "1"}}})
