"""YAML text as nodes with lines, read as GitLab's Psych reads it: anchors, merges, duplicate keys, `!reference`.

Built from PyYAML's events, not from its nodes: its composer refuses an anchor that is set again, which YAML allows, and
its merge of `<<` is the standard's, not Psych's (ruby/psych, lib/psych/visitors/to_ruby.rb, revive_hash).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from cijob.importers.gitlab.model import Finding, ImportFailed, Place, Severity
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Reference, Sequence_, place_of
from cijob.importers.gitlab.scalars import Refused, Scalar, scan, shortened, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100
"""Mappings and lists inside one another; GitLab's max_yaml_depth."""

MAX_NODES = 500_000
"""Values of a file with its aliases written out: GitLab bounds the size of what the YAML stands for as well."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it, as Psych is

_STANDARD_TAG = "tag:yaml.org,2002:"

_REFERENCE = "!reference takes names in a list: !reference [job, script]"

_HINTS = {
    "could not find expected ':'": "the line is taken for a key; in a block, which begins with |, it needs more spaces",
    "mapping values are not allowed": "a text that holds `: ` needs quotes, and keys of one mapping stand below one another",
    "cannot start any token": "a tab cannot indent, and a text that begins with one of @ ` % needs quotes",
    "did not find expected alphabetic or numeric": "a text that begins with * or & needs quotes",
    "did not find expected key": "look for an indentation that fits neither the line above nor a mapping further out",
    "expected <block end>": "look for an indentation that fits neither the line above nor a mapping further out",
    "did not find expected ',' or": "in [ ] and { }, a text that holds one of , [ ] { } needs quotes",
    "did not find expected '-' indicator": "look for a key among the items of a list",
    "found unexpected end of stream": "a quote or a bracket is not closed",
    "found unexpected document separator": "a quote is not closed",
}


def parse(text: str, file: str, findings: list[Finding]) -> list[Any]:
    """The documents of a text, empty ones left out. What is worth telling is added to `findings`.

    Raises:
        ImportFailed: it is not YAML, or YAML that GitLab refuses; with all of `findings` and the reason as the last.
    """
    return _Reader(text, file, findings).documents()


@dataclass(slots=True)
class _Anchored:
    """The value of an anchor and how many nodes it is, 0 while it is being read."""

    value: Any = None
    size: int = 0


class _Reader:
    """One reading of one text.

    Attributes:
        _anchors: by name, the one that began last: an anchor may be set again.
        _nodes: how many nodes have been read, aliases counted with all that they stand for.
    """

    def __init__(self, text: str, file: str, findings: list[Finding]) -> None:
        self._text = text
        self._file = file
        self._findings = findings
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0

    def documents(self) -> list[Any]:
        documents: list[Any] = []
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                    documents.append(self._node(next(self._events), 0))
        except yaml.YAMLError as error:
            self._malformed(error)
        return [one for one in documents if one is not None]

    def _node(self, event: yaml.Event, depth: int) -> Any:  # noqa: ANN401 - a value of YAML
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._refuse(self._place(event), f"has more than {MAX_DEPTH} levels of nesting")
        before, name = self._nodes, getattr(event, "anchor", None)
        anchored = _Anchored()
        if name is not None:
            self._anchors[name] = anchored
        self._count(1, event)
        anchored.value = self._value(event, depth)
        anchored.size = self._nodes - before
        return anchored.value

    def _value(self, event: yaml.Event, depth: int) -> Any:  # noqa: ANN401 - a value of YAML
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event)
            case yaml.SequenceStartEvent():
                items = self._sequence(event, depth)
                return self._reference(items) if event.tag == "!reference" else items
            case _:
                self._check_tag(event)
                return self._mapping(event, depth)

    def _alias(self, event: yaml.AliasEvent) -> Any:  # noqa: ANN401 - a value of YAML
        name = event.anchor or ""  # never empty: so it is typed
        if name not in self._anchors:
            self._refuse(
                self._place(event),
                f"no anchor &{name} comes before *{name} in this file{did_you_mean(name, self._anchors)}",
            )
        anchored = self._anchors[name]
        if not anchored.size:
            self._refuse(self._place(event), f"the alias *{name} stands inside of what it names")
        self._count(anchored.size, event)
        return anchored.value

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(self._place(event), f"stands for more than {MAX_NODES:,} values, its aliases written out")

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> Sequence_:
        if event.tag != "!reference":
            self._check_tag(event)
        items = Sequence_(self._place(event))
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            items.places.append(self._place(item))
            items.append(self._node(item, depth + 1))
        return items

    def _reference(self, items: Sequence_) -> Reference:
        if not items or not all(isinstance(item, str) for item in items):
            self._refuse(items.place, _REFERENCE)
        return Reference(tuple(items), items.place)

    def _mapping(self, event: yaml.Event, depth: int) -> Mapping:
        mapping = Mapping(self._place(event))
        own: set[str] = set()
        while not isinstance(head := next(self._events), yaml.MappingEndEvent):
            place = self._place(head)
            if not isinstance(head, yaml.ScalarEvent | yaml.AliasEvent):
                self._refuse(place, "a key has to be a text")
            key = self._node(head, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(head, yaml.ScalarEvent) and _is_merge(head):
                self._merge(mapping, value, place, own)
                continue
            name = key if isinstance(key, str) else text_of(key)
            if name in own:
                line = mapping.places[name].line
                self._note(place, name, f"{name} is there twice: this one counts, not that of line {line}")
            own.add(name)
            mapping.put(name, value, place)
        return mapping

    def _merge(self, mapping: Mapping, value: Any, place: Place, own: set[str]) -> None:  # noqa: ANN401 - a value of YAML
        """`<<`: to Psych it wins over the keys above it; in a list the first mapping wins."""
        sources = value if isinstance(value, Sequence_) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                self._refuse(place, "<< takes a mapping, or a list of mappings")
        merged: dict[str, tuple[Any, Place]] = {}
        for source in reversed(sources):
            merged |= {key: (one, place_of(source, key)) for key, one in source.items()}
        for key, (one, where) in merged.items():
            if key in own and mapping[key] != one:
                self._note(
                    place, key, f"<< comes after {key}, and so GitLab takes {key} from line {where.line}; put << first"
                )
            mapping.put(key, one, where)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        text: str = event.value
        plain = event.style in (None, "")
        if event.tag == f"{_STANDARD_TAG}str" or (not plain and not event.tag):
            return text
        self._check_tag(event)
        place = self._place(event)
        try:
            value = scan(text)
        except Refused as refused:
            self._refuse(place, f"{shortened(text)} without quotes is {refused}; put it in quotes")
        if not isinstance(value, bool) and isinstance(value, int | float) and (seen := text_of(value)) != text:
            message = f"{shortened(text)} without quotes is the number {shortened(seen)} to GitLab"
            self._note(place, "", f"{message}; put it in quotes if it is a text")
        return value

    def _check_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag == "!reference":
            self._refuse(self._place(event), _REFERENCE)
        if tag and tag != "!" and not tag.startswith(_STANDARD_TAG):
            self._note(self._place(event), tag, f"the tag {tag} means nothing to GitLab")

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1 if mark else 1)

    def _note(self, place: Place, key: str, message: str) -> None:
        self._findings.append(Finding(Severity.NOTE, place, key, message))

    def _refuse(self, place: Place, message: str) -> NoReturn:
        self._findings.append(Finding(Severity.ERROR, place, "", message))
        raise ImportFailed(tuple(self._findings)) from None

    def _malformed(self, error: yaml.YAMLError) -> NoReturn:
        """Says what PyYAML says, and where; its own text is many lines long."""
        if isinstance(error, yaml.MarkedYAMLError):
            begun = error.context_mark.line + 1 if error.context_mark else 0
            line = error.problem_mark.line + 1 if error.problem_mark else begun or 1
            reason = error.problem or error.context or "malformed"
            reason += f" (in what begins in line {begun})" if begun not in (0, line) else ""
        else:
            position = getattr(error, "position", 0)
            line = self._text.count("\n", 0, position) + 1
            reason = str(getattr(error, "reason", error))
        hint = next((hint for known, hint in _HINTS.items() if known in reason), "")
        self._refuse(Place(self._file, line), f"this is not YAML: {reason}{': ' if hint else ''}{hint}")


def _is_merge(event: yaml.ScalarEvent) -> bool:
    """Psych merges for a quoted "<<" as well, not for one with the tag !!str."""
    return bool(event.value == "<<") and event.tag != f"{_STANDARD_TAG}str"
