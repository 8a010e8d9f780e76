"""Output formats and tables: what kubectl's users and their scripts expect."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.printing import Stream, Table, age, duration, formatted, resource_name

JOB: dict[str, Any] = {
    "apiVersion": "cijob.dev/v1alpha1",
    "kind": "CiJob",
    "metadata": {"name": "build-42", "managedFields": [{"manager": "kubectl"}]},
    "spec": {"image": "ubuntu:25.10", "script": ["make\nmake test\n"]},
}
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (200, "3m20s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 10 * 60, "5h10m"),
        (8 * 3600 + 59, "8h"),
        (2 * 86400 + 4 * 3600, "2d4h"),
        (8 * 86400 + 4 * 3600, "8d"),
        (2 * 365 * 86400 + 30 * 86400, "2y30d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_a_duration_is_as_kubectl_writes_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_age_counts_from_a_time_and_none_is_a_dash() -> None:
    assert age(NOW - timedelta(minutes=5), NOW) == "5m"
    assert age(None, NOW) == "-"


def test_several_objects_are_a_list_and_one_by_name_stands_for_itself() -> None:
    assert json.loads(formatted([JOB], "json"))["kind"] == "List"
    assert json.loads(formatted([JOB], "json", one=True))["kind"] == "CiJob"
    assert yaml.safe_load(formatted([], "yaml")) == {"apiVersion": "v1", "items": [], "kind": "List"}


def test_names_have_their_kind_and_group() -> None:
    assert formatted([JOB, JOB], "name") == "cijob.cijob.dev/build-42\n" * 2
    assert resource_name({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}) == "pod/x"


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_bookkeeping_of_fields_is_left_out(output: str) -> None:
    assert "managedFields" not in formatted([JOB], output)


def test_a_script_of_many_lines_is_a_block_in_yaml() -> None:
    assert "  - |\n    make\n    make test\n" in formatted([JOB], "yaml", one=True)


@given(texts)
def test_any_text_comes_back_from_json_and_yaml_and_steers_no_terminal(text: str) -> None:
    job = {**JOB, "spec": {"script": [text]}}
    for output, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        printed = formatted([job], output, one=True)
        assert load(printed)["spec"]["script"] == [text]
        assert not [one for one in printed if one != "\n" and (one < " " or "\x7f" <= one <= "\x9f")]


def test_columns_stand_under_their_headers_with_three_spaces_between() -> None:
    table = Table("NAME", "PHASE")
    table.add("a", ("Running", "busy"))
    table.add("日本", "Failed")
    assert [str(line) for line in table.lines()] == ["NAME   PHASE", "a      Running", "日本   Failed"]
    assert [str(line) for line in table.lines(headers=False)] == ["a      Running", "日本   Failed"]


def test_one_long_name_moves_its_own_row_only_where_a_column_is_bound() -> None:
    table = Table("JOB", "RESULT", widest=6)
    table.add("a", "good")
    table.add("x" * 10, "bad")
    assert [str(line) for line in table.lines()] == ["JOB      RESULT", "a        good", "xxxxxxxxxx   bad"]


def test_an_empty_cell_is_a_dash_so_that_columns_can_be_counted() -> None:
    table = Table("A", "B", "C")
    table.add("1", "", "3")
    assert str(table.lines()[1]).split() == ["1", "-", "3"]


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_whatever_is_in_a_cell_a_row_is_one_line_without_control_characters(rows: list[tuple[str, str]]) -> None:
    table = Table("A", "B")
    for row in rows:
        table.add(*row)
    printed = "".join(str(line) for line in table.lines())
    assert not [one for one in printed if one < " " or "\x7f" <= one <= "\x9f"]


def test_a_stream_of_rows_keeps_its_columns_and_has_its_headers_once() -> None:
    stream = Stream("NAME", "AGE")
    assert [str(line) for line in stream.lines([("long-name", "1s")])] == ["NAME        AGE", "long-name   1s"]
    assert [str(line) for line in stream.lines([("x", "2s")])] == ["x           2s"]
