"""Path patterns: the table was measured with Ruby's File.fnmatch (FNM_PATHNAME, FNM_DOTMATCH, FNM_EXTGLOB)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab.globs import include_pattern, literal_folder, path_pattern


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("Dockerfile", "Dockerfile", True),
        ("Dockerfile", "a/Dockerfile", False),
        ("*.md", "x.md", True),
        ("*.md", "d/x.md", False),
        ("*", ".hidden", True),
        ("**/*.md", "x.md", True),
        ("**/*.md", "a/.b/x.md", True),
        ("a/**/*", "a/b/c", True),
        ("a/**/*", "a/c", True),
        ("a/**", "a/b", True),
        ("a/**", "a/b/c", False),
        ("a**/b", "ax/b", True),
        ("doc/**/*.{md,txt}", "doc/b.txt", True),
        ("doc/**/*.{md,txt}", "doc/b.rst", False),
        ("{a,b{c,d}}", "bd", True),
        ("{a,b{c,d}}", "b", False),
        ("a,b", "a,b", True),
        ("[a-c]x", "bx", True),
        ("[!a]x", "bx", True),
        ("[^a]x", "ax", False),
        ("[^a]", "/", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("[a", "[a", True),
    ],
)
def test_a_pattern_of_rules_matches_as_rubys_fnmatch(glob: str, path: str, *, matches: bool) -> None:
    assert bool(path_pattern(glob).fullmatch(path)) is matches


@pytest.mark.parametrize(
    ("wildcard", "path", "matches"),
    [
        ("ci/*.yml", "ci/a.yml", True),
        ("ci/*.yml", "ci/b/a.yml", False),
        ("ci/**.yml", "ci/b/a.yml", True),
        ("ci/**.yml", "ci/a.yml", True),
        ("ci/**/*.yml", "ci/a.yml", False),
        ("ci/{a,b}.yml", "ci/a.yml", False),
        ("ci/a.yml", "ci/axyml", False),
    ],
)
def test_a_path_of_include_has_only_stars(wildcard: str, path: str, *, matches: bool) -> None:
    assert bool(include_pattern(wildcard).fullmatch(path)) is matches


@pytest.mark.parametrize(
    ("pattern", "folder"), [("ci/jobs/*.yml", "ci/jobs"), ("*.yml", ""), ("a/b*/c", "a"), ("a/b", "a"), ("**/a", "")]
)
def test_everything_that_matches_is_below_the_literal_folder(pattern: str, folder: str) -> None:
    assert literal_folder(pattern) == folder


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet="ab/*?[]{},!^\\", max_size=12), st.text(alphabet="ab/", max_size=6))
def test_any_text_is_a_pattern(glob: str, path: str) -> None:
    path_pattern(glob).fullmatch(path)
    include_pattern(glob).fullmatch(path)
