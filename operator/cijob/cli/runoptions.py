"""What `cijob run` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.cli.options import Target

MIB = 1024 * 1024
LIMIT = 256 * MIB
"""Bytes, unpacked, that are brought into a job, and that its artifacts and its caches may have, where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `cijob run`, those of manifests and those of pipelines.

    Attributes:
        file: a manifest or a pipeline file, or None with `image`.
        image, words: `--image I -- WORDS...`.
        sets: `--set spec.timeout=5m`, in order; paths as in a manifest, below spec where they do not start with metadata.
        variables: `--var NAME=VALUE`: spec.variables of each job; for a pipeline also what its rules see.
        timeout: spec.timeout of the job, of each job of a pipeline that has none.
        output: with `detach`, how what was created is printed: json, yaml, name; None: as `kubectl create` does.
        workspace: a folder whose files are brought into the job; None: for a pipeline its own folder, else nothing.
        bring_files: False with --no-workspace.
        workspace_limit, artifacts_limit: bytes, unpacked: of the folder; of one job's artifacts.
        artifacts: where the artifacts of a pipeline's jobs are left; None: a temporary folder that goes with the run.
        caches: False with --no-cache: none is restored or saved.
        cache_limit: bytes, unpacked, of one job's caches together.
        pools: tag to BuildPool.
        default_image: of a pipeline's jobs that name none.
        jobs: of a pipeline only these and what they need; empty: all.
        manual: names of manual jobs to run as well.
        branch, tag: instead of those of the git work tree.
        git_url, git_ref, git_secret: spec.source.git instead of bringing files.
    """

    target: Target
    file: str | None = None
    image: str | None = None
    words: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    timeout: str | None = None
    detach: bool = False
    output: str | None = None
    workspace: Path | None = None
    bring_files: bool = True
    workspace_limit: int = LIMIT
    artifacts_limit: int = LIMIT
    artifacts: Path | None = None
    caches: bool = True
    cache_limit: int = LIMIT
    pools: dict[str, str] = field(default_factory=dict)
    default_image: str | None = None
    jobs: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    strict: bool = False
    branch: str | None = None
    tag: str | None = None
    git_url: str | None = None
    git_ref: str | None = None
    git_secret: str | None = None
