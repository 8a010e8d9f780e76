"""The generated files say what the models say, and what `kubectl explain` prints is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import BaseModel

from cijob.crdgen.crd import cijob_crd
from cijob.crdgen.files import generated, stale, write
from cijob.crdgen.rules import RULES
from cijob.crdgen.schema import structural

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_fresh() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale(ROOT)] == [], "stale: run `make crds` and commit the result"


def test_a_change_makes_a_file_stale_and_write_repairs_it(tmp_path: Path) -> None:
    first, *rest = generated(tmp_path)
    assert stale(tmp_path) == [first, *rest]
    assert write(tmp_path) == [first, *rest]
    first.write_text(first.read_text() + "# by hand\n")
    assert stale(tmp_path) == [first]
    assert write(tmp_path) == [first]
    assert stale(tmp_path) == []


def test_check_names_the_stale_files_and_fails(tmp_path: Path) -> None:
    (tmp_path / "operator" / "cijob").mkdir(parents=True)
    found = _crdgen("--check", "--root", str(tmp_path))
    assert found.returncode == 1
    assert "crds/cijobs.cijob.dev.yaml: stale" in found.stdout
    assert "charts/cijob/templates/crds.yaml: stale" in found.stdout


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    found = _crdgen("--write", "--root", str(tmp_path))
    assert found.returncode == 2
    assert "is no checkout of the project" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(("crd", "copy"), [("cijobs.cijob.dev", "crds"), ("buildpools.cijob.dev", "crd-buildpools")])
def test_the_chart_copy_is_the_crd_between_two_template_conditions(crd: str, copy: str) -> None:
    paths = ROOT / "crds" / f"{crd}.yaml", ROOT / "charts" / "cijob" / "templates" / f"{copy}.yaml"
    assert set(paths) <= set(generated(ROOT))
    plain, templated = (path.read_text() for path in paths)
    lines = templated.splitlines(keepends=True)
    assert lines[0] == "{{- if .Values.crds.enabled }}\n"
    assert lines[-1] == "{{- end }}\n"
    start, end = (next(i for i, line in enumerate(lines) if mark in line) for mark in (".crds.keep", "{{- end"))
    assert yaml.safe_load("".join(lines[1:start] + lines[end + 1 : -1])) == yaml.safe_load(plain)
    assert "helm.sh/resource-policy: keep" in "".join(lines[start:end])


def test_every_field_is_described_in_sentences() -> None:
    described = [(path, node.get("description", "")) for path, node in _fields(_schema(), "")]
    assert len(described) > 70
    assert [path for path, text in described if path not in {"kind", "metadata"} and len(text) < 10] == []
    assert [path for path, text in described if path.startswith(("spec", "status")) and not text.endswith(".")] == []


def test_every_list_map_and_text_of_the_spec_is_bounded() -> None:
    unbounded = [path for path, node in _nodes(_schema()["properties"]["spec"], "spec") if not _bounded(node)]
    assert unbounded == []


def test_rules_stand_on_fields_that_exist() -> None:
    paths = {"", *(path for path, _ in _nodes(_schema(), ""))}
    assert sorted(set(RULES) - paths) == []


def test_a_union_is_refused() -> None:
    class Either(BaseModel):
        choice: int | str

    with pytest.raises(ValueError, match=r"x\.choice: a structural schema has no unions"):
        structural(Either, "x", {}, {})


def _crdgen(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cijob.crdgen", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "operator")},
        timeout=60,
    )


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = cijob_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All nodes of a schema with their paths, items and values of maps included."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}" if path else name)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from _nodes(node[key], path + mark)


def _fields(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes that are fields: what `kubectl explain` lists."""
    return ((where, found) for where, found in _nodes(node, path) if where and not where.endswith(("[]", "{}")))


def _bounded(node: dict[str, Any]) -> bool:
    if node.get("x-kubernetes-int-or-string"):
        return "maxLength" in node
    match node["type"]:
        case "string":
            return "maxLength" in node or "enum" in node
        case "array":
            return "maxItems" in node
        case "integer":
            return "maximum" in node
        case "object":
            return "properties" in node or "maxProperties" in node
        case _:
            return True
