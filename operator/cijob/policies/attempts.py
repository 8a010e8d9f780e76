"""The Pods of a CiJob's attempts: which is whose, which has to go, and which keeps the next attempt waiting.

Never are two Pods of a CiJob known to be alive: an attempt starts when the Pods of all others have ended, or are gone, or,
where who runs the operator chose so (`onNodeLost: Retry`), have been given up with their node.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cijob.policies.outcome import vanished
from cijob.reasons import Reason
from cijob.verdict import Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cijob.models import CiJobHead, CiJobSpec, CiJobStatus
    from cijob.observation import ObservedPod
    from cijob.settings import Settings


def ours(job: CiJobHead, pod: ObservedPod, attempt: int) -> bool:
    """Whether a Pod is the one of an attempt, by its owner and its label; its name alone says nothing."""
    return pod.owner_uid == job.uid and pod.attempt == attempt


def recorded_uid(status: CiJobStatus, attempt: int) -> str | None:
    """The UID that the status names for an attempt's Pod; None if it names none."""
    if attempt == status.current:
        return status.pod_uid
    return next((past.pod_uid for past in status.attempts if past.attempt == attempt), None)


def stray(status: CiJobStatus, pod: ObservedPod) -> bool:
    """Whether a Pod of ours runs in the place of the one that was recorded, or too late for its attempt.

    It comes from a request that an operator sent and that arrived after all was over.
    """
    recorded = recorded_uid(status, pod.attempt)
    if recorded is None:
        return pod.attempt < status.current and not pod.terminal
    return pod.uid != recorded


def given_up_at(pod: ObservedPod, settings: Settings) -> datetime | None:
    """When a Pod that was deleted, and does not end, counts as lost with its node; None if it never does.

    The API's deletionTimestamp is the moment of the deletion plus the Pod's grace. From then on its node's kubelet is late.
    """
    if settings.on_node_lost != "Retry" or pod.deletion_timestamp is None or pod.terminal:
        return None
    return pod.deletion_timestamp + timedelta(seconds=settings.node_lost_grace_seconds)


def given_up(spec: CiJobSpec, pod: ObservedPod, timeout: timedelta) -> Verdict:
    """The verdict on a Pod that was given up: what it told before, or that its node is lost."""
    end = vanished(spec, pod, timeout)
    if end.reason is Reason.POD_DELETED:
        return verdict(Reason.NODE_LOST, f"Node {pod.node_name} did not end the Pod after its deletion.", end.exit_code)
    return end


def alive(pods: Iterable[ObservedPod], settings: Settings, now: datetime) -> list[ObservedPod]:
    """The Pods that may still do something."""
    return [pod for pod in pods if not pod.terminal and not _passed(given_up_at(pod, settings), now)]


def _passed(when: datetime | None, now: datetime) -> bool:
    return when is not None and now >= when
