"""What a `.gitlab-ci.yml` becomes: a pipeline of jobs, each with the spec of a CiJob, and what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cijob.importers.gitlab.variables import Layer

Spec = dict[str, Any]
"""The spec of a CiJob as it stands in a manifest: camelCase, plain values."""


class Severity(StrEnum):
    """How much a finding matters."""

    #: Nothing can be made of the file, as GitLab itself would refuse it.
    ERROR = "error"
    #: A key was left out or means something else here; `--strict` fails on it.
    WARNING = "not converted"
    #: A key was turned into something that looks different and does the same.
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1; the file as the user named it or as an include did."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to tell: where, of which key (`image:pull_policy`), in which job ("" for the pipeline), in a sentence."""

    severity: Severity
    place: Place
    key: str
    message: str
    job: str = ""


class ImportFailed(Exception):
    """Nothing can be made of the file; `findings` has at least one ERROR."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        errors = (one for one in findings if one.severity is Severity.ERROR)
        super().__init__("; ".join(f"{one.place}: {one.message}" for one in errors))


class TooMuch(Exception):
    """A file asks for more time or memory than it gets; the message is a sentence. `load` makes an ImportFailed of it."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place


class When(StrEnum):
    """When a job runs, as GitLab has it."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"
    MANUAL = "manual"
    DELAYED = "delayed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Files that a job leaves for later jobs.

    `paths` and `exclude` are globs relative to the working directory, `**` crosses folders; a folder means all below it.
    `when`: ON_SUCCESS, ON_FAILURE or ALWAYS. `dotenv`: files of `reports: dotenv`, whose lines become variables of later
    jobs. `untracked`: all files that git does not track.
    """

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    when: When = When.ON_SUCCESS
    untracked: bool = False
    dotenv: tuple[str, ...] = ()


class Policy(StrEnum):
    """What of `cache` a job does: take it before its script, leave it behind it, or both."""

    PULL_PUSH = "pull-push"
    PULL = "pull"
    PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Files that a job finds again in the next run, and other jobs with the same key.

    `key` and `fallback_keys` are as GitLab's runner makes them of what is written; the fallback keys are tried in this order
    where nothing is kept under the key, and never written. `paths` are globs as in `Artifacts`. `when`: ON_SUCCESS, ON_FAILURE
    or ALWAYS: the end of the script after which it is saved.
    """

    key: str
    paths: tuple[str, ...] = ()
    untracked: bool = False
    policy: Policy = Policy.PULL_PUSH
    when: When = When.ON_SUCCESS
    fallback_keys: tuple[str, ...] = ()

    @property
    def pulls(self) -> bool:
        """Whether the job finds its files."""
        return self.policy is not Policy.PUSH

    @property
    def pushes(self) -> bool:
        """Whether its files are saved behind the script."""
        return self.policy is not Policy.PULL


@dataclass(frozen=True, slots=True)
class Need:
    """A job that has to end before another starts, by name (with the parallel index where it has one)."""

    job: str
    artifacts: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineJob:
    """One job of a pipeline, `parallel` and `matrix` spread out, rules decided.

    Attributes:
        name: as GitLab shows it: `test`, `test 1/3`, `test: [linux, 3.12]`.
        stage: one of the pipeline's.
        spec: its CiJob's.
        place: where it is defined.
        needs: None where the stage decides; the empty tuple starts at once.
        takes: names of the jobs whose artifacts it gets, resolved from needs, dependencies and stages.
        when: never NEVER: such jobs are left out.
        allow_failure: whether its failure leaves the pipeline a success; `allowed_exit_codes` narrows that.
        start_in: seconds of delay for DELAYED.
        layers: its variables as the file has them, below those of earlier jobs and the user's; see `variables.resolve`.
    """

    name: str
    stage: str
    spec: Spec
    place: Place
    needs: tuple[Need, ...] | None = None
    takes: tuple[str, ...] = ()
    when: When = When.ON_SUCCESS
    allow_failure: bool = False
    allowed_exit_codes: frozenset[int] = frozenset()
    artifacts: Artifacts | None = None
    caches: tuple[Cache, ...] = ()
    start_in: float = 0
    layers: tuple[Layer, ...] = ()
    interruptible: bool = False
    resource_group: str = ""
    #: Whether the job wants the repository's files: GIT_STRATEGY says no with `none` and `empty`.
    wants_files: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A whole pipeline: its stages in order (`.pre` and `.post` where they have jobs) and the jobs that run.

    `absent`: names of jobs of the file that do not run, by their conditions.
    """

    name: str
    stages: tuple[str, ...]
    jobs: tuple[PipelineJob, ...]
    absent: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """What the pipeline runs for: the state of a repository, as GitLab's predefined variables tell it.

    Attributes:
        branch, tag: names; at most one is set. Both empty: unknown, and then `branch` is taken to be `default_branch`.
        sha: the commit, 40 hex digits, or empty.
        source: CI_PIPELINE_SOURCE: push, web, schedule, merge_request_event...
        url: the repository's address without credentials, or empty.
        changed: paths changed by the commit for `rules:changes`, None where that is unknown (all match then, as in GitLab
            for a new branch).
    """

    branch: str = ""
    tag: str = ""
    sha: str = ""
    default_branch: str = "main"
    source: str = "push"
    url: str = ""
    message: str = ""
    author: str = ""
    timestamp: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to import, and for what.

    Attributes:
        file: the pipeline file's path, relative to `files` or absolute.
        ref: the state of the repository.
        variables: given by the user, above all that the file says.
        pools: tag to BuildPool: `--pool TAG=POOL`; a tag that is not in it is named as not converted.
        default_image: the image of jobs that name none, as a runner has one; empty: GitLab.com's, which is told of.
        pipeline_id: CI_PIPELINE_ID.
        working_dir: where the repository's files are in the job: CI_PROJECT_DIR and spec.workingDir.
        git_url, git_ref, git_secret: spec.source.git of each job that wants the repository's files, with the depth and the
            submodules that GIT_DEPTH and GIT_SUBMODULE_STRATEGY ask for; none without `git_url`. The ref is that of `ref`
            when unset.
    """

    file: str
    ref: Ref = Ref()
    variables: dict[str, str] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    default_image: str = ""
    pipeline_id: int = 1
    working_dir: str = "/workspace"
    git_url: str = ""
    git_ref: str = ""
    git_secret: str = ""
