"""`spec:inputs` and what `$[[ ... ]]` becomes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.importers.gitlab.inputs import blocks
from tests.unit.gitlab.reading import document, failure, found

JOB = "test: {script: [x]}\n"


def template(inputs: str, body: str) -> dict[str, str]:
    """A file to include, whose header declares inputs."""
    return {"t.yml": f"spec:\n  inputs: {inputs}\n---\n{body}\n"}


def including(given: str) -> str:
    return f"include:\n  - local: t.yml\n    inputs: {given}\n{JOB}"


def test_a_value_that_is_given_goes_above_the_default() -> None:
    others = template(
        "{image: {default: alpine}, stage: {default: build}}",
        "j: {image: '$[[ inputs.image ]]', stage: '$[[inputs.stage]]', script: [x]}",
    )
    job = next(one for one in document(including("{image: debian}"), others).jobs if one.name == "j")
    assert (job.config["image"], job.config["stage"]) == ("debian", "build")


def test_a_text_that_is_one_block_takes_the_type_of_the_value() -> None:
    others = template(
        "{n: {type: number}, b: {type: boolean}, a: {type: array}}",
        "j: {parallel: '$[[ inputs.n ]]', interruptible: '$[[ inputs.b ]]', tags: '$[[ inputs.a ]]', script: ['n=$[[ inputs.n ]] b=$[[ inputs.b ]]']}",
    )
    config = document(including("{n: 3, b: true, a: [p, q]}"), others).jobs[0].config
    assert (config["parallel"], config["interruptible"], config["tags"]) == (3, True, ["p", "q"])
    assert config["script"] == ["n=3 b=true"]


def test_a_list_inside_of_a_text_is_written_as_ruby_writes_it() -> None:
    others = template("{a: {type: array}}", "j: {script: ['for one in $[[ inputs.a ]]']}")
    config = document(including("{a: [p, {q: 1}]}"), others).jobs[0].config
    assert config["script"] == ['for one in ["p", {"q"=>1}]']


@given(st.lists(st.sampled_from(["$[[ ab", "]]", " ", "\n", "cd"]), max_size=12).map("".join))
def test_blocks_are_found_as_gitlabs_pattern_finds_them(text: str) -> None:
    pattern = re.compile(r"\$\[\[\s*(\S.*?\S)\s*\]\]")
    assert list(blocks(text)) == [(one.start(), one.end(), one[1]) for one in pattern.finditer(text)]


def test_keys_and_references_have_inputs_too() -> None:
    others = template(
        "{name: }",
        "'$[[ inputs.name ]]-job': {script: [!reference ['.$[[ inputs.name ]]', script]]}\n.web: {script: [y]}",
    )
    job = document(including("{name: web}"), others).jobs[0]
    assert (job.name, job.config["script"]) == ("web-job", ["y"])


def test_the_file_of_the_pipeline_has_its_defaults() -> None:
    text = "spec:\n  inputs:\n    image: {default: alpine}\n---\ntest:\n  image: $[[ inputs.image ]]\n  script: [x]\n"
    assert document(text).jobs[0].config["image"] == "alpine"


def test_without_a_header_nothing_is_put_in() -> None:
    assert document("test: {script: ['$[[ inputs.x ]]']}\n").jobs[0].config["script"] == ["$[[ inputs.x ]]"]


@pytest.mark.parametrize(
    ("block", "value"),
    [
        ("inputs.v | truncate(0, 3)", "one"),
        ("inputs.v | truncate(4,3)", "two"),
        ("inputs.v | posix_escape", "'one two $CI'"),
        ("inputs.v | posix_quote", "'one two $CI'"),
        ("inputs.v | expand_vars", "one two true"),
        ("inputs.v | expand_vars | truncate(8,4)", "true"),
    ],
)
def test_functions_change_the_value(block: str, value: str) -> None:
    others = template("{v: {default: 'one two $CI'}}", f"j: {{image: '$[[ {block} ]]', script: [x]}}")
    assert document(including("{}"), others).jobs[0].config["image"] == value


def test_split_makes_a_list() -> None:
    others = template("{v: {default: 'a, b,'}}", "j: {tags: \"$[[ inputs.v | split(',') ]]\", script: [x]}")
    assert document(including("{}"), others).jobs[0].config["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("inputs", "given", "said"),
    [
        ("{v: }", "{}", ".gitlab-ci.yml:2: error: spec:inputs:v: the input v has no default, and no value is given"),
        (
            "{version: }",
            "{version: a, verzion: b}",
            ".gitlab-ci.yml:3: error: inputs: the file has no input verzion; did you mean version?",
        ),
        (
            "{v: {type: number}}",
            "{v: x}",
            ".gitlab-ci.yml:3: error: spec:inputs:v: the input v has to be of the type number, and 'x' is not",
        ),
        (
            "{v: {type: numbr}}",
            "{v: 1}",
            ".gitlab-ci.yml:3: error: spec:inputs:v: inputs have no type numbr; did you mean number?",
        ),
        (
            "{v: {options: [a, b]}}",
            "{v: c}",
            ".gitlab-ci.yml:3: error: spec:inputs:v: the input v has to be one of a, b, not c",
        ),
        (
            "{v: {regex: '^v\\d+$'}}",
            "{v: x1}",
            r".gitlab-ci.yml:3: error: spec:inputs:v: the input v, x1, does not match ^v\d+$",
        ),
        (
            "{v: {regex: /^v/}}",
            "{v: x1}",
            ".gitlab-ci.yml:3: error: spec:inputs:v: the input v, x1, does not match /^v/",
        ),
        ("{v: {type: number}}", "{v: true}", "has to be of the type number"),
        ("{v: {type: boolean}}", "{v: 1}", "has to be of the type boolean"),
        ("{v: {regex: '('}}", "{v: x1}", "has a regex that cannot be read"),
    ],
)
def test_a_value_that_does_not_fit_is_said_where_it_is_given(inputs: str, given: str, said: str) -> None:
    (line,) = failure(including(given), template(inputs, "j: {script: [x]}"))
    assert said in line


def test_inputs_for_a_file_without_a_header_are_refused() -> None:
    assert failure(including("{v: 1}"), {"t.yml": "j: {script: [x]}\n"}) == [
        ".gitlab-ci.yml:3: error: inputs: the file takes no inputs, and v is given"
    ]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("inputs.lnog", "the file has no input lnog; did you mean long?"),
        ("inputs.v | upper", "inputs have no function upper"),
        ("inputs.n | truncate(0,1)", "takes an input of the type string"),
        ("inputs.v | truncate(0,1) | truncate(0,1) | truncate(0,1) | truncate(0,1)", "at most 3 functions"),
        ("other.v", "$[[ other.v ]] has no value here"),
    ],
)
def test_a_block_without_a_value_is_an_error_in_its_line(block: str, said: str) -> None:
    others = template(
        "{v: {default: x}, long: {default: x}, n: {type: number, default: 1}}", f"j:\n  script: ['$[[ {block} ]]']"
    )
    (line,) = failure(including("{}"), others)
    assert line.startswith("t.yml:5: error: spec:inputs: ")
    assert said in line


def test_a_block_that_only_a_server_fills_is_named_and_stays() -> None:
    others = template("{v: {default: x}}", "j: {script: ['$[[ component.name ]]']}")
    assert found(including("{}"), others) == [
        "t.yml:4: not converted: spec:inputs: $[[ component.name ]] has no value here, only inputs have"
    ]
