"""What `cijob run` is to run, read and checked before any cluster is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cijob.cli import manifest, overrides
from cijob.cli.errors import CliError, Exit
from cijob.cli.manifest import Manifest, PipelineFile
from cijob.cli.runoptions import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.cli.pipeline.plan import Plan

#: Fields of RunOptions that only a pipeline has a use for, and the options that set them.
_OF_PIPELINES: Final = {
    "jobs": "--job",
    "manual": "--manual",
    "strict": "--strict",
    "pools": "--pool",
    "default_image": "--default-image",
    "branch": "--branch",
    "tag": "--tag",
    "artifacts": "--artifacts",
    "artifacts_limit": "--artifacts-limit",
    "caches": "--no-cache",
    "cache_limit": "--cache-limit",
}
#: The same for what is one CiJob.
_OF_CIJOBS: Final = {"sets": "--set"}


def read(options: RunOptions) -> Manifest | Plan:
    """The CiJobs of a manifest or of `--image`, with what the options say of them; or what is run of a pipeline.

    Raises:
        CliError: it cannot be read or run, or an option is for something else.
    """
    if options.image is not None:
        found = Manifest("", (overrides.of_image(options.image, options.words),))
        _check(options, _OF_PIPELINES, "is for pipelines, and --image runs one command")
    else:
        file = _file(options)
        source = manifest.read(file)
        if isinstance(source, PipelineFile):
            return _plan(source, options)
        _check(options, _OF_PIPELINES, f"is for pipelines, and {file} is a manifest")
        found = source
    return replace(found, jobs=tuple(overrides.completed(job, options, found.path) for job in found.jobs))


def _plan(source: PipelineFile, options: RunOptions) -> Plan:
    from cijob.cli.pipeline.plan import plan

    _check(options, _OF_CIJOBS, f"is for one CiJob, and {source.path} is a pipeline")
    if options.detach:
        raise CliError(
            "a pipeline cannot be left: it is this command that starts one job after the other",
            "Leave out --detach, or let a CI server run the command.",
            Exit.USAGE,
        )
    return plan(options, Path(source.path))


def _check(options: RunOptions, others: Mapping[str, str], why: str) -> None:
    """Refuses options that would do nothing here: who gives one means something by it."""
    unset = RunOptions(target=options.target)
    given = [option for name, option in others.items() if getattr(options, name) != getattr(unset, name)]
    if given:
        raise CliError(f"{given[0]} {why}", f"Leave out {' and '.join(given)}.", Exit.USAGE)


def _file(options: RunOptions) -> str:
    if options.file is not None:
        return options.file
    if Path(manifest.PIPELINE).is_file():
        return manifest.PIPELINE
    raise CliError(
        f"nothing to run: no file is named, and there is no {manifest.PIPELINE} here",
        "`cijob run FILE` takes a manifest or a pipeline, `cijob run --image IMAGE -- COMMAND` runs a command.",
        Exit.USAGE,
    )
