"""Names that users, tests and the chart rely on: API identifiers, labels, annotations, container and volume names, paths."""

from __future__ import annotations

import hashlib
from typing import Final

GROUP: Final = "cijob.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "CiJob"
PLURAL: Final = "cijobs"
POOL_KIND: Final = "BuildPool"
POOL_PLURAL: Final = "buildpools"
DEFAULT_POOL: Final = "default"

COMPONENT: Final = "cijob-operator"

LABEL_JOB: Final = f"{GROUP}/job"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_POOL: Final = f"{GROUP}/pool"
LABEL_APP: Final = "app.kubernetes.io/name"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
POD_SELECTOR: Final = f"{LABEL_MANAGED_BY}={COMPONENT}"

#: Why the operator asked the kubelet to stop a Pod: a CancelMode, or a reason such as DaemonLost. The job's launcher
#: sees it as the file `cancel`.
ANNOTATION_STOP: Final = f"{GROUP}/stop"
ANNOTATION_LAUNCHER: Final = f"{GROUP}/launcher-"

CONTAINER_JOB: Final = "job"
CONTAINER_DIND: Final = "dind"
CONTAINER_GIT: Final = "git"

LAUNCHER_DIR: Final = "/.cijob/launcher"
DAEMON_DIR: Final = "/.cijob/daemon"
RUN_DIR: Final = "/.cijob/run"
SERVICES_DIR: Final = "/.cijob/services"
DOCKER_CONFIG_DIR: Final = "/.cijob/docker-config"
DOCKER_SECRET_DIR: Final = "/.cijob/docker-secret"  # noqa: S105  a folder
DOCKER_SOCKET: Final = f"{DAEMON_DIR}/docker.sock"
DOCKER_DATA_DIR: Final = "/var/lib/docker"

MAX_NAME: Final = 63
_HASH_LENGTH: Final = 8


def pod_name(job_name: str, job_uid: str, attempt: int) -> str:
    """The name of an attempt's Pod: at most 63 characters, the same for the same CiJob (by UID) and attempt.

    Creating the Pod under this name is the lock that keeps two operators from starting one attempt twice.
    """
    digest = hashlib.sha256(f"{job_uid}/{attempt}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"{_stem(job_name)}-{digest}"


def _stem(job_name: str) -> str:
    return job_name[: MAX_NAME - _HASH_LENGTH - 1].rstrip("-.")


def is_pod_name(name: str, job_name: str) -> bool:
    """Whether a name is one that `pod_name` gives a CiJob of that name, whatever its UID and attempt."""
    stem, _, digest = name.rpartition("-")
    return stem == _stem(job_name) and len(digest) == _HASH_LENGTH and set(digest) <= set("0123456789abcdef")


def event_name(job_name: str, job_uid: str) -> str:
    """The name of a CiJob's one Event: the same for the same CiJob, so that a repeated POST makes no second one."""
    digest = hashlib.sha256(f"{job_uid}/event".encode()).hexdigest()[:16]
    return f"{job_name}.{digest}"
