"""Whether a job runs, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.model import Place, Ref, Request, Severity, When
from cijob.importers.gitlab.nodes import Mapping, Sequence_
from cijob.importers.gitlab.rules import Decision, decide, decide_whole
from cijob.importers.gitlab.variables import Variable, predefined

HERE = Place(".gitlab-ci.yml", 7)
FILES = MemoryFiles({"Dockerfile": "", "docs/a.md": "", "deep/er/x.go": ""})


def node(value: Any) -> Any:  # noqa: ANN401 - a value of YAML
    """Dicts and lists as the reader makes them."""
    if isinstance(value, dict):
        return Mapping(HERE, {key: node(one) for key, one in value.items()}, dict.fromkeys(value, HERE))
    if isinstance(value, list):
        return Sequence_(HERE, map(node, value), [HERE] * len(value))
    return value


def judged(
    config: dict[str, Any], ref: Ref | None = None, *, workflow_rules: bool = False, **variables: str
) -> Decision:
    request = Request(file=".gitlab-ci.yml", ref=ref or Ref(branch="main"))
    known = predefined(request, "build", "test") | variables
    return decide(node(config), known, request, FILES, job="build", workflow_rules=workflow_rules)


def test_a_job_without_conditions_runs_on_success() -> None:
    assert judged({}) == Decision(included=True, when=When.ON_SUCCESS)


@pytest.mark.parametrize("when", ["on_success", "on_failure", "always", "manual"])
def test_a_job_says_when(when: str) -> None:
    assert judged({"when": when}).when == when


def test_a_manual_job_may_fail_unless_it_says_otherwise() -> None:
    assert judged({"when": "manual"}).allow_failure is True
    assert judged({"when": "manual", "allow_failure": False}).allow_failure is None


def test_a_manual_rule_may_not_fail_unless_it_says_so() -> None:
    assert judged({"rules": [{"when": "manual"}]}).allow_failure is None
    assert judged({"rules": [{"when": "manual", "allow_failure": True}]}).allow_failure is True
    assert judged({"when": "manual", "rules": [{"if": "$CI"}]}).allow_failure is True


def test_a_delayed_job_has_its_seconds() -> None:
    assert judged({"when": "delayed", "start_in": "1h 30m"}).start_in == 5400
    assert judged({"rules": [{"when": "delayed", "start_in": "90"}]}).start_in == 90
    assert judged({"when": "delayed", "start_in": "5", "rules": [{"if": "$CI"}]}).start_in == 5
    assert judged({"when": "delayed", "start_in": "5", "rules": [{"when": "always"}]}).start_in == 0


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"when": "sometimes"}, "when"),
        ({"when": "never"}, "when"),
        ({"when": "delayed"}, "start_in"),
        ({"when": "delayed", "start_in": "soon"}, "start_in"),
        ({"when": "delayed", "start_in": "8 days"}, "start_in"),
        ({"start_in": "5 minutes"}, "start_in"),
        ({"start_in": "5 minutes", "rules": [{"if": "$CI"}]}, "start_in"),
        ({"rules": [{"when": "delayed"}]}, "rules:start_in"),
        ({"rules": [{"if": "$CI_COMMIT_TAG", "when": "delayed"}]}, "rules:start_in"),
        ({"rules": [{"when": "sometimes"}]}, "rules:when"),
        ({"rules": "always"}, "rules"),
        ({"rules": ["always"]}, "rules"),
        ({"rules": [{"iff": "$CI"}]}, "rules:iff"),
        ({"rules": [{"if": "$CI ="}]}, "rules:if"),
        ({"rules": [{"if": True}]}, "rules:if"),
        ({"rules": [{"changes": 3}]}, "rules:changes"),
        ({"rules": [{"exists": {"paths": 3}}]}, "rules:exists"),
        ({"rules": [{"if": "$CI", "variables": ["A"]}]}, "rules:variables"),
        ({"rules": [{"if": "$CI", "variables": "A"}]}, "rules:variables"),
        ({"rules": [{"if": "$CI", "allow_failure": "maybe"}]}, "rules:allow_failure"),
        ({"rules": [{"if": "$CI", "interruptible": 1}]}, "rules:interruptible"),
        ({"rules": [{"if": "$CI"}], "only": ["main"]}, "only"),
        ({"rules": [{"if": "$CI"}], "except": ["main"]}, "except"),
        ({"only": {"branches": ["x"]}}, "only:branches"),
        ({"only": [3]}, "only:refs"),
        ({"only": ["/(/"]}, "only:refs"),
        ({"except": {"variables": ["$A ="]}}, "except:variables"),
    ],
)
def test_what_gitlab_refuses_is_an_error_with_its_line(config: dict[str, Any], key: str) -> None:
    (finding,) = judged(config).findings
    assert (finding.severity, finding.place, finding.key, finding.job) == (Severity.ERROR, HERE, key, "build")


def test_a_mistake_in_a_rule_that_is_not_reached_is_found() -> None:
    decision = judged({"rules": [{"when": "always"}, {"if": "$A = 1"}]})
    assert decision.when is When.ALWAYS
    assert [finding.key for finding in decision.findings] == ["rules:if"]


def test_the_first_rule_that_holds_decides() -> None:
    rules = [{"if": '$CI_COMMIT_BRANCH == "x"', "when": "never"}, {"if": "$CI", "when": "always"}, {"when": "manual"}]
    assert judged({"rules": rules}).when is When.ALWAYS
    assert judged({"rules": rules}, Ref(branch="x")) == Decision(included=False, when=When.NEVER)


def test_no_rule_that_holds_is_no_job() -> None:
    assert not judged({"rules": [{"if": "$CI_COMMIT_TAG"}]}).included
    assert not judged({"rules": []}).included


def test_rules_within_rules_are_one_list() -> None:
    assert judged({"rules": [[{"if": "$NO"}, [{"if": "$CI", "when": "always"}]]]}).when is When.ALWAYS


def test_all_parts_of_a_rule_have_to_hold() -> None:
    rule = {"if": "$CI", "exists": ["missing"]}
    assert not judged({"rules": [rule]}).included
    assert judged({"rules": [rule | {"exists": ["Dockerfile"]}]}).included


def test_a_rule_brings_variables_needs_and_more() -> None:
    rule = {
        "if": "$CI",
        "variables": {"A": 1},
        "needs": ["x"],
        "interruptible": True,
        "allow_failure": False,
    }
    decision = judged({"rules": [rule]})
    assert decision.variables == {"A": Variable("1")}
    assert decision.needs == ["x"]
    assert decision.interruptible is True
    assert decision.allow_failure is False


@pytest.mark.parametrize(
    ("changes", "changed", "holds"),
    [
        (["docs/*"], ("docs/a.md",), True),
        (["docs/*"], ("docs/b/a.md",), False),
        (["docs/**/*"], ("docs/b/a.md",), True),
        (["*.md", "x"], ("x",), True),
        (["**/*.{md,txt}"], ("b/c.txt",), True),
        ({"paths": ["$DIR/*"]}, ("docs/a.md",), True),
        (["docs/*"], (), False),
        (["docs/*"], None, True),
    ],
)
def test_changes_are_compared_with_what_changed(changes: object, changed: tuple[str, ...] | None, holds: bool) -> None:
    ref = Ref(branch="main", changed=changed)
    assert judged({"rules": [{"changes": changes}]}, ref, DIR="docs").included is holds
    assert judged({"only": {"changes": changes}}, ref, DIR="docs").included is holds
    assert judged({"except": {"changes": changes}}, ref, DIR="docs").included is not holds


@pytest.mark.parametrize(
    ("exists", "holds"),
    [
        (["Dockerfile"], True),
        (["/Dockerfile"], False),
        (["docs/*.md"], True),
        (["*.md"], False),
        (["**/*.go"], True),
        (["$NAME"], True),
        (["missing", "Dockerfile"], True),
        ({"paths": ["Dockerfile"]}, True),
        ("Dockerfile", True),
    ],
)
def test_files_are_looked_for(exists: object, holds: bool) -> None:
    assert judged({"rules": [{"exists": exists}]}, NAME="Dockerfile").included is holds


@pytest.mark.parametrize("key", ["exists", "changes"])
def test_a_path_that_can_match_nothing_is_told(key: str) -> None:
    (note,) = judged({"rules": [{key: ["/Dockerfile"]}]}, replace(BRANCH, changed=("Dockerfile",))).findings
    assert note.message == "/Dockerfile matches nothing, as in GitLab: write it without the / at its start"


def test_what_is_decided_otherwise_than_in_gitlab_is_told() -> None:
    compared = judged({"rules": [{"changes": {"paths": ["x"], "compare_to": "v1"}}]})
    elsewhere = judged({"rules": [{"exists": {"paths": ["x"], "project": "a/b"}}]})
    cluster = judged({"only": {"kubernetes": "active"}})
    assert [one.findings[0].severity for one in (compared, elsewhere, cluster)] == [Severity.WARNING] * 3
    assert [one.included for one in (compared, elsewhere, cluster)] == [True, False, False]


@pytest.mark.parametrize("branch", ["main", "refs/heads/main", "$CI_DEFAULT_BRANCH"])
def test_changes_against_the_default_branch_are_those_that_are_known(branch: str) -> None:
    assert judged({"rules": [{"changes": {"paths": ["x"], "compare_to": branch}}]}).findings == ()


BRANCH, TAG = Ref(branch="main", url="https://x.test/group/project"), Ref(tag="v1")
MERGE, SCHEDULE = Ref(branch="topic", source="merge_request_event"), Ref(branch="main", source="schedule")


@pytest.mark.parametrize(
    ("config", "runs"),
    [
        ({}, [BRANCH, TAG, SCHEDULE]),
        ({"only": ["main"]}, [BRANCH, SCHEDULE]),
        ({"only": "main"}, [BRANCH, SCHEDULE]),
        ({"only": ["branches"]}, [BRANCH, SCHEDULE]),
        ({"only": ["tags"]}, [TAG]),
        ({"only": ["/^v\\d/"]}, [TAG]),
        ({"only": ["/^MA/i"]}, [BRANCH, SCHEDULE]),
        ({"only": ["merge_requests"]}, [MERGE]),
        ({"only": ["topic"]}, []),
        ({"only": ["/^top/"]}, []),
        ({"only": ["merge_requests", "tags"]}, [TAG, MERGE]),
        ({"only": ["schedules"]}, [SCHEDULE]),
        ({"only": ["pushes"]}, [BRANCH, TAG]),
        ({"only": ["main@group/project"]}, [BRANCH, SCHEDULE]),
        ({"only": ["main@group/other"]}, [SCHEDULE]),
        ({"except": ["tags"]}, [BRANCH, SCHEDULE]),
        ({"except": ["main"]}, [TAG]),
        ({"only": ["branches"], "except": ["main"]}, []),
        ({"only": {"refs": ["tags"]}}, [TAG]),
        ({"only": {"variables": ["$CI_COMMIT_TAG", "$NO"]}}, [TAG]),
        ({"only": {"refs": ["main"], "variables": ["$NO"]}}, []),
        ({"except": {"variables": ["$CI_COMMIT_TAG"]}}, [BRANCH, SCHEDULE]),
        ({"only": ["main", "merge_requests"], "except": {"refs": ["schedules"]}}, [BRANCH, MERGE]),
    ],
)
def test_only_and_except_choose_by_ref_and_source(config: dict[str, Any], runs: list[Ref]) -> None:
    assert [ref for ref in (BRANCH, TAG, MERGE, SCHEDULE) if judged(config, ref).included] == runs


def test_with_workflow_rules_a_job_without_conditions_runs_for_merge_requests_too() -> None:
    assert judged({}, MERGE, workflow_rules=True).included
    assert judged({"except": ["schedules"]}, MERGE, workflow_rules=True).included
    assert not judged({"except": ["merge_requests"]}, MERGE, workflow_rules=True).included
    assert not judged({"only": {"variables": ["$CI"]}}, MERGE, workflow_rules=True).included
    assert not judged({}, MERGE).included


@pytest.mark.parametrize(("path", "included"), [("group/project", True), ("group/other", False)])
def test_a_project_that_the_user_gives_counts_for_only(path: str, included: bool) -> None:
    found = judged({"only": ["main@group/project"]}, SCHEDULE, CI_PROJECT_PATH=path)
    assert (found.included, found.findings) == (included, ())


def test_a_source_that_the_user_gives_counts_for_only_as_for_rules() -> None:
    request = Request(file="x", ref=Ref(branch="topic"), variables={"CI_PIPELINE_SOURCE": "merge_request_event"})
    known = predefined(request, "build", "test")
    for config in ({"only": ["merge_requests"]}, {"rules": [{"if": "$CI_MERGE_REQUEST_IID"}]}):
        assert decide(node(config), known, request, FILES).included
    assert not decide(node({"only": ["branches"]}), known, request, FILES).included


def workflow(config: dict[str, Any] | None, ref: Ref = BRANCH) -> Decision:
    request = Request(file="x", ref=ref)
    return decide_whole(None if config is None else node(config), "workflow:rules", predefined(request), request, FILES)


def test_a_pipeline_without_workflow_rules_runs() -> None:
    assert workflow(None).included
    assert workflow({"name": "x"}).included


def test_workflow_rules_decide_on_the_pipeline_and_give_variables() -> None:
    config = {
        "rules": [{"if": "$CI_COMMIT_TAG", "when": "never"}, {"if": "$CI_COMMIT_BRANCH", "variables": {"A": "b"}}]
    }
    assert workflow(config).variables == {"A": Variable("b")}
    assert not workflow(config, TAG).included
    assert not workflow(config, replace(MERGE)).included


@pytest.mark.parametrize("when", ["manual", "on_success", "delayed"])
def test_workflow_rules_say_always_or_never(when: str) -> None:
    (error,) = workflow({"rules": [{"when": when}]}).findings
    assert (error.key, error.message) == ("workflow:rules:when", f"{when!r} is not one of always, never")


def test_a_mistake_in_workflow_rules_is_told_by_its_key() -> None:
    assert [finding.key for finding in workflow({"rules": [{"if": "="}]}).findings] == ["workflow:rules:if"]
