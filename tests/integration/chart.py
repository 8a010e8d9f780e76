"""The chart's roles and policies in a cluster, without its operator, under names of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.api import APPLY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.api import Api

Object = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
#: The cluster-scoped kinds among the chart's that say who may do what.
PATHS = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
}


def put(api: Api, objects: Iterable[Object], made: list[str]) -> None:
    """Apply those that say who may do what; their paths are added to `made`."""
    for item in objects:
        if item["kind"] in PATHS:
            path = f"{PATHS[item['kind']]}/{item['metadata']['name']}"
            query = {"fieldManager": "cijob-tests", "force": "true", "fieldValidation": "Strict"}
            api.call("PATCH", path, item, query=query, content_type=APPLY).wanted()
            made.append(path)


def create(api: Api, path: str, body: Object, made: list[str]) -> str:
    """POST an object and add its path to `made`; gives its name."""
    name = str(api.call("POST", path, body).wanted()["metadata"]["name"])
    made.append(f"{path}/{name}")
    return name


def bind(api: Api, role: str, subject: str, made: list[str], namespace: str = "", kind: str = "User") -> None:
    """Give somebody a ClusterRole, in a namespace or in the whole cluster."""
    where = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else PATHS["ClusterRoleBinding"]
    body = {
        "metadata": {"generateName": "cijob-tests-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
    }
    create(api, where, body, made)
