"""Who may do what, as a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.bad_manifests import GOOD, merged
from tests.integration.api import BUILDPOOLS, CIJOBS, JSON_PATCH, MERGE_PATCH

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

NO_POOL = "may not use the BuildPool default in the namespace {plain}: ask who runs it for the verb use on it"
NOT_FAST = "may not use the BuildPool fast in the namespace {builds}"
NO_RIGHT = " is forbidden: User "
ONLY_OPERATOR = "only the operator of CiJobs may run privileged Pods in the namespace {builds}: write a CiJob"
NOT_CHANGED = "only the operator of CiJobs may make or change the Pods of its jobs: write or change a CiJob instead"
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


def labelled(where: str) -> Call:
    """Create a Pod with the operator's label."""
    ordinary = pod(where)
    assert isinstance(ordinary.body, dict)
    return replace(ordinary, body=merged(ordinary.body, LABEL))


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
LABEL = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "cijob-operator"}}}
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
    Row("the author", "opens a shell in a build", connect("builds", BUILD, "exec"), NO_SHELL.format("exec")),
    Row("the author", "opens one where shells are not refused", connect("plain", BUILD, "exec")),
    Row("the author", "opens one there over a WebSocket", replace(connect("plain", BUILD, "exec"), method="GET")),
    Row("the author", "forwards a port of a build", connect("plain", BUILD, "portforward"), NO_RIGHT),
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
    Row("an editor", "changes a build Pod's image", change("builds", BUILD, IMAGE, kind=JSON_PATCH), NOT_CHANGED),
    Row("an editor", "takes a build Pod's labels", change("builds", BUILD, UNLABEL), NOT_CHANGED),
    Row("an editor", "creates a Pod that passes for a job's", labelled("builds"), NOT_CHANGED),
    Row("an editor", "makes a Pod pass for a job's", change("builds", WEB, LABEL), NOT_CHANGED),
    Row("an editor", "creates one elsewhere", labelled("plain")),
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
    Row("the cluster's administrator", "changes a build Pod", change("builds", BUILD, ANNOTATE), NOT_CHANGED),
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
