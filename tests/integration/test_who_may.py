"""Who may do what: the chart's roles and policies, asked for by impersonated users. Nothing is changed (dry runs)."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.bad_manifests import GOOD, merged
from tests.integration.api import BUILDPOOLS, CIJOBS, Answer, Api
from tests.integration.chart import PATHS, bind, create, put
from tests.integration.who_may import (
    BUILD,
    NO_POOL,
    NO_SHELL,
    NODE,
    ONLY_OPERATOR,
    OPERATOR,
    PRIVILEGED,
    RELEASE,
    ROWS,
    WEB,
    WHO,
    Row,
)
from tests.unit.chart.helm import found_helm

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

_SECONDS_UNTIL_ENFORCED = 60
_SECONDS_PER_ROW = 20
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Lab:
    """Two namespaces, one of them labelled for builds, with Pods and a CiJob, and everybody's rights."""

    api: Api
    names: dict[str, str]

    def ask(self, row: Row) -> Answer:
        """Do what a row says."""
        user, group = WHO[row.who]
        # A connection cannot be made dry; here none succeeds.
        query = {} if row.call.method == "GET" or row.call.let_through else {"dryRun": "All"}
        path = row.call.path.format(**self.names)
        api = self.api.acting_as(user, group)
        return api.call(row.call.method, path, row.call.body, query=query, content_type=row.call.content_type)

    def as_said(self, row: Row, answer: Answer) -> bool:
        """Whether an answer is what a row says."""
        if row.refused:
            return answer.status == 403 and row.refused.format(**self.names) in answer.message
        return answer.ok or bool(row.call.let_through and row.call.let_through in answer.message)

    def settled(self, row: Row, seconds: float) -> Answer:
        """The answer to a row: a new right or policy counts a moment after it is stored."""
        deadline = time.monotonic() + seconds
        while not self.as_said(row, answer := self.ask(row)) and time.monotonic() < deadline:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return answer


@pytest.fixture(scope="module")
def lab(api: Api) -> Iterator[Lab]:
    made: list[str] = []
    try:
        ready = _lab(api, made)
        for refused in (NO_POOL, ONLY_OPERATOR, NO_SHELL.format("exec")):
            row = next(row for row in ROWS if row.refused == refused)
            answer = ready.settled(row, _SECONDS_UNTIL_ENFORCED)
            assert ready.as_said(row, answer), f"{row.does}: {answer.status} {answer.message}"
        yield ready
    finally:
        for path in reversed(made):
            api.call("DELETE", path)


def _lab(api: Api, made: list[str]) -> Lab:
    """Make it; the paths of what is to be deleted go to `made`."""
    run = uuid.uuid4().hex[:8]
    names = {"builds": f"who-may-builds-{run}", "plain": f"who-may-plain-{run}", "pool": f"who-may-{run}"}
    label = {"cijob-tests/builds": run}
    policies = {"refuseShells": True, "buildNamespaceLabel": f"cijob-tests/builds={run}"}
    put(api, found_helm().render({"fullnameOverride": RELEASE, "policies": policies}).objects, made)
    for name, labels in ((names["builds"], label), (names["plain"], {})):
        create(api, "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}}, made)
    create(api, BUILDPOOLS, {**_POOL, "metadata": {"name": names["pool"]}}, made)
    create(api, "/api/v1/nodes", {"metadata": {"name": NODE}, "spec": {"unschedulable": True}}, made)
    _rights(api, names, made)
    for where in (names["builds"], names["plain"]):
        _pods(api, where)
    suspended = merged(GOOD, {"spec": {"suspend": True}})
    return Lab(api, names | {"job": create(api, f"{CIJOBS}/namespaces/{names['builds']}/cijobs", suspended, [])})


_POOL: Object = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool", "spec": {}}


def _rights(api: Api, names: dict[str, str], made: list[str]) -> None:
    """Give everybody what their names say."""
    builds, plain = names["builds"], names["plain"]
    roles = {
        f"{RELEASE}-author": ("author", "everywhere", "poolless", "member"),
        f"{RELEASE}-viewer": ("viewer",),
        "edit": ("editor",),
        "admin": ("admin",),
    }
    for role, people in roles.items():
        for who in people:
            for where in (builds, plain):
                bind(api, role, f"who-may-{who}", made, where)
    bind(api, f"{RELEASE}-pool-user", "who-may-author", made, builds)
    bind(api, f"{RELEASE}-pool-user", "who-may-team", made, plain, "Group")
    bind(api, f"{RELEASE}-pool-user", "who-may-everywhere", made)
    bind(api, f"{RELEASE}-pool-admin", "who-may-pool-admin", made)


def _pods(api: Api, where: str) -> None:
    """Pods like the operator's: privileged, with a node, not privileged, by name only; and another one."""
    ours = {"app.kubernetes.io/managed-by": "cijob-operator"}
    for name, labels, container, spec in (
        (BUILD, ours, PRIVILEGED, {}),
        ("build-89abcdef", ours, PRIVILEGED, {"nodeName": NODE}),
        ("build-ffffffff", ours, {}, {}),
        ("build-eeeeeeee", {}, {}, {}),
        (WEB, {}, {}, {}),
    ):
        gates = {} if spec else {"schedulingGates": [{"name": "cijob-tests/never"}]}
        body = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [_CONTAINER | container], **spec, **gates},
        }
        api.acting_as(OPERATOR).call("POST", f"/api/v1/namespaces/{where}/pods", body).wanted()


_CONTAINER: Object = {"name": "a", "image": "a", "resources": {"requests": {"cpu": "100m"}}}


def test_there_are_enough_rows_each_said_once() -> None:
    assert len({(row.who, row.does) for row in ROWS}) == len(ROWS) >= 25


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.who} {row.does}: {'refused' if row.refused else 'allowed'}"
)
def test_who_may(lab: Lab, row: Row) -> None:
    answer = lab.settled(row, _SECONDS_PER_ROW)
    assert lab.as_said(row, answer), f"{answer.status}: {answer.message}"


def test_the_api_server_finds_nothing_wrong_with_the_policies(lab: Lab) -> None:
    for policy in ("use-pools", "build-pods", "no-shells"):
        path = f"{PATHS['ValidatingAdmissionPolicy']}/{RELEASE}-{policy}"
        status = lab.api.call("GET", path).wanted()["status"]
        assert status["typeChecking"].get("expressionWarnings", []) == []
