"""What an API server's refusal means to a user, and what to do about it. Pure."""

from __future__ import annotations

import re

from cijob.cli.errors import CliError
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable

#: The API server's words about a path that it does not serve; those about an object come in a Status with a reason.
_NO_PATH = "404 page not found"
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_RIGHT = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"')


def explained(error: ApiError, server: str, namespace: str) -> CliError:
    """The error as a command ends with it."""
    if isinstance(error, ApiUnavailable) and error.status == 0:
        return CliError(
            error.message, f"Is {server} the right address, and can it be reached? `kubectl cluster-info` asks too."
        )
    if is_kind_missing(error):
        return CliError(
            "this cluster knows no CiJobs: the operator's CRDs are not installed",
            "`helm install cijob charts/cijob` installs them; `cijob doctor` checks the whole cluster.",
        )
    if error.status == _UNAUTHORIZED:
        return CliError(f"{server} does not know you", "Log in again, or choose another --context.")
    if error.status == _FORBIDDEN:
        return _forbidden(error, namespace)
    return CliError(error.message)


def is_kind_missing(error: ApiError) -> bool:
    """Whether the API server does not know the kind at all, rather than no object of that name."""
    return isinstance(error, ApiNotFound) and not error.reason and _NO_PATH in error.message


def _forbidden(error: ApiError, namespace: str) -> CliError:
    right = _RIGHT.search(error.message)
    if right is None:  # an admission policy's or a webhook's own words
        return CliError(error.message)
    return CliError(
        f"you ({right['user']}) may not {right['verb']} {right['resource']} in the namespace {namespace}",
        "Ask who runs the cluster to bind the role cijob-author to you there, and the right to use a pool "
        "(docs/security.md); `cijob doctor` shows which rights you have.",
    )
