"""Reasons of a CiJob's status: named constants, each with whom it concerns and a sentence that says what to do."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Reason(StrEnum):
    """Why a CiJob is in its phase."""

    # The end that everybody wants.
    COMPLETED = "Completed"

    # The job's own: running it again as it is would give the same.
    SCRIPT_FAILED = "ScriptFailed"
    OOM_KILLED = "OOMKilled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    SERVICE_IMAGE_PULL_FAILED = "ServiceImagePullFailed"
    IMAGE_INVALID = "ImageInvalid"
    CONFIG_ERROR = "ConfigError"
    START_ERROR = "StartError"
    SOURCE_FAILED = "SourceFailed"
    SERVICE_NOT_READY = "ServiceNotReady"
    INVALID_SPEC = "InvalidSpec"
    NOT_ALLOWED = "NotAllowed"
    QUEUE_TIMEOUT = "QueueTimeout"
    POD_REJECTED = "PodRejected"
    POD_NAME_CONFLICT = "PodNameConflict"
    DISK_LIMIT_EXCEEDED = "DiskLimitExceeded"
    DAEMON_OOM_KILLED = "DaemonOOMKilled"
    CANCELLED = "Cancelled"

    # The infrastructure's: the job may well succeed elsewhere.
    DAEMON_NOT_READY = "DaemonNotReady"
    DAEMON_LOST = "DaemonLost"
    DAEMON_IMAGE_PULL_FAILED = "DaemonImagePullFailed"
    POD_DELETED = "PodDeleted"
    POOL_DRAINED = "PoolDrained"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    NODE_SHUTDOWN = "NodeShutdown"
    ADMISSION_ERROR = "AdmissionError"
    CONTAINER_STATUS_UNKNOWN = "ContainerStatusUnknown"

    # Waiting.
    SUSPENDED = "Suspended"
    POOL_AT_CAPACITY = "PoolAtCapacity"
    NAMESPACE_AT_CAPACITY = "NamespaceAtCapacity"
    POOL_HELD = "PoolHeld"
    POOL_NOT_FOUND = "PoolNotFound"
    QUOTA_EXCEEDED = "QuotaExceeded"
    UNSCHEDULABLE = "Unschedulable"
    PULLING_IMAGE = "PullingImage"
    CONTAINER_STARTING = "ContainerStarting"


#: Why an attempt must not start yet.
QUEUED: Final = frozenset(
    {
        Reason.SUSPENDED,
        Reason.POOL_AT_CAPACITY,
        Reason.NAMESPACE_AT_CAPACITY,
        Reason.POOL_HELD,
        Reason.POOL_NOT_FOUND,
    }
)

INFRASTRUCTURE: Final = frozenset(
    {
        Reason.DAEMON_NOT_READY,
        Reason.DAEMON_LOST,
        Reason.DAEMON_IMAGE_PULL_FAILED,
        Reason.POD_DELETED,
        Reason.POOL_DRAINED,
        Reason.EVICTED,
        Reason.PREEMPTED,
        Reason.NODE_LOST,
        Reason.NODE_SHUTDOWN,
        Reason.ADMISSION_ERROR,
        Reason.CONTAINER_STATUS_UNKNOWN,
    }
)

#: The first sentence of a status message; details of the case follow it.
MESSAGES: Final[dict[Reason, str]] = {
    Reason.COMPLETED: "The job succeeded.",
    Reason.SCRIPT_FAILED: "The job failed.",
    Reason.OOM_KILLED: "The job's container ran out of memory: raise spec.resources.limits.memory or use less.",
    Reason.DEADLINE_EXCEEDED: "The job did not end within its timeout: raise spec.timeout or make it faster.",
    Reason.IMAGE_PULL_FAILED: "The job's image could not be pulled: check the name in spec.image, and that the cluster may pull it (spec.imagePullSecrets).",
    Reason.SERVICE_IMAGE_PULL_FAILED: "A service's image could not be pulled: check its name, and that the cluster may pull it (spec.imagePullSecrets).",
    Reason.IMAGE_INVALID: "This is not a valid image name: write it as registry/repository:tag.",
    Reason.CONFIG_ERROR: "A container could not be configured: create what is missing, or correct the field that refers to it.",
    Reason.START_ERROR: (
        "A container could not be started: a script needs /bin/sh in the image; use spec.command for images without a shell, "
        "and check that what a command names is there and executable."
    ),
    Reason.SOURCE_FAILED: "The repository of spec.source.git could not be checked out.",
    Reason.SERVICE_NOT_READY: "A service was not ready in time: mend what its log shows, or raise its startTimeout.",
    Reason.INVALID_SPEC: "The CiJob's spec cannot be run:",
    Reason.NOT_ALLOWED: "The pool does not allow this:",
    Reason.QUEUE_TIMEOUT: "The job's turn did not come within its queueTimeout.",
    Reason.POD_REJECTED: "The cluster refused the job's Pod:",
    Reason.POD_NAME_CONFLICT: "A Pod that is not of this CiJob holds the name of its Pod: delete that Pod, or create the CiJob under another name.",
    Reason.DISK_LIMIT_EXCEEDED: "The job used more disk than it may.",
    Reason.DAEMON_OOM_KILLED: "The Docker daemon ran out of memory and took its containers along: raise spec.docker.resources.limits.memory.",
    Reason.CANCELLED: "The job was cancelled.",
    Reason.DAEMON_NOT_READY: "The Docker daemon did not become ready: see the log of the Pod's container dind, or raise spec.docker.startTimeout.",
    Reason.DAEMON_LOST: "The Docker daemon died while the job ran; its containers are gone.",
    Reason.DAEMON_IMAGE_PULL_FAILED: "The Docker daemon's image could not be pulled: ask who runs the operator to check its dind.image.",
    Reason.POOL_DRAINED: "The pool was drained before the job ended.",
    Reason.POD_DELETED: "The job's Pod was deleted before the job ended.",
    Reason.EVICTED: "The job's Pod was evicted from its node.",
    Reason.PREEMPTED: "The job's Pod made room for one of higher priority.",
    Reason.NODE_LOST: "The node of the job's Pod is gone, unreachable or tainted.",
    Reason.NODE_SHUTDOWN: "The node of the job's Pod was shut down.",
    Reason.ADMISSION_ERROR: "The node refused the job's Pod.",
    Reason.CONTAINER_STATUS_UNKNOWN: "The node lost track of the job's container.",
    Reason.SUSPENDED: "The job is suspended; it starts once spec.suspend is false.",
    Reason.POOL_AT_CAPACITY: "The pool runs as many jobs as it may; the job starts when it is its turn.",
    Reason.NAMESPACE_AT_CAPACITY: "The namespace runs as many jobs in this pool as it may; the job starts when one of them has ended.",
    Reason.POOL_HELD: "The pool admits no jobs for now: ask who runs it when it opens.",
    Reason.POOL_NOT_FOUND: "There is no such pool: correct spec.poolName in a new CiJob, or ask who runs the cluster to create it; the job starts then.",
    Reason.QUOTA_EXCEEDED: "The namespace's resource quota is used up; the job starts when there is room.",
    Reason.UNSCHEDULABLE: "No node has room for the job's Pod yet.",
    Reason.PULLING_IMAGE: "The image is being pulled.",
    Reason.CONTAINER_STARTING: "The Pod's containers are being started; their images may have to be pulled first.",
}
