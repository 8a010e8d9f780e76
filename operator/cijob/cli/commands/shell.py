"""`cijob shell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.options import completed, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("name", shell_complete=completed("jobs"))
@click.argument("words", metavar="[-- COMMAND ARG...]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-c", "--container", default="job", show_default=True, metavar="NAME", help="job, dind, or the name of a service."
)
@click.option("-i", "--stdin", is_flag=True, hidden=True, help="As kubectl exec has it: done wherever it makes sense.")
@click.option("-t", "--tty", is_flag=True, hidden=True, help="As kubectl exec has it: done wherever it makes sense.")
@target()
def command(*, name: str, words: tuple[str, ...], container: str, stdin: bool, tty: bool, target: Target) -> int:
    """Open a shell in a running job.

    The shell is bash where the image has it, else sh, and starts in the job's working directory, beside the script, as the
    same user and with the same variables. What it changes, the script sees. It ends with the job at the latest.

    Words after -- are run instead, as they are, without a shell. On a terminal they are given one; in a pipe standard input
    goes in, and output and errors come out apart, byte for byte. The -it of `kubectl exec` is understood, and not needed.

    The container dind is the Docker daemon's and privileged; services are entered by their names. Who may do this is for the
    cluster to say: it takes the rights get and create on pods/exec, which the role cijob-author has, and a cluster may close
    all Pods of jobs by a policy of its own.

    \b
    Examples:
      cijob shell build-7xk2p
      cijob shell build-7xk2p --container dind -- docker ps
      cijob shell build-7xk2p --container postgres -- psql -U postgres
      cijob shell build-7xk2p -- cat report.xml > report.xml

    \b
    Exit codes:
      CODE  the exit code of the shell, or of the command
      1     the job does not run, you may not, or the connection broke
    """
    del stdin, tty  # found out by looking
    from cijob.cli.api import with_api
    from cijob.cli.files.shell import shell

    return with_api(target, lambda api: shell(api, name, container, words))
