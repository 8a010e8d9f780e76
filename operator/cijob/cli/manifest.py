"""What `cijob run` is given: a manifest of a CiJob, or a pipeline of GitLab CI's. Told apart by what is in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import yaml

from cijob import names
from cijob.cli.errors import CliError
from cijob.cli.jsonvalues import check_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cijob.transport import Body

#: What GitLab calls a pipeline's file unless it is told otherwise.
PIPELINE: Final = ".gitlab-ci.yml"
STDIN: Final = "-"
#: Larger than anything that the API server stores.
_MOST_BYTES: Final = 3 * 1024 * 1024
#: GitLab stops at 100.
_DEEPEST: Final = 200
#: How YAML writes that there is nothing.
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file with CiJobs in it, at least one, in order."""

    path: str
    jobs: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """A file of a pipeline; the importer reads it."""

    path: str


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a date is a text."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: str(node.value))


@dataclass(frozen=True, slots=True)
class _Outline:
    """A document from the outside: the keys of its outermost map, None where it is none."""

    keys: frozenset[str] | None


def read(path: str) -> Manifest | PipelineFile:
    """What is in a file, or on stdin for `-`. Only the outside of a CiJob is looked at; its spec is the API server's.

    Raises:
        CliError: it cannot be read, or is neither of the two.
    """
    text = _text(path)
    # A pipeline has tags, anchors and texts that only the importer can read: no value is made of it here.
    outlines = _parsed(path, lambda: list(_outlines(yaml.parse(text, yaml.SafeLoader))))
    if not outlines:
        raise CliError(f"{_named(path)} is empty", "Write a CiJob into it: `kubectl explain cij.spec`, or examples/.")
    if not any(one.keys and one.keys & {"apiVersion", "kind"} for one in outlines):
        return _pipeline(path, outlines)
    documents = _parsed(path, lambda: [one for one in yaml.load_all(text, _Loader) if one is not None])
    for document in documents:
        check_values(document, _named(path))
    return Manifest(path, tuple(_jobs(path, documents)))


def _text(path: str) -> str:
    if path == STDIN:
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    else:
        try:
            with Path(path).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError as error:
            raise CliError(f"there is no file {path}", _nearest(path)) from error
        except IsADirectoryError as error:
            raise CliError(
                f"{path} is a folder", "Name the manifest in it; `--workspace` brings a folder in."
            ) from error
        except OSError as error:
            raise CliError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise CliError(f"{_named(path)} has more than {_MOST_BYTES} bytes: that is no manifest of a CiJob")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CliError(f"{_named(path)} is no text in UTF-8 (byte {error.start})") from error


def _nearest(path: str) -> str:
    from difflib import get_close_matches

    folder = Path(path).parent
    try:
        there = sorted(one.name for one in folder.iterdir() if one.suffix in {".yml", ".yaml", ".json"})
    except OSError:
        return f"There is no folder {folder} either."
    near = get_close_matches(Path(path).name, there, n=1)
    return f"Did you mean {folder / near[0]}?" if near else ""


def _outlines(events: Iterable[yaml.Event]) -> Iterator[_Outline]:
    """Of each document that is not empty.

    Raises:
        yaml.YAMLError: one of them is too deep.
    """
    depth, nodes, keys = 0, 0, set[str]()  # nodes: those of the outermost map, keys and values in turn
    outermost: yaml.Event | None = None
    for event in events:
        match event:
            case yaml.DocumentEndEvent():
                if not (
                    isinstance(outermost, yaml.ScalarEvent) and outermost.implicit[0] and outermost.value in _NULLS
                ):
                    yield _Outline(frozenset(keys) if isinstance(outermost, yaml.MappingStartEvent) else None)
                nodes, keys, outermost = 0, set(), None
            case yaml.CollectionEndEvent():
                depth -= 1
            case yaml.NodeEvent():
                if depth == 0:
                    outermost = event
                elif depth == 1:
                    if nodes % 2 == 0 and isinstance(event, yaml.ScalarEvent):
                        keys.add(event.value)
                    nodes += 1
                depth += isinstance(event, yaml.CollectionStartEvent)
                if depth > _DEEPEST:  # PyYAML's time grows with the square of it
                    raise yaml.YAMLError(f"more than {_DEEPEST} levels deep")
            case _:
                pass


def _parsed(path: str, parse: Callable[[], list[T]]) -> list[T]:
    try:
        return parse()
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, " ".join(filter(None, (error.context, error.problem)))
        place = f"{_named(path)}:{mark.line + 1}" if mark is not None else _named(path)
        raise CliError(f"{place}: this is no YAML: {problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CliError(f"{_named(path)}: this is no YAML: {' '.join(str(error).split())}") from error


def _pipeline(path: str, outlines: list[_Outline]) -> PipelineFile:
    if any(one.keys is None for one in outlines):
        raise CliError(
            f"{_named(path)} is neither a manifest nor a pipeline: a map of fields or of jobs was expected",
            f"A manifest starts with `apiVersion: {names.API_VERSION}`.",
        )
    if path == STDIN:
        raise CliError(
            "a pipeline cannot come from stdin: its includes and its files have no folder",
            "Name its file: `cijob run .gitlab-ci.yml`. A manifest has apiVersion and kind.",
        )
    return PipelineFile(path)


def _jobs(path: str, documents: list[Any]) -> Iterator[Body]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            items = document.get("items") or []
            if not isinstance(items, list):
                raise CliError(f"{_named(path)}: items of a List must be a list")
            yield from _jobs(path, items)
        else:
            yield _job(path, document)


def _job(path: str, document: object) -> Body:
    if not isinstance(document, dict):
        raise CliError(f"{_named(path)}: one of its documents is no map of fields")
    version, kind = document.get("apiVersion"), document.get("kind")
    if kind != names.KIND:
        raise CliError(
            f"{_named(path)} holds {'something without a kind' if kind is None else f'a {kind}'}: cijob runs CiJobs only",
            f"`kubectl apply -f {path}` is for everything else.",
        )
    if version != names.API_VERSION:
        raise CliError(
            f"{_named(path)}: apiVersion is {version!r}, but CiJobs are of {names.API_VERSION}",
            f"Write `apiVersion: {names.API_VERSION}`.",
        )
    for part in ("metadata", "spec"):
        if not isinstance(document.get(part), dict | None):
            raise CliError(f"{_named(path)}: {part} must be a map of fields")
    return document


def _named(path: str) -> str:
    return "the manifest on stdin" if path == STDIN else path
