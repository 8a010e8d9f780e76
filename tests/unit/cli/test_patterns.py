"""Artifacts are what GitLab Runner would take."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.cli.files import patterns

FILES = ("a.xml", "report.xml", "out/a.xml", "out/deep/b.xml", "out/.hidden", "src/x.py", "b[1].txt", "c,d.txt")
FOLDERS = ("out", "out/deep", "src", "empty", "out/void")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.xml", {"a.xml"}),
        ("./a.xml", {"a.xml"}),
        ("/workspace/a.xml", {"a.xml"}),
        ("*.xml", {"a.xml", "report.xml"}),
        ("?.xml", {"a.xml"}),
        ("**/*.xml", {"a.xml", "report.xml", "out/a.xml", "out/deep/b.xml"}),
        ("out", {"out/a.xml", "out/deep/b.xml", "out/.hidden", "out/void"}),
        ("out/", {"out/a.xml", "out/deep/b.xml", "out/.hidden", "out/void"}),
        ("out/*", {"out/a.xml", "out/deep/b.xml", "out/.hidden", "out/void"}),
        ("out/**", {"out/a.xml", "out/deep/b.xml", "out/.hidden", "out/void"}),
        ("out/**/*.xml", {"out/a.xml", "out/deep/b.xml"}),
        ("*/.hidden", {"out/.hidden"}),
        ("out/{a,z}.xml", {"out/a.xml"}),
        ("{out/deep,src}/*", {"out/deep/b.xml", "src/x.py"}),
        ("{a,out/{a,z}}.xml", {"a.xml", "out/a.xml"}),
        ("[a-b].xml", {"a.xml"}),
        ("[!a].xml", set()),
        ("b\\[1\\].txt", {"b[1].txt"}),
        ("c,d.txt", {"c,d.txt"}),
        ("empty", {"empty"}),
        ("ou", set()),
        ("", {*FILES, "empty", "out/void"}),
        (".", {*FILES, "empty", "out/void"}),
        ("/workspace", {*FILES, "empty", "out/void"}),
    ],
)
def test_a_pattern_means_these_files(pattern: str, names: set[str]) -> None:
    chosen = patterns.choose(FILES, FOLDERS, [pattern], [], "/workspace")
    assert set(chosen.names) == names
    assert chosen.unmatched == (() if names else (pattern,))


@pytest.mark.parametrize("pattern", ["*a" * 30 + "b", "**/" + "*a" * 30 + "*b", "**/a/" * 30 + "b"])
def test_many_stars_are_matched_without_trying_all_places(pattern: str) -> None:
    """It would not end."""
    assert patterns.choose(["a" * 120, "a/" * 120 + "a"], [], [pattern], [], "/workspace").unmatched == (pattern,)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("out/a.xml", {"out/deep/b.xml", "out/.hidden", "out/void"}),
        ("out/*", {"out/deep/b.xml", "out/void"}),
        ("out", {"out/a.xml", "out/deep/b.xml", "out/.hidden", "out/void"}),
        ("**/*.xml", {"out/.hidden", "out/void", "out/deep"}),
    ],
)
def test_what_is_excluded_is_only_what_the_pattern_itself_matches(exclude: str, left: set[str]) -> None:
    assert set(patterns.choose(FILES, FOLDERS, ["out"], [exclude], "/workspace").names) == left


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x", "a/../../b", "/workspace/../x", "/workspaces/x"])
def test_a_pattern_can_lie_outside(pattern: str) -> None:
    assert patterns.is_outside(pattern, "/workspace")


@given(st.lists(st.text(string.ascii_letters + string.digits + "._- ~&|#", min_size=1), min_size=1, max_size=4))
def test_a_plain_path_is_itself_and_all_below_it_and_nothing_else(parts: list[str]) -> None:
    path = "/".join(parts)
    files = [path + "/x/y", path + "z", "q" + path]
    expected = {path + "/x/y"} if patterns.relative(path, "/w") == path else None
    found = patterns.choose(files, [], [path], [], "/w")
    assert expected is None or set(found.names) == expected


@given(st.text(alphabet="ab/*?[]{},\\!^-.", max_size=12))
def test_any_text_is_a_pattern(text: str) -> None:
    patterns.choose(["a", "a/b"], ["a"], [text], [text], "/w")
