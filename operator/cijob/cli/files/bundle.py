"""Files for a job: those of a local folder, and what other jobs left, as one tar archive whose size is known before."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cijob.cli.errors import CliError
from cijob.cli.repository import of_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

_CHUNK: Final = 256 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE
#: Folders that are named when a bundle is too large.
_NAMED: Final = 3
#: Without the program that a repository's own configuration may name. Both tracked files and those that would be: what is ignored stays here.
_LIST: Final = ("-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, symbolic link or folder: its name in the job, relative to the working directory, and where it is."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is brought into a job.

    Attributes:
        entries: of local folders; a name stands once.
        archives: tar archives that `Transfer` made of other jobs' artifacts, unpacked in this order over the entries.
        size: bytes of all files, unpacked.
        skipped: names that stay here: sockets, pipes and devices.
    """

    entries: tuple[Entry, ...] = ()
    archives: tuple[Path, ...] = ()
    size: int = 0
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Bundle:
        """A folder as git sees it: what is tracked, and what is neither tracked nor ignored; all of it without git.

        The folder `.git` itself stays here, in both cases (`checkout` makes one for jobs). What git no longer finds is left out.

        Raises:
            CliError: there is no such folder, it cannot be read, or git cannot say what belongs to it.
        """
        if not folder.is_dir():
            raise CliError(f"there is no folder {folder}", "Name the folder whose files the job needs.")
        entries, skipped = [], []
        links: dict[str, bool] = {}
        try:
            for name in dict.fromkeys(_names(folder)):
                path = folder / name
                if _below_a_link(folder, name, links):
                    continue  # git still knows what was there before the link, which may lead anywhere
                try:
                    found = path.lstat()
                except FileNotFoundError:  # deleted, but not in the index yet
                    continue
                if stat.S_ISREG(found.st_mode):
                    entries.append(Entry(name, path, found.st_size))
                elif stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode):
                    entries.append(Entry(name, path, 0))
                else:
                    skipped.append(name)
        except OSError as error:
            raise _unreadable(error) from error
        return cls(tuple(entries), (), sum(entry.size for entry in entries), tuple(skipped))

    def with_archives(self, archives: Iterable[Path]) -> Bundle:
        """The same with the artifacts of other jobs (`Taken.archive`) on top.

        Raises:
            CliError: one cannot be read.
        """
        added, size = tuple(archives), 0
        for archive in added:
            try:
                with tarfile.open(archive) as tar:
                    size += sum(member.size for member in tar)
            except (OSError, tarfile.TarError) as error:
                raise CliError(
                    f"the artifacts in {archive} cannot be read: {error}", "Run the pipeline again."
                ) from error
        return replace(self, archives=self.archives + added, size=self.size + size)

    def with_entries(self, entries: tuple[Entry, ...]) -> Bundle:
        """The same with more files, of other names."""
        return replace(self, entries=self.entries + entries, size=self.size + sum(entry.size for entry in entries))

    @property
    def names(self) -> frozenset[str]:
        """Names of the local files, as they are in the job."""
        return frozenset(entry.name for entry in self.entries)

    @property
    def has_git(self) -> bool:
        """Whether a `.git` is among the local files: that of a checkout, which comes last."""
        return any(entry.name == ".git" for entry in reversed(self.entries))

    @property
    def archive_size(self) -> int:
        """About as many bytes as `blocks` gives: a header and a rest of a block for each file."""
        return self.size + _BLOCK * (3 * len(self.entries) // 2 + 2)

    def check(self, limit: int) -> None:
        """Whether it is small enough.

        Raises:
            CliError: it has more bytes than `limit`; the message names the largest folders.
        """
        if self.size <= limit:
            return
        shares: dict[str, int] = {}
        for entry in self.entries:
            top, below, _ = entry.name.partition("/")
            shares[top + below] = shares.get(top + below, 0) + entry.size
        largest = sorted(shares, key=lambda top: -shares[top])[:_NAMED]
        told = ", ".join(f"{top} {mib(shares[top])}" for top in largest)
        raise CliError(
            f"the files for the job are {mib(self.size)}, and {mib(limit)} are allowed{f': {told}' if told else ''}",
            "Leave out what the job does not need (in .gitignore), raise --workspace-limit, or have the job fetch it itself.",
        )

    def blocks(self) -> Iterator[bytes]:
        """The archive, piece by piece. GNU's format: BusyBox takes no long names from a newer one.

        Raises:
            CliError: a file cannot be read any more, or is not as long as it was.
        """
        for entry in self.entries:
            try:
                yield from _blocks_of(entry)
            except OSError as error:
                raise _unreadable(error) from error
        for archive in self.archives:
            with tarfile.open(archive) as tar:
                for member in tar:
                    yield _header(member)
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield from _content(content, member.size, member.name)
        yield bytes(2 * _BLOCK)


def mib(size: int) -> str:
    """A number of bytes for people."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} B"


def _names(folder: Path, prefix: str = "") -> Iterator[str]:
    """What is to be brought, relative to the outermost folder: parents before what is in them."""
    if not _has_git(folder):
        yield from _all_names(folder)
        return
    for name in _git_names(folder):
        inner = folder / name
        # A submodule, or a repository that lies within: git names it and says nothing about its files.
        if inner.is_dir() and not inner.is_symlink() and _has_git_of_its_own(inner):
            yield from _names(inner, f"{prefix}{name}/")
        else:
            yield prefix + name


def _below_a_link(folder: Path, name: str, known: dict[str, bool]) -> bool:
    """Whether one of the folders above a file is a symbolic link; `known` remembers."""
    above = name.rpartition("/")[0]
    if above and above not in known:
        known[above] = (folder / above).is_symlink() or _below_a_link(folder, above, known)
    return bool(above) and known[above]


def _git_names(folder: Path) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise CliError(
            f"{folder} is a git work tree, and there is no git here to say which of its files belong to it",
            "Install git, or give a copy of the folder without .git.",
        )
    command, environment = [git, "-C", str(folder), *_LIST], of_folders(os.environ)
    done = subprocess.run(command, capture_output=True, check=False, env=environment)  # noqa: S603  no shell
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CliError(
            f"git cannot list the files of {folder}: {said[0] if said else done.returncode}", "\n".join(said[1:])
        )
    return [os.fsdecode(name).rstrip("/") for name in done.stdout.split(b"\0") if name]


def _all_names(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for path, folders, files in os.walk(folder, onerror=fail):
        above = os.path.relpath(path, folder)
        prefix = "" if above == "." else f"{above}/"
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (prefix + name for name in folders)
        yield from (prefix + name for name in sorted(files))


def _has_git(folder: Path) -> bool:
    """Whether a folder is in a git work tree, whatever git itself thinks of it (another owner's, a bad index)."""
    return any(_has_git_of_its_own(one) for one in (folder.absolute(), *folder.absolute().parents))


def _has_git_of_its_own(folder: Path) -> bool:
    return (folder / ".git").exists()


def _blocks_of(entry: Entry) -> Iterator[bytes]:
    found = entry.path.lstat()
    member = tarfile.TarInfo(entry.name)
    member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    # The job's own user is the owner, or root.
    member.uid = member.gid = 0
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(entry.path)  # noqa: PTH115  byte for byte
        yield _header(member)
    elif stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
        yield _header(member)
    else:
        member.size = entry.size
        with entry.path.open("rb") as file:
            yield _header(member)
            yield from _content(file, entry.size, entry.name)


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(file: IO[bytes], size: int, name: str) -> Iterator[bytes]:
    left = size
    while left:
        data = file.read(min(_CHUNK, left))
        if not data:
            raise CliError(
                f"{name} became shorter while it was sent", "Run it again when nothing writes to the folder."
            )
        left -= len(data)
        yield data
    yield bytes(-size % _BLOCK)


def _unreadable(error: OSError) -> CliError:
    return CliError(f"{error.filename} cannot be read: {error.strerror}", "Leave it out (in .gitignore), or allow it.")
