"""The parts of a CiJob's spec that have fields of their own: the Docker daemon, the repository, services, retries."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from cijob.corev1 import EnvVar, Model, ObjectName, Quantity, Resources


class PullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


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
    SERVICE_IMAGE_PULL_FAILED = "ServiceImagePullFailed"
    START_ERROR = "StartError"
    SOURCE_FAILED = "SourceFailed"
    SERVICE_NOT_READY = "ServiceNotReady"


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
    """Requests and limits of the daemon together with all containers and builds that it runs."""
    storage: Storage | None = None
    """The volume for the daemon's images, containers and volumes."""
    start_timeout: Duration = "60s"
    """How long the script waits for the daemon before the job fails as DaemonNotReady: 1s to 10m, such as 90s. 60s when
    unset."""


class Submodules(StrEnum):
    """Which submodules of a repository are checked out."""

    NORMAL = "Normal"
    RECURSIVE = "Recursive"


class LocalObject(Model):
    """A Secret in the CiJob's own namespace."""

    name: ObjectName
    """Name of the Secret."""


class Git(Model):
    """A git repository."""

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    """Where it is: https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH, such as
    https://git.example.com/team/app.git; http://HOST/PATH without credentials only. Names and passwords for https stand in
    the Secret of credentialsSecretRef, never here."""
    ref: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """What to check out: a branch, a tag, a commit, or a full ref such as refs/pull/42/head. The repository's default
    branch when unset. The script finds the commit in CIJOB_GIT_COMMIT."""
    depth: Annotated[StrictInt, Field(ge=0, le=100000)] = 1
    """How many commits of history are fetched, 1 for the newest only; 0 for all of them. 1 when unset."""
    submodules: Submodules | None = None
    """Normal checks the repository's submodules out too, Recursive theirs as well. None are when unset."""
    credentials_secret_ref: LocalObject | None = None
    """A Secret with the keys username and password, or ssh-privatekey, as kubernetes.io/basic-auth and
    kubernetes.io/ssh-auth have them; beside them known_hosts (the server's keys, for ssh; without it any key is taken) and
    ca.crt (who signed its certificate, for https). The job container does not see them. None when unset."""


class Source(Model):
    """What is in the workspace when the script starts."""

    git: Git
    """A git repository, checked out into workingDir while the Docker daemon starts."""


Port = Annotated[StrictInt, Field(ge=1, le=65535)]


class Service(Model):
    """A container beside the job, such as a database: it starts with the job and ends with it.

    It shares the job's network, so that it is reached under its name, which resolves to localhost.
    """

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of its container, and the host name under which it is reached, such as db."""
    image: Annotated[str, Field(min_length=1, max_length=1024)]
    """Its image, such as postgres:18. It starts with the image's own program and user, not privileged."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled: Always, IfNotPresent or Never. When unset: Always for the tag latest or none,
    IfNotPresent for the rest."""
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=64)] | None = None
    """The program to start instead of the image's entry point, as a list of words. $(NAME) is replaced as in a Pod."""
    args: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=64)] | None = None
    """Arguments of the program, instead of the image's own, such as [-c, fsync=off]."""
    variables: Annotated[dict[VariableName, VariableValue], Field(max_length=64)] | None = None
    """Its environment variables with literal values: $ stays $. It sees none of the job's."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64)] | None = None
    """Its environment variables as in a Pod, with values from Secrets, ConfigMaps or fields of the Pod where wanted."""
    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=16)] | None = None
    """TCP ports on which it listens, such as 5432: the script waits until it does. No two services can have one port, nor
    can one have 2375 beside a Docker daemon with endpoint TCP."""
    ready: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=64)] | None = None
    """A program in its container that succeeds once the service is ready, as a list of words, such as pg_isready: the
    script waits until it does. Its image needs /bin/sh for this. With neither ports nor ready nothing waits for it."""
    start_timeout: Duration = "60s"
    """How long the script waits for ports and ready before the job fails as ServiceNotReady: 1s to 30m, such as 90s. 60s
    when unset."""
    resources: Resources | None = None
    """Its requests and limits. A service that dies, such as for want of memory, is started again."""


ExitCode = Annotated[StrictInt, Field(ge=1, le=255)]


class RetryWhen(Model):
    """Which of the job's own failures are retried: those of one of the reasons, and those with one of the exit codes."""

    reasons: Annotated[tuple[RetryReason, ...], Field(min_length=1, max_length=16)] | None = None
    """Reasons: ScriptFailed, OOMKilled, DaemonOOMKilled, DeadlineExceeded, DiskLimitExceeded, ImagePullFailed,
    ServiceImagePullFailed, StartError, SourceFailed or ServiceNotReady."""
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
