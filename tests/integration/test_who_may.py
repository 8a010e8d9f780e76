"""Who may do what: the chart's roles and policies, asked for by impersonated users. Nothing is changed (dry runs)."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.bad_manifests import GOOD, merged
from tests.integration.api import BUILDPOOLS, CIJOBS, JSON_PATCH, MERGE_PATCH, Answer, Api
from tests.integration.chart import PATHS, bind, create, put
from tests.unit.chart.helm import found_helm

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

RELEASE = "who-may"
OPERATOR = f"system:serviceaccount:cijob-system:{RELEASE}"
KUBE_SYSTEM = "system:serviceaccount:kube-system"
NODE = "who-may-node"
#: Whom the rows name: user and group.
WHO = {
    "the author": ("who-may-author", ""),
    "an author who may use the pool everywhere": ("who-may-everywhere", ""),
    "an author without a pool": ("who-may-poolless", ""),
    "one of a group that may use the pool": ("who-may-member", "who-may-team"),
    "a viewer": ("who-may-viewer", ""),
    "a pool admin": ("who-may-pool-admin", ""),
    "an editor": ("who-may-editor", ""),
    "a namespace's admin": ("who-may-admin", ""),
    "the operator": (OPERATOR, ""),
    "the ReplicaSets' controller": (f"{KUBE_SYSTEM}:replicaset-controller", ""),
    "the garbage collector": (f"{KUBE_SYSTEM}:generic-garbage-collector", ""),
    "the node": (f"system:node:{NODE}", "system:nodes"),
    "nobody": ("who-may-nobody", ""),
    "the cluster's administrator": ("", ""),
}
_SECONDS_UNTIL_ENFORCED = 60
_SECONDS_PER_ROW = 20
_SECONDS_BETWEEN_LOOKS = 0.1

NO_POOL = "may not use the BuildPool default in the namespace {plain}: ask who runs it for the verb use on it"
NOT_FAST = "may not use the BuildPool fast in the namespace {builds}"
NO_RIGHT = " is forbidden: User "
ONLY_OPERATOR = "only the operator of CiJobs may run privileged Pods in the namespace {builds}: write a CiJob"
NOT_CHANGED = "only the operator of CiJobs may change the Pods of its jobs: change the CiJob instead"
NO_SHELL = "the cluster does not allow {} on the Pods of CiJobs in the namespace {{builds}}"
#: An exec that was let through: no Pod here ever gets a node, except the one of the row about nodes.
NO_HOST = "does not have a host assigned"


@dataclass(frozen=True)
class Call:
    """A request; {builds}, {plain} and the like stand for the names of this run."""

    method: str
    path: str
    body: object = None
    content_type: str = "application/json"
    let_through: str = ""
    """What the API server says if it is allowed and fails all the same."""


@dataclass(frozen=True)
class Row:
    """Who does what, and why not."""

    who: str
    does: str
    call: Call
    refused: str = ""


def job(where: str, pool: str | None = "default") -> Call:
    return Call("POST", f"{CIJOBS}/namespaces/{{{where}}}/cijobs", merged(GOOD, {"spec": {"poolName": pool}}))


def pod(where: str, spec: Object | None = None, **container: object) -> Call:
    body = {
        "metadata": {"generateName": "who-may-"},
        "spec": {"containers": [{"name": "a", "image": "a", **container}], **(spec or {})},
    }
    return Call("POST", f"/api/v1/namespaces/{{{where}}}/pods", body)


def change(where: str, name: str, patch: object, subresource: str = "", kind: str = MERGE_PATCH) -> Call:
    path = f"/api/v1/namespaces/{{{where}}}/pods/{name}"
    return Call("PATCH", f"{path}/{subresource}" if subresource else path, patch, kind)


def connect(where: str, name: str, subresource: str, let_through: str = NO_HOST) -> Call:
    path = f"/api/v1/namespaces/{{{where}}}/pods/{name}/{subresource}"
    return Call("GET" if "proxy" in subresource else "POST", path, let_through=let_through)


def pool(method: str, name: str = "", patch: object = None) -> Call:
    body = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool", "metadata": {"name": "fast"}, "spec": {}}
    if method == "PATCH":
        return Call(method, f"{BUILDPOOLS}/{name}", patch, MERGE_PATCH)
    return Call(method, f"{BUILDPOOLS}/{name}".rstrip("/"), body if method == "POST" else None)


def cijob(method: str, subresource: str = "", patch: object = None) -> Call:
    path = f"{CIJOBS}/namespaces/{{builds}}/cijobs/{{job}}" + (f"/{subresource}" if subresource else "")
    return Call(method, path, patch, MERGE_PATCH if patch else "application/json")


def grant(role: str) -> Call:
    body = {
        "metadata": {"generateName": "who-may-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"{RELEASE}-{role}"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "who-may-nobody"}],
    }
    return Call("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/{builds}/rolebindings", body)


BUILD = "build-0123abcd"
WEB = "web-7d4f8c9b6-x2x9z"
PRIVILEGED: Object = {"securityContext": {"privileged": True}}
IMAGE = [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil"}]
UNLABEL = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
ANNOTATE = {"metadata": {"annotations": {"a": "b"}}}
DEBUG = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "a"}]}}
STRATEGIC = "application/strategic-merge-patch+json"
PRIVILEGED_DEBUG = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "a", **PRIVILEGED}]}}
RESIZE = {"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "200m"}}}]}}
STATUS = {"status": {"reason": "Said"}}
HOST_PATH = {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}
LOG = Call("GET", f"/api/v1/namespaces/{{builds}}/pods/{BUILD}/log")
SECRETS = Call("GET", "/api/v1/namespaces/{builds}/secrets")

ROWS = [
    # CiJobs, and the right to use a pool.
    Row("the author", "creates a CiJob where they may use the pool", job("builds")),
    Row("the author", "creates one that names no pool", job("builds", None)),
    Row("the author", "creates one where they may not use the pool", job("plain"), NO_POOL),
    Row("the author", "creates one without a pool there", job("plain", None), NO_POOL),
    Row("the author", "creates one in another pool", job("builds", "fast"), NOT_FAST),
    Row("the author", "cancels a CiJob", cijob("PATCH", patch={"spec": {"cancel": "Immediate"}})),
    Row("the author", "deletes a CiJob", cijob("DELETE")),
    Row("the author", "writes a CiJob's status", cijob("PATCH", "status", {"status": {"phase": "Failed"}}), NO_RIGHT),
    Row("the author", "reads the log of a job", LOG),
    Row("the author", "opens a shell in a build", connect("builds", BUILD, "exec"), NO_RIGHT),
    Row("the author", "creates a Pod", pod("builds"), NO_RIGHT),
    Row("the author", "deletes a job's Pod", Call("DELETE", f"/api/v1/namespaces/{{builds}}/pods/{BUILD}"), NO_RIGHT),
    Row("the author", "creates a BuildPool", pool("POST"), NO_RIGHT),
    Row("an author who may use the pool everywhere", "creates a CiJob", job("plain")),
    Row("an author who may use the pool everywhere", "lists the pools", pool("GET")),
    Row("an author who may use the pool everywhere", "creates one in another pool", job("builds", "fast"), NOT_FAST),
    Row("an author without a pool", "creates a CiJob", job("plain"), NO_POOL),
    Row("one of a group that may use the pool", "creates a CiJob", job("plain")),
    Row("a viewer", "reads a CiJob", cijob("GET")),
    Row("a viewer", "creates a CiJob", job("builds"), NO_RIGHT),
    Row("a viewer", "deletes a CiJob", cijob("DELETE"), NO_RIGHT),
    Row("a viewer", "reads the log of a job", LOG, NO_RIGHT),
    Row("nobody", "reads a CiJob", cijob("GET"), NO_RIGHT),
    Row("nobody", "creates a CiJob", job("builds"), NO_RIGHT),
    Row("the cluster's administrator", "creates a CiJob in any pool", job("plain", "fast")),
    # Pools.
    Row("a pool admin", "creates a BuildPool", pool("POST")),
    Row("a pool admin", "holds a BuildPool", pool("PATCH", "{pool}", {"spec": {"stopPolicy": "Hold"}})),
    Row("a pool admin", "deletes a BuildPool", pool("DELETE", "{pool}")),
    Row("a pool admin", "writes its status", pool("PATCH", "{pool}/status", {"status": {"running": 1}}), NO_RIGHT),
    Row("a pool admin", "reads a CiJob", cijob("GET")),
    Row("a pool admin", "creates a CiJob", job("builds"), NO_RIGHT),
    # What `edit` and `admin` give, and what they don't.
    Row("an editor", "creates a CiJob", job("builds"), NO_RIGHT),
    Row("an editor", "creates a BuildPool", pool("POST"), NO_RIGHT),
    Row("an editor", "creates an ordinary Pod among builds", pod("builds")),
    Row("an editor", "creates a privileged Pod among builds", pod("builds", **PRIVILEGED), ONLY_OPERATOR),
    Row("an editor", "creates a privileged Pod elsewhere", pod("plain", **PRIVILEGED)),
    Row(
        "an editor",
        "creates a Pod with a privileged init container among builds",
        pod("builds", {"initContainers": [{"name": "b", "image": "b", **PRIVILEGED}]}),
        ONLY_OPERATOR,
    ),
    Row("an editor", "mounts the node's disk among builds", pod("builds", HOST_PATH), ONLY_OPERATOR),
    *(
        Row("an editor", f"sets {field} among builds", pod("builds", {field: True}), ONLY_OPERATOR)
        for field in ("hostNetwork", "hostPID", "hostIPC")
    ),
    Row(
        "an editor",
        "adds a capability that leads to the node among builds",
        pod("builds", securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        ONLY_OPERATOR,
    ),
    Row(
        "an editor",
        "adds a harmless capability among builds",
        pod("builds", securityContext={"capabilities": {"add": ["CHOWN"]}}),
    ),
    Row("an editor", "changes a build Pod's image", change("builds", BUILD, IMAGE, kind=JSON_PATCH), ONLY_OPERATOR),
    Row("an editor", "takes a build Pod's labels", change("builds", BUILD, UNLABEL), ONLY_OPERATOR),
    Row("an editor", "changes an unprivileged build Pod", change("builds", "build-ffffffff", UNLABEL), NOT_CHANGED),
    Row(
        "the cluster's administrator",
        "adds a container to an unprivileged build Pod",
        change("builds", "build-ffffffff", DEBUG, "ephemeralcontainers", STRATEGIC),
        " denied request: ",
    ),
    Row("an editor", "changes another Pod's image", change("builds", WEB, IMAGE, kind=JSON_PATCH)),
    Row("an editor", "changes a build Pod's image elsewhere", change("plain", BUILD, IMAGE, kind=JSON_PATCH)),
    Row("an editor", "deletes a build Pod", Call("DELETE", f"/api/v1/namespaces/{{builds}}/pods/{BUILD}")),
    Row("a namespace's admin", "creates a CiJob", job("builds"), NO_RIGHT),
    Row("a namespace's admin", "makes somebody an author", grant("author"), "is attempting to grant RBAC permissions"),
    Row(
        "a namespace's admin", "lets somebody use a pool", grant("pool-user"), "is attempting to grant RBAC permissions"
    ),
    # Even the administrator.
    Row("the cluster's administrator", "changes a build Pod", change("builds", BUILD, ANNOTATE), ONLY_OPERATOR),
    Row(
        "the cluster's administrator",
        "adds a privileged container to a Pod among builds",
        change("builds", WEB, PRIVILEGED_DEBUG, "ephemeralcontainers", STRATEGIC),
        ONLY_OPERATOR,
    ),
    # Shells, with the switch on.
    *(
        Row("an editor", f"asks for {part} of a build", connect("builds", BUILD, part), NO_SHELL.format(part))
        for part in ("exec", "attach", "portforward")
    ),
    *(
        Row("an editor", f"reaches {name}", connect("builds", name, "proxy/"), NO_SHELL.format("proxy"))
        for name in (BUILD, f"{BUILD}:2375", f"https:{BUILD}:2375")
    ),
    *(Row("an editor", f"asks for {part} of another Pod", connect("builds", WEB, part)) for part in ("exec", "attach")),
    Row("an editor", "asks for exec of a build elsewhere", connect("plain", BUILD, "exec")),
    Row(
        "the cluster's administrator",
        "adds a container to what is named like a build",
        change("builds", "build-eeeeeeee", DEBUG, "ephemeralcontainers", STRATEGIC),
        NO_SHELL.format("ephemeralcontainers"),
    ),
    Row(
        "the cluster's administrator",
        "adds a container to another Pod",
        change("builds", WEB, DEBUG, "ephemeralcontainers", STRATEGIC),
    ),
    Row(
        "the cluster's administrator",
        "resizes a build",
        change("builds", BUILD, RESIZE, "resize", STRATEGIC),
        NO_SHELL.format("resize"),
    ),
    Row("the cluster's administrator", "resizes another Pod", change("builds", WEB, RESIZE, "resize", STRATEGIC)),
    # The operator and the control plane.
    Row("the operator", "creates a privileged Pod among builds", pod("builds", **PRIVILEGED)),
    Row("the operator", "stops a build", change("builds", BUILD, {"spec": {"activeDeadlineSeconds": 1}})),
    Row("the operator", "writes a CiJob's status", cijob("PATCH", "status", {"status": {"phase": "Failed"}})),
    Row("the operator", "writes a pool's status", pool("PATCH", "{pool}/status", {"status": {"running": 1}})),
    Row("the operator", "changes a pool", pool("PATCH", "{pool}", {"spec": {"stopPolicy": "Hold"}}), NO_RIGHT),
    Row("the operator", "creates a CiJob", job("builds"), NO_RIGHT),
    Row("the operator", "reads Secrets", SECRETS, NO_RIGHT),
    Row("the operator", "opens a shell", connect("builds", WEB, "exec"), NO_RIGHT),
    Row("the ReplicaSets' controller", "creates a Pod among builds", pod("builds")),
    Row("the ReplicaSets' controller", "creates a privileged one", pod("builds", **PRIVILEGED), ONLY_OPERATOR),
    Row("the ReplicaSets' controller", "creates a privileged one elsewhere", pod("plain", **PRIVILEGED)),
    Row("the garbage collector", "marks a build Pod", change("builds", BUILD, ANNOTATE)),
    Row("the node", "says how a build goes", change("builds", "build-89abcdef", STATUS, "status")),
    Row("the node", "creates a privileged Pod", pod("builds", **PRIVILEGED), " is forbidden: "),
]


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
