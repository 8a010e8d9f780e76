"""`cache`: which files a job keeps, and by which key."""

from __future__ import annotations

import doctest
import hashlib
import subprocess
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cijob.importers.gitlab import caches as caches_module
from cijob.importers.gitlab.caches import sanitized
from cijob.importers.gitlab.files import LocalFiles, MemoryFiles
from cijob.importers.gitlab.model import Cache, Policy, Ref, Request, When
from cijob.importers.gitlab.pipeline import load
from tests.unit.gitlab.loading import FILE, errors, job, notes, warnings

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "a = 1\n"
#: What `git hash-object` says of LOCK.
LOCK_ID = "1337a530cbc1bd7d20aee2d80f1f174a9182417d"

#: What it says of a `b` without a newline.
B_ID = "63d8dbd40c23542e740659a7168a0ce3138ea748"


def caches(text: str, **files: str) -> tuple[Cache, ...]:
    """The caches of a job with these keys, beside files with these names; `_` in a name is a dot."""
    whole = f"job:\n  image: i\n  script: [x]\n{dedent(text)}"
    others = {name.replace("_", "."): one for name, one in files.items()}
    request = Request(file=FILE, ref=Ref(branch="feature/x"))
    return load(MemoryFiles({FILE: whole, **others}), request).jobs[0].caches


def key(text: str, **files: str) -> str:
    """The key of the only cache, whose `key` is given."""
    (found,) = caches(f"  cache: {{paths: [a], key: {text}}}", **files)
    return found.key


def of(*hashes: str) -> str:
    return hashlib.sha1("-".join(sorted(hashes)).encode(), usedforsecurity=False).hexdigest()


class TestCaches:
    def test_have_everything_that_is_said(self) -> None:
        text = """
            variables: {OUT: dist, WHAT: pull}
            cache:
              key: "$CI_COMMIT_REF_SLUG-x"
              paths: [$OUT/, ./a, "$CI_PROJECT_DIR/b/**/*.o", /etc/passwd, ../up]
              untracked: true
              unprotect: true
              policy: $WHAT
              when: always
              fallback_keys: ["$CI_DEFAULT_BRANCH", other]
            """
        assert job(text).caches == (
            Cache(
                key="main-x",
                paths=("dist/", "a", "b/**/*.o"),
                untracked=True,
                policy=Policy.PULL,
                when=When.ALWAYS,
                fallback_keys=("main", "other"),
            ),
        )
        assert [one.partition(" ")[0] for one in warnings(text)] == ["cache:paths:"] * 2

    def test_are_pulled_and_pushed_after_a_success_under_one_key_unless_said(self) -> None:
        (found,) = job("cache: {paths: [a]}").caches
        assert found == Cache(key="default", paths=("a",), policy=Policy.PULL_PUSH, when=When.ON_SUCCESS)
        assert (found.pulls, found.pushes) == (True, True)
        assert (job("cache: {paths: [a], policy: push}").caches[0].pulls) is False
        assert (job("cache: {paths: [a], policy: pull}").caches[0].pushes) is False

    @pytest.mark.parametrize("where", ["default: {cache: {key: c, paths: [a]}}", "cache: {key: c, paths: [a]}"])
    def test_of_all_jobs_are_those_of_a_job_without(self, where: str) -> None:
        jobs = of_jobs(f"{where}\na: {{script: [x]}}\nb: {{script: [x], cache: []}}\nc: {{script: [x], cache: {{}}}}")
        assert [[one.key for one in found] for found in jobs] == [["c"], [], []]

    def test_may_be_four(self) -> None:
        text = "cache: [{paths: [a], key: one}, {paths: [b]}, {paths: [c]}, {paths: [d], key: two}]"
        assert [one.key for one in job(text).caches] == ["one", "default", "default", "two"]
        assert errors(f"{text[:-1]}, {{paths: [e]}}]") == ["cache: a job has at most 4 caches, and here are 5"]

    @pytest.mark.parametrize("text", ["{key: a}", "{paths: []}", "[{untracked: false}]"])
    def test_of_no_files_are_none_and_told_of(self, text: str) -> None:
        assert job(f"cache: {text}").caches == ()
        assert "it has neither paths nor untracked" in "".join(notes(f"cache: {text}"))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("paths", "cache: is not a mapping"),
            ("[[{paths: [a]}]]", "cache: is not a mapping"),
            ("{paths: [1]}", "cache:paths: is not a list of paths"),
            ("{paths: [a], when: [soon]}", "cache:when: \"['soon']\" is none of on_success, on_failure and always"),
            ("{paths: [a], untracked: 1}", "cache:untracked: untracked is true or false"),
            ("{paths: [a], unprotect: yes please}", "cache:unprotect: unprotect is true or false"),
            ("{paths: [a], policy: both}", "cache:policy: 'both' is none of pull-push, pull and push"),
            ("{paths: [a], key: 1}", "cache:key: is neither a text nor a mapping with files"),
            ("{paths: [a], key: a/b}", "cache:key: 'a/b' is no key: one has no slash in it"),
            ("{paths: [a], key: a%2fb}", "cache:key: 'a%2fb' is no key"),
            ("{paths: [a], key: ..}", "cache:key: '..' is no key"),
            ("{paths: [a], key: {prefix: p}}", "cache:key: a key that is a mapping has one of files and files_commits"),
            ("{paths: [a], key: {files: [a], files_commits: [a]}}", "cache:key: a key that is a mapping has one of"),
            ("{paths: [a], key: {files: a}}", "cache:key:files: is not a list of files"),
            ("{paths: [a], key: {files: []}}", "cache:key:files: is not a list of files"),
            ("{paths: [a], key: {files: [a, b, c]}}", "cache:key:files: at most 2 files make a key, and here are 3"),
            ("{paths: [a], key: {files: [a], prefix: a/b}}", "cache:key:prefix: 'a/b' is no key"),
            ("{paths: [a], key: {files: [a], prefix: 1}}", "cache:key:prefix: is not a text"),
            ("{paths: [a], fallback_keys: a}", "cache:fallback_keys: is not a list of keys"),
            ("{paths: [a], fallback_keys: [a, b, c, d, e, f]}", "cache:fallback_keys: at most 5 keys are tried"),
        ],
    )
    def test_that_gitlab_refuses_are_refused(self, text: str, said: str) -> None:
        assert [one[: len(said)] for one in errors(f"cache: {text}")] == [said]

    def test_with_a_variable_that_is_not_set_are_told_of(self) -> None:
        text = "cache: {paths: [a], key: $NOPE-a, policy: $NOPE}"
        assert job(text).caches == (Cache(key="-a", paths=("a",)),)
        assert [one.partition(" ")[0] for one in warnings(text)] == ["cache:policy:", "cache:key:"]

    def test_of_a_key_that_is_not_there_are_left_out_as_in_the_runner(self) -> None:
        assert job("variables: {E: ''}\ncache: {paths: [a], key: $E}").caches == ()
        assert "is empty here" in "".join(notes("variables: {E: ''}\ncache: {paths: [a], key: $E}"))


def of_jobs(text: str) -> list[tuple[Cache, ...]]:
    """The caches of each job of a whole file."""
    found = load(MemoryFiles({FILE: f"image: i\n{text}\n"}), Request(file=FILE, ref=Ref(branch="main")))
    return [one.caches for one in found.jobs]


class TestKeys:
    def test_of_files_are_made_of_what_is_in_them(self) -> None:
        assert key("{files: [a_lock]}".replace("_", "."), a_lock=LOCK) == f"0-{of(LOCK_ID)}"
        two = key("{files: [a.lock, b.lock], prefix: $CI_JOB_NAME}", a_lock=LOCK, b_lock="b")
        other = key("{files: [b.lock, a.lock], prefix: job}", a_lock=LOCK, b_lock="b")
        assert two == other == f"job-{of(LOCK_ID, B_ID)}"
        assert two != key("{files: [b.lock, a.lock], prefix: job}", a_lock=LOCK, b_lock="c")
        assert two.startswith("job-")

    def test_of_files_with_stars_are_of_all_that_match(self) -> None:
        assert key('{files: ["**k"]}', a_lock=LOCK) == key('{files: ["a*k"]}', a_lock=LOCK) == f"0-{of(LOCK_ID)}"
        both = key('{files: ["*.lock"], prefix: p}', a_lock=LOCK, b_lock="b")
        assert both == key("{files: [a.lock, b.lock], prefix: p}", a_lock=LOCK, b_lock="b")

    @pytest.mark.parametrize("kind", ["files", "files_commits"])
    def test_of_files_that_are_not_there_are_the_default(self, kind: str) -> None:
        assert key(f"{{{kind}: [nope]}}") == "0-default"
        assert key(f"{{{kind}: [nope], prefix: p}}") == "p-default"
        assert key(f"{{{kind}: [nope], prefix: ''}}") == "default"

    def test_of_several_caches_differ_where_their_files_are_the_same(self) -> None:
        text = "  cache: [{paths: [a], key: {files: [a.lock]}}, {paths: [b], key: {files: [a.lock]}}]"
        assert [one.key for one in caches(text, a_lock=LOCK)] == [f"0-{of(LOCK_ID)}", f"1-{of(LOCK_ID)}"]

    def test_that_are_empty_are_the_job_and_the_branch(self) -> None:
        assert key("''") == "job/feature/x"

    def test_of_variables_may_have_slashes(self) -> None:
        assert key("$CI_COMMIT_REF_NAME") == "feature/x"

    def test_fall_back_on_a_key_for_all(self) -> None:
        text = "  variables: {CACHE_FALLBACK_KEY: %s}\n  cache: {paths: [a], key: k, fallback_keys: [a]}"
        assert caches(text % "$CI_COMMIT_REF_SLUG")[0].fallback_keys == ("a", "feature-x")
        assert caches(text % "main-non_protected")[0].fallback_keys == ("a", "main")
        assert caches(text % "main-protected")[0].fallback_keys == ("a",)
        assert caches(text % "'main-protected. '")[0].fallback_keys == ("a",)
        whole = "variables: {CACHE_FALLBACK_KEY: a-protected}\ncache: {paths: [a]}"
        assert "a-protected is not taken" in "".join(notes(whole))


class TestFilesOfAFolder:
    def test_have_the_names_that_git_gives_their_contents(self, tmp_path: Path) -> None:
        (tmp_path / "a.lock").write_text(LOCK)
        (tmp_path / "large").write_bytes(bytes(600_000))
        files = LocalFiles(tmp_path)
        hashed = subprocess.run(
            ["git", "hash-object", "a.lock", "large"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()
        assert [files.blob("a.lock"), files.blob("large")] == hashed
        assert hashed[0] == LOCK_ID

    def test_that_cannot_be_read_or_are_outside_have_none(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").write_text("x")
        (tmp_path / "in/link").symlink_to("../out")
        files = LocalFiles(tmp_path / "in")
        assert [files.blob(path) for path in ("nope", ".", "../out", "link")] == [""] * 4

    def test_have_the_commit_that_git_says_or_none(self, tmp_path: Path) -> None:
        assert LocalFiles(tmp_path).last_commit("a") == ""
        assert LocalFiles(tmp_path, last_commit=lambda path: f"last of {path}").last_commit("a") == "last of a"


@given(st.lists(st.sampled_from(["/", "\\", ".", "%2f", "%2E", " ", "a", "b", "\t", "é"]), max_size=12).map("".join))
@example("a/../../b")
@example("a/ / ")
def test_a_sanitized_key_is_a_path_below_without_white_space_at_its_end(text: str) -> None:
    found = sanitized(text)
    *above, last = found.split("/")
    assert not {"", ".", ".."} & set(above)
    assert last == last.rstrip()
    assert last or not above
    if not {"/", "\\", ".", "%", " ", "\t"} & set(text):
        assert found == text


def test_a_sanitized_key_means_the_same_however_it_is_written() -> None:
    assert {sanitized(one) for one in ("a/b", "/a//./b/", "a%2fb", "a\\b", "x/../a/b", "../a/b", "a/b / ")} == {"a/b"}
    assert {sanitized(one) for one in ("", "/", "..", "a/..", " ", "/ / ")} == {""}
    assert doctest.testmod(caches_module).failed == 0
