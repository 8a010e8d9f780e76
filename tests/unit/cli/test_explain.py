"""What a refusal means. The messages are those of a real API server (1.35), but where a test says otherwise."""

from __future__ import annotations

import pytest

from cijob.cli.explain import explained, is_kind_missing
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

SERVER = "https://api.example.com:6443"


def forbidden(message: str) -> ApiError:
    return ApiError(403, "Forbidden", message)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            forbidden(
                'cijobs.cijob.dev is forbidden: User "ann" cannot create resource "cijobs" in API group "cijob.dev" '
                'in the namespace "builds"'
            ),
            "you (ann) may not create cijobs in the namespace builds",
            "the role cijob-author to you in the namespace builds",
        ),
        (
            forbidden(
                'cijobs.cijob.dev is forbidden: User "ann" cannot list resource "cijobs" in API group "cijob.dev" '
                "at the cluster scope"
            ),
            "you (ann) may not list cijobs in the whole cluster",
            "with -n instead of --all-namespaces",
        ),
        (
            forbidden(
                'buildpools.cijob.dev is forbidden: User "ann" cannot list resource "buildpools" in API group "cijob.dev" '
                "at the cluster scope"
            ),
            "you (ann) may not list buildpools in the whole cluster",
            "cijob-pool-user",
        ),
        (
            forbidden(
                "cijobs.cijob.dev \"x\" is forbidden: ValidatingAdmissionPolicy 'cijob-use-pools' with binding "
                "'cijob-use-pools' denied request: ann may not use the BuildPool big in the namespace builds: ask who runs "
                "it for the verb use on it"
            ),
            "ann may not use the BuildPool big in the namespace builds: ask who runs it for the verb use on it",
            "",
        ),
        (
            forbidden(
                'cijobs.cijob.dev "x" is forbidden: unable to create new content in namespace here because it is being '
                "terminated"
            ),
            "the namespace here is being deleted",
            "-n",
        ),
        (ApiError(401, "Unauthorized", "Unauthorized"), f"{SERVER} does not know you", "Log in again"),
        (ApiNotFound(404, "NotFound", 'namespaces "nope" not found'), "there is no namespace nope", "-n"),
        (ApiNotFound(404, "", "404 page not found\n"), "this cluster knows no CiJobs", "helm install"),
        (
            ApiError(
                422,
                "Invalid",
                'CiJob.cijob.dev "x" is invalid: spec.timeout: Invalid value: "5x": is not a duration: write hours, '
                "minutes and seconds, such as 1h30m, 15m or 90s",
            ),
            "the cluster refuses this: spec.timeout: Invalid value",
            "",
        ),
        (ApiNotFound(404, "", "Not Found"), f"{SERVER}, or a proxy before it, answers 404", "NO_PROXY"),
        (ApiError(400, "BadRequest", "no such container"), "no such container", ""),
        (ApiError(0, "", "it does not speak v5"), "it does not speak v5", ""),
        (ApiUnavailable(429, "TooManyRequests", "too many requests"), "cannot answer now (429)", "Try again"),
        (ApiUnavailable(503, "", "apiserver not ready"), "cannot answer now (503)", "Try again"),
        (ApiUnavailable(0, "", f"no answer from {SERVER}: refused"), "no answer from", "right address"),
        (
            ApiUnavailable(
                0, "", f"no answer from {SERVER}: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
            ),
            "no answer from",
            "certificate-authority",
        ),
    ],
)
def test_each_refusal_says_what_is_wrong_and_what_to_do(error: ApiError, message: str, hint: str) -> None:
    found = explained(error, SERVER, "here")
    assert message in found.message
    assert hint in found.hint
    assert found.code == 1


def test_words_of_others_cannot_move_the_cursor() -> None:
    found = explained(forbidden("no\x1b[2J\x07 way\n\n  out"), SERVER, "here")
    assert found.message == "no way out"


def test_an_object_that_is_not_there_is_no_kind_that_is_not_there() -> None:
    assert is_kind_missing(ApiNotFound(404, "", "404 page not found\n"))
    assert not is_kind_missing(ApiNotFound(404, "NotFound", 'cijobs.cijob.dev "x" not found'))
