"""`cijob run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cijob.cli.errors import CliError, Exit
from cijob.cli.options import PAIR, F, completed, output, target
from cijob.cli.runoptions import LIMIT, RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from cijob.cli.options import Target


class _Size(click.ParamType[int]):
    """Bytes, as quantities are written: 512Mi, 1Gi."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401  click's signature
        """A number of bytes."""
        from cijob.quantities import parse_quantity

        if isinstance(value, int):
            return value
        try:
            return int(parse_quantity(str(value)))
        except ValueError:
            self.fail(f"{value!r} is not a size: write it as 512Mi or 1Gi.", param, ctx)


def _limit(name: str, text: str) -> Callable[[F], F]:
    """An option for the most bytes of something."""
    return click.option(name, type=_Size(), default=LIMIT, show_default="256Mi", metavar="SIZE", help=text)


_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("words", metavar="[FILE | -- COMMAND...]", nargs=-1, shell_complete=completed("files"))
@click.option(
    "-f",
    "--file",
    "--filename",
    metavar="FILE",
    shell_complete=completed("files"),
    help="The manifest or pipeline; - reads a manifest from stdin.",
)
@click.option("--image", metavar="IMAGE", help="Run a command in this image, without a file.")
@click.option("-d", "--detach", is_flag=True, help="Create the job, print its name, and leave.")
@output("name", "json", "yaml")
@click.option("--timeout", metavar="DURATION", help="How long an attempt may take: spec.timeout, such as 30m.")
@click.option("--set", "sets", metavar="PATH=VALUE", multiple=True, help="Set a field of the CiJob; may be repeated.")
@click.option(
    "--var", "variables", type=PAIR, multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated."
)
@click.option("-w", "--workspace", type=_FOLDER, metavar="DIR", help="Bring the files of this folder into the job.")
@click.option("--no-workspace", is_flag=True, help="Bring no files; a pipeline brings those of its folder otherwise.")
@_limit("--workspace-limit", "The most that is brought in.")
@click.option("--git-url", metavar="URL", help="Have the job check out this repository instead.")
@click.option("--git-ref", metavar="REF", help="Of that repository this branch, tag or commit.")
@click.option("--git-secret", metavar="SECRET", help="A Secret with the credentials for it.")
@click.option(
    "--job", "jobs", metavar="NAME", multiple=True, help="Pipeline: only this job and what it needs; may be repeated."
)
@click.option("--manual", metavar="NAME", multiple=True, help="Pipeline: run this manual job as well; may be repeated.")
@click.option("--strict", is_flag=True, help="Pipeline: run nothing if any part of the file is not converted.")
@click.option(
    "--pool",
    "pools",
    type=PAIR,
    multiple=True,
    metavar="TAG=POOL",
    help="Pipeline: the BuildPool for a runner tag; may be repeated.",
)
@click.option("--default-image", metavar="IMAGE", help="Pipeline: the image of jobs that name none.")
@click.option("--branch", metavar="NAME", help="Pipeline: run for this branch, not for the one that is checked out.")
@click.option("--tag", metavar="NAME", help="Pipeline: run for this tag.")
@click.option("--artifacts", type=_FOLDER, metavar="DIR", help="Pipeline: leave the jobs' artifacts in this folder.")
@_limit("--artifacts-limit", "Pipeline: the most that one job may leave.")
@click.option("--no-cache", is_flag=True, help="Pipeline: neither restore nor save what jobs say in `cache`.")
@_limit("--cache-limit", "Pipeline: the most that one job's caches may have together.")
@target()
def command(  # noqa: PLR0913  one argument for each option
    *,
    words: tuple[str, ...],
    file: str | None,
    image: str | None,
    output: str | None,
    sets: tuple[str, ...],
    variables: tuple[tuple[str, str], ...],
    pools: tuple[tuple[str, str], ...],
    no_workspace: bool,
    no_cache: bool,
    target: Target,
    **rest: Any,  # noqa: ANN401  the options that are RunOptions' own
) -> int:
    """Run a CiJob, or the jobs of a .gitlab-ci.yml, and show what becomes of it.

    FILE is a manifest of a CiJob, or a pipeline of GitLab CI's; which of the two is told by what is in it. Without a FILE
    the .gitlab-ci.yml in this folder is run. With --image there is no file: the words behind -- are the script. One
    word is a line of shell as it stands ('make && make test'); several are a command and its arguments, which the shell
    does not look into.

    While the job waits and starts, a line says why: its place in the queue, an image that is pulled, the Docker daemon that
    boots. Then its log comes as the job writes it, with its own colours, byte for byte: to the standard output. All else goes to
    the standard error. A connection that breaks is made again, without losing or repeating a line; the command gives up after
    5 minutes without an API server, and the job goes on. If the job has another attempt, that is followed too.

    Ctrl-C on a terminal asks whether to detach, to cancel the job, or to go on. Pressed again, it cancels the job. In a
    pipe, and at SIGTERM, the job is cancelled gracefully, so that its afterScript runs, and its end is waited for, 2
    minutes at most; one more interrupt leaves.

    --set takes the path of a field as in a manifest, below spec unless it starts with metadata, and a value in YAML:
    --set docker.endpoint=Unix, --set metadata.labels.team=web, --set 'services[0].image=postgres:17'.

    --workspace brings in what git knows of a folder and what it does not ignore, or all of it where there is no git; the
    job's image needs tar. A pipeline's jobs are given the files of its folder, with a .git made for them, and the artifacts
    of the jobs before them, without being asked. What they say in cache is kept in ~/.cache/cijob (or $XDG_CACHE_HOME/cijob) on this machine, 4Gi
    of it at most, and comes back in the next run for the same folder.

    \b
    Examples:
      cijob run examples/docker-run.yaml
      cijob run                                    # .gitlab-ci.yml, its jobs in order
      cijob run --image docker:29-cli -- docker version
      cijob run --image python:3-slim -w . -- 'pip install -r requirements.txt && pytest'
      cijob run job.yaml --set docker.endpoint=Unix --var VERSION=1.2 --timeout 10m
      cijob wait $(cijob run --detach job.yaml -o name)

    \b
    Exit codes:
      0     the job succeeded, or it was left with --detach or at Ctrl-C
      CODE  the exit code of the job's script
      1     the job failed without one, or it could not be run or watched
      2     the command line is wrong
      130   the job was cancelled
    """
    options = RunOptions(
        target=target,
        file=_file(words, file, image),
        image=image,
        words=words if image is not None else (),
        output=output,
        sets=sets,
        variables=dict(variables),
        pools=dict(pools),
        bring_files=not no_workspace,
        caches=not no_cache,
        **rest,
    )
    if output is not None and not options.detach:
        raise click.UsageError("-o prints what was created, which is for --detach.")
    if options.git_url is None and (options.git_ref or options.git_secret):
        raise click.UsageError("--git-ref and --git-secret are for the repository of --git-url, which is missing.")
    if options.workspace is not None and no_workspace:
        raise click.UsageError("--workspace brings files, and --no-workspace brings none: leave one of the two out.")
    if no_cache and options.cache_limit != LIMIT:
        raise click.UsageError("--cache-limit is for caches, and --no-cache keeps none: leave one of the two out.")
    from cijob.cli.api import with_api
    from cijob.cli.running import run
    from cijob.cli.sources import read

    source = read(options)  # what is wrong with it has nothing to do with a cluster
    return with_api(target, lambda api: run(api, source, options))


def _file(words: tuple[str, ...], file: str | None, image: str | None) -> str | None:
    """The file that is meant, by its option or as the one word."""
    if image is not None:
        if file is not None:
            raise click.UsageError("--image runs a command without a file: leave one of the two out.")
        if not words:
            raise click.UsageError("--image needs a command: cijob run --image IMAGE -- COMMAND...")
        return None
    if len(words) + (file is not None) > 1:
        raise CliError(
            f"one file is run at a time, and more are named: {' '.join(words)}",
            "`cijob run --image IMAGE -- COMMAND...` runs a command.",
            Exit.USAGE,
        )
    return words[0] if words else file
