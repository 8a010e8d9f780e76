"""The operator's rights: what it needs and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.chart.helm import NAMESPACE

if TYPE_CHECKING:
    from tests.unit.chart.helm import Helm, Manifests

Object = dict[str, Any]
SETTINGS = [
    pytest.param({}, id="whole cluster"),
    pytest.param({"namespaces": ["team-a", "team-b"]}, id="two namespaces"),
]
NEEDED = {
    ("cijob.dev", "cijobs", "get"),
    ("cijob.dev", "cijobs", "list"),
    ("cijob.dev", "cijobs", "watch"),
    ("cijob.dev", "cijobs", "delete"),
    ("cijob.dev", "cijobs/status", "patch"),
    ("cijob.dev", "cijobs/finalizers", "update"),
    ("", "pods", "get"),
    ("", "pods", "list"),
    ("", "pods", "watch"),
    ("", "pods", "create"),
    ("", "pods", "patch"),
    ("", "pods", "delete"),
    ("", "pods/log", "get"),
    ("", "events", "create"),
}
LEADER = {("coordination.k8s.io", "leases", verb) for verb in ("get", "update", "create")}


def rights(role: Object) -> set[tuple[str, str, str]]:
    """The rights of a role as (group, resource, verb)."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def roles(manifests: Manifests) -> list[Object]:
    return [*manifests.of("Role"), *manifests.of("ClusterRole")]


@pytest.mark.parametrize("values", SETTINGS)
def test_no_role_has_a_wildcard_or_a_right_on_secrets(helm: Helm, values: Object) -> None:
    for role in roles(helm.render(values)):
        for right in rights(role):
            assert "*" not in "".join(right), role["metadata"]["name"]
            assert right[1].partition("/")[0] != "secrets", role["metadata"]["name"]


def test_the_operator_has_exactly_the_rights_that_it_needs(default: Manifests) -> None:
    (role,) = [item for item in default.of("ClusterRole") if item["metadata"]["name"] == "cijob"]
    assert rights(role) == NEEDED


def test_in_namespaced_mode_the_rights_are_the_same_but_end_at_the_namespaces(helm: Helm) -> None:
    manifests = helm.render({"namespaces": ["team-a", "team-b"]})
    assert {role["metadata"]["namespace"]: rights(role) for role in manifests.of("Role")} == {
        "team-a": NEEDED,
        "team-b": NEEDED,
        NAMESPACE: LEADER,
    }
    assert {item["metadata"]["namespace"] for item in manifests.of("RoleBinding")} == {"team-a", "team-b", NAMESPACE}
    assert manifests.of("ClusterRoleBinding") == []
    assert not any("pods" in rule["resources"] for role in manifests.of("ClusterRole") for rule in role["rules"])
    assert manifests.environment["CIJOB_OPERATOR_NAMESPACES"] == "team-a,team-b"


@pytest.mark.parametrize("values", SETTINGS)
def test_only_the_one_lease_can_be_read_and_changed_and_no_other_created_elsewhere(helm: Helm, values: Object) -> None:
    manifests = helm.render(values)
    (role,) = [item for item in manifests.of("Role") if item["metadata"]["name"] == "cijob-leader"]
    assert role["metadata"]["namespace"] == NAMESPACE
    assert rights(role) == LEADER
    named, creation = role["rules"]
    assert named["resourceNames"] == [manifests.environment["CIJOB_OPERATOR_LEASE_NAME"]]
    assert creation["verbs"] == ["create"], "a creation cannot be restricted by name"
    others = [item for item in roles(manifests) if item is not role]
    assert not any("leases" in rule["resources"] for item in others for rule in item["rules"])


@pytest.mark.parametrize("values", SETTINGS)
def test_bindings_join_the_operators_account_with_its_role(helm: Helm, values: Object) -> None:
    manifests = helm.render(values)
    account = manifests.one("ServiceAccount")["metadata"]
    bindings = [*manifests.of("RoleBinding"), *manifests.of("ClusterRoleBinding")]
    assert bindings
    for binding in bindings:
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        ]
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
        assert binding["roleRef"]["kind"] == binding["kind"].removesuffix("Binding")


def test_users_with_view_see_cijobs_and_users_with_edit_manage_them(default: Manifests) -> None:
    by_name = {item["metadata"]["name"]: item for item in default.of("ClusterRole")}
    prefix = "rbac.authorization.k8s.io/aggregate-to-"

    def aggregated(name: str) -> set[str]:
        return {label.removeprefix(prefix) for label in by_name[name]["metadata"]["labels"] if label.startswith(prefix)}

    assert aggregated("cijob-view") == {"view", "edit", "admin"}
    assert rights(by_name["cijob-view"]) == {("cijob.dev", "cijobs", verb) for verb in ("get", "list", "watch")}
    assert aggregated("cijob-edit") == {"edit", "admin"}
    assert rights(by_name["cijob-edit"]) == {
        ("cijob.dev", "cijobs", verb) for verb in ("create", "update", "patch", "delete", "deletecollection")
    }


def test_only_the_operators_pod_gets_a_token(default: Manifests) -> None:
    assert default.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert default.pod["automountServiceAccountToken"] is True
    assert default.pod["serviceAccountName"] == default.one("ServiceAccount")["metadata"]["name"]
