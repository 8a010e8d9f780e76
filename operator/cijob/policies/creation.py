"""What the API server's refusal of a Pod means, told apart by status, reason and text.

The texts are those of the API server's own admission plugins (k8s.io/kubernetes 1.35: plugin/pkg/admission/resourcequota,
namespace/lifecycle; k8s.io/pod-security-admission; apiserver's webhook errors).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from cijob.errors import ApiError, ApiUnavailable
from cijob.reasons import Reason
from cijob.verdict import Verdict, message_of, verdict


class Refusal(Enum):
    """What to do about a Pod that was not created."""

    #: A Pod of that name is there: look whose it is.
    EXISTS = auto()
    #: Nothing is wrong with the request: ask again, later and later.
    AGAIN = auto()
    #: The namespace is full: ask again, and say so.
    QUOTA = auto()
    #: The namespace goes away, and the CiJob with it.
    TERMINATING = auto()
    #: The operator lacks rights: ask again, and raise the alarm.
    FORBIDDEN = auto()
    #: It will never be created.
    FINAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationFailure:
    """A refusal, with the verdict where it is final and the message for the status where it is not."""

    refusal: Refusal
    message: str = ""
    verdict: Verdict | None = None


_PRIVILEGED: Final = (
    "Docker needs a privileged container: label the namespace pod-security.kubernetes.io/enforce=privileged, "
    "run the CiJob in one that is, or set spec.docker.enabled to false."
)
_QUOTA_DEMANDS: Final = "The namespace's quota demands it: set spec.resources and spec.docker.resources."


def creation_failure(error: ApiError) -> CreationFailure:
    """What an error of `POST pods` means."""
    if isinstance(error, ApiUnavailable):
        return CreationFailure(refusal=Refusal.AGAIN)
    match error.status:
        case 409:
            return CreationFailure(refusal=Refusal.EXISTS if error.reason == "AlreadyExists" else Refusal.AGAIN)
        case 403:
            return _forbidden(error)
        case 401:
            return CreationFailure(refusal=Refusal.FORBIDDEN, message=error.message)
        case 404:  # the namespace is gone
            return CreationFailure(refusal=Refusal.TERMINATING)
        case _:
            return _rejected(Reason.POD_REJECTED, error.message)


def _forbidden(error: ApiError) -> CreationFailure:
    text = error.message
    if "exceeded quota" in text:
        return CreationFailure(refusal=Refusal.QUOTA, message=message_of(Reason.QUOTA_EXCEEDED, text))
    if "must specify" in text:
        return _rejected(Reason.CONFIG_ERROR, f"{_QUOTA_DEMANDS} {text}")
    if "NamespaceTerminating" in error.causes or "because it is being terminated" in text:
        return CreationFailure(refusal=Refusal.TERMINATING)
    if "error looking up service account" in text:  # the namespace is so new that it has none yet
        return CreationFailure(refusal=Refusal.AGAIN)
    if "cannot create resource" in text:
        return CreationFailure(refusal=Refusal.FORBIDDEN, message=text)
    if "violates PodSecurity" in text:
        return _rejected(Reason.POD_REJECTED, f"{_PRIVILEGED} {text}")
    return _rejected(Reason.POD_REJECTED, text)


def _rejected(reason: Reason, detail: str) -> CreationFailure:
    return CreationFailure(refusal=Refusal.FINAL, verdict=verdict(reason, detail))
