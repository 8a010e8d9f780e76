"""A `.git` for jobs, as GitLab's runner makes it, fetched from the user's own repository, which is only read.

Never a copy: what stands in the user's `.git/config` and hooks may be credentials and programs. Refs, depth and settings are those
of GitLab (gitlabhq/gitlabhq at 0286e4c6, `app/presenters/ci/build_runner_presenter.rb`, `refspecs`) and of its runner
(`shells/abstract.go`, `writeRefspecFetchCmd`, `setupTemplateDir` and `writeCheckoutCmd`).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cijob.cli.files.bundle import Entry, mib
from cijob.cli.repository import Git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.importers.gitlab.model import Ref, Spec

#: Commits that GitLab fetches unless GIT_DEPTH says otherwise: `ci_default_git_depth` of a new project.
DEFAULT_DEPTH: Final = 20
#: What git takes for "all of them".
_INFINITE: Final = 2**31 - 1
#: Seconds that git may take in all.
_PATIENCE: Final = 120
#: Bytes of the largest file that git may write in any case: its own settings and the index.
_LEAST: Final = 1 << 20
#: Of ours alone: a pack instead of a file for each object, nothing that goes on in the background; the user's git has agreed to
#: read the repository, and here nobody asks whose it is.
_SETTINGS: Final = """\
[core]
    fsmonitor = false
    hooksPath = /dev/null
[fetch]
    unpackLimit = 1
    writeCommitGraph = false
[transfer]
    unpackLimit = 1
[gc]
    auto = 0
[maintenance]
    auto = false
[protocol]
    version = 2
[safe]
    directory = *
"""
#: What the jobs' repository says of itself: first what the runner has in its template; then that a file with the size and the second
#: that the index knows is unchanged, for all else of a file is another in the job.
_OWN: Final = {
    "init.defaultBranch": "none",
    "fetch.recurseSubmodules": "false",
    "credential.interactive": "never",
    "gc.autoDetach": "false",
    "core.checkStat": "minimal",
    "core.trustctime": "false",
}
#: How files of the work tree differ from what is committed without being changed, and the values that these settings have.
_TAKEN_OVER: Final = {
    "core.fileMode": ("true", "false"),
    "core.symlinks": ("true", "false"),
    "core.autocrlf": ("true", "false", "input"),
    "core.eol": ("lf", "crlf", "native"),
}
#: What tells of this machine, and of the time at which all this was done.
_LEFT_OUT: Final = ("FETCH_HEAD", "logs")
LESS: Final = "a smaller GIT_DEPTH brings less of it, a larger --workspace-limit allows more"
"""What to do where it is too large."""
#: Bytes that a shell's `ulimit -f` counts in.
_BLOCK: Final = 512
_LIMITED: Final = 'ulimit -f "$0"; exec "$@"'


@dataclass(frozen=True, slots=True)
class Checkout:
    """A `.git` for jobs: its files; or why there is none, in a sentence, empty where there is nothing to tell."""

    entries: tuple[Entry, ...] = ()
    problem: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


class _Failed(Exception):
    """Git says no; why, in a sentence."""


def depth_of(variables: Mapping[str, str]) -> int:
    """The number of commits that a job's GIT_DEPTH asks for, 0: all. What is no number is 0, as for Ruby's `to_i`.

    >>> [depth_of({"GIT_DEPTH": value}) for value in ("3", "0", "all", "-1")]
    [3, 0, 0, 0]
    """
    given = variables.get("GIT_DEPTH")
    if given is None:
        return DEFAULT_DEPTH
    found = re.match(r"\s*\+?(\d{1,10})", given, re.ASCII)  # ten digits are more than any history has
    return min(int(found[1]), _INFINITE) if found else 0


def trusting(spec: Spec) -> Spec:
    """The spec with git told that the working directory, which is root's, is in order, as for a job with spec.source.

    A job that sets GIT_CONFIG_COUNT itself is left alone.
    """
    variables = spec.get("variables") or {}
    if "GIT_CONFIG_COUNT" in {*variables, *(one.get("name") for one in spec.get("env") or ())}:
        return spec
    ours = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return {**spec, "variables": {**variables, **ours}}


def root_of(folder: Path) -> Path | None:
    """The root of the work tree that a folder is in, None where git knows none; symbolic links resolved."""
    answer = (Git(folder).text("rev-parse", "--is-inside-work-tree", "--show-cdup") or "").splitlines()
    if answer[:1] != ["true"]:
        return None
    return (folder.resolve() / "".join(answer[1:])).resolve()


def check_out(root: Path, into: Path, ref: Ref, *, number: int, depth: int, limit: int) -> Checkout:
    """A `.git` as of a pipeline's jobs. The work tree is not written: the index says what of it is as committed.

    Args:
        root: of a work tree.
        into: a folder that does not exist; the entries' files will lie in it.
        ref: what the pipeline runs for; its commit is HEAD.
        number: CI_PIPELINE_ID.
        depth: commits of each ref, 0: all of them, and all branches and tags.
        limit: bytes of the largest file that git may write.
    """
    if not ref.sha:
        return Checkout(problem="the repository has no commit yet")
    making = _Making(into, time.monotonic() + _PATIENCE, max(limit, _LEAST))
    try:
        making.begin()
        _initialise(making, root, ref)
        _fetch(making, root, ref, number, depth)
        making.git("update-ref", "--no-deref", "HEAD", ref.sha)
        making.git("pack-refs", "--all")
        making.git("read-tree", "HEAD")
        # It ends with 1 where a file is changed.
        making.git(f"--work-tree={root}", "update-index", "-q", "--refresh", most=1)
        return Checkout(tuple(_entries(making.repository)))
    except _Failed as failure:
        return Checkout(problem=str(failure))
    except OSError as error:
        return Checkout(problem=f"it cannot be written: {error.strerror}")


@dataclass(frozen=True, slots=True)
class _Making:
    """Git in a repository of our own, with settings of our own alone. `end`: when all has to be done, as `time.monotonic` says it."""

    into: Path
    end: float
    limit: int

    @property
    def repository(self) -> Path:
        """The `.git` that is made."""
        return self.into / "work" / ".git"

    def begin(self) -> None:
        """Makes the folder, with what stands for the user's home in it."""
        self.into.mkdir(parents=True)
        self.repository.parent.mkdir()
        (self.into / ".gitconfig").write_text(_SETTINGS, encoding="utf-8")

    def git(self, *arguments: str, most: int = 0) -> None:
        """Runs git; an exit code up to `most` is in order.

        Raises:
            _Failed: it fails, is not there, or takes too long.
        """
        left = max(self.end - time.monotonic(), 0)
        command = ["git", f"--git-dir={self.repository}", *arguments]
        limited = ["/bin/sh", "-c", _LIMITED, str(self.limit // _BLOCK), *command]
        try:
            done = subprocess.run(  # noqa: S603  no word is looked into
                limited,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=left,
                env=self._environment(),
                cwd=self.repository.parent,
                umask=0o022,
            )
        except subprocess.TimeoutExpired as error:
            raise _Failed(f"git took more than {_PATIENCE} s") from error
        if 0 <= done.returncode <= most:
            return
        if done.returncode == -signal.SIGXFSZ or self._is_full():
            raise _Failed(f"it is more than the {mib(self.limit)} that the limit leaves: {LESS}")
        said = done.stderr.decode(errors="replace").strip()
        raise _Failed(f"git {arguments[0]}: {said.splitlines()[-1] if said else f'exit code {done.returncode}'}")

    def _is_full(self) -> bool:
        """Whether a pack was cut off at the limit: of that git says only that it ended."""
        packs = (self.repository / "objects" / "pack").glob("tmp_pack_*")
        return any(pack.stat().st_size >= self.limit // _BLOCK * _BLOCK for pack in packs)

    def _environment(self) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        home = str(self.into)
        return known | {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            # A partial clone would get what it lacks from its remote.
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "LC_ALL": "C",
        }


def _initialise(making: _Making, root: Path, ref: Ref) -> None:
    user = Git(root)
    hashes = user.line("rev-parse", "--show-object-format")
    making.git("init", "--quiet", "--template=", *([f"--object-format={hashes}"] if hashes not in ("", "sha1") else []))
    settings = dict(_OWN)
    for name, values in _TAKEN_OVER.items():
        kind = ["--type=bool"] if values == ("true", "false") else []
        if (value := user.line("config", *kind, "--get", name).lower()) in values:
            settings[name] = value
    if ref.url:
        settings |= {"remote.origin.url": ref.url, "remote.origin.fetch": "+refs/heads/*:refs/remotes/origin/*"}
    for name, value in settings.items():
        making.git("config", name, value)


def _fetch(making: _Making, root: Path, ref: Ref, number: int, depth: int) -> None:
    """The refs that GitLab's runner has, of a repository that has them elsewhere, or not all: a commit is asked for by its hash."""
    own = [f"+{ref.sha}:refs/pipelines/{number}"]
    if ref.tag:
        # As it is, with its message, unless the pipeline runs for another commit than the tag's.
        there = Git(root).commit(f"refs/tags/{ref.tag}") == ref.sha
        own.append(f"+{f'refs/tags/{ref.tag}' if there else ref.sha}:refs/tags/{ref.tag}")
    else:
        own.append(f"+{ref.sha}:refs/remotes/origin/{ref.branch or ref.default_branch}")
    how = ["fetch", "--quiet", "--no-recurse-submodules"]
    if depth:
        making.git(*how, f"--depth={depth}", root.as_uri(), *own)
        return
    how.append("--update-shallow")  # else a repository that is shallow itself gives nothing
    making.git(*how, root.as_uri(), "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    # Of a branch that the remote has, too, GitLab knows only that.
    if remote := Git(root).remote:
        making.git(*how, root.as_uri(), f"+refs/remotes/{remote}/*:refs/remotes/origin/*")
        making.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    making.git(*how, root.as_uri(), *own)


def _entries(repository: Path) -> Iterator[Entry]:
    """Parents before what is in them; git takes a folder without `refs` for no repository, even where that is empty."""

    def fail(error: OSError) -> None:
        raise error

    yield Entry(".git", repository, 0)
    for path, folders, files in os.walk(repository, onerror=fail):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        here = Path(path)
        for name in (*folders, *sorted(name for name in files if name not in _LEFT_OUT)):
            found = here / name
            size = found.lstat().st_size if name in files else 0
            yield Entry(f".git/{found.relative_to(repository).as_posix()}", found, size)
