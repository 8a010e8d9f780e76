"""What `cijob run` is given: a manifest of a CiJob, or a pipeline of GitLab CI's. Told apart by what is in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from cijob import names
from cijob.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cijob.transport import Body

#: What GitLab calls a pipeline's file unless it is told otherwise.
PIPELINE: Final = ".gitlab-ci.yml"
STDIN: Final = "-"
#: Larger than anything that the API server stores.
_MOST_BYTES: Final = 3 * 1024 * 1024


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
    """YAML with tags that only the importer knows, `!reference` above all: what they hold does not matter here."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def read(path: str) -> Manifest | PipelineFile:
    """What is in a file, or on stdin for `-`. Only the outside of a CiJob is looked at; its spec is the API server's.

    Raises:
        CliError: it cannot be read, or is neither of the two.
    """
    documents = _documents(path, _text(path))
    if not documents:
        raise CliError(f"{_named(path)} is empty", "Write a CiJob into it: `kubectl explain cij.spec`, or examples/.")
    if not any(isinstance(one, dict) and ("apiVersion" in one or "kind" in one) for one in documents):
        return _pipeline(path, documents)
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


def _documents(path: str, text: str) -> list[Any]:
    try:
        return [one for one in yaml.load_all(text, _Loader) if one is not None]
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, " ".join(filter(None, (error.context, error.problem)))
        place = f"{_named(path)}:{mark.line + 1}" if mark is not None else _named(path)
        raise CliError(f"{place}: this is no YAML: {problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CliError(f"{_named(path)}: this is no YAML: {' '.join(str(error).split())}") from error


def _pipeline(path: str, documents: list[Any]) -> PipelineFile:
    if not all(isinstance(one, dict) for one in documents):
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
            yield from _jobs(path, list(document.get("items") or ()))
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
