"""docs/reference.md and docs/reference-buildpool.md are complete; that they are fresh says test_crds_fresh.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cijob.crdgen.crd import cijob_crd
from cijob.crdgen.pool import pool_crd
from cijob.crdgen.reference import pool_reference, reference
from cijob.crdgen.rules import RULES
from cijob.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = reference()
PAGES = {"CiJob": (PAGE, cijob_crd()), "BuildPool": (pool_reference(), pool_crd())}


def _headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", page, re.MULTILINE)


def _fields(node: dict[str, Any], section: str) -> Iterator[tuple[str, str]]:
    """The name of each field, with the section of a page that leaves nothing out."""
    for name, child in node.get("properties", {}).items():
        yield section, name
        yield from _fields(child, f"{section}.{name}")
        yield from _fields(child.get("items", {}), f"{section}.{name}[]")


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_stands_in_its_section_or_in_the_one_that_is_referred_to(kind: str, part: str) -> None:
    page, crd = PAGES[kind]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    texts = dict(zip(_headings(page), re.split(r"^## .+$", page, flags=re.MULTILINE)[1:], strict=True))
    missing = []
    for section, name in _fields(schema, part):
        above, _, last = section.rpartition(".")
        text = texts.get(section) or texts.get(_referred(texts, above, last.removesuffix("[]")), "")
        # What is below a section that stands for another was looked for in that one.
        if section in texts or above in texts:
            missing += [] if f"- **`{name}`** (" in text else [f"{section}.{name}"]
    assert missing == []


def _referred(texts: dict[str, str], section: str, field: str) -> str:
    found = re.search(rf"^- \*\*`{field}`\*\*.* See \[(\S+)\]\(", texts.get(section, ""), re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("kind", PAGES)
def test_links_lead_to_headings(kind: str) -> None:
    page, headings = PAGES[kind][0], _headings(PAGES[kind][0])
    anchors = {re.sub(r"[^a-z]", "", heading.lower()) for heading in headings}
    assert len(anchors) == len(headings) > 15
    assert set(re.findall(r"\(#(\w+)\)", page)) <= anchors


def test_what_the_api_server_says_is_quoted() -> None:
    plain = PAGE.replace("\\", "")
    said = {rule.message for rules in RULES.values() for rule in rules if "oldSelf" not in rule.rule}
    own = {rule.message for rule in RULES[""]}  # of the CiJob's name, which is no field of these
    assert {message for message in said - own if message.replace("\\", "") not in plain} == set()


def test_all_reasons_are_there() -> None:
    assert [reason for reason in Reason if f"- **`{reason}`**" not in PAGE] == []


def test_defaults_of_api_server_and_operator_are_named() -> None:
    for name, default in {"workingDir": "/workspace", "endpoint": "TCP", "enabled": "true", "infraLimit": "3"}.items():
        assert re.search(rf"^- \*\*`{name}`\*\* \(.*default `{default}`\):", PAGE, re.MULTILINE), name
