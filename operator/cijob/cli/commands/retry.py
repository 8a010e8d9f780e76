"""`cijob retry`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cijob.cli.errors import CliError, Exit
from cijob.cli.options import completed, output, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("name", shell_complete=completed("jobs"))
@click.option("-d", "--detach", is_flag=True, help="Create the new CiJob, print its name, and leave.")
@click.option(
    "-w",
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Bring the files of this folder into the job.",
)
@output("name", "json", "yaml")
@target()
def command(*, name: str, detach: bool, workspace: Path | None, output: str | None, target: Target) -> int:
    """Run a CiJob again that has ended: a new one with the same spec, labels and annotations.

    Labels and annotations of cijob, kubectl, Helm and Argo CD are left out. The new CiJob is called as the old one with other letters at the end. It is followed as `cijob run` does it, unless
    --detach is given. What the old one was told while it ran, spec.cancel and spec.suspend, is left out. The annotation
    cijob.dev/retry-of names the old one, which stays as it is.

    A CiJob that has not ended is not retried. Nor is one that `cijob run` gave files, unless --workspace says where they are
    now. Artifacts are not fetched.

    For attempts that follow a failure by themselves, see spec.retry (`kubectl explain cijob.spec.retry`).

    \b
    Examples:
      cijob retry build-7xk2p
      cijob retry build-7xk2p --detach -o name
      cijob retry build-7xk2p --workspace .

    \b
    Exit codes:
      CODE  the new job's own exit code; 1 for a failure without one, 130 if it was cancelled
      0     with --detach: it was created
      1     there is no such CiJob, it has not ended, or the new one was refused
    """
    if output is not None and not detach:
        raise CliError("-o is for the CiJob that --detach leaves behind", "Add --detach.", Exit.USAGE)
    if detach and workspace is not None:
        raise CliError("a job that is given files cannot be left: they are brought in when it starts", "", Exit.USAGE)

    from cijob.cli.acting.retrying import retry
    from cijob.cli.api import with_api

    return with_api(target, lambda api: retry(api, name, detach=detach, workspace=workspace, output=output))
