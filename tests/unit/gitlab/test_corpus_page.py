"""docs/gitlab-corpus.md says what tests/gitlab_corpus/facts.json has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cijob.importers.gitlab.keys import KEYS
from tests.gitlab_corpus import page

if TYPE_CHECKING:
    from tests.gitlab_corpus.page import Fact

FACTS: list[Fact] = json.loads((page.PAGE.parents[1] / "tests" / "gitlab_corpus" / "facts.json").read_text())


def test_the_page_has_the_tables_of_the_facts() -> None:
    text = page.PAGE.read_text()
    assert page.renewed(text, FACTS) == text
    assert all(fact["commit"] in text for fact in FACTS)


def test_at_least_sixty_files_were_tried_each_of_a_repository_of_its_own() -> None:
    assert len({fact["repo"] for fact in FACTS}) == len(FACTS) >= 60
    assert all(len(fact["commit"]) == 40 and len(fact["sha256"]) == 64 for fact in FACTS)


def test_facts_name_keys_of_the_reference_only() -> None:
    assert {key for fact in FACTS for key in fact["keys"]} <= KEYS.keys()


def test_a_file_counts_once_by_its_result() -> None:
    outcome: Fact = {"for": "branch", "jobs": 1, "complete": 1, "daemons": 0, "stops": {}, "errors": []}
    assert page.result(outcome) == "complete"
    assert page.result(outcome | {"stops": {"cache": 1}}) == "partly"
    assert page.result(outcome | {"errors": ["needs"]}) == "refused"
    assert page.result(outcome | {"for": ""}) == "none"
