"""YAML that every reader takes for the same."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.yamltext import Dumper, dump

#: Texts that look like something else, and any others.
TRICKY = st.text(st.sampled_from("0123456789+-._:eExXoObBnyTZ~ \n\u0085\u2028\u2029#"), max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | TRICKY


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_any_text_comes_back(text: str, texts: dict[str, str]) -> None:
    assert yaml.safe_load(dump({"a": [text], "b": texts}, Dumper)) == {"a": [text], "b": texts}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "8754e210",
            "0o17",
            "+1e2",
            "1_0e5",
            "010",
            "0b1",
            "0x1F",
            ".5",
            "-1",
            "+.inf",
            ".NaN",
            "1:30",
            "190:20:30.15",
        ),
        *(
            "y",
            "N",
            "yes",
            "Off",
            "TRUE",
            "null",
            "Null",
            "~",
            "",
            "=",
            "<<",
            "2026-01-31",
            "2026-01-31T10:00:00Z",
            "infinity",
        ),
        *(" a", "a ", "- a", "? a", "@a", "`a", "!a", "&a", "*a", "a\u2028b", "a\x85b", "a: b #c"),
    ],
)
def test_what_some_reader_takes_for_something_else_is_in_quotes(text: str) -> None:
    assert dump([text], Dumper)[2] in "\"'"
    assert dump({text: 1}, Dumper).removeprefix("? ")[0] in "\"'"


@pytest.mark.parametrize(
    "text", ["make", "ubuntu:25.10", "/work", "a b", "$HOME", "e10", "nope", "yes.", "v1.0", "10m", "5Gi", "29-cli"]
)
def test_words_and_paths_need_none(text: str) -> None:
    assert dump([text], Dumper) == f"- {text}\n"
