"""What each refusal of a Pod means. The texts are the API server's own (Kubernetes 1.33 to 1.36)."""

from __future__ import annotations

import pytest

from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable
from cijob.models import Phase
from cijob.policies.creation import Refusal, creation_failure
from cijob.reasons import Reason

POD = 'pods "build-42-0a1b2c3d" is forbidden: '
POD_SECURITY = (
    POD + 'violates PodSecurity "restricted:latest": privileged (container "dind" must not set '
    'securityContext.privileged=true), allowPrivilegeEscalation != false (containers "dind", "job" must set '
    "securityContext.allowPrivilegeEscalation=false)"
)
QUOTA = POD + "exceeded quota: team, requested: pods=1, used: pods=10, limited: pods=10"
RACED_QUOTA = POD + "status unknown for quota: team, resources: pods"
TERMINATING = POD + "unable to create new content in namespace team-a because it is being terminated"
RBAC = (
    'pods is forbidden: User "system:serviceaccount:cijob-system:cijob-operator" cannot create resource "pods" '
    'in API group "" in the namespace "team-a"'
)
SERVICE_ACCOUNT = POD + 'error looking up service account team-a/default: serviceaccount "default" not found'
NO_REQUESTS = POD + "failed quota: team: must specify limits.cpu for: dind,job; limits.memory for: dind,job"
WEBHOOK = 'admission webhook "validate.kyverno.svc" denied the request: only images of registry.corp are allowed'
DOWN_WEBHOOK = (
    'Internal error occurred: failed calling webhook "mutate.istio.io": failed to call webhook: '
    'Post "https://istiod.istio-system.svc:443/inject?timeout=10s": dial tcp 10.96.1.2:443: connect: connection refused'
)
POLICY = "pods \"build-42-0a1b2c3d\" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: use a tag"
LIMIT_RANGE = POD + "maximum memory usage per Container is 1Gi, but limit is 2Gi"
INVALID = (
    'Pod "build-42-0a1b2c3d" is invalid: spec.containers[0].resources.requests: Invalid value: "2": '
    "must be less than or equal to cpu limit of 1"
)


@pytest.mark.parametrize(
    ("says", "error", "refusal"),
    [
        ("no answer", ApiUnavailable(0, "", "no answer from https://10.0.0.1: timed out"), Refusal.AGAIN),
        ("too many requests", ApiUnavailable(429, "TooManyRequests", "slow down", retry_after=1.0), Refusal.AGAIN),
        ("a server error", ApiUnavailable(500, "InternalError", "etcdserver: request timed out"), Refusal.AGAIN),
        ("a webhook is down", ApiUnavailable(500, "InternalError", DOWN_WEBHOOK), Refusal.AGAIN),
        ("the server stops", ApiUnavailable(503, "ServiceUnavailable", "apiserver is shutting down"), Refusal.AGAIN),
        ("the name is taken", ApiError(409, "AlreadyExists", 'pods "x" already exists'), Refusal.EXISTS),
        ("the quota changed meanwhile", ApiConflict(409, "Conflict", "please apply your changes"), Refusal.AGAIN),
        ("no credentials", ApiError(401, "Unauthorized", "Unauthorized"), Refusal.FORBIDDEN),
        ("no right to create Pods", ApiError(403, "Forbidden", RBAC), Refusal.FORBIDDEN),
        ("the quota is used up", ApiError(403, "Forbidden", QUOTA), Refusal.QUOTA),
        ("the namespace goes, in words", ApiError(403, "Forbidden", TERMINATING), Refusal.TERMINATING),
        (
            "the namespace goes, as a cause",
            ApiError(403, "Forbidden", "forbidden", causes=["NamespaceTerminating"]),
            Refusal.TERMINATING,
        ),
        ("the namespace is gone", ApiNotFound(404, "NotFound", 'namespaces "team-a" not found'), Refusal.TERMINATING),
        ("the namespace is too new", ApiError(403, "Forbidden", SERVICE_ACCOUNT), Refusal.AGAIN),
    ],
)
def test_not_the_last_word(says: str, error: ApiError, refusal: Refusal) -> None:
    failure = creation_failure(error)

    assert (failure.refusal, failure.verdict) == (refusal, None), says


@pytest.mark.parametrize(
    ("says", "error", "reason", "advice"),
    [
        ("Pod security", ApiError(403, "Forbidden", POD_SECURITY), Reason.POD_REJECTED, "enforce=privileged"),
        ("a webhook", ApiError(403, "Forbidden", WEBHOOK), Reason.POD_REJECTED, "refused the job's Pod"),
        ("a webhook without a status", ApiError(400, "", WEBHOOK), Reason.POD_REJECTED, "refused the job's Pod"),
        ("a policy", ApiError(422, "Invalid", POLICY), Reason.POD_REJECTED, "refused the job's Pod"),
        ("a limit range", ApiError(403, "Forbidden", LIMIT_RANGE), Reason.POD_REJECTED, "refused the job's Pod"),
        ("a quota that demands limits", ApiError(403, "Forbidden", NO_REQUESTS), Reason.CONFIG_ERROR, "spec.resources"),
        ("a malformed Pod", ApiError(422, "Invalid", INVALID), Reason.POD_REJECTED, "refused the job's Pod"),
        ("too large a Pod", ApiError(413, "RequestEntityTooLarge", "limit is 3145728"), Reason.POD_REJECTED, "3145728"),
    ],
)
def test_the_last_word(says: str, error: ApiError, reason: Reason, advice: str) -> None:
    """The API server's message is passed on, with what to change."""
    failure = creation_failure(error)

    assert failure.refusal is Refusal.FINAL, says
    assert failure.verdict is not None
    assert (failure.verdict.reason, failure.verdict.phase) == (reason, Phase.FAILED)
    assert advice in failure.verdict.message
    assert error.message in failure.verdict.message


def test_a_quota_names_itself_in_the_status() -> None:
    assert "exceeded quota: team" in creation_failure(ApiError(403, "Forbidden", QUOTA)).message
