"""What an API server's refusal means to a user, and what to do about it. Pure."""

from __future__ import annotations

import re
from typing import Final

from cijob import names
from cijob.cli.console import plain
from cijob.cli.errors import CliError
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

#: The API server's words about a path that it does not serve; those about an object come in a Status with a reason.
_NO_PATH: Final = "404 page not found"
_UNAUTHORIZED, _UNPROCESSABLE = 401, 422
#: RBAC's words (kubernetes, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go).
_RIGHT: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
#: What stands before the words of an admission policy, or of a webhook.
_DENIED: Final = re.compile(
    r".*?(?:ValidatingAdmissionPolicy '[^']*' with binding '[^']*'|admission webhook \"[^\"]*\") denied (?:the )?request:\s*",
    re.DOTALL,
)
_INVALID: Final = re.compile(r'\S+ "[^"]*" is invalid:\s*')
_NAMESPACE: Final = re.compile(r'namespaces "(?P<name>[^"]*)" not found')
_TERMINATING: Final = "because it is being terminated"
_EVERYWHERE: Final = "in the whole cluster"
_CERTIFICATE: Final = "certificate verify failed"


def explained(error: ApiError, server: str, namespace: str) -> CliError:
    """The error as a command ends with it."""
    message = " ".join(plain(error.message).split())
    if isinstance(error, ApiUnavailable):
        return _unavailable(error, message, server)
    if is_kind_missing(error):
        return CliError(
            "this cluster knows no CiJobs: the operator's CRDs are not installed",
            "`helm install cijob charts/cijob` installs them; `cijob doctor` checks the whole cluster.",
        )
    if missing := _NAMESPACE.fullmatch(message):
        return CliError(
            f"there is no namespace {missing['name']}", "Choose another with -n; `kubectl get namespaces` lists them."
        )
    if error.status == _UNAUTHORIZED:
        return CliError(f"{server} does not know you", "Log in again, or choose another --context.")
    if error.forbidden:
        return _forbidden(message, namespace)
    if error.status == _UNPROCESSABLE:
        return CliError(_INVALID.sub("the cluster refuses this: ", message, count=1))
    if error.status and not error.reason:
        return CliError(
            f"{server}, or a proxy before it, answers {error.status} and not as an API server does: {message}",
            "Is it the right address? `kubectl cluster-info` asks too; HTTPS_PROXY and NO_PROXY say which proxy is asked.",
        )
    return CliError(message)


def is_kind_missing(error: ApiError) -> bool:
    """Whether the API server does not know the kind at all, rather than no object of that name."""
    return isinstance(error, ApiNotFound) and _NO_PATH in error.message


def _unavailable(error: ApiUnavailable, message: str, server: str) -> CliError:
    if error.status:
        return CliError(
            f"{server} cannot answer now ({error.status}): {message}",
            "Try again in a while; nothing is known to be lost.",
        )
    if _CERTIFICATE in message.lower():
        return CliError(
            message, f"The kubeconfig's certificate-authority is not that of {server}: renew the kubeconfig's entry."
        )
    return CliError(message, f"Is {server} the right address, and can it be reached? `kubectl cluster-info` asks too.")


def _forbidden(message: str, namespace: str) -> CliError:
    if _TERMINATING in message:
        return CliError(
            f"the namespace {namespace} is being deleted: nothing new is made in it", "Choose another with -n."
        )
    right = _RIGHT.search(message)
    if right is None:  # a quota's words, an admission policy's or a webhook's
        return CliError(_DENIED.sub("", message, count=1))
    where = f"in the namespace {right['namespace']}" if right["namespace"] else _EVERYWHERE
    return CliError(
        f"you ({right['user']}) may not {right['verb']} {right['resource']} {where}", _role(right["resource"], where)
    )


def _role(resource: str, where: str) -> str:
    if resource == names.POOL_PLURAL:
        return "Ask who runs the cluster to bind the role cijob-pool-user to you; `cijob doctor` shows which rights you have."
    if resource == names.PLURAL and where == _EVERYWHERE:
        return "Name a namespace with -n instead of --all-namespaces; `cijob doctor` shows which rights you have there."
    if resource == names.PLURAL or resource.startswith("pods"):
        return (
            f"Ask who runs the cluster to bind the role cijob-author to you {where}, and the right to use a pool "
            "(docs/security.md); `cijob doctor` shows which rights you have."
        )
    return "Ask who runs the cluster for this right."
