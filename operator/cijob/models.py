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

from cijob.corev1 import EnvFromSource, EnvVar, Model, Quantity, Resources
from cijob.names import DEFAULT_POOL

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


class Endpoint(StrEnum):
    """How the job reaches the Docker daemon."""

    TCP = "TCP"
    UNIX = "Unix"


class RetryReason(StrEnum):
    """A failure of the job's own that another attempt may mend."""

    # The table of all reasons is in policies/retry.py.
    SCRIPT_FAILED = "ScriptFailed"
    OOM_KILLED = "OOMKilled"
    DAEMON_OOM_KILLED = "DaemonOOMKilled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    DISK_LIMIT_EXCEEDED = "DiskLimitExceeded"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    START_ERROR = "StartError"


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


ScriptEntry = Annotated[str, Field(min_length=1, max_length=102400)]
Script = Annotated[tuple[ScriptEntry, ...], Field(min_length=1, max_length=200)]
Argument = Annotated[str, Field(max_length=32768)]
Duration = Annotated[str, Field(min_length=1, max_length=24)]
VariableName = Annotated[str, Field(min_length=1, max_length=253)]
VariableValue = Annotated[str, Field(max_length=32768)]


class Storage(Model):
    """The volume that holds the Docker daemon's images, containers and volumes."""

    size: Quantity | None = None
    """The most it may hold, such as 20Gi. A job that goes over is evicted. Bounded only by the node when unset."""
    medium: Literal["", "Memory"] | None = None
    """Memory puts it in RAM, where it counts as memory of the daemon; empty (also when unset) means the node's disk."""


class Docker(Model):
    """The job's own Docker daemon, a sidecar of its Pod."""

    enabled: StrictBool = True
    """Whether the job gets a Docker daemon. Without one it starts sooner and runs in an unprivileged Pod. True when
    unset."""
    endpoint: Endpoint = Endpoint.TCP
    """TCP (also when unset): the daemon listens on 127.0.0.1:2375 inside the Pod and on the socket
    /var/run/docker.sock. Unix: on the socket only, which is safer and starts about 1 s sooner. DOCKER_HOST is set
    to match."""
    resources: Resources | None = None
    """Requests and limits of the daemon and of all containers that it runs."""
    storage: Storage | None = None
    """The volume for the daemon's images, containers and volumes."""
    start_timeout: Duration = "60s"
    """How long the script waits for the daemon before the job fails as DaemonNotReady: 1s to 10m, such as 90s. 60s when
    unset."""


ExitCode = Annotated[StrictInt, Field(ge=1, le=255)]


class RetryWhen(Model):
    """Which of the job's own failures are retried: those of one of the reasons, and those with one of the exit codes."""

    reasons: Annotated[tuple[RetryReason, ...], Field(min_length=1, max_length=16)] | None = None
    """Reasons: ScriptFailed, OOMKilled, DaemonOOMKilled, DeadlineExceeded, DiskLimitExceeded, ImagePullFailed or
    StartError."""
    exit_codes: Annotated[tuple[ExitCode, ...], Field(min_length=1, max_length=64)] | None = None
    """Exit codes of the script or command, 1 to 255, such as 75."""


class Retry(Model):
    """When the job runs again after a failure: 10 s later, then 20 s, doubling up to 6 minutes, in a Pod of its own."""

    limit: Annotated[StrictInt, Field(ge=0, le=10)] = 0
    """How many times the job runs again after failures of its own, 0 to 10. 0 when unset."""
    when: RetryWhen | None = None
    """The failures of its own for which it does. When unset: all that another attempt may mend, which are the reasons
    that reasons lists."""
    infra_limit: Annotated[StrictInt, Field(ge=0, le=10)] = 3
    """How many times the job runs again after trouble that is not its own, such as a lost node or Docker daemon or a
    deleted Pod, 0 to 10; this never uses up limit. 3 when unset."""


class CiJobSpec(Model):
    """What to run. All but cancel and ttlSecondsAfterFinished is fixed once the CiJob exists."""

    pool_name: Annotated[str, Field(min_length=1, max_length=63)] = DEFAULT_POOL
    """The BuildPool that runs the job. Only default is possible until pools exist."""
    image: Annotated[str, Field(min_length=1, max_length=1024)]
    """The image of the job container, such as ubuntu:25.10."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled: Always, IfNotPresent or Never. When unset: Always for the tag latest or none,
    IfNotPresent for the rest."""
    script: Script | None = None
    """Shell commands, run one after the other in one shell with beforeScript's; the first that fails ends the job with
    its exit code. An entry may hold many lines. Each is printed as it starts. Exactly one of script and command is
    needed."""
    before_script: Script | None = None
    """Shell commands that run before script's, in the same shell."""
    after_script: Script | None = None
    """Shell commands that always run at the end, in a shell of their own and for at most 5 minutes, with the outcome in
    CIJOB_STATUS (success, failed or canceled) and CIJOB_EXIT_CODE. They do not change the outcome."""
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=256)] | None = None
    """The program to start instead of a script, as a list of words; for images without a shell. $(NAME) is replaced as
    in a Pod."""
    args: Annotated[tuple[Argument, ...], Field(max_length=256)] | None = None
    """Arguments after command."""
    shell: Shell = Shell.AUTO
    """The shell for the scripts: Auto (also when unset) takes bash where the image has it and sh elsewhere; bash or sh
    take just that."""
    variables: Annotated[dict[VariableName, VariableValue], Field(max_length=256)] | None = None
    """Environment variables with literal values: $ stays $. Names that start with CIJOB_ belong to the operator."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=256)] | None = None
    """Environment variables as in a Pod, with values from Secrets, ConfigMaps or fields of the Pod where wanted."""
    env_from: Annotated[tuple[EnvFromSource, ...], Field(max_length=32)] | None = None
    """Secrets and ConfigMaps whose keys all become environment variables, as in a Pod."""
    working_dir: Annotated[str, Field(min_length=1, max_length=512)] = DEFAULT_WORKING_DIR
    """The folder where the script starts: an empty volume at the same path in the job and the Docker daemon, so that
    docker run -v $PWD:/src works. An absolute path outside the system's folders."""
    resources: Resources | None = None
    """Requests and limits of the job container. The containers that it starts with docker count under
    docker.resources."""
    docker: Docker = Docker()
    """The job's own Docker daemon."""
    timeout: Duration | None = None
    """How long an attempt may take, counted from the start of its Pod with pulls included: 1s to 168h, such as 1h30m. The
    operator's default (1h) when unset."""
    retry: Retry = Retry()
    """Whether and when the job runs again after a failure. Unset: only after trouble that is not its own."""
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0, le=31536000)] | None = None
    """Seconds after the end until the CiJob, its Pod and its log are deleted; at most a year, 31536000. The operator's
    default (86400, a day) when unset. May be changed at any time."""
    cancel: Cancel | None = None
    """Set it to end the job: Graceful lets the script handle SIGTERM and afterScript run within the grace period,
    Immediate skips afterScript. Graceful may become Immediate; it is never taken back."""


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
