"""What jobs of a pipeline leave for later ones, on this machine meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cijob.cli.errors import CliError, Exit
from cijob.cli.files.archive import unpack
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.patterns import is_gits
from cijob.cli.pipeline.jobs import stem
from cijob.cli.pipeline.variables import parse_dotenv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cijob.cli.files.collect import Taken
    from cijob.importers.gitlab.model import PipelineJob


def repository(folder: Path, kept: Path | None) -> Bundle:
    """The files of a folder as they are now, without those that artifacts were left in.

    Raises:
        CliError: they cannot be read.
    """
    found = Bundle.of(folder)
    if kept is None or not kept.resolve().is_relative_to(folder.resolve()):
        return found
    left = kept.resolve().relative_to(folder.resolve()).as_posix()
    entries = tuple(one for one in found.entries if one.name != left and not one.name.startswith(f"{left}/"))
    return replace(found, entries=entries, size=sum(one.size for one in entries))


class Store:
    """The artifacts of one run.

    Attributes:
        variables: of each job that left some by `reports: dotenv`, by the job's name.
        lost: whether something could not be left where the user wants it.
        scratch: a folder of the run's; each job's own in it has a name of letters, digits and dashes.
    """

    def __init__(self, scratch: Path, kept: Path | None) -> None:
        self.variables: dict[str, dict[str, str]] = {}
        self.lost = False
        self.scratch, self._kept = scratch, kept
        self._archives: dict[str, Path] = {}
        self._folders: dict[str, str] = {}

    def folder(self, job: PipelineJob) -> Path:
        """A folder of this job alone for its archive."""
        folder = self.scratch / self._name(job)
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, job: PipelineJob, taken: Taken, tell: Callable[[str], None]) -> None:
        """Keeps what a job left; `tell` gets sentences about what is missing in it."""
        for pattern in taken.unmatched:
            tell(f"artifacts: nothing matches {pattern}")
        if any(map(is_gits, taken.names)):  # GitLab's runner warns of it, too: helpers/archives/path_check_helper.go
            tell("artifacts: a part of .git is among them, and takes its place in later jobs")
        found: dict[str, str] = {}
        for file, text in taken.dotenv.items():
            variables, problems = parse_dotenv(text.encode(), file)
            found |= variables
            for problem in problems:
                tell(problem)
        if found:
            self.variables[job.name] = found
        if taken.archive is None:
            return
        self._archives[job.name] = taken.archive
        if self._kept is not None:
            self._unpack(taken.archive, self._kept / self._name(job), tell)

    def _unpack(self, archive: Path, folder: Path, tell: Callable[[str], None]) -> None:
        """To where the user wants it. The job has succeeded, and later ones get its artifacts, if that fails, too."""
        try:
            for name in unpack(archive, folder):
                tell(f"artifacts: {name} leads out of the folder: it was not unpacked")
        except CliError as error:
            self.lost = True
            tell(f"{error.message}. Later jobs get them; the command ends with {Exit.FAILED:d}")

    def bundle(self, job: PipelineJob, files: Bundle) -> Bundle:
        """The files that a job gets: the repository's, and over them the artifacts of the jobs that it takes them of."""
        archives = [self._archives[name] for name in job.takes if name in self._archives]
        return files.with_archives(archives)

    def left_for(self, job: PipelineJob) -> list[dict[str, str]]:
        """The variables that a job gets of others."""
        return [self.variables[name] for name in job.takes if name in self.variables]

    def _name(self, job: PipelineJob) -> str:
        """A folder's name for a job; two jobs never share one."""
        if job.name not in self._folders:
            base = name = stem(job.name)
            number = 2
            while name in self._folders.values():
                name, number = f"{base}-{number}", number + 1
            self._folders[job.name] = name
        return self._folders[job.name]
