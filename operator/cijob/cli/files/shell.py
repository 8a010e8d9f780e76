"""A shell, or a command, in a container of a running job."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from cijob.cli.console import plain
from cijob.cli.errors import CliError
from cijob.cli.files.execute import Result, execute, refused
from cijob.cli.files.terminal import UserTerminal
from cijob.cli.keys import typed
from cijob.cli.lookup import find_job
from cijob.errors import ApiError, ApiNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from cijob.cli.api import Api
    from cijob.transport import Body

#: bash where the image has it.
_SHELL: Final = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh")
#: What runtimes say where the program to start is missing (runc, crun).
_NO_PROGRAM: Final = re.compile(
    r"executable file not found|no such file or directory|not found in \$PATH", re.IGNORECASE
)


async def shell(api: Api, name: str, container: str, words: Sequence[str]) -> int:
    """Run the words, or a shell, in a container of a CiJob's Pod; gives the exit code.

    Raises:
        CliError: there is no such CiJob or container, it does not run, the image has no such program, or the user may not.
        ApiUnavailable: the connection broke.
    """
    job = await find_job(api, api.namespace, name)
    name = job["metadata"]["name"]
    pod = await _pod(api, job)
    check_container(pod, name, container, api.flag)
    command = tuple(words) or _SHELL
    try:
        result = await _run(api, pod["metadata"]["name"], container, command)
    except ApiError as error:
        raise _explained(error, api, name, container, command) from error
    return result.code


def check_container(pod: Body, name: str, container: str, flag: str = "") -> None:
    """Whether a container of a job's Pod runs; `flag` is the namespace as commands have to name it.

    Raises:
        CliError: it does not; the message says what it does instead, or which others there are.
    """
    spec, status = pod["spec"], pod.get("status", {})
    # Init containers that are no sidecars have ended when the job runs.
    sidecars = [one["name"] for one in spec.get("initContainers", ()) if one.get("restartPolicy") == "Always"]
    known = [*(one["name"] for one in spec["containers"]), *sidecars]
    if container not in known:
        near = get_close_matches(container, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise CliError(f"{name} has no container {container}", f"{hint}It has {', '.join(known)}.")
    statuses = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    state: Body = next((one.get("state", {}) for one in statuses if one["name"] == container), {})
    if "running" in state:
        return
    if "terminated" in state:
        raise CliError(
            f"the container {container} of {name} has ended", f"`cijob logs {name}{flag}` shows what the job said."
        )
    why = plain(str(state.get("waiting", {}).get("reason") or "it was not started yet"))
    raise CliError(f"the container {container} of {name} does not run yet: {why}", _wait_hint(f"{name}{flag}"))


async def _pod(api: Api, job: Body) -> Body:
    name, status = job["metadata"]["name"], job.get("status", {})
    phase = status.get("phase") or "Pending"
    if phase in ("Succeeded", "Failed", "Cancelled"):
        raise CliError(
            f"{name} does not run any more: it is {phase}",
            f"`cijob logs {name}{api.flag}` shows what it said, and `cijob retry {name}{api.flag}` runs it again.",
        )
    if "podName" not in status or phase not in ("Starting", "Running"):
        told = plain(status.get("message") or "")
        hint = _wait_hint(f"{name}{api.flag}")
        raise CliError(f"{name} does not run yet: it is {phase}{f' ({told})' if told else ''}", hint)
    try:
        return await api.get_pod(api.namespace, status["podName"])
    except ApiNotFound as error:
        raise CliError(
            f"the Pod of {name} is gone", f"`cijob describe {name}{api.flag}` tells what happened."
        ) from error


async def _run(api: Api, pod: str, container: str, command: Sequence[str]) -> Result:
    async def write(data: bytes) -> None:
        _write(sys.stdout.buffer, data)

    async def complain(data: bytes) -> None:
        _write(sys.stderr.buffer, data)

    keys = typed(sys.stdin.fileno())
    where = (api, api.namespace, pod, container, command)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return await execute(*where, stdin=keys, on_output=write, on_error=complain)
    terminal = UserTerminal()
    with terminal.raw():
        return await execute(*where, stdin=keys, on_output=write, tty=terminal)


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()


def _wait_hint(name: str) -> str:
    return f"`cijob wait {name} --for=running && cijob shell {name}` waits for it."


def _explained(error: ApiError, api: Api, name: str, container: str, command: Sequence[str]) -> CliError:
    if error.forbidden:
        return refused(error, api.namespace, f"`cijob logs {name}{api.flag}` shows what the job says.")
    if isinstance(error, ApiNotFound):
        return CliError(f"the Pod of {name} is gone", f"`cijob describe {name}{api.flag}` tells what happened.")
    if _NO_PROGRAM.search(error.message):
        program = plain(command[0])
        hint = "It can run its own programs: name one behind --." if command == _SHELL else "Name it by its path."
        return CliError(f"the container {container} of {name} has no {program}", hint)
    return CliError(f"{container} of {name} could not be entered: {plain(error.message)}")
