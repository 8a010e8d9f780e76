"""The default pool and the policies that guard pools and builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cijob.names import COMPONENT, LABEL_MANAGED_BY, pod_name
from cijob.parsing import parse_pool
from tests.unit.chart.helm import NAMESPACE

if TYPE_CHECKING:
    from tests.unit.chart.helm import Helm, Manifests

Object = dict[str, Any]
SERVED = "--api-versions=cijob.dev/v1alpha1/BuildPool"
BUILDS = "cijob.dev/builds"


def policies(manifests: Manifests) -> dict[str, Object]:
    return {item["metadata"]["name"]: item["spec"] for item in manifests.of("ValidatingAdmissionPolicy")}


class TestDefaultPool:
    """The pool of CiJobs that name none."""

    def test_comes_as_a_hook_where_the_cluster_does_not_know_pools_yet(self, default: Manifests) -> None:
        assert default.one("BuildPool")["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"

    def test_is_an_ordinary_object_where_it_does(self, helm: Helm) -> None:
        pool = helm.render({}, SERVED).one("BuildPool")
        assert "helm.sh/hook" not in pool["metadata"]["annotations"]

    @pytest.mark.parametrize("options", [(), (SERVED,)], ids=["hook", "object"])
    def test_carries_the_marks_by_which_helm_takes_it_over(self, helm: Helm, options: tuple[str, ...]) -> None:
        meta = helm.render({}, *options).one("BuildPool")["metadata"]
        assert meta["name"] == "default"
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert meta["annotations"]["meta.helm.sh/release-name"] == "cijob"
        assert meta["annotations"]["meta.helm.sh/release-namespace"] == NAMESPACE

    def test_stays_as_long_as_its_kind(self, helm: Helm, default: Manifests) -> None:
        assert default.one("BuildPool")["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        pool = helm.render({"crds": {"keep": False}}).one("BuildPool")
        assert "helm.sh/resource-policy" not in pool["metadata"]["annotations"]

    def test_has_the_values_spec_which_the_operator_can_read(self, helm: Helm) -> None:
        pool = helm.render({"defaultPool": {"spec": {"capacity": {"running": 4}}}}).one("BuildPool")
        assert parse_pool(as_stored(pool)).spec.capacity.running == 4

    def test_is_left_out_if_asked(self, helm: Helm) -> None:
        assert helm.render({"defaultPool": {"create": False}}).of("BuildPool") == []


def as_stored(pool: Object) -> Object:
    """A pool as the API server gives it back."""
    return {**pool, "metadata": pool["metadata"] | {"uid": "u", "resourceVersion": "1"}}


class TestPolicies:
    """What they match; what they refuse is the integration tests' matter (test_who_may.py)."""

    def test_each_is_bound_refuses_and_fails_closed(self, helm: Helm) -> None:
        manifests = helm.render({"policies": {"refuseShells": True}})
        found = policies(manifests)
        assert set(found) == {"cijob-use-pools", "cijob-build-pods", "cijob-no-shells"}
        assert {spec["failurePolicy"] for spec in found.values()} == {"Fail"}
        bindings = [item["spec"] for item in manifests.of("ValidatingAdmissionPolicyBinding")]
        assert {item["policyName"] for item in bindings} == set(found)
        assert all(item == {"policyName": item["policyName"], "validationActions": ["Deny"]} for item in bindings)

    def test_each_has_a_switch_and_shells_are_not_refused_by_default(self, helm: Helm, default: Manifests) -> None:
        assert set(policies(default)) == {"cijob-use-pools", "cijob-build-pods"}
        assert set(policies(helm.render({"policies": {"usePools": False}}))) == {"cijob-build-pods"}
        assert set(policies(helm.render({"policies": {"guardBuildNamespaces": False}}))) == {"cijob-use-pools"}

    def test_the_right_to_use_a_pool_is_asked_everywhere(self, helm: Helm) -> None:
        for values in ({}, {"namespaces": ["team-a"]}):
            assert "namespaceSelector" not in policies(helm.render(values))["cijob-use-pools"]["matchConstraints"]

    def test_builds_are_guarded_where_the_label_is(self, helm: Helm) -> None:
        def selectors(values: Object) -> list[Object]:
            found = policies(helm.render({"policies": {"refuseShells": True}} | values))
            return [
                found[f"cijob-{name}"]["matchConstraints"]["namespaceSelector"] for name in ("build-pods", "no-shells")
            ]

        assert selectors({}) == [{"matchLabels": {BUILDS: "true"}}] * 2
        only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}
        assert (
            selectors({"namespaces": ["team-a"]}) == [{"matchLabels": {BUILDS: "true"}, "matchExpressions": [only]}] * 2
        )

    def test_only_this_releases_operator_is_trusted(self, helm: Helm) -> None:
        manifests = helm.render({"serviceAccount": {"name": "runner"}})
        variables = {item["name"]: item["expression"] for item in policies(manifests)["cijob-build-pods"]["variables"]}
        assert variables["trusted"] == f"request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:runner'"

    def test_the_chart_and_the_operator_agree_on_what_a_build_pod_is(self, helm: Helm) -> None:
        found = policies(helm.render({"policies": {"refuseShells": True}}))
        variables = {item["name"]: item["expression"] for item in found["cijob-build-pods"]["variables"]}
        assert f"labels[?'{LABEL_MANAGED_BY}'].orValue('') == '{COMPONENT}'" in variables["ours"]
        (rule,) = found["cijob-no-shells"]["validations"]
        (pattern,) = re.findall(r"matches\('(.*)'\)", rule["expression"])
        for job in ("a", "a" * 63, "0-b", "x" * 53 + "-y"):
            assert re.match(pattern, pod_name(job, "uid", 1))
        for other in ("web-7d4f8c9b6-x2x9z", "web-0", "job-abcde", "12345678", "a-0123456789"):
            assert not re.match(pattern, other)


def test_the_network_policy_selects_the_pods_of_jobs_in_the_namespaces(helm: Helm, default: Manifests) -> None:
    assert default.of("NetworkPolicy") == []
    rules = [{"ports": [{"port": 443}]}]
    made = helm.render({"buildNetworkPolicy": {"namespaces": ["a", "b"]}}).of("NetworkPolicy")
    assert [item["metadata"]["namespace"] for item in made] == ["a", "b"]
    for item in made:
        assert item["spec"] == {
            "podSelector": {"matchLabels": {LABEL_MANAGED_BY: COMPONENT}},
            "policyTypes": ["Ingress"],
            "ingress": [],
        }
    made = helm.render({"buildNetworkPolicy": {"namespaces": ["a"], "egress": rules}}).of("NetworkPolicy")
    assert made[0]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made[0]["spec"]["egress"] == rules
