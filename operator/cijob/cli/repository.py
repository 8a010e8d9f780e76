"""What a git work tree says of itself: what GitLab's predefined variables and `rules:changes` want to know."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.importers.gitlab.model import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds that git may take for one answer; the longest is the comparison of a large work tree.
_PATIENCE: Final = 60
#: Names of the last resort for the default branch, in the order in which they are tried.
_USUAL: Final = ("main", "master")
#: Variables by which a hook, say, tells which repository is meant. Here a folder says it.
_WHERE: Final = frozenset(
    f"GIT_{name}"
    for name in (
        "DIR",
        "WORK_TREE",
        "INDEX_FILE",
        "COMMON_DIR",
        "OBJECT_DIRECTORY",
        "ALTERNATE_OBJECT_DIRECTORIES",
        "NAMESPACE",
        "PREFIX",
    )
)
#: A real branch of such a name runs as well, and is told as one that git does not know.
_DETACHED: Final = "detached-"
#: Fields of a commit between NULs: hash, author, date in ISO 8601, whole message.
_COMMIT: Final = "%H%x00%an <%ae>%x00%cI%x00%B"


def ref_of(folder: Path, *, branch: str | None = None, tag: str | None = None) -> Ref:
    """The state of the work tree that a folder is in; with `branch` or `tag`, as if that were checked out.

    Without a git work tree (or without git) only what was given is known. The changed files are those of the branch: since
    it left the default branch, uncommitted and untracked ones too, as paths from the folder. On the default branch itself:
    since its remote counterpart, or, where that is no older, since the commit before. They are unknown (None) for a tag and
    where there is nothing to compare with, which GitLab takes for "all changed", too.
    A detached HEAD is the tag that is there, else the only branch that is there, else a branch of its own: never the default
    branch, which may deploy.
    """
    git = Git(folder)
    commit = git.lines("log", "-1", f"--format={_COMMIT}", separator="\0")
    default = _default_branch(git)
    branch, tag = _branch_and_tag(git, branch, tag)
    if len(commit) < 4:  # noqa: PLR2004  the fields of _COMMIT; none of them: no repository, or no commit yet
        return Ref(branch=branch, tag=tag, default_branch=default, url=_url(git))
    sha, author, timestamp, message = commit
    if not branch and not tag:
        branch = _branch_at_head(git) or _DETACHED + sha[:8]
    return Ref(
        branch=branch,
        tag=tag,
        sha=sha,
        default_branch=default,
        url=_url(git),
        message=message.strip(),
        author=author,
        timestamp=timestamp,
        changed=None if tag else _changed(git, sha, default),
    )


def is_detached(ref: Ref) -> bool:
    """Whether the branch is one that only `ref_of` knows."""
    return ref.branch.startswith(_DETACHED)


def in_words(ref: Ref) -> str:
    """What a pipeline runs for, in a sentence."""
    if ref.tag:
        return f"the pipeline is for the tag {ref.tag}"
    if is_detached(ref):
        return f"the pipeline is for a branch {ref.branch}, as HEAD is at none: --branch or --tag name another"
    if ref.branch:
        return f"the pipeline is for the branch {ref.branch}"
    return f"the pipeline is for the branch {ref.default_branch}, as git says of none: --branch or --tag name another"


def files_of(folder: Path) -> tuple[str, ...] | None:
    """The files below a folder that git tracks, or would if they were added; None where there is no git work tree."""
    found = Git(folder).text("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return None if found is None else tuple(sorted({path for path in found.split("\0") if path}))


def last_commit(folder: Path, path: str) -> str:
    """The last commit that changed what a pathspec below a folder means; empty where git knows none."""
    return Git(folder).line("log", "-1", "--format=%H", "--", path)


def of_folders(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git looks at the folder that it is told, whatever repository a caller had in mind."""
    return {name: value for name, value in environment.items() if name not in _WHERE}


@dataclass(frozen=True, slots=True)
class Git:
    """Questions to git about a folder. What it does not know is empty."""

    folder: Path

    def text(self, *arguments: str) -> str | None:
        """What git prints, None if it fails or is not there."""
        # Questions only: no lock is taken, no pager, prompt or file system monitor started.
        command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(self.folder), *arguments]
        environment = {**of_folders(os.environ), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}
        try:
            found = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE, env=environment)  # noqa: S603  no shell
        except (OSError, subprocess.TimeoutExpired):
            return None
        return found.stdout.decode(errors="replace") if found.returncode == 0 else None

    def line(self, *arguments: str) -> str:
        """One line."""
        return (self.text(*arguments) or "").strip()

    def lines(self, *arguments: str, separator: str = "\n") -> list[str]:
        """Several, without empty ones."""
        return [one for one in (self.text(*arguments) or "").split(separator) if one.strip()]

    def commit(self, name: str) -> str:
        """The hash of the commit that a name means."""
        return self.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")

    @property
    def remote(self) -> str:
        """The name of the remote that GitLab would be: `origin`, or else the first; empty where there is none."""
        remotes = self.lines("remote")
        return "origin" if "origin" in remotes else next(iter(remotes), "")


def address(remote: str) -> str:
    """A remote's address without credentials; empty for a path on this machine.

    >>> address("https://me:secret@gitlab.example.com/a/b.git")
    'https://gitlab.example.com/a/b.git'
    >>> address("git@gitlab.example.com:a/b.git")
    'ssh://git@gitlab.example.com/a/b.git'
    """
    scp = re.fullmatch(r"(?P<user>[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>[^\\]+)", remote)
    if scp:
        return f"ssh://{scp['user'] or ''}{scp['host']}/{scp['path'].lstrip('/')}"
    url = re.fullmatch(r"(?P<scheme>https?|ssh|git)://(?:(?P<user>[^/@]*)@)?(?P<rest>[^@]+)", remote)
    if not url:
        return ""
    user = (url["user"] or "").partition(":")[0]
    keep = f"{user}@" if url["scheme"] == "ssh" and user else ""
    return f"{url['scheme']}://{keep}{url['rest']}"


def _url(git: Git) -> str:
    name = git.remote
    return address(git.line("remote", "get-url", "--", name)) if name else ""


def _branch_and_tag(git: Git, branch: str | None, tag: str | None) -> tuple[str, str]:
    """At most one of the two. A commit that is checked out without a branch is one of its tags, if it has any."""
    if tag:
        return "", tag
    current = branch or git.line("symbolic-ref", "--quiet", "--short", "HEAD")
    if current:
        return current, ""
    return "", git.line("describe", "--exact-match", "--tags", "HEAD")


def _branch_at_head(git: Git) -> str:
    """The branch, here or of a remote, that a detached HEAD is at; empty where there is none, or more than one."""
    refs = git.lines("for-each-ref", "--points-at=HEAD", "--format=%(refname)", "refs/heads", "refs/remotes")
    names = {re.sub(r"^refs/(?:heads|remotes/[^/]+)/", "", ref) for ref in refs} - {"HEAD"}
    return names.pop() if len(names) == 1 else ""


def _default_branch(git: Git) -> str:
    """As the remote says; else the usual name that is there; else the first of these."""
    said = git.line("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if said:
        return said.partition("/")[2]
    heads = [f"refs/{where}/{name}" for name in _USUAL for where in ("remotes/origin", "heads")]
    there = [head for head in heads if git.commit(head)]
    return there[0].rpartition("/")[2] if there else _USUAL[0]


def _changed(git: Git, head: str, default: str) -> tuple[str, ...] | None:
    base = _base(git, head, default)
    if not base:
        return None
    changed = git.text("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--relative", base, "--", ".")
    untracked = git.text("ls-files", "--others", "--exclude-standard", "-z")
    if changed is None or untracked is None:
        return None
    return tuple(sorted({path for path in (changed + untracked).split("\0") if path}))


def _base(git: Git, head: str, default: str) -> str:
    """The commit to compare with, or nothing."""
    for name in (f"refs/remotes/origin/{default}", f"refs/heads/{default}"):
        if not (tip := git.commit(name)):
            continue
        base = git.line("merge-base", tip, head)
        return base if base != head else git.commit(f"{head}^")
    return git.commit(f"{head}^")
