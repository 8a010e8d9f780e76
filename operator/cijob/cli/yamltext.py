"""YAML that means the same to every reader. Pure.

PyYAML reads and writes YAML 1.1 as far as it knows it. kubectl's reader (go-yaml, resolve.go) takes more for numbers: `1_0e5`, `+1e2`, `0o17`, and
`8754e210`, which may be a commit; readers of YAML 1.2 take others. A text in double quotes is a text for all of them.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

#: What could be a number, a date or a time to some reader: begins as one, and holds nothing that is in none. `10m` is not among them.
_NUMBERS: Final = re.compile(r"[-+.0-9][-+.:0-9a-fox_tz in]*", re.IGNORECASE | re.ASCII)
#: Words of YAML 1.1 and 1.2 that are no texts. PyYAML itself knows no `y` and `n`.
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"})
#: What YAML takes for the end of a line beside a newline: only in double quotes it stays what it is.
_BREAKS: Final = re.compile(r"[\x85\u2028\u2029]")


class Dumper(yaml.SafeDumper):
    """Texts of many lines as blocks, and in quotes what could be no text."""


def dump(value: object, dumper: type[Dumper], *, sort_keys: bool = True) -> str:
    """A value as YAML, whose lines are never broken."""
    return str(yaml.dump(value, Dumper=dumper, sort_keys=sort_keys, allow_unicode=True, width=float("inf")))


def style(text: str) -> str | None:
    """How a text is written: with PyYAML's name of the style, None where it may choose."""
    if _BREAKS.search(text) or not text.strip():
        return '"'
    if "\n" in text:
        return "|"
    if text != text.strip() or _NUMBERS.fullmatch(text) or text.lower() in _WORDS:
        return '"'
    return None


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style(value))


Dumper.add_representer(str, _text)
