"""`cijob pools`."""

from __future__ import annotations

import click

from cijob.cli.options import Target, completed, output, target


@click.command()
@click.argument("name", required=False, shell_complete=completed("pools"))
@target()
@output("json", "yaml", "wide", "name")
def command(*, name: str | None, target: Target, output: str | None) -> int:
    """Show the pools, or one of them: capacity, who uses it, who waits and why.

    Without NAME a line for each pool: how many jobs run in it and how many wait for their turn, as the operator counts them,
    and how many may run at once, in all and in one namespace.

    With NAME its rules, the shares of the namespaces, and the jobs that wait, in the order in which their turns come: the
    namespace with the fewest running goes first, then the higher priority, then the older job. Shares and order come from
    the CiJobs that you may list; where those are only your namespace's, it says so.

    \b
    Examples:
        cijob pools
        cijob pools default
        cijob pools default -o yaml
    """
    from cijob.cli.api import Api, with_api
    from cijob.cli.looking import pools

    async def work(api: Api) -> int:
        if name is None:
            return await pools.list_pools(api, output)
        return await pools.show_pool(api, name, output)

    return with_api(target, work)
