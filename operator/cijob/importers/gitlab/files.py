"""The repository's files, as an importer reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cijob.importers.gitlab.globs import include_pattern, literal_folder, path_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Largest file that is read; GitLab's own limit for one YAML file (max_yaml_size_bytes) is the same by default."""


class Unreadable(Exception):
    """A file cannot be read; the message is a sentence about its path."""


class Files(Protocol):
    """A repository's files. Paths are relative to its root, with `/`; one at the start is that root."""

    def read(self, path: str) -> str:
        """The text of a file.

        Raises:
            Unreadable: it is not there, not a text, too large, or not inside the root.
        """

    def glob(self, pattern: str) -> list[str]:
        """Files that match a pattern of `rules:exists`, sorted: `*`, `**/`, `?`, `[...]`, `{a,b}`."""

    def wildcard(self, pattern: str) -> list[str]:
        """Files that match a path of `include:local`, sorted: `*` within a folder, `**` across folders."""


class MemoryFiles:
    """Files from a dict of path to text; for tests and for text that has no folder."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {path.lstrip("/"): text for path, text in texts.items()}

    def read(self, path: str) -> str:
        """See Files."""
        text = self._texts.get(path.lstrip("/"))
        if text is None:
            raise Unreadable(f"there is no file {path.lstrip('/')}")
        return text

    def glob(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(path_pattern(pattern.lstrip("/")))

    def wildcard(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(include_pattern(pattern.lstrip("/")))

    def _matching(self, pattern: re.Pattern[str]) -> list[str]:
        return sorted(path for path in self._texts if pattern.fullmatch(path))


class LocalFiles:
    """Files below a folder, and nothing outside of it: neither by `../` nor by a link."""

    def __init__(self, root: Path, names: Iterable[str] | None = None) -> None:
        """`names`: the paths that patterns can match, such as those that git knows; None is all that there are."""
        self._root = root.resolve()
        self._names = None if names is None else tuple(names)

    def read(self, path: str) -> str:
        """See Files."""
        file = self._inside(path)
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise Unreadable(f"{path} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
            return file.read_text(encoding="utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            raise Unreadable(f"there is no file {path}") from None
        except IsADirectoryError:
            raise Unreadable(f"{path} is a folder") from None
        except UnicodeDecodeError:
            raise Unreadable(f"{path} is not a text in UTF-8") from None
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror}") from None

    def glob(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(pattern.lstrip("/"), path_pattern(pattern.lstrip("/")))

    def wildcard(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(pattern.lstrip("/"), include_pattern(pattern.lstrip("/")))

    def _inside(self, path: str) -> Path:
        """The file of a path; an absolute one may also be given as the machine has it."""
        absolute = Path(path)
        if not (absolute.is_absolute() and absolute.resolve().is_relative_to(self._root)):
            absolute = self._root / path.lstrip("/")
        file = absolute.resolve()
        if not file.is_relative_to(self._root):
            raise Unreadable(f"{path} is outside of the folder {self._root}")
        return file

    def _matching(self, text: str, pattern: re.Pattern[str]) -> list[str]:
        paths = self._walk(literal_folder(text)) if self._names is None else self._names
        return sorted(path for path in paths if pattern.fullmatch(path) and (self._root / path).is_file())

    def _walk(self, below: str) -> Iterator[str]:
        """All files below a folder but those in .git; links to folders are not followed."""
        try:
            start = self._inside(below)
        except Unreadable:
            return
        for folder, folders, names in os.walk(start):
            folders[:] = [name for name in folders if name != ".git"]
            for name in names:
                yield (Path(folder) / name).relative_to(self._root).as_posix()
