"""Archives that come out of a job. A job is not trusted: each entry is looked at before it is kept or unpacked."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath
from tempfile import gettempdir
from typing import TYPE_CHECKING, Final

from cijob.cli.console import plain
from cijob.cli.errors import CliError
from cijob.cli.files.bundle import mib

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

#: Bytes of a `reports: dotenv` file; GitLab's own limit is 5 KiB.
MOST_DOTENV: Final = 64 * 1024
#: The last second that GNU's format has room for.
_LAST_SECOND: Final = 8**11 - 1


#: How many entries may come for each one that was asked for.
_SPARE: Final = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """What the files of an archive are, for people.

    Attributes:
        what: a word in the plural.
        less: how there can be fewer of them, or more be allowed.
        room: how this machine gets room for them; `{tmp}` is where temporary files are.
        allowed: bytes of all of them together, where a limit is what others left of it.
    """

    what: str
    less: str
    room: str
    allowed: int | None = None

    def too_large(self, limit: int) -> CliError:
        """What is said of files above the limit in bytes."""
        return CliError(f"the {self.what} are more than {mib(self.allowed or limit)}", self.less)

    def not_kept(self, error: OSError) -> str:
        """What is said where this machine has no room for them."""
        room = self.room.format(tmp=gettempdir())
        return f"the {self.what} cannot be kept on this machine: {error.strerror}. {room}"


ARTIFACTS: Final = Kind(
    "artifacts",
    "Take less (artifacts:paths), or raise --artifacts-limit.",
    "Make room in {tmp}, or set TMPDIR to a folder that has some",
)
CACHES: Final = Kind(
    "caches",
    "Keep less (cache:paths), or raise --cache-limit.",
    "Make room in your folder of caches, or set XDG_CACHE_HOME to a folder that has some",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What of an archive was kept: names and bytes of all files, and the texts of those that were to be read."""

    names: tuple[str, ...]
    size: int
    texts: dict[str, str]


def keep(
    raw: Path, archive: Path, wanted: Collection[str], texts: Collection[str], limit: int, kind: Kind = ARTIFACTS
) -> Kept:
    """Write a new archive with those entries of a raw one that were asked for: files, folders and links, each once.

    A raw archive may be several, one behind the other. `wanted` goes into the archive; of `texts` the contents are given, as UTF-8.

    Raises:
        CliError: the raw archive is damaged or lacks something, or holds more than `limit` bytes. No archive is left then.
    """
    try:
        return _keep(raw, archive, wanted, texts, limit, kind)
    except CliError:
        if archive.is_file():
            archive.unlink()
        raise


def _keep(raw: Path, archive: Path, wanted: Collection[str], texts: Collection[str], limit: int, kind: Kind) -> Kept:
    names: dict[str, None] = {}
    found: dict[str, str] = {}
    size = 0
    try:
        with (
            tarfile.open(raw, "r:", ignore_zeros=True) as source,
            tarfile.open(archive, "w:", format=tarfile.GNU_FORMAT) as target,
        ):
            for member, name in _members(source, {*wanted, *texts}):
                size += member.size if member.isreg() else 0
                if size > limit:
                    raise kind.too_large(limit)
                content = source.extractfile(member) if member.isreg() else None
                if name in texts and content is not None:
                    found[name] = content.read(MOST_DOTENV).decode(errors="replace")
                    content.seek(0)
                if name in wanted and (not member.islnk() or plain_name(member.linkname) in names):
                    target.addfile(_clean(member, name), content)
                    names[name] = None
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # tarfile raises some without
            raise CliError(kind.not_kept(error)) from error
        raise CliError(f"the job's {kind.what} came damaged: {error}", "Run it again.") from error
    if missing := {*wanted} - {*names} | {*texts} - {*found}:
        raise CliError(
            f"{len(missing)} of the job's {kind.what} did not come, such as {plain(min(missing))}", "Run it again."
        )
    return Kept(tuple(names), size, found)


def unpack(archive: Path, folder: Path) -> tuple[str, ...]:
    """Unpack an archive of `keep` into a folder of this machine; gives the names of what was left out.

    Never unpacked: what would lie outside of the folder, links that lead out of it, what lies below a link, and what comes twice.

    Raises:
        CliError: it cannot be read or written.
    """
    if not hasattr(tarfile, "data_filter"):
        raise CliError("this Python cannot unpack archives safely", "Use Python 3.11.4 or newer.")
    left_out: list[str] = []
    links: set[PurePosixPath] = set()
    seen: set[PurePosixPath] = set()
    written: set[PurePosixPath] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "r:") as source:
            for member in source:
                path = PurePosixPath(member.name)
                again = path in seen or (member.islnk() and PurePosixPath(member.linkname) not in written)
                if again or links.intersection(path.parents) or not _stays_inside(member):
                    left_out.append(member.name)
                    continue
                try:
                    source.extract(member, folder, filter="data")
                except tarfile.FilterError:
                    left_out.append(member.name)
                    continue
                finally:
                    seen.add(path)
                    if member.issym():
                        links.add(path)
                if member.isreg():
                    written.add(path)
    # RecursionError: tarfile looks for a copy of what a link in the way of a folder points to.
    except (tarfile.TarError, OSError, RecursionError) as error:
        raise CliError(f"the artifacts cannot be unpacked into {folder}: {error}", "Choose another folder.") from error
    return tuple(left_out)


def plain_name(name: str) -> str:
    """A name without `./` before and slashes behind it."""
    while name.startswith("./"):
        name = name[2:]
    return name.rstrip("/")


def is_inside(name: str) -> bool:
    """Whether a name is relative and never goes up."""
    return bool(name) and not name.startswith("/") and ".." not in name.split("/")


def _members(source: tarfile.TarFile, wanted: Collection[str]) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The entries that were asked for, with their plain names, each once."""
    seen: set[str] = set()
    most = _SPARE * (len(wanted) + 1)
    for count, member in enumerate(source):
        if count > most:  # tarfile remembers each: a job could fill our memory
            raise CliError(
                "the job's archive has more in it than was asked for", "Look into what `tar` is in its image."
            )
        name = plain_name(member.name)
        kind = member.isreg() or member.isdir() or member.issym() or member.islnk()
        if kind and name in wanted and name not in seen and is_inside(name):
            seen.add(name)
            yield member, name


def _clean(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """An entry with nothing but what a later job needs of it."""
    clean = tarfile.TarInfo(name)
    clean.mode = member.mode & 0o7777
    clean.mtime = int(min(max(member.mtime, 0), _LAST_SECOND))
    clean.type = tarfile.REGTYPE if member.isreg() else member.type
    clean.size = member.size if member.isreg() else 0
    clean.linkname = plain_name(member.linkname) if member.islnk() else member.linkname
    return clean


def _stays_inside(member: tarfile.TarInfo) -> bool:
    """Whether an entry, and what it points to, lies in the folder, by their names alone."""
    if not is_inside(member.name):
        return False
    if not member.issym():
        return member.isreg() or member.isdir() or member.islnk()
    if member.linkname.startswith("/"):
        return False
    # Up first and then down: behind the name of another link, `..` could be anywhere.
    parts = [part for part in member.linkname.split("/") if part not in ("", ".")]
    up = len(list(takewhile(lambda part: part == "..", parts)))
    return ".." not in parts[up:] and up <= len(PurePosixPath(member.name).parent.parts)
