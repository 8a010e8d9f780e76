"""The chart's values: each has an effect, typos are refused, and so are clusters that are too old."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cijob.errors import ConfigurationError
from cijob.models import CiJobSpec
from cijob.settings import PREFIX, Settings
from tests.bad_manifests import merged
from tests.unit.chart.helm import CHART, NAMESPACE, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.chart.helm import Helm, Manifests

Object = dict[str, Any]

#: Values that are passed on as they are.
PASSED_ON = {"defaultPool.spec", "resources", "podSecurityContext", "securityContext"}

#: Each value with another than its default.
CHANGES: dict[str, Any] = {
    "nameOverride": "other",
    "fullnameOverride": "other",
    "image.repository": "example.com/operator",
    "image.tag": "1.2.3",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "pull"}],
    "namespaces": ["team-a"],
    "crds.enabled": False,
    "crds.keep": False,
    "rbac.create": False,
    "rbac.aggregateToView": False,
    "defaultPool.create": False,
    "defaultPool.spec": {"capacity": {"running": 4}},
    "defaultPool.users": [{"kind": "Group", "name": "ci"}],
    "policies.usePools": False,
    "policies.guardBuildNamespaces": False,
    "policies.refuseShells": True,
    "policies.buildNamespaceLabel": "a=b",
    "buildNetworkPolicy.namespaces": ["team-a"],
    "buildNetworkPolicy.egress": [{"ports": [{"port": 443}]}],
    "serviceAccount.create": False,
    "serviceAccount.name": "other",
    "serviceAccount.annotations": {"a": "b"},
    "dind.image.repository": "example.com/docker",
    "dind.image.tag": "30-dind",
    "dind.image.digest": "sha256:" + "0" * 64,
    "dind.image.pullPolicy": "Always",
    "dind.registryMirrors": ["https://mirror.example.com"],
    "dind.insecureRegistries": ["example.com:5000"],
    "dind.mtu": 1400,
    "dind.addressPools": [{"base": "10.210.0.0/16", "size": 24}],
    "git.image.repository": "example.com/git",
    "git.image.tag": "2.1",
    "git.image.digest": "sha256:" + "0" * 64,
    "git.image.pullPolicy": "Always",
    "defaults.job.requests.cpu": "1",
    "defaults.job.requests.memory": "1Gi",
    "defaults.job.requests.ephemeral-storage": "2Gi",
    "defaults.dind.requests.cpu": "1",
    "defaults.dind.requests.memory": "1Gi",
    "defaults.dind.requests.ephemeral-storage": "2Gi",
    "defaults.service.requests.cpu": "1",
    "defaults.service.requests.memory": "1Gi",
    "defaults.service.requests.ephemeral-storage": "2Gi",
    "defaults.timeoutSeconds": 60,
    "defaults.ttlSecondsAfterFinished": 60,
    "waitingGraceSeconds": 60,
    "terminationGraceSeconds": 90,
    "onNodeLost": "Retry",
    "nodeLostGraceSeconds": 60,
    "relistSeconds": 60,
    "log.format": "console",
    "log.level": "debug",
    "metrics.enabled": False,
    "metrics.serviceMonitor.enabled": True,
    "metrics.serviceMonitor.labels": {"release": "prometheus"},
    "metrics.serviceMonitor.interval": "10s",
    "metrics.prometheusRule.enabled": True,
    "metrics.prometheusRule.labels": {"release": "prometheus"},
    "metrics.dashboard.enabled": True,
    "metrics.dashboard.labels.grafana_dashboard": "yes",
    "replicas": 3,
    "resources": {"requests": {"cpu": "1"}},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 2}],
    "priorityClassName": "system-cluster-critical",
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "terminationGracePeriodSeconds": 60,
    "podSecurityContext": {"runAsUser": 1234},
    "securityContext": {"readOnlyRootFilesystem": False},
    "networkPolicy.enabled": True,
    "networkPolicy.apiServerPorts": [8443],
}

#: What must be set too for a value to matter.
TOGETHER: dict[str, Object] = {
    "buildNetworkPolicy.egress": {"buildNetworkPolicy": {"namespaces": ["team-a"]}},
    "networkPolicy.apiServerPorts": {"networkPolicy": {"enabled": True}},
    "metrics.serviceMonitor.labels": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.serviceMonitor.interval": {"metrics": {"serviceMonitor": {"enabled": True}}},
    "metrics.prometheusRule.labels": {"metrics": {"prometheusRule": {"enabled": True}}},
    "metrics.dashboard.labels.grafana_dashboard": {"metrics": {"dashboard": {"enabled": True}}},
    "git.image.tag": {"git": {"image": {"repository": "example.com/git"}}},
    "git.image.digest": {"git": {"image": {"repository": "example.com/git"}}},
}

#: Values with bounds: the operator's setting, the least and the most.
BOUNDS = [
    ("defaults.timeoutSeconds", "default_timeout_seconds", 1, 604800),
    ("defaults.ttlSecondsAfterFinished", "default_ttl_seconds", 0, 31536000),
    ("waitingGraceSeconds", "waiting_grace_seconds", 0, 604800),
    ("terminationGraceSeconds", "termination_grace_seconds", 1, 604800),
    ("relistSeconds", "relist_seconds", 1, 604800),
]

TYPOS = [
    pytest.param({"replica": 2}, "'replica' not allowed", id="an unknown value"),
    pytest.param({"image": {"tagg": "1"}}, "'tagg' not allowed", id="an unknown value inside"),
    pytest.param({"image": {"tag": 1.2}}, "got number, want string", id="a tag that YAML takes for a number"),
    pytest.param({"image": {"digest": "sha256:abc"}}, "does not match pattern", id="a short digest"),
    pytest.param({"image": {"pullPolicy": "always"}}, "must be one of", id="a policy in lower case"),
    pytest.param({"imagePullSecrets": ["pull"]}, "want object", id="a pull secret without name:"),
    pytest.param({"namespaces": "team-a"}, "want array", id="namespaces that are no list"),
    pytest.param({"namespaces": ["Team_A"]}, "does not match pattern", id="a name that no namespace has"),
    pytest.param({"crds": {"keep": "yes"}}, "want boolean", id="a word for a boolean"),
    pytest.param({"dind": {"registryMirrors": ["mirror:5000"]}}, "does not match pattern", id="a mirror without http"),
    pytest.param({"dind": {"insecureRegistries": ["http://r"]}}, "does not match pattern", id="a registry with http"),
    pytest.param({"dind": {"mtu": 100}}, "minimum: got 100, want 576", id="an MTU below IPv4's least"),
    pytest.param({"dind": {"addressPools": [{"base": "10.0.0.0/8"}]}}, "missing property 'size'", id="half a pool"),
    pytest.param({"defaults": {"timeoutSeconds": 0}}, "minimum: got 0, want 1", id="a timeout of nothing"),
    pytest.param({"defaults": {"job": {"requests": {"gpu": 1}}}}, "'gpu' not allowed", id="an unknown resource"),
    pytest.param({"defaults": {"job": {"requests": {"cpu": "1 core"}}}}, "does not match", id="a bad quantity"),
    pytest.param({"policies": {"buildNamespaceLabel": "builds"}}, "does not match", id="a label without a value"),
    pytest.param({"replicas": -1}, "minimum: got -1, want 0", id="fewer operators than none"),
    pytest.param({"log": {"level": "trace"}}, "must be one of", id="an unknown log level"),
    pytest.param({"metrics": {"serviceMonitor": {"interval": 30}}}, "want string", id="an interval without a unit"),
    pytest.param({"terminationGraceSeconds": "60s"}, "want integer", id="a duration for seconds"),
]


def nested(path: str, value: Any) -> Object:  # noqa: ANN401  any value that YAML has
    """The values that set one of them: `a.b` to `{a: {b: value}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def leaves(values: Object, prefix: str = "") -> Iterator[str]:
    """The paths of all values that are no group of values."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and path not in PASSED_ON:
            yield from leaves(value, f"{path}.")
        else:
            yield path


def test_the_table_above_names_every_value() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(CHANGES) == set(leaves(values))


@pytest.mark.parametrize("path", CHANGES)
def test_every_value_has_an_effect(helm: Helm, path: str) -> None:
    before = TOGETHER.get(path, {})
    after = merged(before, nested(path, CHANGES[path]))
    assert helm.render(before).objects != helm.render(after).objects


def test_every_value_is_in_the_schema_and_the_schema_names_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"global"} == set(values)


@pytest.mark.parametrize(("values", "message"), TYPOS)
def test_refuses(helm: Helm, values: Object, message: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        helm.render(values)
    assert message in str(refusal.value)


@pytest.mark.parametrize(("path", "setting", "least", "most"), BOUNDS)
def test_the_schema_and_the_operator_have_the_same_bounds(
    helm: Helm, path: str, setting: str, least: int, most: int
) -> None:
    for value in (least, most):
        environment = helm.render(nested(path, value)).environment
        assert getattr(Settings.from_environment(environment), setting) == value
    for value in (least - 1, most + 1):
        with pytest.raises(RefusedError, match="minimum" if value < least else "maximum"):
            helm.render(nested(path, value))
        with pytest.raises(ConfigurationError):
            Settings.from_environment({PREFIX + setting.upper(): str(value)})


def test_refuses_a_cluster_without_native_sidecars_and_says_why(helm: Helm) -> None:
    with pytest.raises(RefusedError) as refusal:
        helm.render({}, "--kube-version=v1.32.9")
    message = str(refusal.value)
    assert "cijob needs Kubernetes 1.33 or later, this cluster runs v1.32.9" in message
    assert "native sidecar" in message


@pytest.mark.parametrize("version", ["v1.33.0", "v1.33.0-alpha.1", "v1.33.5-gke.1080000", "v1.35.4+k3s1"])
def test_accepts_a_cluster(helm: Helm, version: str) -> None:
    assert helm.render({}, f"--kube-version={version}").of("Deployment")


def test_lint_finds_nothing(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART))


class TestCrd:
    """The CustomResourceDefinitions come with the chart and stay after it."""

    def test_is_kept_at_an_uninstall(self, default: Manifests) -> None:
        crds = default.of("CustomResourceDefinition")
        assert [crd["metadata"]["name"] for crd in crds] == ["buildpools.cijob.dev", "cijobs.cijob.dev"]
        for crd in crds:
            assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    def test_goes_with_the_chart_if_asked(self, helm: Helm) -> None:
        for crd in helm.render({"crds": {"keep": False}}).of("CustomResourceDefinition"):
            assert "helm.sh/resource-policy" not in crd["metadata"].get("annotations", {})

    def test_is_left_out_if_asked(self, helm: Helm) -> None:
        assert helm.render({"crds": {"enabled": False}}).of("CustomResourceDefinition") == []


class TestNotes:
    """What Helm prints after an installation is the next command to type."""

    def notes(self, helm: Helm, values: Object) -> str:
        options = ("--dry-run=client", f"--namespace={NAMESPACE}")
        return helm.run("install", "cijob", str(CHART), *options, values=values).partition("NOTES:")[2]

    def test_names_the_deployment_to_wait_for(self, helm: Helm) -> None:
        assert "kubectl --namespace cijob-system rollout status deployment/cijob\n" in self.notes(helm, {})

    def test_holds_a_first_job_that_the_models_accept(self, helm: Helm) -> None:
        notes = self.notes(helm, {})
        manifest = yaml.safe_load(notes.partition("<<'JOB'\n")[2].partition("JOB\n")[0])
        assert manifest["kind"] == "CiJob"
        assert CiJobSpec.model_validate(manifest["spec"]).script == ("docker version",)

    def test_says_what_others_need(self, helm: Helm) -> None:
        notes = self.notes(helm, {"fullnameOverride": "ci"})
        assert "create rolebinding ci-authors --clusterrole ci-author --group GROUP\n" in notes
        assert "create rolebinding ci-pool --clusterrole ci-pool-user --group GROUP\n" in notes
        assert "kubectl label namespace NAMESPACE cijob.dev/builds=true\n" in notes

    def test_names_no_role_that_changes_nothing(self, helm: Helm) -> None:
        notes = self.notes(helm, {"policies": {"usePools": False, "guardBuildNamespaces": False}})
        assert "cijob-author" in notes
        assert "pool-user" not in notes
        assert "label namespace" not in notes

    def test_creates_it_in_a_namespace_that_is_served(self, helm: Helm) -> None:
        notes = self.notes(helm, {"namespaces": ["team-a", "team-b"]})
        assert "kubectl --namespace team-a create -f -" in notes
        assert "runs the CiJobs of: team-a, team-b." in notes
