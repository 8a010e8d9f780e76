"""Jobs one by one: `parallel` spread out, `rules` decided, specs made. What joins them is `pipeline.py`'s."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import keys, keytable, matrix, rules, spec
from cijob.importers.gitlab import variables as values
from cijob.importers.gitlab.artifacts import artifacts
from cijob.importers.gitlab.caches import caches
from cijob.importers.gitlab.findings import Report
from cijob.importers.gitlab.job import Job, no_text
from cijob.importers.gitlab.model import PipelineJob
from cijob.importers.gitlab.nodes import Mapping, place_of
from cijob.importers.gitlab.predefined import predefined
from cijob.importers.gitlab.rawjobs import is_mirror
from cijob.importers.gitlab.variables import Variable, VariableCycle, expand, not_set, resolve, unknown_in

if TYPE_CHECKING:
    from cijob.importers.gitlab.document import RawJob
    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Request
    from cijob.importers.gitlab.rules import Decision

#: Keys that make a job something that a CiJob cannot be; the table of keys says so.
_NO_CIJOB = ("trigger", "run")


@dataclass(frozen=True, slots=True)
class Draft:
    """One instance of a job of the file.

    Attributes:
        raw: the job as it was read.
        instance: which of its instances.
        report: what was found.
        needs: as it is written, by the rule that holds or by the job.
        job: what it becomes, still without needs; None where it does not run.
        left_out: whether it would run in GitLab but can be no CiJob.
    """

    raw: RawJob
    instance: matrix.Instance
    report: Report
    needs: Any = None
    job: PipelineJob | None = None
    left_out: bool = False

    @property
    def name(self) -> str:
        """The instance's."""
        return self.instance.name

    @property
    def stage(self) -> str:
        """The job's."""
        return str(self.raw.config["stage"])


class Drafter:
    """Makes drafts of the jobs of one pipeline.

    Attributes:
        of_all: the pipeline's variables, as they are written.
        more: those that `workflow:rules` add.
        workflow_rules: whether it has `workflow:rules`.
    """

    def __init__(
        self, files: Files, request: Request, of_all: Mapping, more: dict[str, Variable], *, workflow_rules: bool
    ) -> None:
        self._files = files
        self._request = request
        self._of_all = of_all
        self._shared = values.read(of_all)[0] | more
        self._workflow_rules = workflow_rules

    def drafts(self, raw: RawJob) -> list[Draft]:
        """The instances of a job."""
        report = Report(raw.name, raw.place, raw.config)
        instances = matrix.spread(raw.name, raw.config.get("parallel"), report)
        found = [self._draft(raw, instance) for instance in instances]
        found[0].report.findings += report.findings
        return found

    def _draft(self, raw: RawJob, instance: matrix.Instance) -> Draft:
        config, name = raw.config, instance.name
        report = Report(name, raw.place, config, self._of_all)
        of_job, findings = values.read(config.get("variables"), "variables", name, place_of(config, "variables"))
        report.findings += findings
        file = {**self._inherited(config), **of_job, **{key: Variable(one) for key, one in instance.variables.items()}}
        draft = Draft(raw, instance, report)
        try:
            seen = resolve(self._predefined(draft), file, self._request.variables)
            decision = rules.decide(
                config,
                seen,
                self._request,
                self._files,
                job=name,
                workflow_rules=self._workflow_rules,
                partial=self._partial(draft, file, seen),
            )
            report.findings += decision.findings
            if not decision.included:
                return draft
            report.findings += keys.check_job(config, name)
            report.findings += keys.check_needs(decision.needs, name)
            if raw.name == "pages" and config.get("pages") is None:  # the name alone publishes
                report.warning((), keytable.LOST["pages"])
            if is_mirror(config) or any(config.get(key) is not None for key in _NO_CIJOB):
                return replace(draft, left_out=True)
            if decision.variables:
                file |= decision.variables
                seen = resolve(self._predefined(draft), file, self._request.variables)
            seen = self._with_environment(draft, file, seen)
            self._lost(draft, file, seen)
            return self._converted(draft, decision, file, seen)
        except VariableCycle as error:
            report.error(("variables",), str(error))
            return draft

    def _converted(self, draft: Draft, decision: Decision, file: dict[str, Variable], seen: dict[str, str]) -> Draft:
        config, request = draft.raw.config, self._request
        own = frozenset({*file, *request.variables})
        job = Job(name=draft.name, config=config, variables=seen, own=own, request=request, report=draft.report)
        allow_failure, codes = _allow_failure(job, decision)
        interruptible = job.switch("interruptible") if decision.interruptible is None else decision.interruptible
        below = self._predefined(draft) | {key: value for key, value in seen.items() if key not in file}
        made = PipelineJob(
            name=draft.name,
            stage=draft.stage,
            spec=spec.convert(job),
            place=draft.raw.place,
            when=decision.when,
            allow_failure=allow_failure,
            allowed_exit_codes=codes,
            artifacts=artifacts(job),
            caches=caches(job, self._files),
            start_in=decision.start_in,
            layers=(below, file),
            interruptible=interruptible,
            resource_group=job.text(config.get("resource_group"), "resource_group"),
            wants_files=spec.wants_files(job),
        )
        needs = config.get("needs") if decision.needs is None else decision.needs
        return replace(draft, job=made, needs=matrix.filled(needs, draft.instance.variables, draft.report))

    def _lost(self, draft: Draft, file: dict[str, Variable], seen: dict[str, str]) -> None:
        """Tells of variables whose values refer to what only GitLab knows."""
        for name, missing in self._partial(draft, file, seen).items():
            draft.report.warning(("variables", name), f"not all of its value is known: {not_set(missing)}")

    def _partial(self, draft: Draft, file: dict[str, Variable], seen: dict[str, str]) -> dict[str, tuple[str, ...]]:
        """Variables whose values refer to what only GitLab knows, each with those names."""
        of_file = {name: one for name, one in file.items() if name not in self._request.variables}
        return values.lost(of_file, seen, self._predefined(draft))

    def _inherited(self, config: Mapping) -> dict[str, Variable]:
        inherit = config.get("inherit")
        return values.inherited(self._shared, inherit.get("variables") if isinstance(inherit, Mapping) else None)

    def _predefined(self, draft: Draft, environment: str = "") -> dict[str, str]:
        one = draft.instance
        return predefined(
            self._request, one.name, draft.stage, index=one.index, total=one.total, environment=environment
        )

    def _with_environment(self, draft: Draft, file: dict[str, Variable], seen: dict[str, str]) -> dict[str, str]:
        """The job's variables, with those of its environment where it has one."""
        given = draft.raw.config.get("environment")
        entry = given if isinstance(given, Mapping) else {"name": given}
        if entry.get("name") is None:
            return seen
        draft.report.note(("environment",), "no deployment is recorded; the job sees CI_ENVIRONMENT_NAME and the like")
        for key in ("name", "url"):
            value = entry.get(key)
            if value is not None and not isinstance(value, str):
                draft.report.error(("environment", key), no_text(value))
                return seen
            if missing := unknown_in(value or "", seen):
                draft.report.warning(("environment", key), not_set(missing))
        name = expand(str(entry["name"]), seen)
        before = self._predefined(draft, name) | {"CI_ENVIRONMENT_SLUG": environment_slug(name)}
        seen = resolve(before, file, self._request.variables)
        if url := entry.get("url"):
            before["CI_ENVIRONMENT_URL"] = expand(url, seen)
        return resolve(before, file, self._request.variables)


def _allow_failure(job: Job, decision: Decision) -> tuple[bool, frozenset[int]]:
    """Whether the job may fail, and with which exit codes; none are all."""
    if decision.allow_failure is not None:
        return decision.allow_failure, frozenset()
    given = job.config.get("allow_failure")
    if not isinstance(given, Mapping):
        return job.switch("allow_failure"), frozenset()
    codes = given.get("exit_codes")
    listed = codes if isinstance(codes, list) else [codes]
    if not listed or not all(isinstance(one, int) and not isinstance(one, bool) for one in listed):
        job.report.error(("allow_failure", "exit_codes"), "write a number, or a list of numbers")
        return False, frozenset()
    return True, frozenset(listed)


_SLUG = 24


def environment_slug(name: str) -> str:
    """CI_ENVIRONMENT_SLUG as GitLab makes it (lib/gitlab/slug/environment.rb): with a hash where the name was changed."""
    slug = re.sub(r"[^a-z0-9]", "-", name.lower())
    slug = slug if re.match("[a-z]", slug) else f"env-{slug}"
    slug = re.sub("-+", "-", slug)
    if len(slug) <= _SLUG and slug == name:
        return slug
    return f"{slug[: _SLUG - 7].rstrip('-')}-{_base36(int(hashlib.sha256(name.encode()).hexdigest(), 16))[-6:]}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits
