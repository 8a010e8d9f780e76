"""Every key of GitLab's reference is in the table, and what is not converted is named."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab import keytable
from cijob.importers.gitlab.keys import BEGIN, END, KEYS, Handling, renewed, table
from cijob.importers.gitlab.model import Severity
from tests.unit.gitlab.loading import findings, notes, warnings


def test_a_key_is_in_one_class_only() -> None:
    parts = (keytable.CONVERTED, keytable.PARTLY, keytable.LOST, keytable.IDLE)
    assert sum(map(len, parts)) == len(KEYS)


def test_a_key_that_is_named_has_a_severity_and_only_it() -> None:
    assert all((key.severity is not None) == (key.handling is Handling.NAMED) for key in KEYS.values())


def test_a_key_stands_below_one_that_is_there() -> None:
    assert [name for name in KEYS if ":" in name and name.rpartition(":")[0] not in KEYS] == []


def test_a_key_that_is_lost_is_a_warning_with_its_line() -> None:
    found = findings("script: [x]\nrelease:\n  tag_name: a", Severity.WARNING)
    assert [(one.key, one.place.line, one.job) for one in found] == [("release", 3, "job")]


def test_a_key_that_changes_nothing_is_a_note() -> None:
    assert warnings("coverage: /x/") == []
    assert notes("coverage: /x/")[0].startswith("coverage: ")


@pytest.mark.parametrize("value", ["{}", "[]", "null"])
def test_a_key_that_is_switched_off_is_not_lost(value: str) -> None:
    assert warnings(f"secrets: {value}") == []


def test_keys_below_a_key_are_looked_at() -> None:
    assert warnings("image: {name: a, docker: {user: me}}") == [
        "image:docker:user: a container runs as its image's user"
    ]
    assert warnings("services: [{name: redis, docker: {user: me}}]") == [
        "services:docker:user: a container runs as its image's user"
    ]


def test_a_key_that_gitlab_does_not_have_is_told_with_the_nearest() -> None:
    assert warnings("scirpts: [x]") == ["scirpts: GitLab has no such key; did you mean script?"]
    assert warnings("image: {name: a, entry_point: [x]}") == [
        "image:entry_point: GitLab has no such key; did you mean entrypoint?"
    ]


def test_names_of_variables_are_no_keys() -> None:
    assert warnings("variables: {whatever: x}\nparallel: {matrix: [{ANY: [a, b]}]}") == []


def test_a_key_that_goes_with_another_is_not_told_twice() -> None:
    text = "needs: [{project: a/b, job: c, ref: main, artifacts: true}]"
    assert [one.partition(": ")[0] for one in warnings(text)] == ["needs:project"]


def test_a_key_of_which_the_conditions_tell_is_not_told_twice() -> None:
    text = "rules: [{exists: {paths: [a], project: a/b}}, {changes: {paths: [a], compare_to: other}}]"
    told = [one.partition(": ")[0] for one in warnings(text)]
    assert told == ["rules:exists:project", "rules:changes:compare_to"]


def test_keys_of_workflow_and_variables_are_looked_at() -> None:
    text = """#file
workflow: {name: x, auto_cancel: {on_new_commit: none}, rulez: []}
variables: {A: {value: b, description: c}}
job: {image: a, script: [x]}
"""
    assert [one.partition(": ")[0] for one in notes(text)] == [
        "variables:A:description",
        "workflow:name",
        "workflow:auto_cancel",
    ]
    assert warnings(text) == ["workflow:rulez: GitLab has no such key; did you mean rules?"]


def test_a_page_gets_the_table_between_its_markers() -> None:
    assert renewed(f"a\n{BEGIN}\nold\n{END}\nb\n") == f"a\n{BEGIN}\n\n{table()}\n\n{END}\nb\n"
    with pytest.raises(ValueError, match="no markers"):
        renewed("a")


def test_the_table_has_a_row_for_each_key() -> None:
    assert [row.split("`")[1] for row in table().splitlines() if row.startswith("| `")] == list(KEYS)
