"""Facts about real `.gitlab-ci.yml` files: what the importer makes of each. The files themselves stay outside of the project.

    python -m tests.gitlab_corpus.facts FOLDER    # writes facts.json beside this file, and the tables of docs/gitlab-corpus.md

FOLDER has a folder for each repository: `source.json` (`repo`, `path`, `commit`, `branch`), `paths.txt` (all paths of the
repository at that commit, one a line) and `files/` (the YAML files among them).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import document
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.keys import KEYS
from cijob.importers.gitlab.model import ImportFailed, Ref, Request, Severity
from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.pipeline import load
from cijob.importers.gitlab.predefined import of_some_pipelines, predefined
from cijob.importers.gitlab.variables import names_in
from tests.gitlab_corpus import page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.importers.gitlab.model import Finding, Pipeline
    from tests.gitlab_corpus.page import Fact

FACTS = Path(__file__).with_name("facts.json")

#: What a GitLab instance sets and a user has to give elsewhere: the addresses of its registries, and who logs in there.
INSTANCE = {
    "CI_REGISTRY": "registry.example.com",
    "CI_REGISTRY_IMAGE": "registry.example.com/group/project",
    "CI_REGISTRY_USER": "user",
    "CI_REGISTRY_PASSWORD": "password",
    "CI_DEPENDENCY_PROXY_SERVER": "proxy.example.com",
    "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX": "proxy.example.com/group",
    "CI_DEPENDENCY_PROXY_DIRECT_GROUP_IMAGE_PREFIX": "proxy.example.com/direct",
    "CI_TEMPLATE_REGISTRY_HOST": "registry.example.com",
}
#: Keys whose names below are the user's.
_OPEN = ("variables", "services:variables", "rules:variables", "parallel:matrix", "secrets", "id_tokens")


#: Keys in whose values a project's variables are expanded, beside `variables`.
_EXPANDED = ("image", "services", "artifacts")


class _AnyPool(dict[str, str]):
    """A pool for each tag, whatever it is."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401, ARG002 - dict's own signature
        return "default"

    def __getitem__(self, key: str) -> str:
        return "default"

    def __contains__(self, key: object) -> bool:
        return True


def facts_of(folder: Path) -> Fact:
    """What there is to say about one file."""
    source = json.loads((folder / "source.json").read_text())
    files = _files(folder)
    request = Request(
        file=source["path"],
        ref=Ref(
            branch=source["branch"],
            default_branch=source["branch"],
            sha=source["commit"],
            url=f"https://gitlab.example.com/{source['repo']}",
            message="a change",
        ),
    )
    settings = _settings(files, request) | INSTANCE
    given = replace(request, variables=settings, pools=_AnyPool(), default_image="docker:cli")
    return {
        "repo": source["repo"],
        "path": source["path"],
        "commit": source["commit"],
        "sha256": hashlib.sha256((folder / "files" / source["path"]).read_bytes()).hexdigest(),
        "keys": _keys(files, given),
        "given": _first(files, given),
        "bare": _first(files, request),
    }


def _settings(files: MemoryFiles, request: Request) -> dict[str, str]:
    """A value for each name that the file's variables, images and paths refer to and nothing sets: a project's settings have them."""
    try:
        found = document.read(files, request)
    except ImportFailed:
        return {}
    of_jobs = [one for job in found.jobs for one in _texts(job.config.get("variables"))]
    used = [one for job in found.jobs for key in _EXPANDED for one in _texts(job.config.get(key))]
    named = {name for text in (*_texts(found.variables), *of_jobs, *used) for name in names_in(text)}
    set_by = {*predefined(request, "job"), *found.variables}
    set_by |= {name for job in found.jobs for name in job.config.get("variables") or ()}
    own = {name for name in found.variables if str(found.variables[name]).strip("${}") == name}
    return dict.fromkeys(sorted({name for name in named - set_by | own if not of_some_pipelines(name)}), "setting")


def _texts(node: Any) -> Iterator[str]:  # noqa: ANN401 - a value of YAML
    """All texts of a node."""
    match node:
        case str():
            yield node
        case dict():
            for one in node.values():
                yield from _texts(one)
        case list():
            for one in node:
                yield from _texts(one)
        case _:
            pass


def _files(folder: Path) -> MemoryFiles:
    texts = dict.fromkeys((folder / "paths.txt").read_text().splitlines(), "")
    below = folder / "files"
    for file in below.rglob("*"):
        if file.is_file():
            texts[file.relative_to(below).as_posix()] = file.read_text("utf-8-sig", "replace")
    return MemoryFiles(texts)


def _first(files: MemoryFiles, request: Request) -> Fact:
    """The first pipeline that there is, or else the first refusal."""
    refused: Fact = {"for": "", "jobs": 0, "complete": 0, "daemons": 0, "stops": {}, "errors": []}
    for name, ref in _states(request.ref):
        outcome = _outcome(files, replace(request, ref=ref))
        if outcome is not None and not outcome["errors"]:
            return {"for": name, **outcome}
        if outcome is not None and not refused["errors"]:
            refused = {"for": name, **outcome}
    return refused


def _states(ref: Ref) -> Iterator[tuple[str, Ref]]:
    """What pipelines run for: a push to the default branch or to another that files name, a tag, a merge request."""
    for branch in dict.fromkeys((ref.branch, "main", "master", "develop", "dev")):
        yield "branch", replace(ref, branch=branch)
    yield "tag", replace(ref, branch="", tag="v1.0.0")
    yield "merge request", replace(ref, branch="topic", source="merge_request_event")


def _outcome(files: MemoryFiles, request: Request) -> Fact | None:
    """What becomes of one pipeline; None where GitLab makes none."""
    try:
        pipeline = load(files, request)
    except ImportFailed as failure:
        errors = [one for one in failure.findings if one.severity is Severity.ERROR]
        if all("choose another with --branch" in one.message for one in errors):
            return None
        names = sorted({one.key or "the file" for one in errors})
        return {"jobs": 0, "complete": 0, "daemons": 0, "stops": {}, "errors": names}
    warnings = [one for one in pipeline.findings if one.severity is Severity.WARNING]
    bad = {one.job for one in warnings}
    return {
        "jobs": len(pipeline.jobs),
        "complete": sum(not any(_is_of(job.name, name) for name in bad) for job in pipeline.jobs),
        "daemons": sum(job.spec.get("docker") != {"enabled": False} for job in pipeline.jobs),
        "stops": dict(sorted(Counter(_stop(one, pipeline) for one in warnings).items())),
        "errors": [],
    }


def _is_of(job: str, name: str) -> bool:
    """Whether a job is the one that a name means, or one of its parallel ones."""
    return job == name or (bool(name) and job.startswith((f"{name} ", f"{name}: [")))


def _stop(finding: Finding, pipeline: Pipeline) -> str:
    """What kind of thing a warning is about."""
    runs = any(_is_of(job.name, finding.job) for job in pipeline.jobs)
    match finding.key.split(":"):
        case ["script"] if not runs:
            return "what an include would bring"
        case ["extends" | "!reference" | "needs"]:
            return "what an include would bring"
        case ["variables", *_]:
            return "variables"
        case ["before_script" | "script" | "after_script"] if "$" in finding.message:
            return "variables in scripts"
        case [""] if finding.job == "pages":
            return "pages"
        case [""]:
            return "no image"
        case _:
            return finding.key


def _keys(files: MemoryFiles, request: Request) -> list[str]:
    """The keys of GitLab's reference that the jobs have, with what they inherit."""
    try:
        found = document.read(files, request)
    except ImportFailed:
        return []
    return sorted({key for job in found.jobs for key in _below(job.config, "")})


def _below(node: Any, above: str) -> Iterator[str]:  # noqa: ANN401 - a value of YAML
    if isinstance(node, list):
        for one in node:
            yield from _below(one, above)
    if not isinstance(node, Mapping) or above in _OPEN:
        return
    for name, value in node.items():
        path = f"{above}:{name}" if above else name
        if path in KEYS:
            yield path
            yield from _below(value, path)


def main(folder: Path) -> int:
    """Writes the facts and the page."""
    facts = [facts_of(one) for one in sorted(folder.iterdir()) if (one / "source.json").exists()]
    FACTS.write_text("[\n" + ",\n".join(json.dumps(fact, sort_keys=True) for fact in facts) + "\n]\n")
    page.PAGE.write_text(page.renewed(page.PAGE.read_text(), facts))
    sys.stdout.write(page.summary(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
