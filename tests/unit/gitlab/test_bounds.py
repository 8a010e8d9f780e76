"""Small files that stand for a lot: they are refused, or read in a time that grows with what they say.

None of these tests looks at a clock: without the bounds they do not end, or not with the memory that there is.
"""

from __future__ import annotations

import re
import signal
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cijob.importers.gitlab import globs
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import ImportFailed, Request, TooMuch
from cijob.importers.gitlab.pipeline import load
from cijob.importers.gitlab.regexps import compile_regexp, found_in
from cijob.importers.gitlab.variables import expand
from tests.unit.gitlab.loading import FILE, errors, job, refused


class TestRegexps:
    def test_that_take_for_ever_are_given_up(self) -> None:
        with pytest.raises(TooMuch, match=r"matching the regular expression /\^\(a\+\)\+\$/ takes more than 0\.01 s"):
            found_in(compile_regexp("/^(a+)+$/"), "a" * 45 + "b", seconds=0.01)

    def test_are_given_up_where_they_stand(self) -> None:
        text = f"#file\njob:\n  image: a\n  script: [x]\n  variables: {{X: {'a' * 45}b}}\n  rules:\n    - if: $X =~ /^(a+)+$/\n"
        with pytest.raises(ImportFailed) as caught:
            load(MemoryFiles({FILE: text}), Request(file=FILE))
        (found,) = caught.value.findings
        assert (found.place.line, "takes more than 2 s" in found.message) == (7, True)

    def test_leave_no_timer_behind(self) -> None:
        before = signal.getsignal(signal.SIGVTALRM)
        assert found_in(compile_regexp("/a/"), "a")
        assert (signal.getitimer(signal.ITIMER_VIRTUAL), signal.getsignal(signal.SIGVTALRM)) == ((0, 0), before)

    def test_that_are_nested_too_deep_are_wrong(self) -> None:
        (error,) = errors(f"rules: [{{if: '$CI =~ /{'(' * 3000}a{')' * 3000}/'}}]")
        assert "is nested too deep" in error

    def test_that_repeat_more_often_than_can_be_counted_are_wrong(self) -> None:
        (error,) = errors("rules: [{if: '$CI =~ /a{99999999999999999999}/'}]")
        assert "is not a regular expression" in error


@pytest.mark.parametrize("digits", ["1" * 5000, "0x" + "1" * 5000, "1" * 5000 + ":30", "0." + "1" * 5000])
def test_numbers_of_more_digits_than_python_reads_are_refused_where_they_stand(digits: str) -> None:
    (error,) = errors(f"variables: {{A: {digits}}}")
    assert error == f": {digits[:60]}... without quotes is a number that is too long; put it in quotes"


@pytest.mark.parametrize(
    "timeout", ["1e400h", "'" + "1" * 5000 + "'", "'" + "1" * 5000 + ":00'", "'" + "1" * 400 + "h'"]
)
def test_durations_that_no_clock_counts_are_refused(timeout: str) -> None:
    (error,) = errors(f"timeout: {timeout}")
    assert "is not a duration" in error
    assert len(error) < 150


def test_a_port_or_a_depth_of_too_many_digits_is_none() -> None:
    many = "1" * 5000
    assert (
        "ports"
        not in job(f"services: [{{name: a, variables: {{HEALTHCHECK_TCP_PORT: '{many}'}}}}]").spec["services"][0]
    )
    depth = errors(f"variables: {{GIT_DEPTH: '{many}'}}", git_url="https://x.test/a")
    assert depth[0].endswith("is not a number of commits")


def test_a_matrix_is_not_made_before_it_is_counted() -> None:
    row = ", ".join(f"V{column}: [{', '.join(map(str, range(100)))}]" for column in range(6))
    assert errors(f"parallel: {{matrix: [{{{row}}}]}}") == ["parallel: a job can have 1 to 200 instances"]


class TestGlobs:
    def test_with_many_braces_stand_for_no_more_than_1024(self) -> None:
        found = globs.alternatives("{a,b}" * 40)
        assert (len(found), found[0], found[1]) == (1024, "a" * 40, "a" * 39 + "b")

    @pytest.mark.parametrize("pattern", [globs.path_pattern, globs.include_pattern])
    @pytest.mark.parametrize("glob", ["*a" * 30 + "b", "**/" + "*a" * 30 + "*b", "**a" * 30 + "b"])
    def test_with_many_stars_are_matched(self, pattern: object, glob: str) -> None:
        assert callable(pattern)
        assert pattern(glob).fullmatch("a" * 120) is None

    def test_with_many_folders_are_matched(self) -> None:
        assert globs.path_pattern("**/a/" * 20 + "b").fullmatch("a/" * 120) is None

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from([globs.STAR, f"/{globs.FOLDERS}", "a", "b", "/", "[^/]"]), max_size=10),
        st.text(alphabet="ab/", max_size=10),
    )
    def test_match_as_if_all_places_were_tried(self, parts: list[str], path: str) -> None:
        split = [one for part in parts for one in (("/", part[1:]) if len(part) > 1 and part[0] == "/" else (part,))]
        plain = re.compile("".join(split))
        assert bool(re.fullmatch(globs.joined(split), path)) is bool(plain.fullmatch(path))

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from([globs.STAR, globs.ANY, "a", "b", "/"]), max_size=10),
        st.text(alphabet="ab/", max_size=10),
    )
    def test_of_includes_match_as_if_all_places_were_tried(self, parts: list[str], path: str) -> None:
        assert bool(re.fullmatch(globs.joined(parts), path)) is bool(re.fullmatch("".join(parts), path))


class TestVariables:
    def test_that_grow_are_refused(self) -> None:
        lines = [f"  V{level + 1}: '{f'$V{level}' * 10}'\n" for level in range(11)]
        text = f"variables:\n  V0: xxxxxxxxxx\n{''.join(lines)}job: {{script: [x]}}\n"
        (error,) = refused(text)
        assert error.endswith("stand for more than 131,070 characters")

    def test_that_are_many_and_long_are_refused(self) -> None:
        lines = [f"  A{number}: $V\n" for number in range(5000)]
        (error,) = refused(f"variables:\n  V: {'x' * 100_000}\n{''.join(lines)}job: {{script: [x]}}\n")
        assert error == ": the values of the variables are longer than 1,024 KiB together"

    def test_in_a_text_are_bounded_too(self) -> None:
        with pytest.raises(TooMuch):
            expand("$A" * 100_000, {"A": "x" * 100_000})

    def test_that_do_not_end_are_read_once(self) -> None:
        assert expand("${" * 300_000, {}) == ""


def test_references_that_multiply_are_refused_where_they_do() -> None:
    jobs = [f".r{n + 1}: {{script: [{', '.join([f'!reference [.r{n}, script]'] * 10)}]}}\n" for n in range(9)]
    text = f".r0: {{script: [echo]}}\n{''.join(jobs)}job: {{image: a, script: [!reference [.r9, script]]}}\n"
    with pytest.raises(ImportFailed) as caught:
        load(MemoryFiles({FILE: text}), Request(file=FILE))
    (found,) = caught.value.findings
    assert found.message == "the references stand for more than 100,000 values"
    assert found.place.line > 1


class TestInputs:
    HEADER = "spec: {inputs: {a: {default: x}}}\n---\n"

    def test_blocks_that_do_not_end_are_read_once(self) -> None:
        text = f"{self.HEADER}.x: {{script: ['{'$[[ a' * 300_000}']}}\njob: {{image: a, script: [x]}}\n"
        assert len(load(MemoryFiles({FILE: text}), Request(file=FILE)).jobs) == 1

    def test_that_double_in_each_file_are_refused(self) -> None:
        entry = "include: {local: '%s', inputs: {a: '$[[ inputs.a ]]$[[ inputs.a ]]'}}\n"
        files = {f"{n}.yml": self.HEADER + entry % f"{n + 1}.yml" for n in range(30)}
        first = "include: {local: 0.yml, inputs: {a: xxxxxxxxxx}}\njob: {image: a, script: [x]}\n"
        with pytest.raises(ImportFailed, match="the inputs stand for more than 2,097,152 characters"):
            load(MemoryFiles({FILE: first, **files}), Request(file=FILE))


def test_what_is_bounded_is_far_from_what_people_write() -> None:
    text = reduce(lambda below, n: f"{below}  V{n + 1}: ${{V{n}}}-$V{n}\n", range(8), "variables:\n  V0: text\n")
    assert errors(f"#file\n{text}job: {{image: a, script: [x]}}\n") == []
