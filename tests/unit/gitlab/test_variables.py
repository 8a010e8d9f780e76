"""Which variables a job sees, and with what values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.importers.gitlab.model import Place, Severity
from cijob.importers.gitlab.nodes import Mapping, Sequence_
from cijob.importers.gitlab.variables import (
    Layer,
    Variable,
    VariableCycle,
    expand,
    inherited,
    lost,
    names_in,
    read,
    resolve,
    unknown_in,
)

HERE = Place(".gitlab-ci.yml", 7)


def of_file(**values: str) -> Layer:
    return {name: Variable(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$A", "a"),
        ("${A}", "a"),
        ("$A$B", "ab"),
        ("x${A}x", "xax"),
        ("$Ax", ""),
        ("$A-x", "a-x"),
        ("$$A", "$A"),
        ("$$$A", "$a"),
        ("$UNSET", ""),
        ("${A:-default}", ""),
        ("$1 $@ $?", "  "),
        ("100$", "100$"),
        ("$ A", "$ A"),
        ("${", ""),
        ("${A", "A"),
        ("%A%", "%A%"),
        ("$(pwd)", "$(pwd)"),
        ("", ""),
    ],
)
def test_the_runner_expands_as_go_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "a", "B": "b"}) == expanded


def test_references_are_followed_through_other_variables_in_any_order() -> None:
    values = resolve(of_file(URL="https://$HOST/$PATH_", HOST="$NAME.test", NAME="x", PATH_="y"))
    assert values["URL"] == "https://x.test/y"


def test_a_name_between_percent_signs_is_expanded_where_it_is_known() -> None:
    assert resolve(of_file(A="a", B="%A% %C% 5%%"))["B"] == "a %C% 5%%"


def test_a_later_layer_is_above_an_earlier_one_for_references_too() -> None:
    values = resolve({"CI": "true", "WHO": "predefined"}, of_file(WHO="file", SAY="$WHO"), {"WHO": "user"})
    assert values == {"CI": "true", "WHO": "user", "SAY": "user"}


def test_a_variable_that_names_itself_has_the_value_of_the_layer_below() -> None:
    assert resolve({"FLAGS": "-a"}, of_file(FLAGS="$FLAGS -b"))["FLAGS"] == "-a -b"


def test_a_variable_that_names_itself_without_one_below_is_what_the_runner_makes_of_it() -> None:
    assert resolve(of_file(FLAGS="$FLAGS:x"))["FLAGS"] == "$FLAGS:x:x"


def test_expand_false_keeps_references_also_when_another_variable_refers_to_it() -> None:
    values = resolve({"A": Variable("a"), "RAW": Variable("$A $$", expand=False), "USE": Variable("<$RAW>")})
    assert values["RAW"] == "$A $$"
    assert values["USE"] == "<$A $$>"


def test_a_value_from_outside_the_file_stays_as_it_is() -> None:
    values = resolve(of_file(A="a", TITLE="$MESSAGE"), {"MESSAGE": "costs $5, $A and $$"})
    assert values["MESSAGE"] == "costs $5, $A and $$"
    assert values["TITLE"] == "costs $5, $A and $$"


def test_two_dollars_are_one_also_by_way_of_another_variable() -> None:
    assert resolve(of_file(PRICE="$$5", SAY="$PRICE"))["SAY"] == "$5"


def test_variables_that_need_each_other_are_refused_by_name() -> None:
    with pytest.raises(VariableCycle, match=r"the variables .* refer to each other in a circle") as error:
        resolve(of_file(A="$B", B="$C", C="$A", D="$A"))
    assert "D" not in str(error.value)


_names = st.sampled_from(["A", "B", "C", "D"])
_texts = st.lists(
    st.one_of(_names.map(lambda name: f"${{{name}}}"), st.text(alphabet="ab $%{}", max_size=3)), max_size=4
).map("".join)


@given(st.dictionaries(_names, _texts))
def test_the_order_of_variables_in_the_file_changes_nothing(values: dict[str, str]) -> None:
    def outcome(names: list[str]) -> dict[str, str] | None:
        try:
            return resolve({name: Variable(values[name]) for name in names})
        except VariableCycle:
            return None

    assert outcome(sorted(values)) == outcome(sorted(values, reverse=True))


@given(st.dictionaries(_names, st.text()))
def test_no_value_from_outside_is_ever_changed(values: dict[str, str]) -> None:
    assert resolve(values) == values


@given(st.text(alphabet="ab-_/.:", max_size=20))
def test_a_text_without_references_is_itself(text: str) -> None:
    assert expand(text, {"a": "x"}) == text
    assert names_in(text) == ()


def test_names_are_found_in_each_form_once() -> None:
    assert names_in("$A ${B} %C% $A $$D") == ("A", "B", "C")


def test_a_name_that_is_not_set_is_told() -> None:
    assert unknown_in("$A/${PREFIX}/x:$TAG $$B ${A:-x} $TAG", {"A": "a"}) == ("PREFIX", "TAG")


def test_a_name_that_gitlab_does_not_always_set_either_is_not_told() -> None:
    assert unknown_in("$CI_COMMIT_TAG $CI_MERGE_REQUEST_IID $CI_ENVIRONMENT_NAME $CI_JOB_TOKEN", {}) == (
        "CI_JOB_TOKEN",
    )


def test_values_that_lose_a_part_are_told_with_what_is_missing() -> None:
    file = {
        "IMAGE": Variable("$REGISTRY/x:$TAG"),
        "RAW": Variable("$REGISTRY", expand=False),
        "TAG": Variable("1"),
        "SECRET": Variable("${SECRET}"),
        "FLAGS": Variable("$FLAGS -x"),
    }
    seen = dict.fromkeys(file, "")
    assert lost(file, seen, {"FLAGS": "-a"}) == {"IMAGE": ("REGISTRY",), "SECRET": ("SECRET",)}


def mapping(**values: object) -> Mapping:
    return Mapping(HERE, values, dict.fromkeys(values, HERE))


def test_scalars_become_texts_as_ruby_writes_them() -> None:
    found, findings = read(mapping(TEXT="x", NUMBER=3, FRACTION=3.10, YES=True, NO=False, EMPTY="", NOTHING=None))
    assert {name: one.value for name, one in found.items()} == {
        "TEXT": "x",
        "NUMBER": "3",
        "FRACTION": "3.1",
        "YES": "true",
        "NO": "false",
        "EMPTY": "",
        "NOTHING": "",
    }
    assert findings == []


def test_a_variable_with_options_has_its_value() -> None:
    options = mapping(value="$A", expand=False, description="what for", options=Sequence_(HERE, ["x"]))
    found, _ = read(mapping(A=options, B=mapping(description="asked for")))
    assert found == {"A": Variable("$A", expand=False), "B": Variable("")}


def test_what_is_no_value_is_told_with_its_line() -> None:
    found, findings = read(mapping(A=Sequence_(HERE, ["a"]), B="b"), job="build")
    assert list(found) == ["B"]
    (finding,) = findings
    assert (finding.severity, finding.place, finding.key, finding.job) == (Severity.ERROR, HERE, "variables:A", "build")
    assert finding.message == "the variable A has to be a text, a number, true or false"


def test_variables_that_are_a_list_are_told() -> None:
    found, findings = read(Sequence_(HERE, ["A"]))
    assert (found, [finding.severity for finding in findings]) == ({}, [Severity.ERROR])


@pytest.mark.parametrize(
    ("setting", "names"), [(None, ["A", "B"]), (True, ["A", "B"]), (False, []), (["B"], ["B"]), (["X"], [])]
)
def test_a_job_inherits_what_it_says(setting: object, names: list[str]) -> None:
    assert list(inherited({"A": Variable("a"), "B": Variable("b")}, setting)) == names
