"""Whether a job runs, and when: `rules`, `only`, `except` and `when` of a job, and `workflow:rules` of the pipeline.

docs.gitlab.com/ci/jobs/job_rules/; where it is silent, lib/gitlab/ci/build/rules.rb, build/policy and pipeline/seed/build.rb of
gitlabhq/gitlabhq.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cijob.importers.gitlab import clauses, policy
from cijob.importers.gitlab.durations import seconds
from cijob.importers.gitlab.model import Finding, Severity, When
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Sequence_, flatten, place_of
from cijob.importers.gitlab.variables import Variable, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as AbstractMapping

    from cijob.importers.gitlab.files import Files
    from cijob.importers.gitlab.model import Place, Request
    from cijob.importers.gitlab.nodes import Node

_RULE_KEYS = frozenset(
    {
        "if",
        "changes",
        "exists",
        "when",
        "start_in",
        "allow_failure",
        "variables",
        "needs",
        "interruptible",
        "auto_cancel",
    }
)
_MAX_DELAY = 7 * 86400
# Of rules that are no job's: lib/gitlab/ci/config/entry/workflow.rb and include/rules.rb.
_OF_NO_JOB = (When.ALWAYS, When.NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the conditions of a job, or of the pipeline, come to.

    Attributes:
        included: whether it runs at all; `when` is NEVER otherwise.
        when: when it runs.
        allow_failure: what they say about it, which goes above the job's own; None where the job's own counts.
        variables: those that the rule sets, which go above the job's.
        needs: the rule's list, as it is written, instead of the job's; None where the job's own counts.
        start_in: seconds of delay, for DELAYED.
        interruptible: the rule's; None where the job's own counts.
        findings: what there is to say.
    """

    included: bool
    when: When
    allow_failure: bool | None = None
    variables: dict[str, Variable] = field(default_factory=dict)
    needs: list[Any] | None = None
    start_in: float = 0
    interruptible: bool | None = None
    findings: tuple[Finding, ...] = ()


def decide(  # noqa: PLR0913  what the conditions of a job can ask for
    config: Node,
    variables: AbstractMapping[str, str],
    request: Request,
    files: Files,
    *,
    job: str = "",
    workflow_rules: bool = False,
    partial: AbstractMapping[str, tuple[str, ...]] | None = None,
) -> Decision:
    """What the conditions of a job come to.

    Args:
        config: the job's keys.
        variables: the job's, resolved, with the predefined ones.
        request: what the pipeline runs for.
        files: the repository's, for `rules:exists`.
        job: its name, for findings.
        workflow_rules: whether the pipeline has `workflow:rules`; without, a job that has no conditions is left out of
            pipelines for merge requests.
        partial: variables of whose values not all is known, each with the names that are not set.
    """
    facts = clauses.Facts(variables, request, files, partial or {})
    return _Judge(facts, job, "rules").job(config, workflow_rules=workflow_rules)


def decide_whole(
    node: Node | None, key: str, variables: AbstractMapping[str, str], request: Request, files: Files
) -> Decision:
    """What the rules of a `workflow` or of an `include` come to: whether there is a pipeline, or the file is read.

    Args:
        node: the mapping that may have `rules`; None where there is none.
        key: how findings call its rules: `workflow:rules`.
        variables: those of the pipeline.
        request: what it runs for.
        files: the repository's.
    """
    if node is None or node.get("rules") is None:
        return Decision(included=True, when=When.ALWAYS)
    judge = _Judge(clauses.Facts(variables, request, files, {}), "", key, _OF_NO_JOB)
    return judge.ruled(node, Decision(included=True, when=When.ALWAYS))


class _Judge:
    """The conditions of one job, or of the pipeline; collects what there is to say about them."""

    def __init__(self, facts: clauses.Facts, job: str, key: str, whens: tuple[When, ...] = tuple(When)) -> None:
        self._facts = facts
        self._job = job
        self._key = key
        self._whens = whens
        self._findings: list[Finding] = []

    def job(self, config: Node, *, workflow_rules: bool) -> Decision:
        """What a job's conditions come to."""
        own = self._own(config)
        if config.get("rules") is not None:
            for key in ("only", "except"):
                if config.get(key) is not None:
                    self._say(Severity.ERROR, place_of(config, key), key, "may not be used together with rules")
            return self.ruled(config, own)
        if own.when is When.NEVER:
            self._say(Severity.ERROR, place_of(config, "when"), "when", "never is for rules; use rules")
        included = policy.included(config, self._facts, self._say, workflow_rules=workflow_rules)
        decision = own if included else Decision(included=False, when=When.NEVER)
        return replace(decision, findings=tuple(self._findings))

    def ruled(self, node: Node, own: Decision) -> Decision:
        """The first rule that holds; none: it does not run. All are looked at, as GitLab refuses any that is wrong.

        Args:
            node: what has `rules`.
            own: what is so where a rule says nothing.
        """
        rules = node["rules"]
        chosen: Decision | None = None
        if isinstance(rules, Sequence_):
            for rule, place in _flat(rules):
                decision = self._rule(rule, place, own, reached=chosen is None)
                chosen = chosen or decision
        else:
            self._say(Severity.ERROR, place_of(node, "rules"), self._key, "rules are a list")
        return replace(chosen or Decision(included=False, when=When.NEVER), findings=tuple(self._findings))

    def _own(self, config: Node) -> Decision:
        """What the job says by itself. `when: manual` there allows it to fail; in a rule it does not."""
        when = self._when(config, When.ON_SUCCESS, "when")
        if config.get("start_in") is not None and when is not When.DELAYED:
            self._say(Severity.ERROR, place_of(config, "start_in"), "start_in", "belongs to when: delayed")
        return Decision(
            included=when is not When.NEVER,
            when=when,
            allow_failure=True if when is When.MANUAL and config.get("allow_failure") is None else None,
            start_in=self._delay(config, "start_in") if when is When.DELAYED else 0,
        )

    def _rule(self, rule: Any, place: Place, own: Decision, *, reached: bool) -> Decision | None:  # noqa: ANN401
        """What a rule decides; None when it does not hold. `reached`: no rule before it holds."""
        if not isinstance(rule, Mapping):
            message = f"a rule is a mapping such as `if: $CI_COMMIT_TAG`, not {rule!r}"
            self._say(Severity.ERROR, place, self._key, message)
            return None
        for key in rule.keys() - _RULE_KEYS:
            message = f"rules do not know the key {key}{did_you_mean(key, _RULE_KEYS)}"
            self._say_in_rule(Severity.ERROR, place_of(rule, key), key, message)
        place = place_of(rule, "variables")
        variables, findings = read(rule.get("variables"), f"{self._key}:variables", self._job, place)
        self._findings += findings
        when = self._when(rule, own.when, f"{self._key}:when")
        needs = rule.get("needs")
        delays = when is When.DELAYED and ("start_in" in rule or not own.start_in)
        delay = self._delay(rule, f"{self._key}:start_in") if delays else own.start_in
        allow_failure, interruptible = self._switch(rule, "allow_failure"), self._switch(rule, "interruptible")
        if not clauses.holds(rule, self._facts, self._say_in_rule if reached else self._say_what_is_wrong):
            return None
        return Decision(
            included=when is not When.NEVER,
            when=when,
            allow_failure=own.allow_failure if allow_failure is None else allow_failure,
            variables=variables,
            needs=flatten(needs) if isinstance(needs, Sequence_) else needs,
            start_in=delay if when is When.DELAYED else 0,
            interruptible=interruptible,
        )

    def _when(self, node: Node, default: When, key: str) -> When:
        value = node.get("when")
        if value is None:
            return default
        if value not in self._whens:
            message = f"{value!r} is not one of {', '.join(self._whens)}"
            self._say(Severity.ERROR, place_of(node, "when"), key, message)
            return default
        return When(value)

    def _switch(self, rule: Node, key: str) -> bool | None:
        """True or false as a rule has it; None where it says neither."""
        value = rule.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._say_in_rule(Severity.ERROR, place_of(rule, key), key, "has to be true or false")
        return None

    def _delay(self, node: Node, key: str) -> float:
        """Seconds of `start_in`, which findings call `key`."""
        place = place_of(node, "start_in")
        if node.get("start_in") is None:
            message = "when: delayed wants start_in, such as 30 minutes"
            self._say(Severity.ERROR, place_of(node, "when"), key, message)
            return 0
        try:
            delay = seconds(node["start_in"])
        except ValueError as error:
            self._say(Severity.ERROR, place, key, str(error))
            return 0
        if delay > _MAX_DELAY:
            self._say(Severity.ERROR, place, key, "a week at most")
        return min(delay, _MAX_DELAY)

    def _say(self, severity: Severity, place: Place, key: str, message: str) -> None:
        self._findings.append(Finding(severity, place, key, message, self._job))

    def _say_in_rule(self, severity: Severity, place: Place, key: str, message: str) -> None:
        self._say(severity, place, f"{self._key}:{key}", message)

    def _say_what_is_wrong(self, severity: Severity, place: Place, key: str, message: str) -> None:
        """What does not apply is told of a rule that decides nothing only where GitLab would refuse it."""
        if severity is Severity.ERROR:
            self._say_in_rule(severity, place, key, message)


def _flat(rules: Sequence_) -> Iterator[tuple[Any, Place]]:
    """Rules, with those of lists within the list, as `!reference` and anchors make them."""
    for index, rule in enumerate(rules):
        if isinstance(rule, Sequence_):
            yield from _flat(rule)
        else:
            yield rule, place_of(rules, index)
