"""The pages that name their tests name tests that are there; the seeded bugs still fit the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.seeded import BUGS, Bug

ROOT = Path(__file__).parents[2]
PAGES = ["failures.md", "reliability.md", "daemon.md", "security.md"]
#: A file, a file and one of its functions, or a function of some file.
_NAMED = re.compile(r"(test_\w+\.py)?(?:::)?(test_\w+)?")
_FUNCTION = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)


def functions() -> dict[str, set[str]]:
    """The test functions of each file, by the file's name; they are read as text, not imported."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.setdefault(path.name, set()).update(_FUNCTION.findall(path.read_text()))
    return found


def missing(text: str, there: dict[str, set[str]]) -> list[str]:
    """What a text names in backticks and is not there."""
    everywhere: set[str] = set().union(*there.values())
    named = [quoted.rpartition("/")[2] for quoted in re.findall(r"`([^`\n]*test_[^`\n]*)`", text)]
    absent = []
    for name in named:
        match = _NAMED.fullmatch(name)
        if match is None:
            continue  # a sentence or a command
        file, function = match.groups()
        known = everywhere if file is None else there.get(file, set())
        if (file is not None and file not in there) or (function is not None and function not in known):
            absent.append(name)
    return absent


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()

    assert "test_" in text
    assert missing(text, functions()) == []


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("e2e `test_ends.py::test_a_job_out_of_memory`", []),
        ("`tests/e2e/test_ends.py`, `::test_a_job_out_of_memory`", []),
        ("`make test`, `pytest -k test_nothing`", []),
        ("`test_ends.py::test_nothing`", ["test_ends.py::test_nothing"]),
        ("`test_cache.py::test_a_job_out_of_memory`", ["test_cache.py::test_a_job_out_of_memory"]),
        ("`::test_nothing` and `test_nothing.py`", ["::test_nothing", "test_nothing.py"]),
    ],
)
def test_what_is_not_there_is_found(text: str, absent: list[str]) -> None:
    assert missing(text, functions()) == absent


def test_the_cases_of_failures_are_numbered_and_each_names_a_test_or_says_untested() -> None:
    rows = [line for line in (ROOT / "docs" / "failures.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]

    assert [int(row.split("|")[1]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 40
    assert [row for row in rows if "`test_" not in row.replace("/test_", "`test_") and "untested" not in row] == []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.says)
def test_a_seeded_bug_fits_the_source_and_its_test_is_there(bug: Bug) -> None:
    bug.applied((ROOT / "operator" / "cijob" / bug.file).read_text())

    assert missing(f"`{bug.test}`", functions()) == []
