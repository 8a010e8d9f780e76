"""A whole file: its stages, its jobs, what they inherit, and what is said of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.document import read
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import Finding, ImportFailed, Request, Severity
from tests.unit.gitlab.reading import CI, document, failure, found

JOB = "test: {script: [x]}\n"


def test_jobs_come_in_order_without_hidden_ones() -> None:
    jobs = document(f"b: {{script: [x]}}\n.hidden: {{script: [x]}}\n{JOB}").jobs
    assert [(job.name, job.place.line) for job in jobs] == [("b", 1), ("test", 3)]


@pytest.mark.parametrize(
    ("stages", "read_as"),
    [
        ("", (".pre", "build", "test", "deploy", ".post")),
        ("stages: [test, b]", (".pre", "test", "b", ".post")),
        ("stages: [.post, test, .pre, test]", (".pre", "test", ".post")),
        ("stages: []", (".pre", "build", "test", "deploy", ".post")),
        ("types: [test]", (".pre", "test", ".post")),
        ("stages: [[test, [b]]]", (".pre", "test", "b", ".post")),
    ],
)
def test_stages_are_in_order_between_pre_and_post(stages: str, read_as: tuple[str, ...]) -> None:
    assert document(f"{stages}\n{JOB}").stages == read_as


@pytest.mark.parametrize("stage", [".pre", ".post", "deploy"])
def test_a_job_says_its_stage(stage: str) -> None:
    assert document(f"a: {{stage: {stage}, script: [x]}}\n").jobs[0].config["stage"] == stage


def test_a_job_that_says_no_stage_is_in_test() -> None:
    assert document("a: {script: [x]}\n").jobs[0].config["stage"] == "test"


def test_an_unknown_stage_is_an_error_with_the_nearest() -> None:
    assert found("stages: [build, check]\na:\n  stage: chek\n  script: [x]\n") == [
        f"{CI}:3: error: stage: there is no stage chek; there are .pre, build, check, .post; did you mean check? (a)"
    ]
    assert found("stages: [build]\na: {script: [x]}\n") == [
        f"{CI}:2: error: stage: there is no stage test (that of a job that says none); there are .pre, build, .post (a)"
    ]


def test_jobs_inherit_what_they_do_not_say() -> None:
    first, second = document("""\
        default: {image: d, tags: [t], before_script: [b], interruptible: true}
        one: {script: [x]}
        two: {script: [x], image: own, tags: [], before_script: null}
        """).jobs
    assert (first.config["image"], first.config["tags"], first.config["before_script"]) == ("d", ["t"], ["b"])
    assert first.config["interruptible"] is True
    assert str(first.config.places["image"]) == f"{CI}:1"
    assert (second.config["image"], second.config["tags"]) == ("own", [])
    assert second.config["before_script"] == ["b"]


def test_nothing_of_default_is_merged_into_what_a_job_says() -> None:
    (job,) = document("default: {cache: {key: a, paths: [p]}}\ntest: {script: [x], cache: {key: b}}\n").jobs
    assert job.config["cache"] == {"key": "b"}


@pytest.mark.parametrize(
    ("inherit", "inherited"),
    [
        ("{default: false}", set()),
        ("{default: [image]}", {"image"}),
        ("{default: true}", {"image", "tags"}),
        ("{variables: false}", {"image", "tags"}),
    ],
)
def test_a_job_says_what_it_inherits(inherit: str, inherited: set[str]) -> None:
    (job,) = document(f"default: {{image: d, tags: [t]}}\ntest: {{script: [x], inherit: {inherit}}}\n").jobs
    assert job.config.keys() & {"image", "tags"} == inherited
    assert "inherit" in job.config


def test_keys_at_the_top_are_defaults_as_they_were_before_there_was_default() -> None:
    (job,) = document("image: i\nservices: [s]\ncache: {paths: [p]}\nbefore_script: [b]\nafter_script: a\n" + JOB).jobs
    assert job.config["image"] == "i"
    assert job.config["services"] == ["s"]
    assert (job.config["before_script"], job.config["after_script"]) == (["b"], ["a"])


def test_scripts_are_flat_lists_of_text() -> None:
    (job,) = document(
        "test:\n  script: one\n  before_script: [[a, [b]], c]\n  after_script:\n    - |\n      d\n      e\n"
    ).jobs
    assert job.config["script"] == ["one"]
    assert job.config["before_script"] == ["a", "b", "c"]
    assert job.config["after_script"] == ["d\ne\n"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo a: b", "this line is a mapping, since `echo a` is followed by `: `; put the line in quotes"),
        ("true", "`true` is no text to GitLab; put it in quotes"),
        ("1", "`1` is no text to GitLab; put it in quotes"),
        ("", "the line is empty"),
    ],
)
def test_a_line_of_a_script_that_is_no_text_is_an_error(line: str, said: str) -> None:
    assert found(f"test:\n  script:\n    - ok\n    - {line}\n") == [f"{CI}:4: error: script: {said} (test)"]


@pytest.mark.parametrize("script", ["!reference [.far, script]", "[!reference [.far, script]]"])
def test_a_job_whose_script_may_be_in_what_was_not_fetched_is_left_out(script: str) -> None:
    text = f"include: {{template: A.yml}}\nfar: {{script: {script}}}\n{JOB}"
    assert [job.name for job in document(text).jobs] == ["test"]
    assert found(text)[-1].startswith(f"{CI}:2: not converted: script: left out, as it has no script; that may be in")


def test_needs_are_flat_as_gitlab_makes_them() -> None:
    text = f".n: {{needs: [test]}}\n{JOB}a: {{script: [x], needs: [!reference [.n, needs], [test]]}}\n"
    assert document(text).jobs[-1].config["needs"] == ["test", "test"]


def test_an_empty_script_is_an_error() -> None:
    assert found("test:\n  script: []\n") == [f"{CI}:2: error: script: the script is empty (test)"]


def test_a_misspelt_key_of_the_file_is_an_error_with_the_nearest() -> None:
    assert found(f"varaibles: {{A: 1}}\n{JOB}") == [
        f"{CI}:1: error: varaibles: neither a key of the file nor a job, which has script, run or trigger; did you mean variables?"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default: {imgae: x}\n", f"{CI}:1: error: default:imgae: default has no key imgae; did you mean image?"),
        ("default: x\n", f"{CI}:1: error: default: has to be a mapping"),
        (
            "default: {image: a}\nimage: b\n",
            f"{CI}:2: error: image: image is said here and in default, {CI}:1; one of them has to go",
        ),
        ("stages: x\n", f"{CI}:1: error: stages: has to be a list of names"),
        ("variables: [x]\n", f"{CI}:1: error: variables: has to be a mapping"),
        ("workflow: x\n", f"{CI}:1: error: workflow: has to be a mapping"),
        ("spec: {inputs: {}}\n", f"{CI}:1: error: spec: spec has to stand in a document of its own"),
        (
            "j: {script: [x], inherit: true}\n",
            f"{CI}:1: error: inherit: has to be a mapping with default and variables (j)",
        ),
        (
            "j: {script: [x], inherit: {variables: x}}\n",
            f"{CI}:1: error: inherit:variables: has to be true, false or a list",
        ),
        (
            "j: {script: [x], inherit: {default: x}}\n",
            f"{CI}:1: error: inherit:default: has to be true, false or a list of keys (j)",
        ),
        (
            "j: {script: [x], inherit: {default: [imgae]}}\n",
            f"{CI}:1: error: inherit:default: default has no key imgae; did you mean image? (j)",
        ),
        ("j: {script: [x], stage: [x]}\n", f"{CI}:1: error: stage: a stage is a text (j)"),
    ],
)
def test_what_gitlab_refuses_is_an_error_in_its_line(text: str, said: str) -> None:
    (line,) = found(text + JOB)
    assert line.startswith(said)


def test_a_file_of_hidden_jobs_alone_is_an_error() -> None:
    assert found(".a: {script: [x]}\n") == [f"{CI}:1: error: there is no job that is not hidden"]


def test_a_file_whose_jobs_were_not_fetched_is_an_error_that_says_so() -> None:
    said = found("include: {template: A.yml}\nimage: x\n")
    assert (
        f"{CI}:1: error: there is no job that is not hidden here; all may be in what is included in {CI}:1 and was not fetched"
        in said
    )


def test_all_that_is_wrong_with_extends_and_references_is_said_at_once() -> None:
    lines = failure("a: {extends: .x, script: [x]}\nb: {script: [!reference [.y, z]]}\n")
    assert [line.split(":")[1] for line in lines] == ["1", "2"]


def test_a_job_whose_script_was_not_fetched_is_left_out_and_named() -> None:
    text = "include: {template: A.yml}\nfrom-template: {image: x}\nstrange: {stage: late, script: [x]}\n"
    read_here = document(text)
    assert [job.name for job in read_here.jobs] == ["strange"]
    assert read_here.stages == (".pre", "build", "test", "deploy", "late", ".post")
    assert found(text)[1:] == [
        f"{CI}:2: not converted: script: left out, as it has no script; that may be in what is included in {CI}:1 and was not fetched (from-template)",
        f"{CI}:3: not converted: stages: the order of the stage late is not known, so that it is put last; stages may be in what is included in {CI}:1 and was not fetched",
    ]


def test_variables_and_workflow_are_handed_on_with_their_lines() -> None:
    read_here = document("""\
        variables:
          A: 1
          B: {value: x, description: y}
        workflow:
          rules:
            - !reference [.rules, rules]
            - when: always
        .rules: {rules: [{if: $CI}]}
        test: {script: [x]}
        """)
    assert read_here.variables == {"A": 1, "B": {"value": "x", "description": "y"}}
    assert read_here.variables.places["B"].line == 3
    assert read_here.workflow is not None
    assert read_here.workflow["rules"] == [{"if": "$CI"}, {"when": "always"}]


_WORDS = st.sampled_from(
    [
        "a",
        ".b",
        "script",
        "extends",
        "include",
        "default",
        "stages",
        "variables",
        "image",
        "inherit",
        "x y",
        "1",
        "true",
        "~",
        "!reference [.b, script]",
        "[a, .b]",
        "{script: [x]}",
        "*n",
        "&n z",
    ]
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.integers(0, 2), _WORDS, _WORDS), min_size=1, max_size=8))
def test_any_file_is_read_or_refused_with_an_error(lines: list[tuple[int, str, str]]) -> None:
    text = "".join(f"{'  ' * depth}{key}: {value}\n" for depth, key, value in lines)
    findings: tuple[Finding, ...] = ()
    try:
        read(MemoryFiles({CI: text}), Request(file=CI))
    except ImportFailed as failed:
        findings = failed.findings
    assert not findings or any(one.severity is Severity.ERROR for one in findings)


def test_no_file_is_an_error() -> None:
    with pytest.raises(ImportFailed, match=r"there is no file \.gitlab-ci\.yml"):
        read(MemoryFiles({}), Request(file=CI))
