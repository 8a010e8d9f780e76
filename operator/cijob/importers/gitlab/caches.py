"""`cache`: files that are kept from run to run, and what they are kept by.

Sources: what GitLab refuses and makes of a key: `lib/gitlab/ci/config/entry/{cache,caches,key}.rb`, `lib/gitlab/ci/build/cache.rb` and
`lib/gitlab/ci/pipeline/seed/build/cache.rb` (gitlabhq/gitlabhq at 0286e4c6); what the runner makes of it then:
`shells/abstract.go` and `cache/cachekey/cachekey.go` (gitlabhq/gitlab-runner at d79f3e7b).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from cijob.importers.gitlab.model import Cache, Policy, When
from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.paths import paths
from cijob.importers.gitlab.variables import expand

if TYPE_CHECKING:
    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.job import Job

_MOST: Final = 4
_MOST_FALLBACKS: Final = 5
_MOST_FILES: Final = 2
_DEFAULT: Final = "default"
_WHEN: Final = {one.value: one for one in (When.ON_SUCCESS, When.ON_FAILURE, When.ALWAYS)}
#: What GitLab adds to keys of branches that are protected, and that are not; nobody is protected here.
_PROTECTED, _NOT_PROTECTED = "-protected", "-non_protected"

_Path = tuple[str | int, ...]


def caches(job: Job, files: Files) -> tuple[Cache, ...]:
    """The caches of a job; those that mean no files are left out, as in GitLab."""
    given = job.config.get("cache")
    if not given:
        return ()
    entries = given if isinstance(given, list) else [given]
    if len(entries) > _MOST:
        job.report.error(("cache",), f"a job has at most {_MOST} caches, and here are {len(entries)}")
        return ()
    places: list[_Path] = [("cache", index) if isinstance(given, list) else ("cache",) for index in range(len(entries))]
    found = [
        _cache(job, files, entry, place, index)
        for index, (entry, place) in enumerate(zip(entries, places, strict=True))
    ]
    return tuple(one for one in found if one is not None)


def _cache(job: Job, files: Files, entry: Any, place: _Path, index: int) -> Cache | None:  # noqa: ANN401  a value of YAML
    if not isinstance(entry, Mapping):
        job.report.error(place, "is not a mapping: write the files below cache:paths")
        return None
    report = job.report
    when = str(entry.get("when") or When.ON_SUCCESS)
    if when not in _WHEN:
        report.error((*place, "when"), f"{when!r} is none of on_success, on_failure and always")
        return None
    untracked = _switch(job, entry, place, "untracked")
    _switch(job, entry, place, "unprotect")
    policy = _policy(job, entry.get("policy"), (*place, "policy"))
    key = _key(job, files, entry.get("key"), (*place, "key"), index)
    fallbacks = _fallbacks(job, entry.get("fallback_keys"), (*place, "fallback_keys"))
    wanted = paths(job, entry.get("paths"), *place, "paths", what="caches")
    if policy is None or key is None or not (wanted or untracked):
        if not entry.get("paths") and not untracked:
            report.note(place, "it has neither paths nor untracked, and so nothing is kept")
        return None
    return Cache(key=key, paths=wanted, untracked=untracked, policy=policy, when=_WHEN[when], fallback_keys=fallbacks)


def _switch(job: Job, entry: Mapping, place: _Path, name: str) -> bool:
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        job.report.error((*place, name), f"{name} is true or false")
    return value is True


def _policy(job: Job, given: Any, place: _Path) -> Policy | None:  # noqa: ANN401  a value of YAML
    """What the text means, with its variables; one that is empty then is the usual one, as in the runner."""
    text = job.text(given, *place) or Policy.PULL_PUSH.value
    try:
        return Policy(text)
    except ValueError:
        job.report.error(place, f"{text!r} is none of pull-push, pull and push")
        return None


def _fallbacks(job: Job, given: Any, place: _Path) -> tuple[str, ...]:  # noqa: ANN401  a value of YAML
    """`fallback_keys`, and behind them CACHE_FALLBACK_KEY."""
    texts = given or []
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        job.report.error(place, "is not a list of keys")
        return ()
    if len(texts) > _MOST_FALLBACKS:
        job.report.error(place, f"at most {_MOST_FALLBACKS} keys are tried, and here are {len(texts)}")
        return ()
    keys = [sanitized(job.text(one, *place, index)) for index, one in enumerate(texts)]
    last = sanitized(expand(job.variables.get("CACHE_FALLBACK_KEY", ""), job.variables))
    if last.rstrip(". ").endswith(_PROTECTED):
        message = f"{last} is not taken, as GitLab's runner takes no key that ends in {_PROTECTED}"
        job.report.note(("variables", "CACHE_FALLBACK_KEY"), message)
    else:
        keys.append(last.removesuffix(_NOT_PROTECTED))
    return tuple(dict.fromkeys(key for key in keys if key))


def _key(job: Job, files: Files, given: Any, place: _Path, index: int) -> str | None:  # noqa: ANN401  a value of YAML
    """The key that the cache is kept by; None where there is none, which is told of."""
    if given is None:
        return _DEFAULT
    text: str | None = None
    if isinstance(given, Mapping):
        text = _of_files(job, files, given, place, index)
    elif not isinstance(given, str):
        job.report.error(place, "is neither a text nor a mapping with files")
    elif not given:  # the runner's own default
        text = f"{job.name}/{job.variables.get('CI_COMMIT_REF_NAME', '')}"
    elif _plain(job, given, place):
        text = job.text(given, *place)
    key = sanitized(text or "")
    if text is not None and not key:
        job.report.note(place, f"{given} is empty here: the cache is neither restored nor saved, as in GitLab")
    return key or None


def _plain(job: Job, text: str, place: _Path) -> bool:
    """Whether GitLab takes the text of a key or a prefix, as it is written."""
    plain = unquote(text)
    if "/" in plain or plain in (".", ".."):
        job.report.error(place, f"{text!r} is no key: one has no slash in it, and is not `.` or `..`")
        return False
    return True


def _of_files(job: Job, files: Files, given: Mapping, place: _Path, index: int) -> str | None:
    """A key made of what is in files, or of the commits that changed them; None where GitLab refuses it."""
    kinds = [name for name in ("files", "files_commits") if given.get(name) is not None]
    if len(kinds) != 1:
        job.report.error(place, "a key that is a mapping has one of files and files_commits")
        return None
    names = given[kinds[0]]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names) or not names:
        job.report.error((*place, kinds[0]), "is not a list of files")
        return None
    if len(names) > _MOST_FILES:
        job.report.error((*place, kinds[0]), f"at most {_MOST_FILES} files make a key, and here are {len(names)}")
        return None
    prefix = given.get("prefix")
    if prefix is not None and (not isinstance(prefix, str) or not _plain(job, prefix, (*place, "prefix"))):
        if not isinstance(prefix, str):
            job.report.error((*place, "prefix"), "is not a text")
        return None
    start = str(index) if prefix is None else job.text(prefix, *place, "prefix")
    find = _contents if kinds[0] == "files" else _commits
    return "-".join(part for part in (start, _digest(find(files, names)) or _DEFAULT) if part)


def _contents(files: Files, names: list[str]) -> list[str]:
    """What git calls the contents of files, which are those of this moment: with changes that are not committed."""
    found = [path for name in names for path in (files.wildcard(name) if "*" in name else [name])]
    return [files.blob(path) for path in found]


def _commits(files: Files, names: list[str]) -> list[str]:
    """The last commits that changed files; where git knows none, what it would call their contents."""
    return [files.last_commit(name) or files.blob(name) for name in names]


def _digest(hashes: list[str]) -> str:
    known = sorted({one for one in hashes if one})
    return hashlib.sha1("-".join(known).encode(), usedforsecurity=False).hexdigest() if known else ""


def sanitized(key: str) -> str:
    """A key as the runner makes it: a path that never leads up, without white space at its end; empty where nothing is left.

    >>> sanitized("feature%2Fx/../y ")
    'feature/y'
    """
    for written, meant in (("%2f", "/"), ("%2F", "/"), ("%2e", "."), ("%2E", "."), ("\\", "/")):
        key = key.replace(written, meant)
    parts: list[str] = []
    for part in key.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    while parts and not (last := parts[-1].rstrip()):
        parts.pop()
    if parts:
        parts[-1] = last
    return "/".join(parts)
