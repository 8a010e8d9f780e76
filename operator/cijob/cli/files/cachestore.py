"""The caches of pipelines on the user's machine: an archive for each project and key, below `$XDG_CACHE_HOME/cijob/caches`.

Several runs may use it at once: what is written appears as a whole (a rename in one file system), the last one wins, and what a
run has found stays there for it, whatever the others do (a second name of the file, in a folder of the run's own).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cijob.cli.files.caching import Restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Bytes of all caches of a user; those that were not used for longest go first.
MOST_KEPT: Final = 4 * 1024**3
#: Seconds after which the folder of a run is one that was killed.
_LEFT_BEHIND: Final = 24 * 60 * 60
_RUN: Final = ".run-"
#: Characters of a name that are for people, in front of the hash that tells names apart.
_READABLE: Final = 40


class CacheStore:
    """The caches of one project, for one run. To be closed."""

    def __init__(self, root: Path, project: Path) -> None:
        """Make what is missing of the folders.

        Args:
            root: of all the user's caches.
            project: the folder whose pipeline is run. By its path, and not by the address of its remote: that is what anybody's
                folder can say of itself, and so one could get at another project's caches.

        Raises:
            OSError: the folders cannot be made, or belong to somebody else.
        """
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        found = root.stat()
        if found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(root))
        if stat.S_IMODE(found.st_mode) & 0o077:
            root.chmod(0o700)
        real = project.resolve()
        self._folder = root / _name(real.name, str(real))
        self._run = Path(tempfile.mkdtemp(prefix=_RUN, dir=root))

    def close(self) -> None:
        """Let go of what the run had found."""
        shutil.rmtree(self._run, ignore_errors=True)

    def target(self) -> Path:
        """A new name for an archive that `put` takes."""
        return self._run / f"{uuid.uuid4().hex}.tar"  # jobs ask at the same time

    def find(self, keys: Iterable[str]) -> tuple[Restored | None, tuple[str, ...]]:
        """What is kept under the first of some keys that has something, and those whose archive was damaged; these are gone.

        Raises:
            OSError: the folder cannot be used.
        """
        damaged: list[str] = []
        for key in keys:
            path, held = self._path(key), self.target()
            try:
                _hold(path, held)
            except FileNotFoundError:
                continue
            try:
                size = _size(held)
            except (tarfile.TarError, EOFError, ValueError):
                path.unlink(missing_ok=True)
                damaged.append(key)
                continue
            with suppress(OSError):  # it only counts as not used then
                os.utime(path)
            return Restored(key=key, archive=held, size=size), tuple(damaged)
        return None, tuple(damaged)

    def put(self, key: str, archive: Path) -> None:
        """Keep an archive of `target` under a key, in place of what was there, and make room.

        Raises:
            OSError: it cannot be kept.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with archive.open("rb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())  # or a machine that stops could leave the name without the contents
        path = self._path(key)
        archive.replace(path)
        os.utime(path)
        make_room(self._root, path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{_name(key, key)}.tar"


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where the caches of a user are (specifications.freedesktop.org/basedir: what is not absolute does not count).

    Raises:
        OSError: the user has no home.
    """
    base = environment.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "cijob" / "caches"
    try:
        return Path.home() / ".cache" / "cijob" / "caches"
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "you have no home folder", "~") from error


def make_room(root: Path, newest: Path, most: int = MOST_KEPT) -> None:
    """Remove what was not used for longest, until so many bytes are left, and what killed runs left. `newest` stays."""
    runs, archives = _found(root)
    total = sum(one.size for one in archives)
    for one in sorted(archives, key=lambda one: one.used):
        if total <= most:
            break
        if one.path != newest:
            with suppress(OSError):
                one.path.unlink(missing_ok=True)
                total -= one.size
    for run in runs:
        with suppress(OSError):  # it was closed meanwhile
            if run.stat().st_mtime < time.time() - _LEFT_BEHIND:
                shutil.rmtree(run, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Archive:
    """An archive that is kept: bytes, and the second since 1970 of its last use."""

    path: Path
    size: int
    used: float


def _found(root: Path) -> tuple[list[Path], list[_Archive]]:
    """The folders of runs, and all archives; other runs may remove any of them at any moment."""
    runs: list[Path] = []
    archives: list[_Archive] = []
    for folder in root.iterdir():
        if folder.name.startswith(_RUN):
            runs.append(folder)
            continue
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    known = entry.stat(follow_symlinks=False)
                    archives.append(_Archive(Path(entry.path), known.st_size, known.st_mtime))
    return runs, archives


def _name(readable: str, whole: str) -> str:
    """A file's name for any text: what people can read of it, and what no other text has."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", readable).strip("-.")[:_READABLE]
    return f"{plain or 'cache'}-{hashlib.sha256(whole.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _hold(path: Path, held: Path) -> None:
    """A second name of a file, or a copy of it where it cannot have one.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be copied.
    """
    try:
        held.hardlink_to(path)
    except OSError:
        # No second names in this file system; or "not found", which Linux says as well of a file that another run replaced
        # after its name was looked up (vfs_link in fs/namei.c: it has no name any more). To open a name has no such gap.
        shutil.copyfile(path, held)


def _size(archive: Path) -> int:
    """Bytes of the files in an archive, unpacked; it is read to its end.

    Raises:
        tarfile.TarError, EOFError, ValueError: it is damaged.
    """
    with tarfile.open(archive, "r:") as tar, archive.open("rb") as file:
        size = sum(member.size for member in tar if member.isreg())
        file.seek(tar.offset)  # tarfile takes a header that it cannot read for the end
        rest = file.read(2 * tarfile.RECORDSIZE)
    if any(rest) or not 2 * tarfile.BLOCKSIZE <= len(rest) < 2 * tarfile.RECORDSIZE:
        raise tarfile.ReadError("it does not end as an archive does")
    return size
