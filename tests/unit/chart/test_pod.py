"""The operator's Pod: the Pod Security Standard `restricted`, field by field, and its image, probes and settings."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cijob.settings import PREFIX, Settings
from tests.unit.chart.helm import CHART, NAMESPACE

if TYPE_CHECKING:
    from tests.unit.chart.helm import Helm, Manifests

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
DIGEST = "sha256:" + "0123456789abcdef" * 4


class TestRestricted:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""

    @pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
    def test_no_namespace_of_the_host(self, default: Manifests, field: str) -> None:
        assert field not in default.pod

    def test_no_volume_but_those_that_kubernetes_adds(self, default: Manifests) -> None:
        assert "volumes" not in default.pod

    def test_one_container_and_no_other(self, default: Manifests) -> None:
        assert len(default.pod["containers"]) == 1
        assert "initContainers" not in default.pod

    def test_no_port_of_the_host(self, default: Manifests) -> None:
        assert not any("hostPort" in port for port in default.container["ports"])

    def test_not_root(self, default: Manifests) -> None:
        context = default.pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert "runAsUser" not in default.container["securityContext"]

    def test_the_runtimes_seccomp_profile(self, default: Manifests) -> None:
        assert default.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "seccompProfile" not in default.container["securityContext"]

    def test_no_capabilities(self, default: Manifests) -> None:
        assert default.container["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_no_privileges_and_no_way_to_them(self, default: Manifests) -> None:
        assert "privileged" not in default.container["securityContext"]
        assert default.container["securityContext"]["allowPrivilegeEscalation"] is False

    def test_a_root_file_system_that_cannot_be_written(self, default: Manifests) -> None:
        assert default.container["securityContext"]["readOnlyRootFilesystem"] is True


def test_every_setting_of_the_operator_is_set_by_the_chart_and_no_other(default: Manifests) -> None:
    settings = {PREFIX + field.name.upper() for field in fields(Settings)}
    assert set(default.environment) == settings


def test_the_charts_defaults_are_the_operators(default: Manifests) -> None:
    expected = Settings(lease_namespace=NAMESPACE, lease_name="cijob")  # the release's own
    assert Settings.from_environment(default.environment) == expected


def test_values_reach_the_operator_in_the_form_that_it_reads(helm: Helm) -> None:
    values: dict[str, Any] = {
        "dind": {
            "registryMirrors": ["https://mirror.example.com", "http://10.0.0.1:5000"],
            "insecureRegistries": ["registry.example.com:5000"],
            "mtu": 1400,
            "addressPools": [{"base": "10.210.0.0/16", "size": 24}, {"base": "10.220.0.0/16", "size": 20}],
        },
        "defaults": {"job": {"requests": {"cpu": 2, "memory": "1Gi"}}, "timeoutSeconds": 123456},
    }
    settings = Settings.from_environment(helm.render(values).environment)
    assert settings.registry_mirrors == ("https://mirror.example.com", "http://10.0.0.1:5000")
    assert settings.insecure_registries == ("registry.example.com:5000",)
    assert settings.mtu == "1400"
    assert settings.address_pools == ("10.210.0.0/16/24", "10.220.0.0/16/20")
    assert settings.job_requests == {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "256Mi"}
    assert settings.default_timeout_seconds == 123456


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param({}, f"cijob/operator:{VERSION}", id="the chart's version by default"),
        pytest.param({"tag": "1.2"}, "cijob/operator:1.2", id="a tag"),
        pytest.param({"digest": DIGEST}, f"cijob/operator@{DIGEST}", id="a digest"),
        pytest.param({"tag": "1.2", "digest": DIGEST}, f"cijob/operator@{DIGEST}", id="a digest wins over a tag"),
        pytest.param({"repository": "example.com/op"}, f"example.com/op:{VERSION}", id="another repository"),
    ],
)
def test_the_image_is(helm: Helm, image: dict[str, str], expected: str) -> None:
    assert helm.render({"image": image}).container["image"] == expected


def test_the_chart_installs_the_operator_of_its_own_checkout() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_the_daemons_image_can_be_pinned_by_digest(helm: Helm) -> None:
    environment = helm.render({"dind": {"image": {"digest": DIGEST}}}).environment
    assert environment["CIJOB_OPERATOR_DIND_IMAGE"] == f"docker@{DIGEST}"


def test_probes_ask_the_health_port_that_the_operator_is_told(default: Manifests) -> None:
    (port,) = default.container["ports"]
    assert default.environment["CIJOB_OPERATOR_HEALTH_PORT"] == str(port["containerPort"])
    probes = {name: default.container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }


def test_two_operators_run_and_an_upgrade_starts_the_new_before_it_stops_the_old(default: Manifests) -> None:
    spec = default.one("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_replicas_prefer_different_nodes_and_one_node_is_enough(default: Manifests) -> None:
    (spread,) = default.pod["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    labels = default.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_drain_leaves_one_operator_and_is_never_blocked(helm: Helm, default: Manifests) -> None:
    budget = default.one("PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"] == default.one("Deployment")["spec"]["selector"]
    assert helm.render({"replicas": 1}).of("PodDisruptionBudget") == []


def test_the_lease_is_in_the_releases_namespace_under_its_name(helm: Helm) -> None:
    environment = helm.render({"fullnameOverride": "ours", "namespaces": ["team-a"]}).environment
    assert environment["CIJOB_OPERATOR_LEASE_NAMESPACE"] == NAMESPACE
    assert environment["CIJOB_OPERATOR_LEASE_NAME"] == "ours"


def test_selectors_match_the_pod(helm: Helm) -> None:
    manifests = helm.render({"networkPolicy": {"enabled": True}})
    deployment = manifests.one("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"].items() <= labels
    assert manifests.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels
