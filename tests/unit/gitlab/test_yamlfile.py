"""YAML as Psych reads it, with lines. What Psych makes of merges and anchors was measured with its version 4.0.3."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.model import Finding, ImportFailed, Severity
from cijob.importers.gitlab.nodes import Mapping, Reference, Sequence_, place_of
from cijob.importers.gitlab.yamlfile import MAX_DEPTH, parse


def read(text: str) -> tuple[Any, list[Finding]]:
    """The one document of a text, and what was found."""
    findings: list[Finding] = []
    (document,) = parse(textwrap.dedent(text), "ci.yml", findings)
    return document, findings


def refused(text: str) -> str:
    """Where and why a text is refused."""
    with pytest.raises(ImportFailed) as caught:
        parse(textwrap.dedent(text), "ci.yml", [])
    last = caught.value.findings[-1]
    assert last.severity is Severity.ERROR
    return f"{last.place}: {last.message}"


def test_every_key_and_item_knows_its_line() -> None:
    document, _ = read("""\
        test:
          script:
            - one
            - [two,
               three]
          image: ubuntu
        """)
    assert isinstance(document, Mapping)
    job = document["test"]
    assert place_of(document, "test").line == 1
    assert place_of(job, "script").line == 2
    assert [place.line for place in job["script"].places] == [3, 4]
    assert [place.line for place in job["script"][1].places] == [4, 5]
    assert str(place_of(job, "image")) == "ci.yml:6"
    assert place_of(job, "unknown") == job.place


def test_quotes_and_blocks_are_text_always() -> None:
    document, findings = read("""\
        a: '010'
        b: "yes"
        c: |
          2024-01-01
        d: !!str 1.10
        """)
    assert document == {"a": "010", "b": "yes", "c": "2024-01-01\n", "d": "1.10"}
    assert findings == []


def test_keys_are_text_as_ruby_writes_them() -> None:
    document, _ = read("on: 1\n1: 2\n~: 3\n1.5: 4\n")
    assert document == {"true": 1, "1": 2, "": 3, "1.5": 4}


@pytest.mark.parametrize(
    ("text", "seen"), [("010", "8"), ("1.10", "1.1"), ("1:30", "5400"), ("1_000", "1000"), ("0x10", "16")]
)
def test_a_number_that_changes_is_said(text: str, seen: str) -> None:
    _, findings = read(f"a:\n  b: {text}\n")
    (note,) = findings
    assert note.severity is Severity.NOTE
    assert note.place.line == 2
    assert f"{text} without quotes is the number {seen}" in note.message


@pytest.mark.parametrize("text", ["8", "1.5", "yes", "true", "~", "a1", "-3"])
def test_a_scalar_that_stays_as_it_is_is_not_talked_about(text: str) -> None:
    assert read(f"a: {text}\n")[1] == []


def test_the_last_of_equal_keys_counts_and_is_said() -> None:
    document, findings = read("a: 1\nb: 2\na: 3\n")
    assert document == {"a": 3, "b": 2}
    assert [(one.severity, one.place.line) for one in findings] == [(Severity.NOTE, 3)]
    assert "not that of line 1" in findings[0].message


def test_a_merge_brings_keys_with_their_lines() -> None:
    document, findings = read("""\
        .base: &base
          image: a
          script: b
        test:
          <<: *base
          image: c
        """)
    assert document["test"] == {"image": "c", "script": "b"}
    assert place_of(document["test"], "script").line == 3
    assert place_of(document["test"], "image").line == 6
    assert findings == []


def test_the_first_of_several_merged_mappings_wins() -> None:
    document, _ = read("x: &x {p: 1}\ny: &y {p: 2, q: 3}\nz:\n  <<: [*x, *y]\n")
    assert document["z"] == {"p": 1, "q": 3}


def test_a_mapping_may_have_several_merges() -> None:
    document, findings = read("x: &x {p: 1}\ny: &y {q: 3}\nz:\n  <<: *x\n  <<: *y\n")
    assert document["z"] == {"p": 1, "q": 3}
    assert findings == []


def test_a_merge_wins_over_the_keys_above_it_and_that_is_said() -> None:
    document, findings = read("x: &x {p: 1}\nz:\n  p: 2\n  <<: *x\n")
    assert document["z"] == {"p": 1}
    assert [(one.place.line, one.key) for one in findings] == [(4, "p")]


def test_an_anchor_may_be_set_again_even_inside_of_itself() -> None:
    document, _ = read("a: &x 1\nb: &x 2\nc: *x\n")
    assert document["c"] == 2
    document, _ = read("a: &x\n  b: &x {c: 1}\n  d: *x\ne: *x\n")
    assert document == {"a": {"b": {"c": 1}, "d": {"c": 1}}, "e": {"c": 1}}


def test_a_reference_is_kept_with_its_line() -> None:
    document, _ = read("test:\n  script:\n    - !reference [.setup, script]\n")
    (reference,) = document["test"]["script"]
    assert isinstance(reference, Reference)
    assert reference.path == (".setup", "script")
    assert str(reference) == "[.setup, script]"
    assert reference.place.line == 3


def test_a_tag_that_gitlab_does_not_know_is_said() -> None:
    document, findings = read("a: !vault x\nb: !custom [1]\n")
    assert document == {"a": "x", "b": [1]}
    assert [one.key for one in findings] == ["!vault", "!custom"]


def test_documents_that_are_empty_are_left_out() -> None:
    assert parse("---\n# nothing\n---\na: 1\n---\n", "ci.yml", []) == [{"a": 1}]
    assert parse("", "ci.yml", []) == []


def test_an_anchor_ends_with_its_document() -> None:
    assert refused("a: &x 1\n---\nb: *x\n").startswith("ci.yml:3: no anchor &x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  - echo: b: c\n", r"ci.yml:2: this is not YAML: mapping values .* holds `: ` needs quotes"),
        ("a: [x $[[ b ]], c]\n", r"ci.yml:1: this is not YAML: .*: in \[ \] and \{ \}, a text .* needs quotes"),
        ("a: *.txt\n", r"ci.yml:1: this is not YAML: .* begins with \* or & needs quotes"),
        ("a:\n\t- b\n", r"ci.yml:2: this is not YAML: .*a tab cannot indent"),
        ("a:\n  b: 1\n c: 2\n", r"ci.yml:3: this is not YAML: .*begins in line 1.*: look for an indentation"),
        ("a: 'b\n", r"this is not YAML: .*a quote or a bracket is not closed"),
        ("a: \x07\n", r"ci.yml:1: this is not YAML: "),
        ("a: *bass\nb: &base 1\n", r"ci.yml:1: no anchor &bass comes before \*bass in this file$"),
        ("b: &base 1\na: *bass\n", r"ci.yml:2: no anchor &bass comes before \*bass in this file; did you mean base\?"),
        ("a: &a [*a]\n", r"ci.yml:1: the alias \*a stands inside of what it names"),
        ("a:\n  <<: text\n", r"ci.yml:2: << takes a mapping"),
        ("? [a]\n: b\n", r"ci.yml:1: a key has to be a text"),
        ("a: 2024-01-01\n", r"ci.yml:1: 2024-01-01 without quotes is a date to GitLab, which refuses it"),
        ("a: !reference x\n", r"ci.yml:1: !reference takes names in a list"),
        ("a: !reference []\n", r"ci.yml:1: !reference takes names in a list"),
        ("a: !reference [b, 1]\n", r"ci.yml:1: !reference takes names in a list"),
        ("[" * (MAX_DEPTH + 2), rf"ci.yml:1: has more than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ImportFailed, match=said):
        parse(text, "ci.yml", [])


def test_aliases_cannot_make_a_small_file_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "stands for more than 500,000 values" in refused("\n".join(lines))


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9999, 9999), st.text(max_size=8))
_KEYS = st.text(max_size=5).filter(lambda key: key != "<<")  # Psych merges for a quoted one as well
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)


def _plain(node: Any) -> Any:  # noqa: ANN401 - a value of YAML
    if isinstance(node, Mapping):
        assert node.keys() == node.places.keys()
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, Sequence_):
        assert len(node) == len(node.places)
        return [_plain(value) for value in node]
    return node


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(_KEYS, _TREES, min_size=1, max_size=4))
def test_what_pyyaml_writes_in_quotes_comes_back(tree: dict[str, Any]) -> None:
    text = yaml.safe_dump(tree, default_style='"', allow_unicode=False)
    (document,) = parse(text, "ci.yml", [])
    assert _plain(document) == tree


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet="ab: -\n[]{}&*<|>!'\"#,?~01\t", max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        for document in parse(text, "ci.yml", []):
            _plain(document)
    except ImportFailed as failed:
        last = failed.findings[-1]
        assert last.severity is Severity.ERROR
        assert 1 <= last.place.line <= text.count("\n") + 2
