"""`cijob describe`."""

from __future__ import annotations

import click

from cijob.cli.options import Target, completed, output, target


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completed("jobs"))
@target()
@output("json", "yaml", "name")
def command(*, names: tuple[str, ...], target: Target, output: str | None) -> int:
    """Tell the story of CiJobs: what happened when, whose fault a failure is, and what to try.

    Each is told by itself. The timeline has every attempt with its waits, its Pod, its node and how it ended. For a failure follow the operator's
    message, whether it was the job's own, the pool's rules, or the cluster's, and commands and fields that may help. For a
    job that waits the same is said of what it waits for. The last lines of the log, and Events, are shown to who may read
    them.

    With -o the CiJob itself is printed, as `kubectl get cijob NAME -o yaml` does.

    \b
    Examples:
        cijob describe build-42
        cijob describe build-42 -n team-a
        cijob describe build-42 -o yaml

    Exit code: 0, however the jobs ended; 1 where one is not there.
    """
    from cijob.cli.api import Api, with_api
    from cijob.cli.looking.describing import describe

    async def work(api: Api) -> int:
        return await describe(api, api.namespace, names, output)

    return with_api(target, work)
