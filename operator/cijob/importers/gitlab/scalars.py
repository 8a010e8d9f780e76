"""What GitLab sees in a scalar that stands without quotes: YAML 1.1 as Ruby's Psych reads it, not as PyYAML does. Pure.

From ruby/psych, lib/psych/scalar_scanner.rb, and GitLab's lib/gitlab/config/loader/yaml.rb, which permits no class but
Symbol: a date is refused there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

Scalar = str | int | float | bool | None
Value = Scalar | Sequence["Value"] | Mapping[str, "Value"]

_TEXT = re.compile(r"[^\d.:-]?[^\W\d]|[^\d.:-]?[_\s!@#$%^&*(){}<>|/\\~;=]")
_LONGEST_WORD = 5
_NULL = re.compile(r"~|null", re.IGNORECASE)
_TRUE = re.compile(r"yes|true|on", re.IGNORECASE)
_FALSE = re.compile(r"no|false|off", re.IGNORECASE)
_TIME = re.compile(
    r"-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?", re.ASCII
)
_DATE = re.compile(r"\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)", re.ASCII)
_INFINITY = re.compile(r"([-+]?)\.inf", re.IGNORECASE)
_NAN = re.compile(r"\.nan", re.IGNORECASE)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}(\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_,]*)?\.[0-9]*([eE][+-][0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0b([01_,]+)|0([0-7_,]+)|(0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)|0x([0-9a-fA-F_,]+))")
_OCTAL = 8
_BASES = (2, _OCTAL, 10, 16)
# What String#inspect writes with a backslash; a `#` only before one of these three.
_ESCAPED = dict(zip('"\\\n\t\r\x1b\a\b\f\v', ("\\" + one for one in '"\\ntreabfv'), strict=True))
_AFTER_HASH = ("{", "$", "@")
_BASIC = 0xFFFF


_LONGEST_NUMBER = 1000
_SENTENCE = 60


class Refused(Exception):
    """Nothing can be made of this scalar; the message says as what it is read: `a date to GitLab...`."""


def scan(text: str) -> Scalar:
    """The value of a plain scalar.

    Raises:
        Refused: it is a date or a time, or a number that is too long.
    """
    if not text:
        return None
    if _TEXT.match(text):
        return _word(text)
    if _TIME.fullmatch(text) or _DATE.fullmatch(text):
        raise Refused("a date to GitLab, which refuses it")
    if text.startswith(":") and len(text) > 1:
        return text[1:].strip("\"'")
    if len(text) > _LONGEST_NUMBER and any(form.fullmatch(text) for form in (_BASE_60, _FLOAT, _INTEGER)):
        raise Refused("a number that is too long")
    number = _number(text)
    return text if number is None else number


def shortened(text: str) -> str:
    """As much of a text as a sentence has room for."""
    return text if len(text) <= _SENTENCE else f"{text[:_SENTENCE]}..."


def text_of(value: Value) -> str:
    """A value as GitLab writes it into a text: Ruby's `to_s`, which for lists and mappings is `inspect`."""
    match value:
        case None:
            return ""
        case list() | dict():
            return _inspected(value)
        case bool():
            return "true" if value else "false"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case float() if math.isnan(value):
            return "NaN"
        case float():
            return _float_text(value)
        case _:
            return str(value)


def _inspected(value: Value) -> str:
    """A value as Ruby writes it inside of others: `["a", 1, nil]`, `{"a"=>1}`; as Ruby before 3.4 has it, GitLab's."""
    match value:
        case None:
            return "nil"
        case str():
            return f'"{"".join(_inspected_character(value, at) for at in range(len(value)))}"'
        case list():
            return f"[{', '.join(map(_inspected, value))}]"
        case dict():
            return f"{{{', '.join(f'{_inspected(key)}=>{_inspected(one)}' for key, one in value.items())}}}"
        case _:
            return text_of(value)


def _inspected_character(text: str, at: int) -> str:
    char = text[at]
    if char in _ESCAPED or (char == "#" and text[at + 1 : at + 2] in _AFTER_HASH):
        return _ESCAPED.get(char, "\\#")
    if char.isprintable():
        return char
    return f"\\u{ord(char):04X}" if ord(char) <= _BASIC else f"\\u{{{ord(char):X}}}"


def _word(text: str) -> Scalar:
    if len(text) > _LONGEST_WORD:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    return False if _FALSE.fullmatch(text) else text


def _number(text: str) -> int | float | None:
    """None where it is no number but text."""
    if infinity := _INFINITY.fullmatch(text):
        return -math.inf if infinity[1] == "-" else math.inf
    if _NAN.fullmatch(text):
        return math.nan
    if sixty := _BASE_60.fullmatch(text):
        return _base_60(text, fraction=sixty[1] is not None)
    if _FLOAT.fullmatch(text):
        return None if text.strip("+-") == "." else float(re.sub("[,_]", "", text))
    return _integer(text)


def _base_60(text: str, *, fraction: bool) -> int | float:
    """`1:30` is 5,400 to Psych: its first part counts 3,600 whether there are two or three."""
    parts = [part.replace("_", "") for part in text.split(":")]
    weights = (3600, 60, 1)
    if fraction:
        return sum(float(part or 0) * weight for part, weight in zip(parts, weights, strict=False))
    return sum(int(part) * weight for part, weight in zip(parts, weights, strict=False))


def _integer(text: str) -> int | None:
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    sign, *digits = found.groups()
    base, written = next((base, one) for base, one in zip(_BASES, digits, strict=True) if one is not None)
    clean = re.sub("[,_]", "", written)
    if base == _OCTAL:
        clean = f"0{clean}"  # its leading zero is a digit: `0_` is 0
    return int(sign + clean, base) if clean else None


def _float_text(value: float) -> str:
    """Ruby writes an exponent from 1e16 on and below 1e-4, always with a fraction: `1.0e+20`."""
    text = repr(value)
    if "e" not in text:
        return text
    digits, exponent = text.split("e")
    return f"{digits if '.' in digits else digits + '.0'}e{exponent}"
