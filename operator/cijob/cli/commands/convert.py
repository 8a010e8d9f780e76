"""`cijob convert`."""

from __future__ import annotations

from pathlib import Path

import click

from cijob.cli.options import PAIR


@click.command
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Output format."
)
@click.option("--strict", is_flag=True, help="Fail if anything is not converted.")
@click.option("--job", "jobs", multiple=True, metavar="NAME", help="Only this job; may be given several times.")
@click.option(
    "--var", "variables", multiple=True, type=PAIR, metavar="NAME=VALUE", help="A variable, above the file's."
)
@click.option(
    "--pool", "pools", multiple=True, type=PAIR, metavar="TAG=POOL", help="The BuildPool that jobs with this tag use."
)
@click.option(
    "--default-image", metavar="IMAGE", help="The image of jobs that name none, as your GitLab runner has one."
)
@click.option("--branch", metavar="NAME", help="As if this branch were built; git's own when unset.")
@click.option("--tag", metavar="NAME", help="As if this tag were built.")
@click.option("--git-url", metavar="URL", help="Have the jobs check this repository out: spec.source.git.url.")
@click.option("--git-ref", metavar="REF", help="What is checked out of it; the commit of this work tree when unset.")
@click.option("--git-secret", metavar="NAME", help="The Secret with credentials for it.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a file for each job into this folder, in the order of the pipeline.",
)
def command(  # noqa: PLR0913  one argument for each option
    *,
    file: Path | None,
    output: str,
    strict: bool,
    jobs: tuple[str, ...],
    variables: tuple[tuple[str, str], ...],
    pools: tuple[tuple[str, str], ...],
    default_image: str | None,
    branch: str | None,
    tag: str | None,
    git_url: str | None,
    git_ref: str | None,
    git_secret: str | None,
    output_dir: Path | None,
) -> int:
    """Turn a pipeline of GitLab CI into CiJobs.

    FILE is .gitlab-ci.yml when unset. The CiJobs of the jobs that GitLab would run for this state of the repository go to the
    standard output, ready for `kubectl create -f -`; no cluster is asked. Branch, commit and changed files are those of the git
    work tree that FILE is in.

    What became of the file is told on the standard error, each with its file and line: an `error` where GitLab would refuse
    the file, or a job can be no CiJob; `not converted` where something was left out, or means something else, that may matter to
    the job, or where a key is none of GitLab's, unless of a newer one; a `note` where it only looks different.
    docs/from-gitlab.md has all keys. The last line counts the jobs that convert completely.

    A CiJob is one job. Order, conditions, artifacts and jobs that may fail are the pipeline's: `cijob run FILE` keeps to them,
    `kubectl create` starts all jobs at once; what of it there is, is told. Repository files are not in a CiJob either: --git-url has them checked out in the
    cluster, with the depth of GIT_DEPTH (20 when unset) and the submodules of GIT_SUBMODULE_STRATEGY.

    \b
    Examples:
      cijob convert
      cijob convert --strict --branch main > /dev/null && echo nothing is lost
      cijob convert --job build --git-url https://git.example.com/team/app.git | kubectl create -f -
      cijob convert ci.yml --pool gpu=gpu-builds --var DEPLOY=no --output-dir cijobs/

    \b
    Exit codes:
      0  all is converted, or was named
      1  an error; with --strict, something is not converted
      2  an option is wrong
    """
    from cijob.cli import converting
    from cijob.cli.manifest import PIPELINE

    return converting.convert(
        converting.Wanted(
            file=file or Path(PIPELINE),
            output=output,
            strict=strict,
            jobs=jobs,
            variables=dict(variables),
            pools=dict(pools),
            default_image=default_image or "",
            branch=branch,
            tag=tag,
            git=(git_url or "", git_ref or "", git_secret or ""),
            output_dir=output_dir,
        )
    )
