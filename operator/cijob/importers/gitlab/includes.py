"""`include`: the files of a pipeline merged into one mapping. Local ones are read; others are named and left out.

The order is GitLab's (gitlabhq/gitlabhq, lib/gitlab/ci/config/external/processor.rb): what is included is merged in the
order in which it stands, each file with what it includes itself, and the file that includes wins over all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import keys
from cijob.importers.gitlab.files import Unreadable
from cijob.importers.gitlab.inputs import Given, interpolate
from cijob.importers.gitlab.model import Finding, ImportFailed, Place, Severity
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Sequence_, deep_merge, place_of
from cijob.importers.gitlab.predefined import predefined
from cijob.importers.gitlab.rules import decide_whole
from cijob.importers.gitlab.scalars import text_of
from cijob.importers.gitlab.variables import expand, not_set, unknown_in
from cijob.importers.gitlab.yamlfile import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Request

MAX_INCLUDES = 150
"""Files of one pipeline; GitLab's default (docs.gitlab.com/ci/yaml/#include)."""

_MAX_DOCUMENTS = 2

_ELSEWHERE = {
    "project": "{file} of the project {name}",
    "remote": "the file at {name}",
    "template": "GitLab's template {name}",
    "component": "the component {name}",
}
"""Kinds of include that are on some server."""

_KINDS = ("local", *_ELSEWHERE)


@dataclass(frozen=True, slots=True)
class Assembled:
    """All files in one mapping, without `include`; and where something is included that is not at hand."""

    config: Mapping
    left_out: tuple[Place, ...]


def unfetched(left_out: Sequence[Place]) -> str:
    """What was left out, of which there is some, in the words of a sentence: `it may be in ...`."""
    if len(left_out) == 1:
        return f"what is included in {left_out[0]} and was not fetched"
    return f"one of the {len(left_out)} includes that were not fetched, of which the first is in {left_out[0]}"


def assemble(files: Files, request: Request, findings: list[Finding]) -> Assembled:
    """Reads the request's file and all that it includes. What is wrong is added to `findings`.

    Raises:
        ImportFailed: the file is not there, or one of the files is no YAML.
    """
    reader = _Includes(files, request, findings)
    start = Place(request.file, 1)
    config = reader.file(request.file, start, Mapping(start), ())
    if config is None:
        raise ImportFailed(tuple(findings))
    return Assembled(config, tuple(reader.left_out))


class _Includes:
    """One reading of a pipeline's files."""

    def __init__(self, files: Files, request: Request, findings: list[Finding]) -> None:
        self._files = files
        self._request = request
        self._findings = findings
        self._variables = {**predefined(request), **request.variables}
        self._count = 0
        self.left_out: list[Place] = []

    def file(self, path: str, place: Place, given: Mapping, stack: tuple[str, ...]) -> Mapping | None:
        """One file with all that it includes, or None where that is impossible, which is said.

        Args:
            path: the file's.
            place: where it is asked for.
            given: its inputs.
            stack: the files that include it, outermost first.
        """
        try:
            text = self._files.read(path)
        except Unreadable as error:
            self._error(place, "include:local" if stack else "", str(error))
            return None
        content = self._content(parse(text, path, self._findings), path, Given(given, place))
        if content is None:
            return None
        merged = Mapping(content.place)
        for entry, where in _entries(content):
            for included in self._include(entry, where, (*stack, path)):
                merged = deep_merge(merged, included)
        return deep_merge(merged, content.without("include"))

    def _content(self, documents: list[Any], path: str, given: Given) -> Mapping | None:
        """What a file says, without its header. As lib/gitlab/ci/config/yaml/documents.rb tells them apart."""
        start = Place(path, 1)
        if not documents:
            self._error(start, "", "the file says nothing")
            return None
        for document in documents:
            if not isinstance(document, Mapping):
                self._error(getattr(document, "place", start), "", "this has to be a mapping of keys to values")
                return None
        if len(documents) > _MAX_DOCUMENTS:
            self._error(documents[_MAX_DOCUMENTS].place, "", f"a file has at most {_MAX_DOCUMENTS} documents")
            return None
        header = documents[0] if len(documents) > 1 and "spec" in documents[0] else None
        content: Mapping = documents[0] if header is None else documents[1]
        if header is None and len(documents) > 1:
            message = "GitLab does not read this document: the first is no header with spec"
            self._findings.append(Finding(Severity.NOTE, documents[1].place, "", message))
        return interpolate(content, header, given, self._variables, self._findings)

    def _include(self, entry: Any, place: Place, stack: tuple[str, ...]) -> Iterator[Mapping]:  # noqa: ANN401
        """The files of one entry of `include`."""
        if isinstance(entry, str):
            text = expand(entry, self._variables)
            kind = "remote" if "://" in text else "local"
            entry = Mapping(place, {kind: entry})
        if not isinstance(entry, Mapping):
            self._error(place, "include", "an include is a path or a mapping")
            return
        place = entry.place
        kind = next((one for one in _KINDS if one in entry), "")
        if not kind:
            unknown = next(iter(entry), "")
            self._error(place, "include", f"an include has one of {', '.join(_KINDS)}{did_you_mean(unknown, _KINDS)}")
            return
        self._findings += keys.check_include(entry)
        if not self._wanted(entry):
            return
        if kind in _ELSEWHERE:
            self._leave_out(kind, entry)
        else:
            yield from self._local(entry, stack)

    def _wanted(self, entry: Mapping) -> bool:
        """Whether the rules of an include let it in."""
        decision = decide_whole(entry, "include:rules", self._variables, self._request, self._files)
        self._findings.extend(decision.findings)
        return decision.included

    def _leave_out(self, kind: str, entry: Mapping) -> None:
        place = place_of(entry, kind)
        files = entry.get("file")
        listed = ", ".join(map(text_of, files if isinstance(files, Sequence_) else [files]))
        what = _ELSEWHERE[kind].format(name=text_of(entry[kind]), file=listed or "a file")
        message = f"{what} is not fetched, and so what it says is missing: copy it and include it as local"
        self._findings.append(Finding(Severity.WARNING, place, f"include:{kind}", message))
        self.left_out.append(place)

    def _local(self, entry: Mapping, stack: tuple[str, ...]) -> Iterator[Mapping]:
        place, written = place_of(entry, "local"), entry["local"]
        if not isinstance(written, str) or not written.strip("/"):
            self._error(place, "include:local", "has to be the path of one file; several are several entries")
            return
        given = entry.get("inputs")
        if given is not None and not isinstance(given, Mapping):
            self._error(place_of(entry, "inputs"), "include:inputs", "inputs are a mapping of names to values")
        given = given if isinstance(given, Mapping) else Mapping(place)
        path = expand(written, self._variables).lstrip("/")
        if unknown := unknown_in(written, self._variables):
            message = f"{written} becomes {path or 'nothing'}: {not_set(unknown)}"
            severity = Severity.WARNING if path else Severity.ERROR
            self._findings.append(Finding(severity, place, "include:local", message))
        if not path:
            return
        paths = self._files.wildcard(path) if "*" in path else [path]
        if not paths:
            self._findings.append(Finding(Severity.NOTE, place, "include:local", f"no file matches {path}"))
        for one in paths:
            if self._allowed(one, place, stack) and (included := self.file(one, place, given, stack)) is not None:
                yield included

    def _allowed(self, path: str, place: Place, stack: tuple[str, ...]) -> bool:
        self._count += 1
        above = [one.lstrip("/") for one in stack]
        if path in above:
            chain = " includes ".join([*above[above.index(path) :], path])
            self._error(place, "include:local", f"goes round in a circle: {chain}")
        elif not path.endswith((".yml", ".yaml")):
            self._error(place, "include:local", f"{path} has to end in .yml or .yaml")
        elif self._count == MAX_INCLUDES + 1:
            self._error(place, "include:local", f"a pipeline has at most {MAX_INCLUDES} includes")
        return path not in above and path.endswith((".yml", ".yaml")) and self._count <= MAX_INCLUDES

    def _error(self, place: Place, key: str, message: str) -> None:
        self._findings.append(Finding(Severity.ERROR, place, key, message))


def _entries(content: Mapping) -> list[tuple[Any, Place]]:
    """The entries of `include`, which may be one, with their places."""
    include = content.get("include")
    if include is None:
        return []
    if isinstance(include, Sequence_):
        return [(entry, place_of(include, index)) for index, entry in enumerate(include)]
    return [(include, place_of(content, "include"))]
