"""From a job of GitLab CI to the spec of a CiJob."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from cijob import limits
from cijob.importers.gitlab import dind, durations, images, runner, services
from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.retries import retry
from cijob.models import DEFAULT_WORKING_DIR, CiJobSpec
from cijob.problems import sentences
from cijob.quantities import format_duration, parse_duration
from cijob.validation import validate_spec

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job
    from cijob.importers.gitlab.model import Spec

#: What a job without `image` runs in on GitLab.com (docs.gitlab.com/ci/runners/hosted_runners/linux/).
DEFAULT_IMAGE: Final = "ruby:3.1"
#: How much of the history GitLab fetches where nobody says it (docs.gitlab.com/ci/pipelines/settings/).
_DEPTH: Final = 20
_MAX_DEPTH_DIGITS: Final = 9
_MAX_ENTRIES: Final = 200
#: What GitLab sets for after_script; the words are the same: success, failed, canceled.
_STATUS: Final = 'export CI_JOB_STATUS="$CIJOB_STATUS"'
_MAX_VALUE: Final = 32768
#: Entry points that only start a shell, as GitLab Runner wants it; a CiJob's script has one anyway.
_SHELL: Final = re.compile(r"((/usr)?/bin/env )?((/usr)?/bin/)?(ba|a|da)?sh( -l?c| -l)?")
#: Fields of a spec and the keys that they come from; for problems that only a whole spec shows.
_ORIGINS: Final = {
    "beforeScript": "before_script",
    "afterScript": "after_script",
    "imagePullPolicy": "image",
    "platform": "image",
    "poolName": "tags",
    "source": "variables",
    "env": "variables",
}


def convert(job: Job) -> Spec:
    """The spec of a job; what cannot be converted, and what makes the spec impossible, is in the job's report."""
    image, beside = _image(job), services.convert(job)
    spec: Spec = {
        **_pool(job),
        **image,
        **(beside.platform if "platform" not in image else {}),
        **_scripts(job),
        "variables": _variables(job, beside),
        **_env(job),
        **_working_dir(job),
        **_source(job),
        **({"services": beside.specs} if beside.specs else {}),
        **({} if beside.daemon else {"docker": {"enabled": False}}),
        **_timeout(job),
        **retry(job.config.get("retry"), job.report),
    }
    runner.tell(job)
    _validate(job, spec)
    return spec


def wants_files(job: Job) -> bool:
    """Whether the repository's files are in the working directory when the script starts."""
    return job.variables.get("GIT_STRATEGY", "fetch") not in ("none", "empty")


def _image(job: Job) -> Spec:
    given, report = job.config.get("image"), job.report
    if given is None and job.request.default_image:
        return {"image": job.request.default_image}
    if given is None:
        report.warning(
            (),
            f"the job names no image, so that GitLab's runner chooses one: {DEFAULT_IMAGE}, as on GitLab.com, "
            "unless you say --default-image",
        )
        return {"image": DEFAULT_IMAGE}
    entry = given if isinstance(given, Mapping) else {"name": given}
    name = images.name(job, entry.get("name"), ("image", "name"), "the image has no name")
    if name:
        job.text(entry["name"], "image", "name")  # tells of unknown variables
    if any(entrypoint := images.words(entry.get("entrypoint"), report, ("image", "entrypoint"))):
        tell = report.note if _SHELL.fullmatch(" ".join(entrypoint)) else report.warning
        tell(("image", "entrypoint"), f"a script does not go through the image's entry point: {' '.join(entrypoint)}")
    docker = entry.get("docker")
    platform = docker.get("platform") if isinstance(docker, Mapping) else None
    return {
        "image": name,
        **images.pull_policy(entry.get("pull_policy"), report, ("image", "pull_policy")),
        **images.platform(
            platform and job.text(platform, "image", "docker", "platform"), report, ("image", "docker", "platform")
        ),
    }


def _scripts(job: Job) -> Spec:
    found = {
        field: entries
        for field, key in (("beforeScript", "before_script"), ("script", "script"), ("afterScript", "after_script"))
        if (entries := _entries(job, key))
    }
    if "script" not in found:
        job.report.error(("script",), "the job has no script: write at least one command")
    if any("CI_JOB_STATUS" in line for line in found.get("afterScript", ())):
        found["afterScript"] = [_STATUS, *found["afterScript"]]
    return {field: _few(entries) for field, entries in found.items()}


def _entries(job: Job, key: str) -> list[str]:
    """The commands below a key, without empty ones."""
    given: Any = job.config.get(key) or []
    lines = [given] if isinstance(given, str) else given
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        job.report.error((key,), "is not a list of commands: quote what looks like a mapping or a number")
        return []
    return [line for line in lines if line.strip()]


def _few(entries: list[str]) -> list[str]:
    """As many as a CiJob can have: the others are lines of its last."""
    kept = _MAX_ENTRIES - 1
    return entries if len(entries) <= _MAX_ENTRIES else [*entries[:kept], "\n".join(entries[kept:])]


def _variables(job: Job, beside: services.Services) -> dict[str, str]:
    """What the script sees. Names that a CiJob cannot have are told of."""
    values = dind.variables(job, beside.daemon_names) if beside.daemon else dict(job.variables)
    for name in values.keys() - job.own:  # a commit's message may be of any length
        values[name] = values[name][:_MAX_VALUE]
    for name in [one for one in values if one.startswith(limits.RESERVED_PREFIX)]:
        job.report.warning(("variables", name), f"{name} is left out: {limits.SAY_RESERVED}")
        del values[name]
    return values


def _env(job: Job) -> Spec:
    """What is known only when the CiJob is there: in GitLab each run of a job has a number, here it has a UID."""
    return {} if "CI_JOB_ID" in job.variables else {"env": [{"name": "CI_JOB_ID", "value": "$(CIJOB_UID)"}]}


def _working_dir(job: Job) -> Spec:
    folder = job.request.working_dir
    return {} if folder == DEFAULT_WORKING_DIR else {"workingDir": folder}


def _source(job: Job) -> Spec:
    """A checkout in the cluster, where the repository's address is given."""
    request = job.request
    if not request.git_url or not wants_files(job):
        return {}
    git: Spec = {"url": request.git_url}
    if ref := request.git_ref or request.ref.sha or request.ref.tag or request.ref.branch:
        git["ref"] = ref
    depth = job.variables.get("GIT_DEPTH") or str(_DEPTH)
    if depth.isdecimal() and len(depth) <= _MAX_DEPTH_DIGITS:
        git["depth"] = int(depth)
    else:
        job.report.error(("variables", "GIT_DEPTH"), f"{depth!r} is not a number of commits")
    if (submodules := job.variables.get("GIT_SUBMODULE_STRATEGY", "none")) in ("normal", "recursive"):
        git["submodules"] = submodules.capitalize()
    if request.git_secret:
        git["credentialsSecretRef"] = {"name": request.git_secret}
    return {"source": {"git": git}}


def _timeout(job: Job) -> Spec:
    given = job.config.get("timeout")
    if given is None:
        return {}
    try:
        seconds = round(durations.seconds(given))
    except ValueError as error:
        job.report.error(("timeout",), str(error))
        return {}
    most = parse_duration(limits.MAX_TIMEOUT)
    if not 1 <= seconds <= most:
        bound = f"at most {limits.MAX_TIMEOUT}" if seconds > most else "at least 1s"
        job.report.warning(("timeout",), f"{bound}: {given} becomes that")
    return {"timeout": format_duration(max(1, min(seconds, most)))}


def _pool(job: Job) -> Spec:
    """The pool of the tags; a job has one, so that several must agree."""
    given: Any = job.config.get("tags") or []
    listed = given if isinstance(given, list) else [given]
    tags = [tag for index, one in enumerate(listed) if (tag := job.text(one, "tags", index))]
    pools = {tag: job.request.pools[tag] for tag in tags if tag in job.request.pools}
    for tag in tags:
        if tag not in pools:
            job.report.warning(("tags",), f"no pool is given for the tag {tag}: say --pool {tag}=POOL")
    if len(set(pools.values())) > 1:
        job.report.error(
            ("tags",), f"the tags mean several pools, {', '.join(sorted(set(pools.values())))}: a job has one"
        )
    return {"poolName": next(iter(pools.values()))} if pools else {}


def _validate(job: Job, spec: Spec) -> None:
    """Tells of what the API server would refuse, unless there is an error already that may be its cause."""
    if any(one.severity == "error" for one in job.report.findings):
        return
    try:
        problems = validate_spec(CiJobSpec.model_validate(spec))
    except ValidationError as error:
        problems = sentences(error, "spec")
    for problem in problems:
        path, _, message = problem.partition(": ")
        field = path.removeprefix("spec").lstrip(".").partition(".")[0].partition("[")[0]
        job.report.error((_ORIGINS.get(field, field),), f"{path} of its CiJob: {message}")
