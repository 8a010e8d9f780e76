"""The language of `rules:if`."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.importers.gitlab.expressions import evaluate

VARIABLES = {
    "BRANCH": "main",
    "EMPTY": "",
    "BLANK": " ",
    "TAG": "v1.2.3",
    "PATTERN": "/^MA/i",
    "WORDS": "main or other",
    "PATH": "a/b",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("$BRANCH", True),
        ("$UNSET", False),
        ("$EMPTY", False),
        ("$BLANK", False),
        ('$BRANCH == "main"', True),
        ("$BRANCH == 'main'", True),
        ('"main" == $BRANCH', True),
        ('$BRANCH != "main"', False),
        ("$UNSET == null", True),
        ("$EMPTY == null", False),
        ('$EMPTY == ""', True),
        ('$UNSET == ""', False),
        ("$BRANCH != null", True),
        (r"$TAG =~ /^v\d+\.\d+\.\d+$/", True),
        (r"$TAG !~ /^v\d+/", False),
        ("$BRANCH =~ /MAIN/", False),
        ("$BRANCH =~ /MAIN/i", True),
        ("$BRANCH =~ /ain$/", True),
        (r"$PATH =~ /^a\/b$/", True),
        ("$UNSET =~ /x/", False),
        ("$UNSET !~ /x/", True),
        ("$UNSET =~ /^$/", True),
        ("$BRANCH =~ $UNSET", False),
        ("$BRANCH !~ $UNSET", True),
        ("'o' =~ $UNSET", False),
        ("'a' =~ false", False),
        ("$BRANCH =~ $PATTERN", True),
        ("$BRANCH =~ $WORDS", True),
        ("$WORDS =~ $BRANCH", False),
        ('$BRANCH == "x" || $TAG', True),
        ('$BRANCH == "main" && $UNSET', False),
        ("$UNSET && $UNSET || $TAG", True),
        ("$TAG || $UNSET && $UNSET", True),
        ("($TAG || $UNSET) && $UNSET", False),
        ('$TAG && ($BRANCH == "x" || $BRANCH =~ /^m/)', True),
        ("((($TAG)))", True),
        ("!$UNSET", True),
        ("!($TAG && $BRANCH)", False),
        ("true", True),
        ("false", False),
        ("null", False),
        ('"text"', True),
        ("$BRANCH=='main'&&$TAG", True),
        ('$TAG\n  && $BRANCH == "main"', True),
    ],
)
def test_an_expression_holds_as_in_gitlab(text: str, holds: bool) -> None:
    assert evaluate(text, VARIABLES) is holds


@pytest.mark.parametrize(("text", "holds"), [("$EMPTY || $TAG", False), ("$EMPTY && $TAG", True)])
def test_an_empty_text_counts_as_true_between_operators_because_it_does_in_ruby(text: str, holds: bool) -> None:
    assert evaluate(text, VARIABLES) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not an expression: a value is missing at the end"),
        ("$A ==", "'$A ==' is not an expression: a value is missing at the end"),
        ("== $A", "'== $A' is not an expression: a value is missing before =="),
        ("$A $B", "'$A $B' is not an expression: $B is one too many"),
        ("($A", "'($A' is not an expression: a ) is missing"),
        ("$A)", "'$A)' is not an expression: ) is one too many"),
        ('${A} == "b"', "'${A} == \"b\"' is not understood at '${A} == \"b\"'; write $NAME, without braces"),
        ('$A = "b"', "'$A = \"b\"' is not understood at '= \"b\"'; write == to compare"),
        ("$A & $B", "'$A & $B' is not understood at '& $B'; write && for and"),
        ("$A and $B", "'$A and $B' is not understood at 'and $B'"),
        ('$A == "b', "'$A == \"b' is not understood at '\"b'"),
        ("(" * 200 + "$A", "is nested more than 100 deep"),
        ("!" * 200 + "$A", "is nested more than 100 deep"),
        ("$A && " * 600 + "$A", "has more than 1000 parts"),
    ],
)
def test_what_is_no_expression_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has more") as error:
        evaluate(text, {})
    assert message in str(error.value)


def test_a_mistake_in_a_part_that_does_not_matter_is_found() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        evaluate("$A && $B =~ /(/", {})


Tree = tuple[object, ...]

_leaves = st.one_of(
    st.sampled_from(["A", "B", "UNSET"]).map(lambda name: ("variable", name)),
    st.sampled_from(["a", "b", "x y"]).map(lambda text: ("text", text)),
    st.just(("null",)),
)
_trees: st.SearchStrategy[Tree] = st.recursive(
    _leaves, lambda inner: st.tuples(st.sampled_from(["==", "!=", "&&", "||"]), inner, inner), max_leaves=12
)


def written(tree: Tree) -> str:
    match tree:
        case ("variable", name):
            return f"${name}"
        case ("text", text):
            return f'"{text}"'
        case ("null",):
            return "null"
        case (operator, left, right):
            return f"({written(left)} {operator} {written(right)})"  # type: ignore[arg-type]
        case _:
            raise AssertionError(tree)


def meant(tree: Tree) -> object:
    """A MODEL: the value of a tree with parentheses everywhere."""
    match tree:
        case ("variable", name):
            return {"A": "a", "B": "b"}.get(str(name))
        case ("text", text):
            return text
        case ("null",):
            return None
        case ("==", left, right):
            return meant(left) == meant(right)  # type: ignore[arg-type]
        case ("!=", left, right):
            return meant(left) != meant(right)  # type: ignore[arg-type]
        case (operator, left, right):
            first, second = meant(left), meant(right)  # type: ignore[arg-type]
            holds = first is not None and first is not False
            return (second if holds else first) if operator == "&&" else (first if holds else second)
        case _:
            raise AssertionError(tree)


@given(_trees)
def test_any_expression_is_evaluated_as_its_tree(tree: Tree) -> None:
    assert evaluate(written(tree), {"A": "a", "B": "b"}) is bool(meant(tree))


@given(st.text(alphabet="$AB\"'/()=!~&| \\ni[{", max_size=30))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        evaluate(text, {"A": "/a/"})
