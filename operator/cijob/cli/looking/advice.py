"""What a reason means to who runs jobs: whose fault it is, and what to try. Pure: a table.

What the reasons are is in `cijob.reasons`, with a sentence each; a status's message has that sentence and the details of
the case. Here is what goes beyond: commands to type and fields to change. In the texts {name}, {n} (` -n NAMESPACE`, or
nothing), {pool} and {image} stand for those of the case.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from cijob.reasons import Reason


class Fault(Enum):
    """Whom a reason concerns, as a sentence says it."""

    NOBODY = "Nobody's"
    JOB = "The job's own"
    MANIFEST = "The CiJob's, as it is written"
    POOL = "The pool's rules"
    CLUSTER = "The cluster's, not the job's"
    RULES = "The cluster's rules"


@dataclass(frozen=True, slots=True)
class Advice:
    """Whose fault it is, why that is so, and what to try, the likeliest first."""

    fault: Fault
    why: str
    steps: tuple[str, ...] = ()


_LOG: Final = "`cijob logs {name}{n}` shows the whole log."
DIND: Final = "`cijob logs {name}{n} --dind` shows the Docker daemon's log."
_AGAIN: Final = "`cijob retry {name}{n}` runs it again as it is."
_MENDED: Final = "The spec of a CiJob stays as it is: correct the manifest and run it anew, `cijob run FILE`."
_ASK_POOL: Final = "`cijob pools {pool}` shows the pool's rules; ask who runs it for other ones, or name another pool."
_ASK_CLUSTER: Final = "Ask who runs the cluster if it happens again: the message names what the cluster said."
_AUTO: Final = "Raise spec.retry.infraLimit (3 when unset): so often such trouble runs a job again by itself."
_GIVEN_UP: Final = (
    "What cannot be pulled or started is given up after two minutes; `cijob cancel {name}{n}` ends the job at once."
)
_DOCTOR: Final = "`cijob doctor{n}` checks what a cluster needs."

ENDS: Final[dict[Reason, Advice]] = {
    Reason.COMPLETED: Advice(Fault.NOBODY, "its script ended with 0"),
    Reason.SCRIPT_FAILED: Advice(
        Fault.JOB,
        "a command of it ended with an error; neither the cluster nor its Docker daemon ended it",
        (_LOG, f"{_AGAIN} spec.retry does so by itself for failures that come and go."),
    ),
    Reason.OOM_KILLED: Advice(
        Fault.JOB,
        "its container took more memory than its limit",
        (
            "Raise spec.resources.limits.memory, as far as the pool lets it: `cijob pools {pool}`.",
            "Or let it use less: fewer processes at once (make -j, pytest -n, JVM heap).",
            _LOG,
        ),
    ),
    Reason.DEADLINE_EXCEEDED: Advice(
        Fault.JOB,
        "it took longer than its timeout, which counts from the start of its Pod, pulls of images included",
        (
            f"{_LOG} Its end is where the job was when its time was up.",
            "Raise spec.timeout, as far as the pool lets it: `cijob pools {pool}`.",
        ),
    ),
    Reason.IMAGE_PULL_FAILED: Advice(
        Fault.MANIFEST,
        "for two minutes its node could not get the image {image}; or the registry was away",
        (
            "Check the image's name and tag; the message has what the registry said.",
            "Is it private? Name a Secret with the registry's password in spec.imagePullSecrets.",
            f"Was the registry away? {_AGAIN}",
            _MENDED,
        ),
    ),
    Reason.SERVICE_IMAGE_PULL_FAILED: Advice(
        Fault.MANIFEST,
        "for two minutes its node could not get a service's image; or the registry was away",
        (
            "Check the name and tag in spec.services; the message has which, and what the registry said.",
            "Is it private? Name a Secret with the registry's password in spec.imagePullSecrets.",
            f"Was the registry away? {_AGAIN}",
            _MENDED,
        ),
    ),
    Reason.IMAGE_INVALID: Advice(Fault.MANIFEST, "an image's name is not one", (_MENDED,)),
    Reason.CONFIG_ERROR: Advice(
        Fault.MANIFEST,
        "it refers to something that is not there, or leaves open what the namespace demands",
        (
            (
                "Create the Secret or ConfigMap that the message names (`kubectl get secrets,configmaps{n}` lists them), "
                "or correct the field."
            ),
            _AGAIN,
            _MENDED,
        ),
    ),
    Reason.START_ERROR: Advice(
        Fault.MANIFEST,
        "the image has no such program, or it cannot be executed",
        (
            "A script needs /bin/sh in the image; images without a shell take spec.command.",
            "Is the image built for the node's processor? spec.platform chooses the node.",
            _MENDED,
        ),
    ),
    Reason.SOURCE_FAILED: Advice(
        Fault.MANIFEST,
        "the repository could not be checked out; or the git server was away",
        (
            "`cijob logs {name}{n} --container git` shows what git said.",
            "Check spec.source.git: url, ref, and the Secret of credentialsSecretRef.",
            f"Was the server away? {_AGAIN}",
        ),
    ),
    Reason.SERVICE_NOT_READY: Advice(
        Fault.JOB,
        "a service of its was not ready in time",
        (
            "The message has which, and its last lines: `cijob logs {name}{n} --container SERVICE` shows its whole log.",
            "Does it listen on the ports that spec.services says? Is it only slow? Then raise its startTimeout.",
        ),
    ),
    Reason.INVALID_SPEC: Advice(Fault.MANIFEST, "its spec has what cannot be run", (_MENDED,)),
    Reason.NOT_ALLOWED: Advice(
        Fault.POOL,
        "it asks for more than the pool {pool} allows, or comes from a namespace that may not use it",
        (_ASK_POOL, _MENDED),
    ),
    Reason.QUEUE_TIMEOUT: Advice(
        Fault.POOL,
        "its turn did not come within its queueTimeout",
        (
            "`cijob pools {pool}` shows who runs and who waits.",
            "Raise spec.queueTimeout, or leave it out where the pool has none of its own.",
            _AGAIN,
        ),
    ),
    Reason.POD_REJECTED: Advice(
        Fault.RULES,
        "the API server refused its Pod, in the words of the message",
        (
            (
                "Does Pod security refuse it? Who runs the cluster labels the namespace: "
                "`kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=privileged`."
            ),
            _DOCTOR,
            _AGAIN,
        ),
    ),
    Reason.POD_NAME_CONFLICT: Advice(
        Fault.RULES,
        "a Pod that is not the operator's has the name that the job's Pod needs",
        ("`kubectl get pods{n}` shows it.", _AGAIN),
    ),
    Reason.DISK_LIMIT_EXCEEDED: Advice(
        Fault.JOB,
        "it wrote more to the node's disk than it may; the message says which limit that was",
        (
            (
                "Raise spec.resources.limits.ephemeral-storage for the job's own files, spec.docker.storage.size for images, "
                "containers and volumes of Docker."
            ),
            "Or let it write less: smaller images, `docker system prune` between steps.",
        ),
    ),
    Reason.DAEMON_OOM_KILLED: Advice(
        Fault.JOB,
        "its Docker daemon itself ran out of memory, with all containers that it ran",
        (
            "Raise spec.docker.resources.limits.memory, as far as the pool lets it: `cijob pools {pool}`.",
            "With spec.docker.storage.medium: Memory its images and volumes count as memory.",
            DIND,
        ),
    ),
    Reason.CANCELLED: Advice(Fault.NOBODY, "spec.cancel was set, as `cijob cancel` does", (_AGAIN,)),
    Reason.DAEMON_NOT_READY: Advice(
        Fault.CLUSTER,
        "its Docker daemon did not start in time",
        (DIND, "Is the node only slow? Then raise spec.docker.startTimeout.", _AGAIN, _AUTO),
    ),
    Reason.DAEMON_LOST: Advice(
        Fault.CLUSTER,
        "its Docker daemon died while it ran, unless the script itself killed it",
        (DIND, _AGAIN, _AUTO),
    ),
    Reason.DAEMON_IMAGE_PULL_FAILED: Advice(
        Fault.CLUSTER,
        "the Docker daemon's image, which the operator or the pool chooses, could not be pulled",
        ("Ask who runs the operator to check its dind.image and the pool's docker.image.", _AGAIN),
    ),
    Reason.POD_DELETED: Advice(Fault.CLUSTER, "somebody or something deleted its Pod", (_AGAIN, _AUTO)),
    Reason.POOL_DRAINED: Advice(
        Fault.POOL,
        "who runs the pool {pool} stopped all that ran in it",
        ("`cijob pools {pool}` shows whether it is open again.", _AGAIN),
    ),
    Reason.EVICTED: Advice(
        Fault.CLUSTER,
        "its node was drained, or ran short of something",
        (
            "Did the node run out of memory or disk? spec.resources.requests and spec.docker.resources.requests reserve what it needs.",
            _AGAIN,
            _AUTO,
        ),
    ),
    Reason.PREEMPTED: Advice(Fault.CLUSTER, "a Pod of higher priority needed its place", (_AGAIN, _AUTO)),
    Reason.NODE_LOST: Advice(Fault.CLUSTER, "its node is gone, unreachable or tainted", (_AGAIN, _AUTO)),
    Reason.NODE_SHUTDOWN: Advice(Fault.CLUSTER, "its node was shut down", (_AGAIN, _AUTO)),
    Reason.ADMISSION_ERROR: Advice(
        Fault.CLUSTER, "its node did not take its Pod, although it was given it", (_AGAIN, _AUTO, _ASK_CLUSTER)
    ),
    Reason.CONTAINER_STATUS_UNKNOWN: Advice(
        Fault.CLUSTER, "its node cannot tell any more how its container ended", (_AGAIN, _AUTO)
    ),
}
"""Of reasons that end a job, or an attempt of it."""

WAITS: Final[dict[Reason, tuple[str, ...]]] = {
    Reason.SUSPENDED: (
        '`kubectl patch cijob {name}{n} --type merge -p \'{{"spec":{{"suspend":false}}}}\'` lets it go.',
    ),
    Reason.POOL_AT_CAPACITY: ("`cijob pools {pool}` shows who runs, who waits, and its place among them.",),
    Reason.NAMESPACE_AT_CAPACITY: (
        "`cijob ls{n} --phase Running` shows them.",
        "A higher spec.priority goes first within the namespace.",
    ),
    Reason.POOL_HELD: ("`cijob pools {pool}` shows whether it is open again.",),
    Reason.POOL_NOT_FOUND: (
        "`cijob pools` lists those that there are.",
        "`cijob delete {name}{n}`, and run it anew with another spec.poolName.",
    ),
    Reason.QUOTA_EXCEEDED: (
        "`kubectl describe resourcequota{n}` shows by what.",
        "Smaller requests in spec.resources and spec.docker.resources fit sooner.",
    ),
    Reason.UNSCHEDULABLE: (
        "Smaller requests in spec.resources and spec.docker.resources fit sooner.",
        "Does spec.platform ask for a kind of node that there is not? `kubectl get nodes -L kubernetes.io/arch` shows them.",
        "`cijob cancel {name}{n}` ends it.",
    ),
    Reason.PULLING_IMAGE: (_GIVEN_UP,),
    Reason.CONTAINER_STARTING: (_GIVEN_UP,),
}
"""What to try while a job waits; whom it waits for is in its message."""
