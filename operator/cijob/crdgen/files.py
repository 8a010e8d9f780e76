"""The generated files: the CRDs for kubectl, their copies in the chart, and the pages about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from cijob.crdgen.crd import cijob_crd
from cijob.crdgen.pool import pool_crd
from cijob.crdgen.reference import pool_reference, reference

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = "# Generated from operator/cijob/{} by `make crds` (python -m cijob.crdgen --write): change it there.\n"
_ANNOTATIONS = """\
  {{- if .Values.crds.keep }}
  annotations:
    # An uninstall leaves the CRD, and so every CiJob, where it is.
    helm.sh/resource-policy: keep
  {{- end }}
"""


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as people do, and never writes anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - signature of PyYAML
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - signature of PyYAML
        return True


def generated(root: Path) -> dict[Path, str]:
    """The content that each generated file should have, by its path below a checkout."""
    docs = root / "docs"
    files = {docs / "reference.md": reference(), docs / "reference-buildpool.md": pool_reference()}
    for crd, source, template in (
        (cijob_crd(), "models.py", "crds.yaml"),
        (pool_crd(), "pool.py", "crd-buildpools.yaml"),
    ):
        name, header = crd["metadata"]["name"], _HEADER.format(source)
        text = yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
        files[root / "crds" / f"{name}.yaml"] = header + text
        files[root / "charts" / "cijob" / "templates" / template] = _templated(name, header, text)
    return files


def stale(root: Path) -> list[Path]:
    """The generated files that are absent or differ from what the models say."""
    return [path for path, text in generated(root).items() if not path.exists() or path.read_text() != text]


def write(root: Path) -> list[Path]:
    """Write the files that are stale; returns them."""
    changed = stale(root)
    texts = generated(root)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path])
    return changed


def _templated(crd: str, header: str, text: str) -> str:
    """The CRD as a Helm template that the chart's values turn on and off.

    Raises:
        ValueError: the CRD's text would be taken for template code.
    """
    if "{{" in text:
        raise ValueError("the CRD's text holds {{, which Helm would read as template code: word it differently")
    name = f"metadata:\n  name: {crd}\n"
    head, tail = text.split(name, 1)
    return f"{{{{- if .Values.crds.enabled }}}}\n{header}{head}{name}{_ANNOTATIONS}{tail}{{{{- end }}}}\n"
