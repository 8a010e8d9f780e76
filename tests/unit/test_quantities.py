"""Durations and quantities: what is read, what is refused, and in which words."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.quantities import format_bytes, format_duration, parse_bytes, parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("1m", 60),
        ("15m", 900),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h0m1s", 3601),
        ("168h", 604800),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "5", "h", "1d", "1.5h", "-1s", "+1s", "1s1m", "1h1h", "1 h", "1H", "10ms", "1234567s", "1s\n", "\u0661s"],
)
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write hours, minutes and seconds, such as 1h30m"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=999_999 * 3600))
def test_a_formatted_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(max_value=-1))
def test_a_negative_duration_is_not_formatted(seconds: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        format_duration(seconds)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("2", Fraction(2)),
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        ("100u", Fraction(1, 10_000)),
        ("1n", Fraction(1, 10**9)),
        ("2k", Fraction(2000)),
        ("1Ki", Fraction(1024)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("1E", Fraction(10**18)),
        ("1Ei", Fraction(2**60)),
        ("1e3", Fraction(1000)),
        ("2E+3", Fraction(2000)),
        ("25e-2", Fraction(1, 4)),
    ],
)
def test_a_quantity_is_read_exactly(text: str, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "Gi",
        "1 Gi",
        "1GB",
        "1gi",
        "1K",
        "1.",
        ".5",
        "1e",
        "1e100",
        "1.5.5",
        "0x1",
        "1_0",
        "1\n",
        "\u0663",
        "9" * 16,
    ],
)
def test_other_text_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a quantity: write a number, zero or more.* such as 2, 500m"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("128974848", 128974848), ("1500m", 2), ("1n", 1), ("0", 0)]
)
def test_bytes_are_whole_and_rounded_up(text: str, size: int) -> None:
    assert parse_bytes(text) == size


def _read(parse: Callable[[str], int], text: str) -> int | str:
    """The number, or the message of the refusal."""
    try:
        return parse(text)
    except ValueError as error:
        return str(error)


@given(st.text() | st.text("0123456789.hmskKMGi eE+-", max_size=12))
def test_any_text_is_a_number_or_a_clear_refusal(text: str) -> None:
    for parse in (parse_duration, parse_bytes):
        match _read(parse, text):
            case int(number):
                assert number >= 0
            case message:
                assert "write" in message


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration("x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1023, "1023"), (67108864, "64Mi"), (1610612736, "1.5Gi"), (1024 * 1000, "1000Ki"), (2**50, "1024Ti")],
)
def test_bytes_are_shown_in_the_unit_that_fits(number: int, text: str) -> None:
    assert format_bytes(number) == text


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_bytes(-1)
