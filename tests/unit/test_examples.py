"""Every field of a CiJob's spec is in use in some example, which tests/e2e/test_examples.py applies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel

from cijob.models import CiJobSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"


def all_fields() -> set[str]:
    """`Model.field` of the spec and of all that it holds, by the names of the API."""
    schema = CiJobSpec.model_json_schema(by_alias=True)
    models = {"CiJobSpec": schema, **schema["$defs"]}
    return {f"{model}.{field}" for model, found in models.items() for field in found.get("properties", ())}


def used_fields(value: object) -> Iterator[str]:
    """`Model.field` of all that a spec sets."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name in value.model_fields_set:
            yield f"{type(value).__name__}.{fields[name].alias or name}"
            yield from used_fields(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from used_fields(item)


def test_every_field_stands_in_an_example() -> None:
    manifests = [one for path in EXAMPLES.glob("*.yaml") for one in yaml.safe_load_all(path.read_text())]
    specs = [CiJobSpec.model_validate(one["spec"]) for one in manifests if one["kind"] == "CiJob"]
    assert sorted(all_fields() - {field for spec in specs for field in used_fields(spec)}) == []


def test_every_example_says_first_what_it_shows() -> None:
    assert [path.name for path in EXAMPLES.glob("*.yaml") if not path.read_text().startswith("# ")] == []
