"""Durations and Kubernetes quantities: text in, whole numbers out. Pure functions."""

from __future__ import annotations

import re
from fractions import Fraction

DURATION = r"([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?"
"""Pattern of a duration; the empty text, which it matches too, is none."""

QUANTITY = r"[0-9]{1,15}(\.[0-9]{1,9})?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
"""Pattern of a quantity; its digits are bounded, so that no text makes a number of a billion digits."""

_DURATION = re.compile(DURATION)
_QUANTITY = re.compile(QUANTITY)

_KIBI = 1024
_SHOWN = 40
"""Characters of a bad value that an error message repeats."""

_SUFFIXES = {
    "": Fraction(1),
    **{letter: Fraction(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
    "m": Fraction(1, 1000),
    "u": Fraction(1, 1000**2),
    "n": Fraction(1, 1000**3),
}


def parse_duration(text: str) -> int:
    """Seconds of a duration such as `90s`, `15m` or `1h30m`.

    Hours, minutes and seconds stand in this order, each a whole number, each optional.

    Raises:
        ValueError: the text is no such duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(
            f"{_shown(text)} is not a duration: write hours, minutes and seconds, such as 1h30m, 15m or 90s"
        )
    hours, minutes, seconds = (int(group[:-1]) if group else 0 for group in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def format_duration(seconds: int) -> str:
    """The shortest duration text of a number of seconds (`5400` is `1h30m`).

    Raises:
        ValueError: the number is negative.
    """
    if seconds < 0:
        raise ValueError(f"{seconds} seconds is not a duration: it must not be negative")
    hours, rest = divmod(seconds, 3600)
    minutes, secs = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (secs, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def parse_quantity(text: str) -> Fraction:
    """The exact value of a Kubernetes quantity (`500m`, `1.5Gi`, `2e3`).

    Raises:
        ValueError: the text is no quantity, or is negative.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{_shown(text)} is not a quantity: write a number, zero or more, with a unit where needed, "
            "such as 2, 500m, 512Mi or 1.5Gi"
        )
    suffix = match[2] or ""
    number = Fraction(text.removesuffix(suffix))
    if suffix[1:].lstrip("+-").isdigit():
        return number * Fraction(10) ** int(suffix[1:])
    return number * _SUFFIXES[suffix]


def parse_bytes(text: str) -> int:
    """Bytes of a Kubernetes quantity, a fraction of a byte rounded up as Kubernetes does.

    Raises:
        ValueError: the text is no quantity, or is negative.
    """
    value = parse_quantity(text)
    return -(-value.numerator // value.denominator)


def format_bytes(number: int) -> str:
    """A number of bytes for people, in the unit that leaves three digits or so (`67108864` is `64Mi`).

    Raises:
        ValueError: the number is negative.
    """
    if number < 0:
        raise ValueError(f"{number} bytes is no size: it must not be negative")
    unit = ""
    amount = float(number)
    for larger in ("Ki", "Mi", "Gi", "Ti"):
        if amount < _KIBI:
            break
        amount, unit = amount / _KIBI, larger
    return f"{amount:.{0 if amount >= 100 else 1}f}".removesuffix(".0") + unit  # noqa: PLR2004  three digits


def _shown(text: str) -> str:
    """The text as an error message shows it: quoted, and cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
