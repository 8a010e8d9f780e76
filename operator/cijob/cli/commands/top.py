"""`cijob top`."""

from __future__ import annotations

import click

from cijob.cli.options import Target, check_choice, completed, target


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed("jobs"))
@target(lists=True)
@click.option("-l", "--selector", metavar="LABELS", help="Only jobs with these labels, such as team=web.")
@click.option("--containers", is_flag=True, help="A line for each container, services too.")
@click.option(
    "--sort-by",
    type=click.Choice(["cpu", "memory", "name"]),
    default="name",
    show_default=True,
    help="Who uses most first, or by name.",
)
def command(*, names: tuple[str, ...], target: Target, selector: str | None, containers: bool, sort_by: str) -> int:
    """Show what running jobs use of CPU and memory, all or those that are named.

    JOB is the container of the script, DOCKER the Docker daemon together with all containers and builds that it runs; CPU and
    MEMORY are the sums with services. CPU is in cores (250m is a quarter of one). Behind a slash stands the limit, where there
    is one. What goes over its memory limit is killed.

    The numbers are those of the cluster's metrics API (metrics-server), some seconds old. Where it has none, the nodes' kubelets
    are asked, which takes the right to read nodes/proxy.

    \b
    Examples:
        cijob top
        cijob top build-7xk2p --containers
        cijob top -A --sort-by memory
        cijob top --containers
    """
    check_choice(names, other=target.all_namespaces or selector is not None)

    from cijob.cli.api import Api, with_api
    from cijob.cli.looking.top import top

    async def work(api: Api) -> int:
        namespace = None if target.all_namespaces else api.namespace
        return await top(api, namespace, names, containers=containers, sort=sort_by, selector=selector)

    return with_api(target, work)
