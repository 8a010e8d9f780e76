"""Pods of ours without an owner: `kubectl delete --cascade=orphan` takes the reference to the CiJob away.

Pods whose owner is gone are the garbage collector's, and those of another owner are that one's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob import names

if TYPE_CHECKING:
    from cijob.observation import ObservedPod


def may_be_orphan(pod: ObservedPod) -> bool:
    """Whether an ownerless Pod is one that this operator made, by labels and name, and is not on its way out."""
    return (
        not pod.owned
        and pod.deletion_timestamp is None
        and pod.attempt > 0
        and bool(pod.job_label)
        and names.is_pod_name(pod.name, pod.job_label)
    )


def orphaned(pod: ObservedPod, job_uid: str | None) -> bool:
    """Whether the CiJob is gone, given the UID of the CiJob of its name now, None if there is none.

    The Pod's name tells whose it is, though nothing else does.
    """
    return job_uid is None or pod.name != names.pod_name(pod.job_label, job_uid, pod.attempt)
