"""Making a CiJob, and cancelling it, whatever becomes of the API server's answer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from cijob import names
from cijob.cli.errors import CliError
from cijob.cli.follow.patience import Patience
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable

if TYPE_CHECKING:
    from cijob.cli.api import Api
    from cijob.transport import Body

#: As the API server makes names (apiserver, `pkg/storage/names/generate.go`): no vowels, no digits that look like letters.
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_RANDOM: Final = 5
_CONFLICT: Final = 409
#: Seconds for which an API server that does not answer is asked again.
_TRIES: Final = 30.0


async def create(api: Api, namespace: str, manifest: Body) -> Body:
    """Creates a CiJob; gives it as it was stored.

    A `generateName` is made a name here, not by the API server: a request whose answer was lost can be sent again then
    without making a second job.

    Raises:
        CliError: there is a CiJob of that name.
        ApiError: the API server refuses it, or did not answer for 30 s.
    """
    metadata = dict(manifest.get("metadata") or {})
    generated = metadata.pop("generateName", "") if not metadata.get("name") else ""
    patience, lost = Patience(_TRIES), False
    while True:
        if generated and not lost:
            metadata["name"] = generated_name(str(generated))
        try:
            return await api.create_job(namespace, manifest | {"metadata": metadata})
        except ApiUnavailable as error:
            lost = lost or error.status == 0
            await patience.failed(error)
        except ApiError as error:
            if error.status != _CONFLICT or error.reason != "AlreadyExists":
                raise
            name = metadata["name"]
            if lost and generated:
                return await api.get_job(namespace, name)  # it was the answer that was lost
            if not generated and lost:
                raise CliError(
                    f"whether {name} was created now or before is not known: the API server's answer was lost",
                    f"`cijob describe {name} -n {namespace}` tells when it was.",
                ) from error
            if not generated:
                raise CliError(
                    f"there is a CiJob {name} in the namespace {namespace} already: a CiJob is one run",
                    f"Write metadata.generateName: {name}- for a new name each time, or `cijob delete {name}` first.",
                ) from error


def generated_name(base: str) -> str:
    """A new name that begins with the base, of 63 characters at most."""
    tail = "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM))
    return base[: names.MAX_NAME - _RANDOM] + tail


async def cancel(api: Api, namespace: str, name: str, uid: str, mode: str) -> None:
    """Sets spec.cancel: Graceful or Immediate. A job that is gone needs no cancel, nor does another one of its name.

    Raises:
        ApiError: the API server refuses it, or did not answer for 30 s.
    """
    patience = Patience(_TRIES)
    while True:
        try:
            await api.cancel_job(namespace, name, uid, mode)
        except (ApiNotFound, ApiConflict):
            return
        except ApiUnavailable as error:
            await patience.failed(error)
        else:
            return
