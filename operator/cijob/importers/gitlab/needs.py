"""Which jobs a job waits for, and whose artifacts it gets: `needs`, `dependencies` and stages. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.matrix import combinations
from cijob.importers.gitlab.model import Need
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping

if TYPE_CHECKING:
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.findings import Report
    from cijob.importers.gitlab.matrix import Instance
    from cijob.importers.gitlab.model import PipelineJob


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a file by name.

    Attributes:
        instances: of each job of the file, whether it runs or not.
        stages: of each instance that runs, the position of its stage.
        left_out: jobs that would run in GitLab but cannot be converted.
        unread: whether there are includes that were not read, which may have more jobs.
    """

    instances: AbstractMapping[str, list[Instance]]
    stages: AbstractMapping[str, int]
    left_out: frozenset[str]
    unread: bool = False

    def named(self, name: str) -> list[Instance]:
        """The instances that a name means: all of a job's, or one by its full name; none where there is no such job."""
        if name in self.instances:
            return self.instances[name]
        return [one for instances in self.instances.values() for one in instances if one.name == name]


def needs(given: Any, stage: int, jobs: Jobs, report: Report) -> tuple[Need, ...] | None:  # noqa: ANN401  a value of YAML
    """What a job needs; None where its stage decides.

    Args:
        given: `needs` as it is written.
        stage: the position of the job's own stage.
        jobs: those of the file.
        report: where findings go.
    """
    if given is None:
        return None
    entries = given if isinstance(given, list) else [given]
    found: dict[str, Need] = {}
    elsewhere = 0
    for index, entry in enumerate(entries):
        one = entry if isinstance(entry, Mapping) else {"job": entry}
        if "project" in one or "pipeline" in one:
            elsewhere += 1  # the table of keys names it
            continue
        for need in _need(one, ("needs", index), jobs, report):
            if jobs.stages[need.job] > stage:
                report.error(("needs", index), f"{need.job} is of a later stage")
            found[need.job] = need
    return None if elsewhere and elsewhere == len(entries) else tuple(found.values())


def _need(one: Any, path: tuple[str | int, ...], jobs: Jobs, report: Report) -> list[Need]:  # noqa: ANN401  a value of YAML
    """The jobs that run of one entry of `needs`."""
    name, optional = one.get("job"), one.get("optional") is True
    if not isinstance(name, str):
        report.error(path, "a need is the name of a job, or a mapping with `job`")
        return []
    instances = _chosen(jobs.named(name), one.get("parallel"))
    running = [instance.name for instance in instances if instance.name in jobs.stages]
    absent = next((instance.name for instance in instances if instance.name not in jobs.stages), "")
    if (absent or not running) and not optional:
        if name in jobs.left_out or (jobs.unread and not jobs.named(name)):
            report.warning(path, f"{name} is left out, or in a file that was not read, and so is the need")
        elif not jobs.named(name):
            report.error(path, f"there is no job {name}{did_you_mean(name, jobs.instances)}")
        elif not instances:
            report.error(path, f"{name} has no job with these variables in its matrix")
        else:
            report.error(
                path,
                f"{absent} does not run in this pipeline: write `optional: true` where that may be, "
                "or choose another pipeline with --branch, --tag or --var",
            )
    return [Need(each, artifacts=one.get("artifacts") is not False, optional=optional) for each in running]


def _chosen(instances: list[Instance], parallel: Any) -> list[Instance]:  # noqa: ANN401  a value of YAML
    """Those that a `parallel:matrix` of a need means."""
    rows = combinations(parallel.get("matrix")) if isinstance(parallel, Mapping) else None
    if rows is None:
        return instances
    return [one for one in instances if one.variables in rows]


def check_dependencies(given: Any, needed: Any, report: Report) -> None:  # noqa: ANN401  values of YAML
    """Tells of dependencies that are no needs, where there are needs: GitLab refuses them (entry/job.rb)."""
    if not isinstance(given, list) or not isinstance(needed, list) or not needed:
        return
    names = [one.get("job") if isinstance(one, Mapping) else one for one in needed]
    for index, name in enumerate(given):
        if name not in names:
            message = f"{name} is not among the job's needs, and it gets artifacts of these only: name it there, too"
            report.error(("dependencies", index), message)


def takes(
    job: PipelineJob,
    given: Any,  # noqa: ANN401  a value of YAML
    jobs: Jobs,
    leave_artifacts: frozenset[str],
    report: Report,
) -> tuple[str, ...]:
    """Names of the jobs whose artifacts a job gets.

    Args:
        job: with its needs.
        given: `dependencies` as it is written.
        jobs: those of the file.
        leave_artifacts: those that leave any.
        report: where findings go.
    """
    stage = jobs.stages[job.name]
    earlier = [name for name, other in jobs.stages.items() if other < stage]
    names = earlier if job.needs is None else [need.job for need in job.needs if need.artifacts]
    if given is not None:
        wanted = _dependencies(given, stage, jobs, report)
        names = [name for name in names if name in wanted]
    return tuple(name for name in names if name in leave_artifacts)


def _dependencies(given: Any, stage: int, jobs: Jobs, report: Report) -> set[str]:  # noqa: ANN401  a value of YAML
    found: set[str] = set()
    for index, name in enumerate(given if isinstance(given, list) else [given]):
        instances = jobs.named(str(name))
        if not instances and (jobs.unread or str(name) in jobs.left_out):
            continue  # the need, or what left the job out, is told of
        if not instances:
            report.error(("dependencies", index), f"there is no job {name}{did_you_mean(str(name), jobs.instances)}")
        if any(jobs.stages.get(instance.name, 0) > stage for instance in instances):
            report.error(("dependencies", index), f"{name} is of a later stage")
        found |= {instance.name for instance in instances}
    return found


def circle(jobs: list[PipelineJob]) -> list[str]:
    """Names of jobs that need each other in a circle; empty where all can run."""
    graph = {job.name: [need.job for need in job.needs or ()] for job in jobs}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
