"""The jobs of a merged file: which entries are jobs, with what they inherit from `default`, and in which stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab.includes import unfetched
from cijob.importers.gitlab.model import Finding, Severity
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Node, Sequence_, flatten, place_of
from cijob.importers.gitlab.scalars import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

from cijob.importers.gitlab.model import Place

GLOBAL_KEYS = (
    "default",
    "include",
    "stages",
    "types",
    "variables",
    "workflow",
    "image",
    "services",
    "cache",
    "before_script",
    "after_script",
)
"""Keys of the file that are no jobs."""

DEFAULT_KEYS = (
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "id_tokens",
    "identity",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
)
"""What `default` can say (docs.gitlab.com/ci/yaml/#default)."""

DEPRECATED_GLOBALS = ("image", "services", "cache", "before_script", "after_script")
"""What stood on its own before there was `default`, and still may."""

_SCRIPTS = ("script", "before_script", "after_script")
_WORK = ("script", "run", "trigger")


@dataclass(frozen=True, slots=True)
class RawJob:
    """One job that is not hidden.

    Attributes:
        name: as it is written.
        place: where its name stands.
        config: its keys, with those of `default` that it inherits; `extends` is gone, `inherit` is still there for
            `inherit:variables`. `stage` is always set. `script`, `before_script` and `after_script` are flat lists of
            strings.
    """

    name: str
    place: Place
    config: Node


def raw_jobs(
    config: Mapping, stages: Sequence[str], left_out: Sequence[Place], findings: list[Finding]
) -> tuple[RawJob, ...]:
    """All jobs that are not hidden, in order.

    Args:
        config: all of the files, extended, their references resolved.
        stages: what a job's stage may be.
        left_out: includes that were not fetched: a job whose script is not there may have it from one of them.
        findings: what is wrong is added here.
    """
    default = _default(config, findings)
    jobs = []
    for name, value in config.items():
        place = place_of(config, name)
        if name in GLOBAL_KEYS or name.startswith("."):
            continue
        if left_out and isinstance(value, Mapping) and _is_emptied(value.get("script")):
            value = value.without("script")  # noqa: PLW2901 - as where the reference is the whole script
        if not isinstance(value, Mapping) or not (any(key in value for key in _WORK) or is_mirror(value)):
            findings.append(_no_job(name, value, place, left_out))
            continue
        job = _Job(name, place, findings)
        jobs.append(RawJob(name, place, job.completed(value.without("extends"), default, stages)))
    return tuple(jobs)


def _is_emptied(script: Any) -> bool:  # noqa: ANN401 - a value of YAML
    """Whether a script has no line: each was a reference to what was not fetched."""
    return isinstance(script, Sequence_) and not flatten(script)


def is_mirror(job: Mapping) -> bool:
    """Whether a job does nothing but show the state of another project's pipeline (docs.gitlab.com/ci/yaml/#needspipeline)."""
    needs = job.get("needs")
    return isinstance(needs, Mapping) and "pipeline" in needs and not any(key in job for key in _WORK)


def _no_job(name: str, value: Any, place: Place, left_out: Sequence[Place]) -> Finding:  # noqa: ANN401
    """What is said of an entry that is neither a job nor a key of the file."""
    if name == "spec":
        message = "spec has to stand in a document of its own, which ends with a line ---"
    elif left_out and isinstance(value, Mapping):
        hint = did_you_mean(name, GLOBAL_KEYS)
        message = f"left out, as it has no script; that may be in {unfetched(left_out)}{hint}"
        return Finding(Severity.WARNING, place, "script", message, name)
    else:
        hint = did_you_mean(name, GLOBAL_KEYS)
        message = f"neither a key of the file nor a job, which has script, run or trigger{hint}"
    return Finding(Severity.ERROR, place, name, message)


def _default(config: Mapping, findings: list[Finding]) -> Mapping:
    """What jobs inherit: `default`, and the keys that stood at the top before it came."""
    written = config.get("default")
    place = place_of(config, "default")
    default = written.copy() if isinstance(written, Mapping) else Mapping(place)
    if written is not None and not isinstance(written, Mapping):
        findings.append(Finding(Severity.ERROR, place, "default", "has to be a mapping of keys to values"))
    for key in default:
        if key not in DEFAULT_KEYS:
            message = f"default has no key {key}{did_you_mean(key, DEFAULT_KEYS)}"
            findings.append(Finding(Severity.ERROR, place_of(default, key), f"default:{key}", message))
    for key in DEPRECATED_GLOBALS:
        if config.get(key) is None:
            continue
        where = place_of(config, key)
        if default.get(key) is not None:
            message = f"{key} is said here and in default, {place_of(default, key)}; one of them has to go"
            findings.append(Finding(Severity.ERROR, where, key, message))
        default.put(key, config[key], where)
    return default


class _Job:
    """Completes one job."""

    def __init__(self, name: str, place: Place, findings: list[Finding]) -> None:
        self._name = name
        self._place = place
        self._findings = findings

    def completed(self, config: Mapping, default: Mapping, stages: Sequence[str]) -> Mapping:
        """The job's keys and those that it inherits, its scripts flat, its stage set."""
        inherits = self._inherited(config)
        for key, value in default.items():
            if key in inherits and config.get(key) is None and value is not None:
                config.put(key, value, place_of(default, key))
        for key in _SCRIPTS:
            if key in config:
                config.put(key, self._script(key, config[key], place_of(config, key)), place_of(config, key))
        for key in ("needs", "rules", "tags"):
            if isinstance(config.get(key), Sequence_):
                config[key] = flatten(config[key])
        if "script" in config and not config["script"]:
            self._error(place_of(config, "script"), "script", "the script is empty")
        self._stage(config, stages)
        return config

    def _inherited(self, config: Mapping) -> tuple[str, ...]:
        """Keys that the job takes from `default`, by its `inherit:default`."""
        inherit = config.get("inherit")
        if inherit is None:
            return DEFAULT_KEYS
        if not isinstance(inherit, Mapping):
            self._error(place_of(config, "inherit"), "inherit", "has to be a mapping with default and variables")
            return ()
        if not isinstance(inherit.get("variables", True), bool | Sequence_):
            self._error(place_of(inherit, "variables"), "inherit:variables", "has to be true, false or a list of names")
        wanted = inherit.get("default", True)
        if isinstance(wanted, bool):
            return DEFAULT_KEYS if wanted else ()
        if not isinstance(wanted, Sequence_):
            self._error(place_of(inherit, "default"), "inherit:default", "has to be true, false or a list of keys")
            return ()
        for index, key in enumerate(wanted):
            if key not in DEFAULT_KEYS:
                message = f"default has no key {key}{did_you_mean(str(key), DEFAULT_KEYS)}"
                self._error(place_of(wanted, index), "inherit:default", message)
        return tuple(wanted)

    def _script(self, key: str, value: Any, place: Place) -> Sequence_:  # noqa: ANN401 - a value of YAML
        """Commands as a flat list of texts. As lib/gitlab/ci/config/entry/commands.rb has it."""
        if value is None:
            return Sequence_(place)
        items = flatten(value) if isinstance(value, Sequence_) else Sequence_(place, [value], [place])
        for index, item in enumerate(items):
            if isinstance(item, str):
                continue
            where = place_of(items, index)
            if isinstance(item, Mapping):
                first = next(iter(item), "")
                message = f"this line is a mapping, since `{first}` is followed by `: `; put the line in quotes"
            else:
                message = (
                    f"`{text_of(item)}` is no text to GitLab; put it in quotes"
                    if item is not None
                    else "the line is empty"
                )
            self._error(where, key, message)
            items[index] = ""
        return items

    def _stage(self, config: Mapping, stages: Sequence[str]) -> None:
        stage, place = config.get("stage"), place_of(config, "stage")
        if stage is None:
            stage, place = "test", self._place
        config.put("stage", stage, place)
        if not isinstance(stage, str):
            self._error(place, "stage", "a stage is a text")
        elif stage not in stages:
            known = ", ".join(stages)
            given = "" if place != self._place else " (that of a job that says none)"
            self._error(
                place, "stage", f"there is no stage {stage}{given}; there are {known}{did_you_mean(stage, stages)}"
            )

    def _error(self, place: Place, key: str, message: str) -> None:
        self._findings.append(Finding(Severity.ERROR, place, key, message, self._name))
