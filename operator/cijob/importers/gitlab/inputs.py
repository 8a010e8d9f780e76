"""`spec:inputs`: what a file wants to be told, and `$[[ inputs.name | function ]]` in its text.

docs.gitlab.com/ci/inputs/, and in gitlabhq/gitlabhq lib/gitlab/ci/config/interpolation/ (template.rb, block.rb,
inputs/*.rb, functions/*.rb): a text that is one block and nothing else becomes the value with its type.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import keys
from cijob.importers.gitlab.model import Finding, Severity, TooMuch
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Reference, Sequence_, place_of
from cijob.importers.gitlab.regexps import compile_regexp, found_in, is_regexp
from cijob.importers.gitlab.scalars import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.model import Place

_EDGE = re.compile(r"(?P<open>\$\[\[\s*)|(?P<close>\]\])|\s+")
_MOST = 2 * 1024 * 1024
"""Characters that the blocks of a file can stand for together; GitLab bounds each text (1 MiB) and its blocks (10,000)."""
_MAX_FUNCTIONS = 3
_TRUNCATE = re.compile(r"truncate\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)")
_SPLIT = re.compile(r"split\('([^']+)'\)")
_EXPANDED = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
}


@dataclass(frozen=True, slots=True)
class Given:
    """The `inputs` of an include, or nothing for the file that the pipeline begins with; and where they are given."""

    values: Mapping
    place: Place


def interpolate(
    content: Mapping,
    header: Mapping | None,
    given: Given,
    variables: AbstractMapping[str, str],
    findings: list[Finding],
) -> Mapping:
    """The content of a file with its inputs put in; a file without a header is taken as it is.

    Args:
        content: what the file says.
        header: its document with `spec`, or None.
        given: what is put in.
        variables: for the function `expand_vars`.
        findings: what is wrong is added here.
    """
    if header is None:
        for name in given.values:
            place = place_of(given.values, name)
            findings.append(Finding(Severity.ERROR, place, "inputs", f"the file takes no inputs, and {name} is given"))
        return content
    spec = header.get("spec")
    spec = spec if isinstance(spec, Mapping) else Mapping(header.place)
    findings += keys.check_header(spec)
    declared = spec.get("inputs")
    values = _values(declared if isinstance(declared, Mapping) else Mapping(spec.place), given, findings)
    interpolated = _Interpolation(values, variables, findings).node(content, content.place)
    return interpolated if isinstance(interpolated, Mapping) else content


def _values(declared: Mapping, given: Given, findings: list[Finding]) -> dict[str, Any]:
    """The value of each input. One that is wrong is said and has none."""
    values: dict[str, Any] = {}
    for name in given.values:
        if name not in declared:
            message = f"the file has no input {name}{did_you_mean(name, declared)}"
            findings.append(Finding(Severity.ERROR, place_of(given.values, name), "inputs", message))
    for name, written in declared.items():
        options = written if isinstance(written, Mapping) else Mapping(declared.place)
        if name in given.values:
            value, place = given.values[name], place_of(given.values, name)
        elif "default" in options:
            value, place = options["default"], place_of(declared, name)
        else:
            value, place = None, given.place
        problem = _problem(name, options, value)
        if problem:
            findings.append(Finding(Severity.ERROR, place, f"spec:inputs:{name}", problem))
        values[name] = value
    return values


def _problem(name: str, options: Mapping, value: Any) -> str:  # noqa: ANN401 - a value of YAML
    """What is wrong with the value of an input, or nothing."""
    kind = text_of(options.get("type", "string"))
    if kind not in _TYPES:
        return f"inputs have no type {kind}{did_you_mean(kind, _TYPES)}"
    if value is None:
        return f"the input {name} has no default, and no value is given"
    if not _TYPES[kind](value):
        return f"the input {name} has to be of the type {kind}, and {_shown(value)} is not"
    allowed = options.get("options")
    if isinstance(allowed, list) and value not in allowed:
        return f"the input {name} has to be one of {', '.join(map(text_of, allowed))}, not {text_of(value)}"
    pattern = options.get("regex")
    return "" if pattern is None else _unmatched(name, str(pattern), value)


def _shown(value: Any) -> str:  # noqa: ANN401 - a value of YAML
    """A value in a sentence: a text in quotes, for it may look like a number."""
    return repr(value) if isinstance(value, str) else text_of(value)


def _unmatched(name: str, pattern: str, value: Any) -> str:  # noqa: ANN401 - a value of YAML
    """What is said where the value does not match the regular expression, which may stand between slashes."""
    try:
        regexp = compile_regexp(pattern if is_regexp(pattern) else f"/{pattern}/")
    except ValueError as error:
        return f"the input {name} has a regex that cannot be read: {error}"
    return "" if found_in(regexp, str(value)) else f"the input {name}, {value}, does not match {pattern}"


class _Interpolation:
    """Puts values into a tree, which it leaves as it is: it returns another."""

    def __init__(self, values: dict[str, Any], variables: AbstractMapping[str, str], findings: list[Finding]) -> None:
        self._values = values
        self._variables = variables
        self._findings = findings
        self._room = _MOST

    def node(self, value: Any, place: Place) -> Any:  # noqa: ANN401 - a value of YAML
        match value:
            case Mapping():
                out = Mapping(value.place)
                for key, one in value.items():
                    where = place_of(value, key)
                    out.put(text_of(self._text(key, where)) if "$[[" in key else key, self.node(one, where), where)
                return out
            case Sequence_():
                items = [self.node(one, place_of(value, index)) for index, one in enumerate(value)]
                return Sequence_(value.place, items, value.places)
            case Reference():
                return Reference(tuple(str(self._text(one, value.place)) for one in value.path), value.place)
            case str() if "$[[" in value:
                return self._text(value, place)
            case _:
                return value

    def _text(self, text: str, place: Place) -> Any:  # noqa: ANN401 - a value of YAML
        out, at = list[str](), 0
        for start, end, inner in blocks(text):
            value = self._block(text[start:end], inner, place)
            if end - start == len(text):
                return value
            written = text_of(value)
            self._room -= len(written)
            if self._room < 0:
                raise TooMuch(f"the inputs stand for more than {_MOST:,} characters", place)
            out += (text[at:start], written)
            at = end
        return "".join((*out, text[at:]))

    def _block(self, block: str, inner: str, place: Place) -> Any:  # noqa: ANN401 - a value of YAML
        """The value of one block; the block itself where it has none, which is said."""
        access, *functions = (part.strip() for part in inner.split("|"))
        scope, _, name = access.partition(".")
        if scope == "matrix":
            return block  # it is the job's that it stands in: matrix.filled
        if scope != "inputs":
            severity = Severity.WARNING if scope == "component" else Severity.ERROR
            return self._left(severity, place, block, f"$[[ {access} ]] has no value here, only inputs have")
        if name not in self._values:
            message = f"the file has no input {name}{did_you_mean(name, self._values)}"
            return self._left(Severity.ERROR, place, block, message)
        if len(functions) > _MAX_FUNCTIONS:
            return self._left(Severity.ERROR, place, block, f"at most {_MAX_FUNCTIONS} functions can follow an input")
        value = self._values[name]
        for function in functions:
            try:
                value = self._call(function, value)
            except ValueError as error:
                return self._left(Severity.ERROR, place, block, str(error))
        return value

    def _left(self, severity: Severity, place: Place, block: str, message: str) -> str:
        self._findings.append(Finding(severity, place, "spec:inputs", message))
        return block

    def _call(self, function: str, value: Any) -> Any:  # noqa: ANN401 - a value of YAML
        if not isinstance(value, str):
            raise ValueError(f"{function} takes an input of the type string")  # noqa: TRY004 - told to the user, as the others
        if function == "expand_vars":
            return _EXPANDED.sub(lambda one: self._variables.get(one[1] or one[2], one[0]), value)
        if function in ("posix_escape", "posix_quote"):
            return shlex.quote(value)
        if cut := _TRUNCATE.fullmatch(function):
            return value[int(cut[1]) : int(cut[1]) + int(cut[2])]
        if split := _SPLIT.fullmatch(function):
            return [part for one in value.split(split[1]) if (part := one.strip())]
        raise ValueError(f"inputs have no function {function}")


def blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Where the blocks of a text begin and end, and what is in them: on one line, though there may be others around it.

    In one pass: a regular expression for a whole block looks through the rest of the text for each `$[[`.
    """
    start, inside, line_end = -1, 0, -1
    for edge in _EDGE.finditer(text):
        if line_end >= 0 and not (edge["close"] and edge.start() == line_end):
            start = -1
        line_end = -1
        if edge["open"]:
            if start < 0 or "\n" in edge[0]:
                start, inside = edge.start(), edge.end()
        elif not edge["close"]:
            line_end = edge.end() if "\n" in edge[0] else -1
        elif start >= 0 and (inner := text[inside : edge.start()].rstrip()):
            yield start, edge.end(), inner
            start = -1
