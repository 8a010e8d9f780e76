"""RE2's regular expressions in Python."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.regexps import compile_regexp, is_regexp


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("/^issue-.*$/", "issue-1", True),
        ("/^ISSUE/i", "issue-1", True),
        ("/a.b/", "a\nb", False),
        ("/a.b/s", "a\nb", True),
        ("/^b/", "a\nb", False),
        ("/^b/m", "a\nb", True),
        ("/a$/", "a\n", False),
        ("/a$/m", "a\n", True),
        (r"/a\z/", "a\n", False),
        (r"/^\d+$/", "٣", False),
        ("/a+?b/U", "aab", True),
        ("/^[[:alpha:]_]+$/", "ab_", True),
        ("/^[[:alpha:]_]+$/", "a1", False),
        ("/^[]x]+$/", "]x", True),
        ("/^[^]x]$/", "]", False),
        (r"/^[$]$/", "$", True),
        (r"/^[\w.]+$/", "a.b", True),
        (r"/^[\w.]+$/", "a-b", False),
        ("/^[a[]+$/", "a[", True),
        (r"/^[\]a]+$/", "]a", True),
        (r"/\Qa.b\E/", "axb", False),
        (r"/\Qa.b\E/", "a.b", True),
        ("/(?i)main/", "MAIN", True),
        ("/(?i:m)ain/", "Main", True),
        ("/(?U)a+/", "aa", True),
        ("/(?<name>a)b/", "ab", True),
        (r"/^a\/b$/", "a/b", True),
        (r"/\$/", "a$", True),
    ],
)
def test_a_pattern_finds_what_re2_finds(pattern: str, text: str, found: bool) -> None:
    assert (compile_regexp(pattern).search(text) is not None) is found


@pytest.mark.parametrize(
    "pattern", ["/(?=a)/", "/(?!a)/", "/(?<=a)b/", r"/(a)\1/", "/(?>a)/", "/a++/", "/(/", "/[[:x:]]/"]
)
def test_what_re2_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression of RE2, which is GitLab's"):
        compile_regexp(pattern)


@pytest.mark.parametrize("text", ["main", "/", "//", "/a/x", "a/b/"])
def test_a_text_without_two_slashes_is_no_pattern(text: str) -> None:
    assert not is_regexp(text)
    with pytest.raises(ValueError, match="write it as /pattern/"):
        compile_regexp(text)
