"""The CiJob API, version cijob.dev/v1alpha1: the one source of the CRD, its documentation and the operator's types.

Each field's docstring is what `kubectl explain` prints. Rules that span fields are in `crdgen/rules.py` (for the API
server) and in `validation.py` (for the operator, which also checks what the API server cannot).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from cijob.corev1 import EnvFromSource, EnvVar, Model, Resources
from cijob.names import DEFAULT_POOL
from cijob.parts import (
    Argument,
    Docker,
    Duration,
    LocalObject,
    PullPolicy,
    Retry,
    Service,
    Source,
    VariableName,
    VariableValue,
)

DEFAULT_WORKING_DIR = "/workspace"


class Phase(StrEnum):
    """Where a CiJob is in its life."""

    PENDING = "Pending"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def finished(self) -> bool:
        """Whether the phase is final."""
        return self in _FINISHED


_FINISHED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


class Shell(StrEnum):
    """The shell that runs the script."""

    AUTO = "Auto"
    BASH = "bash"
    SH = "sh"


class Cancel(StrEnum):
    """How a CiJob is cancelled."""

    GRACEFUL = "Graceful"
    IMMEDIATE = "Immediate"


class Platform(StrEnum):
    """An operating system and an architecture."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"


ScriptEntry = Annotated[str, Field(min_length=1, max_length=102400)]
Script = Annotated[tuple[ScriptEntry, ...], Field(min_length=1, max_length=200)]


class CiJobSpec(Model):
    """What to run. All but cancel, suspend, priority and ttlSecondsAfterFinished is fixed once the CiJob exists."""

    pool_name: Annotated[str, Field(min_length=1, max_length=63)] = DEFAULT_POOL
    """The BuildPool that runs the job, such as default (also when unset). Its defaults and limits hold for the job."""
    image: Annotated[str, Field(min_length=1, max_length=1024)]
    """The image of the job container, such as ubuntu:25.10. It runs as the image's own user, not privileged; a script needs
    /bin/sh in it."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled: Always, IfNotPresent or Never. When unset: Always for the tag latest or none,
    IfNotPresent for the rest."""
    script: Script | None = None
    """Shell commands, run one after the other in one shell with beforeScript's; the first that fails ends the job with
    its exit code. An entry may hold many lines. Each is printed as it starts. Exactly one of script and command is
    needed."""
    before_script: Script | None = None
    """Shell commands that run before script's, in the same shell; the first that fails ends the job too."""
    after_script: Script | None = None
    """Shell commands that always run at the end, in a shell of their own and for at most 5 minutes, with the outcome in
    CIJOB_STATUS (success, failed or canceled) and CIJOB_EXIT_CODE. They do not change the outcome."""
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=256)] | None = None
    """The program to start instead of a script, as a list of words; for images without a shell. $(NAME) is replaced as
    in a Pod. Exactly one of script and command is needed."""
    args: Annotated[tuple[Argument, ...], Field(max_length=256)] | None = None
    """Arguments after command's words."""
    shell: Shell = Shell.AUTO
    """The shell for the scripts: Auto (also when unset) takes bash where the image has it and sh elsewhere; bash or sh
    take just that."""
    variables: Annotated[dict[VariableName, VariableValue], Field(max_length=256)] | None = None
    """Environment variables with literal values: $ stays $. Every job finds these set: CI (true), CIJOB_NAME,
    CIJOB_NAMESPACE, CIJOB_UID, CIJOB_ATTEMPT and CIJOB_POOL. Names that start with CIJOB_ belong to the operator."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=256)] | None = None
    """Environment variables as in a Pod, with values from Secrets, ConfigMaps or fields of the Pod where wanted."""
    env_from: Annotated[tuple[EnvFromSource, ...], Field(max_length=32)] | None = None
    """Secrets and ConfigMaps whose keys all become environment variables, as in a Pod."""
    working_dir: Annotated[str, Field(min_length=1, max_length=512)] = DEFAULT_WORKING_DIR
    """The folder where the script starts: an empty volume at the same path in the job, the Docker daemon and the services,
    so that docker run -v $PWD:/src works. An absolute path outside the system's folders."""
    source: Source | None = None
    """What is in workingDir when the script starts; it is empty when unset."""
    services: Annotated[tuple[Service, ...], Field(max_length=8)] | None = None
    """Containers beside the job, such as a database, which share its network and are reached under their names."""
    image_pull_secrets: Annotated[tuple[LocalObject, ...], Field(max_length=16)] | None = None
    """Secrets of the type kubernetes.io/dockerconfigjson with which all images of the job's Pod are pulled. The first is
    also copied to where DOCKER_CONFIG points, for docker pull and docker push in the script."""
    platform: Platform | None = None
    """The kind of node that the job runs on: linux/amd64 or linux/arm64. All its images need to be of that kind. Any node
    when unset."""
    resources: Resources | None = None
    """Requests and limits of the job container. The containers that it starts with docker count under
    docker.resources."""
    docker: Docker = Docker()
    """The job's own Docker daemon."""
    timeout: Duration | None = None
    """How long an attempt may take, counted from the start of its Pod with pulls included: 1s to 168h, such as 1h30m. The
    pool's default when unset, or else the operator's (1h)."""
    queue_timeout: Duration | None = None
    """How long the job may wait for its turn, or while it is suspended, before it fails as QueueTimeout: 1s to 168h, such as
    2h. It counts from the creation of the CiJob, and for another attempt from when that may start. The pool's default when
    unset, or none."""
    retry: Retry = Retry()
    """Whether and when the job runs again after a failure. Unset: only after trouble that is not its own."""
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] = 0
    """Where jobs of a namespace have to wait for their turn, those of higher priority have it first, -1000 to 1000. Between
    namespaces it counts only where both run equally many. 0 when unset. May be changed at any time."""
    suspend: StrictBool = False
    """True keeps the job waiting: no attempt gets a Pod until it is false again. An attempt that has its Pod goes on. False
    when unset. May be changed at any time."""
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0, le=31536000)] | None = None
    """Seconds after the end until the CiJob, its Pod and its log are deleted; at most a year, 31536000. The pool's
    default when unset, or else the operator's (86400, a day). May be changed at any time."""
    cancel: Cancel | None = None
    """Set it to end the job: Graceful lets the script handle SIGTERM and afterScript run within the grace period,
    Immediate skips afterScript. Graceful may become Immediate, which an attempt that is being stopped does not learn any
    more; it is never taken back."""


class Condition(Model):
    """One aspect of the CiJob's state, as on other Kubernetes objects."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    """Complete, Failed, Cancelled or Finished."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds: True, False or Unknown."""
    reason: Annotated[str, Field(max_length=128)] = ""
    """One word that says why."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """A sentence that says why."""
    last_transition_time: datetime | None = None
    """When status last changed."""
    observed_generation: StrictInt | None = None
    """The metadata.generation that it speaks of."""


class Retries(Model):
    """How many times the job ran again."""

    user: Annotated[StrictInt, Field(ge=0)] = 0
    """After failures of its own: spec.retry.limit bounds them."""
    infra: Annotated[StrictInt, Field(ge=0)] = 0
    """After trouble that was not its own: spec.retry.infraLimit bounds them."""


class Attempt(Model):
    """An attempt that has ended."""

    attempt: Annotated[StrictInt, Field(ge=1)]
    """Its number, from 1."""
    pod_name: Annotated[str, Field(max_length=253)] | None = None
    """Name of its Pod."""
    pod_uid: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="podUID")
    """UID of its Pod."""
    node_name: Annotated[str, Field(max_length=253)] | None = None
    """The node that ran it."""
    start_time: datetime | None = None
    """When its Pod was started by its node."""
    completion_time: datetime | None = None
    """When it ended; the wait for the next attempt counts from here."""
    exit_code: StrictInt | None = None
    """Exit code of its job container."""
    reason: Annotated[str, Field(max_length=128)] = ""
    """One word that says how it ended, such as ScriptFailed."""


class CiJobStatus(Model):
    """What became of it, written by the operator."""

    phase: Phase = Phase.PENDING
    """Pending, Queued, Starting, Running, Succeeded, Failed or Cancelled. The last three are final."""
    reason: Annotated[str, Field(max_length=128)] | None = None
    """One word that says why the phase is what it is, such as ScriptFailed."""
    message: Annotated[str, Field(max_length=4096)] | None = None
    """A sentence that says what happened and what can be done."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Complete, Failed, Cancelled, and Finished, which holds at every end: kubectl wait --for=condition=Finished."""
    attempt: Annotated[StrictInt, Field(ge=1)] | None = None
    """The number of the attempt that runs, is next, or was the last; from 1."""
    pod_name: Annotated[str, Field(max_length=253)] | None = None
    """Name of the attempt's Pod: kubectl logs POD -c job."""
    pod_uid: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="podUID")
    """UID of the attempt's Pod."""
    node_name: Annotated[str, Field(max_length=253)] | None = None
    """The node that runs it."""
    exit_code: StrictInt | None = None
    """Exit code of the job container."""
    start_time: datetime | None = None
    """When the attempt's Pod was started by its node."""
    completion_time: datetime | None = None
    """When the CiJob ended, however it ended."""
    retries: Retries | None = None
    """How many times the job ran again, by cause. Absent while it did not."""
    attempts: Annotated[tuple[Attempt, ...], Field(max_length=10)] = ()
    """The attempts that have ended, the oldest first; the newest 10 are kept."""

    @property
    def current(self) -> int:
        """The number of the current attempt: 1 until one is recorded."""
        return self.attempt or 1


NEW_STATUS = CiJobStatus()
"""The status of a CiJob that no operator has seen yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CiJobHead:
    """All of an observed CiJob but its spec: enough to write a status where the spec cannot be read."""

    name: str
    namespace: str
    uid: str
    resource_version: int
    generation: int
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    status: CiJobStatus = NEW_STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class CiJob(CiJobHead):
    """An observed CiJob with a well-formed spec; `parsing.parse` makes it."""

    spec: CiJobSpec
