"""Variables that GitLab's runner reads itself, and those of GitLab that a script asks for: what of them has no effect here.

docs.gitlab.com/ci/runners/configure_runners/ and docs.gitlab.com/runner/executors/kubernetes/ ("Overwrite ...").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.predefined import of_some_pipelines
from cijob.importers.gitlab.variables import not_set

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job

_RESOURCES: Final = "resources are the pool's, or those of a CiJob of your own"
#: Those that change what a job finds, and why they do not here.
_LOST: Final = (
    (r"GIT_CLONE_PATH", "the files are in $CI_PROJECT_DIR"),
    (r"GIT_SUBMODULE_PATHS", "submodules are checked out all or none"),
    (r"RUNNER_SCRIPT_TIMEOUT", "a job has one time limit: write `timeout`"),
    (r"RUNNER_AFTER_SCRIPT_TIMEOUT", "after_script has 5 minutes"),
    (r"DOCKER_AUTH_CONFIG", "the pool's pull secrets count, or imagePullSecrets in a CiJob of your own"),
    (r"KUBERNETES_(?:\w+_)?(?:CPU|MEMORY|EPHEMERAL_STORAGE)_(?:REQUEST|LIMIT)", _RESOURCES),
    (
        r"KUBERNETES_(?:\w+_OVERWRITE|NODE_(?:SELECTOR|TOLERATIONS)_\w+|POD_(?:LABELS|ANNOTATIONS)_\w+)",
        "the Pod is the pool's",
    ),
)
#: The same, where they have this value.
_LOST_IF: Final = {
    ("GIT_CHECKOUT", "false"): "the files are checked out",
    ("AFTER_SCRIPT_IGNORE_ERRORS", "false"): "a failure of after_script is never the job's",
}
#: Those of how a runner fetches, packs and tells: a job does the same without.
_IDLE: Final = re.compile(
    r"GIT_(?:CLEAN_FLAGS|(?:FETCH|CLONE)_EXTRA_FLAGS|LFS_SKIP_SMUDGE|SUBMODULE_(?:DEPTH|UPDATE_FLAGS|FORCE_HTTPS))"
    r"|(?:GET_SOURCES|ARTIFACT_DOWNLOAD|RESTORE_CACHE|EXECUTOR_JOB_SECTION)_ATTEMPTS"
    r"|(?:ARTIFACT|CACHE)_COMPRESSION_(?:LEVEL|FORMAT)|CACHE_REQUEST_TIMEOUT|TRANSFER_METER_FREQUENCY"
    r"|CI_DEBUG_(?:TRACE|SERVICES)|FF_[A-Z0-9_]+"
)
_REFERENCE: Final = re.compile(r"\$(?:\{((?:CI|GITLAB)_[A-Z0-9_]+)\}|((?:CI|GITLAB)_[A-Z0-9_]+))")
#: Set where the job runs.
_LATER: Final = frozenset({"CI_JOB_ID", "CI_JOB_STATUS"})
_SCRIPTS: Final = ("before_script", "script", "after_script")


def tell(job: Job) -> None:
    """Names them, each where the job has it."""
    for name in sorted(job.own):
        if value := job.variables.get(name):
            _setting(job, ("variables", name), name, value)
    services: Any = job.config.get("services")
    for index, one in enumerate(services if isinstance(services, list) else ()):
        given = one.get("variables") if isinstance(one, Mapping) else None
        for name, value in given.items() if isinstance(given, Mapping) else ():
            _setting(job, ("services", index, "variables", name), name, str(value))
    for key in _SCRIPTS:
        if names := _asked(job, key):
            job.report.warning((key,), not_set(names))


def _setting(job: Job, path: tuple[str | int, ...], name: str, value: str) -> None:
    why = next((why for pattern, why in _LOST if re.fullmatch(pattern, name)), _LOST_IF.get((name, value.lower())))
    if why is not None:
        job.report.warning(path, f"no effect here: {why}")
    elif _IDLE.fullmatch(name):
        job.report.note(path, "no effect here: it tells GitLab's runner how to work")


def _asked(job: Job, key: str) -> list[str]:
    """GitLab's variables that a script reads, that are not set, and that it does not set itself."""
    whole, text = job.script, job.text_of(key)
    names = dict.fromkeys(one[1] or one[2] for one in _REFERENCE.finditer(text))
    return [
        name
        for name in names
        if name not in job.variables
        and name not in _LATER
        and not of_some_pipelines(name)
        and not re.search(rf"\b{name}=", whole)
    ]
