"""`cijob doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.options import completed, output, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.option(
    "--pool",
    default="default",
    show_default=True,
    metavar="NAME",
    shell_complete=completed("pools"),
    help="The BuildPool that jobs are for.",
)
@output("json", "yaml")
@target()
def command(*, pool: str, output: str | None, target: Target) -> int:
    """Check whether CiJobs can run in a namespace, and say what to do where they cannot.

    It looks at the version of Kubernetes; whether the CRDs are installed and know the fields that this command line knows;
    whether an operator runs, leads and serves the namespace; whether the namespace lets privileged Pods in; what you may
    do there; whether the pool is open and there for the namespace, and which nodes each pool can use; and whether a CiJob
    would be taken. Nothing is changed: Pod and CiJob are dry runs.

    What you have no right to see is shown as not checked (-). A warning (!) means that jobs run but something will not go as
    it might. The lines below a check say what to do.

    \b
    Examples:
      cijob doctor
      cijob doctor -n builds --pool large
      cijob doctor -o json | jq '.[] | select(.result == "failed")'

    \b
    Exit codes:
      0  no check failed
      1  one failed, or there is no cluster to talk to
    """
    from cijob.cli.api import with_api
    from cijob.cli.doctor.report import doctor

    return with_api(target, lambda api: doctor(api, pool, output))
