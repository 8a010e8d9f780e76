"""Plain scalars: the tables were measured with Ruby's Psych 4.0.3 (Psych::ScalarScanner, with Symbol alone permitted)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.scalars import Refused, Scalar, Value, scan, text_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("yes", True),
        ("On", True),
        ("TRUE", True),
        ("no", False),
        ("off", False),
        ("y", "y"),
        ("n", "n"),
        ("nothing", "nothing"),
        ("0", 0),
        ("-0", 0),
        ("+1", 1),
        ("010", 8),
        ("08", "08"),
        ("0_", 0),
        ("0x1F", 31),
        ("0b11", 3),
        ("0o17", "0o17"),
        ("1_000", 1000),
        ("1,000", 1000),
        ("1__0", "1__0"),
        ("1e3", "1e3"),
        ("1.5e+3", 1500.0),
        ("1.", 1.0),
        (".5", 0.5),
        (".", "."),
        ("-.", "-."),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("1:30", 5400),
        ("12:30:45", 45045),
        ("1:60", "1:60"),
        ("1:2:3:4", "1:2:3:4"),
        (":symbol", "symbol"),
        (":", ":"),
        ("-", "-"),
        ("ubuntu:25.10", "ubuntu:25.10"),
        ("true story", "true story"),
    ],
)
def test_a_plain_scalar_is_what_psych_makes_of_it(text: str, value: Scalar) -> None:
    assert scan(text) == value
    assert type(scan(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-1-1", "2024-02-30", "2024-01-01 10:00:00", "2024-01-01T10:00:00Z"]
)
def test_dates_and_times_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        scan(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (8, "8"),
        (1.1, "1.1"),
        (1500.0, "1500.0"),
        (1e16, "1.0e+16"),
        (1e20, "1.0e+20"),
        (1e-5, "1.0e-05"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        ("x", "x"),
    ],
)
def test_a_scalar_is_written_as_ruby_writes_it(value: Scalar, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["a", "b"], '["a", "b"]'),
        ([], "[]"),
        ([1, 2.0, True, None], "[1, 2.0, true, nil]"),
        ([{"a": 1, "b": ["x"]}], '[{"a"=>1, "b"=>["x"]}]'),
        ({}, "{}"),
        (['say "a\\b"\n'], r'["say \"a\\b\"\n"]'),
        (["#{x} #$x #@x # #x"], r'["\#{x} \#$x \#@x # #x"]'),
        (["\x1b[0m\t\x00", "é", "\U000e0001"], r'["\e[0m\t\u0000", "é", "\u{E0001}"]'),
    ],
)
def test_a_list_or_a_mapping_is_written_as_rubys_inspect(value: Value, text: str) -> None:
    assert text_of(value) == text


@settings(deadline=None)  # a busy machine is no failure
@given(st.one_of(st.text(), st.text(alphabet="0123456789.,:_-+eExxbo", max_size=8)))
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    try:
        value = scan(text)
    except Refused:
        return
    assert isinstance(value, str | int | float | bool | None)
