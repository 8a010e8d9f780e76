"""The repository's files, as an importer reads them."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cijob.importers.gitlab.globs import include_pattern, literal_folder, path_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Largest file that is read; GitLab's own limit for one YAML file (max_yaml_size_bytes) is the same by default."""

_CHUNK = 256 * 1024


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
        """Files that match a pattern of `rules:exists`, sorted: `*`, `**/`, `?`, `[...]`, `{a,b}`; none with `/` at its start."""

    def wildcard(self, pattern: str) -> list[str]:
        """Files that match a path of `include:local`, sorted: `*` within a folder, `**` across folders."""

    def blob(self, path: str) -> str:
        """What git would call the content of a file (`git hash-object`, SHA-1); empty where there is no such file."""

    def last_commit(self, path: str) -> str:
        """The last commit that changed what a git pathspec means; empty where that is not known."""


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
        return self._matching(path_pattern(pattern))

    def wildcard(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(include_pattern(pattern.lstrip("/")))

    def blob(self, path: str) -> str:
        """See Files."""
        text = self._texts.get(path)
        return "" if text is None else _blob(io.BytesIO(text.encode()), len(text.encode()))

    def last_commit(self, path: str) -> str:
        """See Files. There is no git here."""
        del path
        return ""

    def _matching(self, pattern: re.Pattern[str]) -> list[str]:
        return sorted(path for path in self._texts if pattern.fullmatch(path))


class LocalFiles:
    """Files below a folder, and nothing outside of it: neither by `../` nor by a link."""

    def __init__(
        self,
        root: Path,
        names: Iterable[str] | None = None,
        last_commit: Callable[[str], str] | None = None,
    ) -> None:
        """What there is to know of the files beside what is in them.

        Args:
            root: the folder.
            names: the paths that patterns can match, such as those that git knows; None is all that there are.
            last_commit: see Files; None where there is no git.
        """
        self._root = root.resolve()
        self._names = None if names is None else tuple(names)
        self._last_commit = last_commit

    def read(self, path: str) -> str:
        """See Files."""
        file = self._inside(path)
        try:
            status = file.stat()
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise Unreadable(f"{path} is no file but a pipe, a socket or a device")
            if status.st_size > MAX_FILE_BYTES:
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
        return self._matching(pattern, path_pattern(pattern))

    def wildcard(self, pattern: str) -> list[str]:
        """See Files."""
        return self._matching(pattern.lstrip("/"), include_pattern(pattern.lstrip("/")))

    def blob(self, path: str) -> str:
        """See Files."""
        try:
            inside = self._inside(path)
            if not inside.is_file():
                return ""
            with inside.open("rb") as file:
                return _blob(file, os.fstat(file.fileno()).st_size)
        except (Unreadable, OSError):
            return ""

    def last_commit(self, path: str) -> str:
        """See Files."""
        return "" if self._last_commit is None else self._last_commit(path)

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


def _blob(file: BinaryIO, size: int) -> str:
    """Git's name for a content: the SHA-1 of a header and the content."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while data := file.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()
