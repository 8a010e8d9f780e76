"""Pipelines out of texts, for tests of what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import Any

from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import (
    Finding,
    ImportFailed,
    Pipeline,
    PipelineJob,
    Ref,
    Request,
    Severity,
)
from cijob.importers.gitlab.pipeline import load

FILE = ".gitlab-ci.yml"


def loaded(text: str, **changes: Any) -> Pipeline:  # noqa: ANN401  fields of a Request
    """The pipeline of a text, for the branch main unless `changes` say otherwise."""
    request = replace(Request(file=FILE, ref=Ref(branch="main")), **changes)
    return load(MemoryFiles({FILE: dedent(text)}), request)


def pipeline(text: str, **changes: Any) -> Pipeline:  # noqa: ANN401
    """A file in which each job has the image and the script that it lacks."""
    return loaded(f"default: {{image: alpine:3, before_script: [b]}}\n{text}", **changes)


def refused(text: str, **changes: Any) -> list[str]:  # noqa: ANN401
    """Why a file is refused; its jobs have an image."""
    return errors(f"#file\ndefault: {{image: alpine:3}}\n{text}", **changes)


def job(text: str, name: str = "job", **changes: Any) -> PipelineJob:  # noqa: ANN401
    """One job of a pipeline; the text may be its keys alone."""
    return next(one for one in loaded(whole(text), **changes).jobs if one.name == name)


def findings(text: str, severity: Severity | None = None, **changes: Any) -> list[Finding]:  # noqa: ANN401
    """What is found in a pipeline that can be imported, or in one that cannot."""
    try:
        found = loaded(whole(text), **changes).findings
    except ImportFailed as failed:
        found = failed.findings
    return [one for one in found if severity in (None, one.severity)]


def said(text: str, severity: Severity, **changes: Any) -> list[str]:  # noqa: ANN401
    """The findings of one severity as `key: message`, without the remark that there is no daemon."""
    found = findings(text, severity, **changes)
    return [f"{one.key}: {one.message}" for one in found if "no Docker daemon beside it" not in one.message]


def errors(text: str, **changes: Any) -> list[str]:  # noqa: ANN401
    """Why a pipeline cannot be imported."""
    return said(text, Severity.ERROR, **changes)


def warnings(text: str, **changes: Any) -> list[str]:  # noqa: ANN401
    """What is not converted."""
    return said(text, Severity.WARNING, **changes)


def notes(text: str, **changes: Any) -> list[str]:  # noqa: ANN401
    """What looks different and is the same."""
    return said(text, Severity.NOTE, **changes)


def whole(text: str) -> str:
    """A file; keys of a job alone become the job `job`, with image and script where these are missing."""
    text = dedent(text)
    if text.startswith("#file"):
        return text
    lines = [f"  {line}" for line in text.strip("\n").splitlines()]
    for key, value in (("image", "alpine:3"), ("script", "[make]")):
        if not any(line.startswith(f"  {key}:") for line in lines):
            lines.append(f"  {key}: {value}")
    return "\n".join(["job:", *lines, ""])
