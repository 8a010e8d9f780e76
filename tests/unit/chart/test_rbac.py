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
POOLS = {
    ("cijob.dev", "buildpools", "get"),
    ("cijob.dev", "buildpools", "list"),
    ("cijob.dev", "buildpools", "watch"),
    ("cijob.dev", "buildpools/status", "patch"),
    ("", "namespaces", "get"),
}
LEADER = {("coordination.k8s.io", "leases", verb) for verb in ("get", "update", "create")}

#: The roles for people, right by right: a change of one has to be made here too.
PEOPLE = {
    "cijob-viewer": {("cijob.dev", "cijobs", verb) for verb in ("get", "list", "watch")},
    "cijob-author": {
        *(
            ("cijob.dev", "cijobs", verb)
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
        ),
        *(("", "pods", verb) for verb in ("get", "list", "watch")),
        ("", "pods/log", "get"),
        *(("", "events", verb) for verb in ("get", "list", "watch")),
        *(("metrics.k8s.io", "pods", verb) for verb in ("get", "list")),
        *(("", "pods/exec", verb) for verb in ("get", "create")),
    },
    "cijob-pool-user": {("cijob.dev", "buildpools", verb) for verb in ("use", "get", "list", "watch")},
    "cijob-pool-admin": {
        *(
            ("cijob.dev", "buildpools", verb)
            for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use")
        ),
        *(("cijob.dev", "cijobs", verb) for verb in ("get", "list", "watch")),
    },
}


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


def test_each_role_has_exactly_these_rights(default: Manifests) -> None:
    by_name = {item["metadata"]["name"]: rights(item) for item in roles(default)}
    assert by_name == {"cijob": NEEDED, "cijob-pools": POOLS, "cijob-leader": LEADER} | PEOPLE


def test_in_namespaced_mode_the_rights_are_the_same_but_end_at_the_namespaces(helm: Helm) -> None:
    manifests = helm.render({"namespaces": ["team-a", "team-b"]})
    assert {role["metadata"]["namespace"]: rights(role) for role in manifests.of("Role")} == {
        "team-a": NEEDED,
        "team-b": NEEDED,
        NAMESPACE: LEADER,
    }
    assert {item["metadata"]["namespace"] for item in manifests.of("RoleBinding")} == {"team-a", "team-b", NAMESPACE}
    (binding,) = manifests.of("ClusterRoleBinding")
    assert binding["metadata"]["name"] == "cijob-pools"
    assert {item["metadata"]["name"]: rights(item) for item in manifests.of("ClusterRole")} == {
        "cijob-pools": POOLS
    } | PEOPLE
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


def test_nothing_is_aggregated_but_seeing_cijobs_into_view(helm: Helm, default: Manifests) -> None:
    """Who may create CiJobs is root on the nodes of a privileged pool: `edit` must not come with it."""

    def aggregated(manifests: Manifests) -> dict[str, list[str]]:
        found = {
            item["metadata"]["name"]: [label for label in item["metadata"]["labels"] if "aggregate" in label]
            for item in manifests.of("ClusterRole")
        }
        return {name: labels for name, labels in found.items() if labels}

    assert aggregated(default) == {"cijob-viewer": ["rbac.authorization.k8s.io/aggregate-to-view"]}
    assert aggregated(helm.render({"rbac": {"aggregateToView": False}})) == {}


def test_only_the_default_pool_comes_with_a_role_to_use_it(default: Manifests) -> None:
    (role,) = [item for item in default.of("ClusterRole") if item["metadata"]["name"] == "cijob-pool-user"]
    assert [rule.get("resourceNames") for rule in role["rules"] if "use" in rule["verbs"]] == [["default"]]


def test_nobody_may_use_it_who_is_not_named(helm: Helm, default: Manifests) -> None:
    assert not any("pool-user" in item["roleRef"]["name"] for item in default.of("ClusterRoleBinding"))
    users = [{"kind": "Group", "name": "ci", "apiGroup": "rbac.authorization.k8s.io"}]
    manifests = helm.render({"defaultPool": {"users": users}})
    (binding,) = [item for item in manifests.of("ClusterRoleBinding") if "pool-user" in item["roleRef"]["name"]]
    assert binding["subjects"] == users
    assert binding["roleRef"]["name"] == "cijob-pool-user"


def test_only_the_operators_pod_gets_a_token(default: Manifests) -> None:
    assert default.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert default.pod["automountServiceAccountToken"] is True
    assert default.pod["serviceAccountName"] == default.one("ServiceAccount")["metadata"]["name"]
