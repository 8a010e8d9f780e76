"""`cijob retry`: a new CiJob from an old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob.cli import printing
from cijob.cli.acting.again import gave_artifacts, had_files, manifest_of
from cijob.cli.acting.selecting import note
from cijob.cli.acting.states import state_of
from cijob.cli.creation import create
from cijob.cli.errors import CliError, Exit
from cijob.cli.lookup import find_job
from cijob.cli.running import show

if TYPE_CHECKING:
    from pathlib import Path

    from cijob.cli.api import Api
    from cijob.cli.files.transfer import Transfer
    from cijob.transport import Body


async def retry(api: Api, name: str, *, detach: bool, workspace: Path | None, output: str | None) -> int:
    """Runs a CiJob again; gives the exit code.

    Args:
        api: the cluster.
        name: of the old one.
        detach: whether the new one is only created, and its name printed.
        workspace: a folder whose files are brought in.
        output: with `detach`: name, json or yaml, or None.

    Raises:
        CliError: there is none, it has not ended, or it needs files that are not here.
        ApiError: the API server refuses.
    """
    job = await find_job(api, api.namespace, name)
    check(job, with_files=workspace is not None, flag=api.flag)
    manifest, transfer = manifest_of(job), None
    if workspace is not None:
        manifest, transfer = _with_files(manifest, workspace)
        await transfer.check(api, api.namespace)
    if gave_artifacts(job):
        note("artifacts are taken by `cijob run` only: this time nobody takes them")
    created = await create(api, api.namespace, manifest)
    if detach:
        _print(created, output)
        return Exit.OK
    meta = created["metadata"]
    note(f"created {meta['name']} in the namespace {meta['namespace']}")
    return await show(api, meta["namespace"], meta["name"], meta["uid"], transfer=transfer)


def check(job: Body, *, with_files: bool, flag: str = "") -> None:
    """Whether a CiJob can be run again; `flag` is the namespace as commands have to name it. Pure.

    Raises:
        CliError: it has not ended, or it was given files and now there are none.
    """
    state = state_of(job)
    if not state.finished:
        raise CliError(
            f"{state.name} has not ended: it is {state}",
            f"Cancel it first (`cijob cancel {state.name}{flag}`), or wait for it (`cijob wait {state.name}{flag}`).",
        )
    if had_files(job) and not with_files:
        raise CliError(
            f"{state.name} was given files by the command that ran it, which are not in the cluster",
            "Say which folder holds them with --workspace DIR, or run it again with `cijob run`.",
        )


def _with_files(manifest: Body, folder: Path) -> tuple[Body, Transfer]:
    from cijob.cli.files.bundle import Bundle
    from cijob.cli.files.transfer import prepare

    spec, transfer = prepare(manifest["spec"], bundle=Bundle.of(folder), artifacts=None)
    return manifest | {"spec": spec}, transfer


def _print(created: Body, output: str | None) -> None:
    if output is None:
        printing.say(f"{printing.resource_name(created)} created")
    else:
        printing.show([created], output, one=True)
