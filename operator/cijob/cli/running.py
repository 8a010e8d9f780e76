"""`cijob run`: creates a CiJob, shows it, and ends as it does."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from cijob.cli import console, creation, printing
from cijob.cli.errors import CliError, Exit
from cijob.cli.follow.follow import Outcome, follow
from cijob.cli.follow.screen import Screen
from cijob.cli.interrupt import Detached, interruptible
from cijob.cli.lookup import find_pool, missing_namespace
from cijob.cli.manifest import Manifest
from cijob.errors import ApiError, ApiNotFound
from cijob.models import Phase

if TYPE_CHECKING:
    from cijob.cli.api import Api
    from cijob.cli.files.transfer import Transfer
    from cijob.cli.pipeline.plan import Plan
    from cijob.cli.runoptions import RunOptions
    from cijob.transport import Body


async def run(api: Api, source: Manifest | Plan, options: RunOptions) -> int:
    """Runs what was read; gives the exit code.

    Raises:
        CliError: it cannot be run, or nobody looks at it any more.
        ApiError: the API server refuses.
    """
    if not isinstance(source, Manifest):
        from cijob.cli.pipeline.runner import run_pipeline

        return await run_pipeline(api, source, options)
    if len(source.jobs) == 1:
        return await _run_job(api, source.jobs[0], options)
    if not options.detach:
        raise CliError(
            f"{source.path} holds {len(source.jobs)} CiJobs, and one can be followed",
            "Start them all with --detach, then `cijob wait` and `cijob logs`.",
        )
    return _print([await _created(api, job, options) for job in source.jobs], options)


async def show(api: Api, namespace: str, name: str, uid: str, *, transfer: Transfer | None = None) -> int:
    """Follows a CiJob that is there, for a person or a pipe; gives the exit code that is its own.

    Raises:
        CliError: it was cancelled or left; the API server was gone for five minutes.
    """
    screen, began = Screen(), time.monotonic()
    look = f"`cijob logs {name} -n {namespace} -f` shows it."
    if transfer is not None:
        from cijob.cli.files.transfer import in_words

        transfer.progress = in_words(screen.progress, moving=console.err().is_terminal)
    try:
        outcome = await interruptible(
            follow(api, namespace, name, uid, screen, transfer=transfer),
            partial(creation.cancel, api, namespace, name, uid, "Graceful"),
            screen,
            what=f"the job {name}",
            look=look,
        )
    except Detached as left:
        if transfer is not None and transfer.owes:
            left.hint += f" But it was not given its files yet, and fails without them: `cijob cancel {name}` ends it."
        raise
    except BrokenPipeError:  # `cijob run | head`
        screen.note(f"nobody reads the log any more; the job goes on. {look}")
        raise
    except OSError as error:
        raise CliError(f"the log cannot be written: {error.strerror}", f"The job goes on. {look}") from error
    finally:
        screen.close()
    _report(name, namespace, outcome, time.monotonic() - began)
    return outcome.code


async def _run_job(api: Api, job: Body, options: RunOptions) -> int:
    job, transfer = _with_files(job, options)
    if options.detach and transfer is not None:
        raise CliError(
            "a job that is given files cannot be left: they are brought in when it starts",
            "Leave out --detach or --workspace, or have the job fetch a repository with --git-url.",
        )
    if transfer is not None:
        await transfer.check(api, _namespace(api, job, options))
    created = await _created(api, job, options)
    if options.detach:
        return _print([created], options)
    meta = created["metadata"]
    _say(f"cijob: created {meta['name']} in the namespace {meta['namespace']}")
    return await show(api, meta["namespace"], meta["name"], meta["uid"], transfer=transfer)


def _with_files(job: Body, options: RunOptions) -> tuple[Body, Transfer | None]:
    if options.workspace is None or not options.bring_files:
        return job, None
    from cijob.cli.files.bundle import Bundle
    from cijob.cli.files.transfer import Limits, prepare

    limits = Limits(workspace=options.workspace_limit, artifacts=options.artifacts_limit)
    spec, transfer = prepare(job["spec"], bundle=Bundle.of(options.workspace), artifacts=None, limits=limits)
    return job | {"spec": spec}, transfer


async def _created(api: Api, job: Body, options: RunOptions) -> Body:
    """The CiJob as the API server stored it."""
    namespace = _namespace(api, job, options)
    await _check_pool(api, job["spec"].get("poolName"))
    try:
        return await creation.create(api, namespace, job)
    except asyncio.CancelledError:  # Ctrl-C
        _say(f"cijob: whether the job was created is not known: `cijob ls -n {namespace}` tells")
        raise
    except ApiNotFound as error:
        if hint := await missing_namespace(api, namespace):
            raise CliError(f"the job cannot be created in the namespace {namespace}", hint) from error
        raise


def _print(created: list[Body], options: RunOptions) -> int:
    """What --detach leaves on stdout, as `kubectl create` does."""
    if options.output is not None:
        printing.show(created, options.output, one=len(created) == 1)
    else:
        for job in created:
            printing.say(f"{printing.resource_name(job)} created")
    return Exit.OK


def _namespace(api: Api, job: Body, options: RunOptions) -> str:
    named = job["metadata"].get("namespace")
    if named and options.target.namespace and named != options.target.namespace:
        raise CliError(
            f"the manifest says namespace {named}, and --namespace says {options.target.namespace}",
            "Leave one of the two out.",
        )
    return str(named or api.namespace)


async def _check_pool(api: Api, pool: str | None) -> None:
    """A pool that is named must be there: a job would wait for it. Who may not read pools is let pass."""
    if pool is None:
        return
    try:
        await find_pool(api, pool)
    except ApiError:
        return


def _report(name: str, namespace: str, outcome: Outcome, seconds: float) -> None:
    style = "quiet" if outcome.phase is Phase.SUCCEEDED else "bad"
    words = {Phase.SUCCEEDED: "succeeded", Phase.CANCELLED: "was cancelled"}.get(outcome.phase, "failed")
    text = f"cijob: {name} {words} after {printing.duration(seconds)}"
    if outcome.phase is not Phase.SUCCEEDED:
        text += f" ({outcome.reason}): {outcome.message}\n`cijob describe {name} -n {namespace}` tells more."
    _say(text, style)


def _say(text: str, style: str = "quiet") -> None:
    console.err().print(Text(console.plain(text), style=style), soft_wrap=True)
