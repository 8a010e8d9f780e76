"""The Pod of an attempt: golden files for what it looks like, rules for what must hold in all of them.

`PYTHONPATH=operator:. python -m tests.unit.test_manifests` writes the golden files anew; read the difference before you commit it.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cijob import launcher, names, scripts
from cijob.errors import InvalidSpec
from cijob.manifests import build_pod, timeout_seconds
from cijob.pool import NO_RULES, BuildPoolSpec
from cijob.quantities import parse_quantity
from cijob.settings import Settings
from cijob.validation import validate_spec
from tests.unit.builders import JOB_NAME, JOB_UID, POD_NAME, CiJobBuilder, a_cijob

if TYPE_CHECKING:
    from cijob.containers import Manifest

GOLDEN = Path(__file__).parent / "golden"
LAUNCHERS = (*launcher.DIND, *launcher.JOB, *launcher.GIT, *launcher.SERVICES)

ALL_FIELDS = a_cijob().with_spec(  # noqa: S604  the field shell of the spec, no process
    image="registry.corp/team/build:1.2@sha256:" + "a" * 64,
    imagePullPolicy="Always",
    beforeScript=["apt-get update", "apt-get install -y make"],
    script=["make\nmake test", "echo $HOME"],
    afterScript=["make clean"],
    shell="bash",
    variables={"GREETING": "costs $5 and $(CI) $$", "DOCKER_BUILDKIT": "1"},
    env=[
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token", "optional": True}}},
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "level"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}},
        {"name": "HELLO", "value": "hello $(GREETING)"},
    ],
    envFrom=[{"prefix": "S_", "secretRef": {"name": "all"}}, {"configMapRef": {"name": "more", "optional": True}}],
    workingDir="/src",
    source={
        "git": {
            "url": "https://git.corp/team/app.git",
            "ref": "v1.2",
            "depth": 0,
            "submodules": "Recursive",
            "credentialsSecretRef": {"name": "git"},
        }
    },
    services=[
        {
            "name": "db",
            "image": "postgres:18",
            "imagePullPolicy": "Always",
            "args": ["-c", "max_connections=20"],
            "variables": {"POSTGRES_DB": "costs $5"},
            "env": [{"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
            "ports": [5432],
            "ready": ["pg_isready", "--quiet"],
            "startTimeout": "1m30s",
            "resources": {"limits": {"memory": "512Mi"}},
        },
        {"name": "cache", "image": "redis:8", "command": ["redis-server"], "ports": [6379]},
    ],
    imagePullSecrets=[{"name": "registry"}, {"name": "other"}],
    platform="linux/arm64",
    priority=10,
    suspend=False,
    resources={"requests": {"cpu": "500m"}, "limits": {"cpu": 2, "memory": "64Mi"}},
    docker={
        "endpoint": "TCP",
        "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi", "ephemeral-storage": "512Mi"}},
        "storage": {"size": "20Gi", "medium": "Memory"},
        "startTimeout": "1m30s",
    },
    timeout="1h30m",
    queueTimeout="2h",
    retry={"limit": 2, "when": {"exitCodes": [75]}},
    ttlSecondsAfterFinished=60,
)
CASES: dict[str, tuple[CiJobBuilder, Settings]] = {
    "tcp": (a_cijob(), Settings()),
    "unix": (a_cijob().with_spec(docker={"endpoint": "Unix"}), Settings()),
    "command": (a_cijob().with_command("/build", "--all").with_spec(args=["$(CI)"]), Settings()),
    "docker-disabled": (a_cijob().without_docker(), Settings()),
    "command-services": (
        a_cijob()
        .with_command("/test")
        .with_spec(
            source={"git": {"url": "git@git.corp:team/app.git"}},
            services=[
                {"name": "db", "image": "postgres:18", "ready": ["pg_isready"], "startTimeout": "90s"},
                {"name": "cache", "image": "redis:8", "ports": [6379]},
            ],
            imagePullSecrets=[{"name": "registry"}],
        ),
        Settings(git_image="alpine/git:2", git_image_pull_policy="Never"),
    ),
    "pool": (a_cijob().with_spec(poolName="big", platform="linux/amd64", docker={"endpoint": "Unix"}), Settings()),
    "command-docker-disabled": (a_cijob().with_command("/build").without_docker(), Settings()),
    "all-fields": (
        ALL_FIELDS,
        Settings(
            dind_image="registry.corp/docker:29-dind",
            dind_image_pull_policy="Always",
            registry_mirrors=("http://mirror:5000", "https://other"),
            insecure_registries=("mirror:5000",),
            mtu="1400",
            address_pools=("10.210.0.0/16/24", "10.220.0.0/16/24"),
            termination_grace_seconds=90,
            default_timeout_seconds=7200,
        ),
    ),
}
POOLS = {
    "pool": BuildPoolSpec.model_validate(
        {
            "docker": {"isolation": "RuntimeClass"},
            "placement": {
                "nodeSelector": {"pool": "big"},
                "tolerations": [{"key": "builds", "operator": "Exists", "effect": "NoSchedule"}],
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
                        ]
                    }
                },
                "runtimeClassName": "sysbox-runc",
                "priorityClassName": "builds",
            },
            "podMetadata": {
                "labels": {"cost-centre": "ci", names.LABEL_POOL: "other"},
                "annotations": {"io.kubernetes.cri-o.userns-mode": "auto:size=65536"},
            },
        }
    )
}
every_case = pytest.mark.parametrize("case", list(CASES))


def pod_of(job: CiJobBuilder, settings: Settings | None = None, pool: BuildPoolSpec = NO_RULES) -> Manifest:
    """The Pod of the first attempt."""
    return build_pod(job.job, 1, settings or Settings(), pool)


def built(case: str) -> Manifest:
    """The Pod of a case."""
    return pod_of(*CASES[case], POOLS.get(case, NO_RULES))


def shown(pod: Manifest) -> Manifest:
    """The Pod as the golden files hold it: the launchers, which have tests of their own, by name only."""
    pod = copy.deepcopy(pod)
    for name in LAUNCHERS:
        if names.ANNOTATION_LAUNCHER + name in pod["metadata"]["annotations"]:
            pod["metadata"]["annotations"][names.ANNOTATION_LAUNCHER + name] = f"<operator/cijob/launcher/{name}>"
    return pod


def container(pod: Manifest, name: str = "job") -> dict[str, Any]:
    """One container of a Pod."""
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    (found,) = (each for each in containers if each["name"] == name)
    return dict(found)


def env(pod: Manifest, name: str = "job") -> dict[str, Any]:
    """The environment of a container: the last of a name wins, as in the kubelet."""
    return {
        variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container(pod, name)["env"]
    }


def expanded(value: str) -> str:
    """What the kubelet makes of a value that names no variable (k8s.io/kubernetes: third_party/forked/golang/expansion)."""
    result, rest = "", value
    while rest:
        if rest.startswith("$$"):
            result, rest = result + "$", rest[2:]
        elif rest.startswith("$(") and ")" in rest:
            raise AssertionError(f"{value!r} names a variable")
        else:
            result, rest = result + rest[0], rest[1:]
    return result


@every_case
def test_the_pod_is_the_golden_one(case: str) -> None:
    golden = (GOLDEN / f"{case}.yaml").read_text(encoding="utf-8")

    assert shown(built(case)) == yaml.safe_load(golden)


@every_case
def test_the_cases_are_good_specs(case: str) -> None:
    assert validate_spec(CASES[case][0].job.spec) == []


def test_every_field_of_the_spec_is_in_the_golden_case() -> None:
    spec = CASES["all-fields"][0].job.spec

    assert set(type(spec).model_fields) - spec.model_fields_set == {"pool_name", "command", "args", "cancel"}


def test_the_same_input_gives_the_same_pod() -> None:
    assert built("all-fields") == built("all-fields")
    assert build_pod(a_cijob().job, 2, Settings())["metadata"]["name"] != POD_NAME


@every_case
def test_annotations_items_and_files_match(case: str) -> None:
    """A file that no annotation holds would be empty in the container; an annotation that nothing mounts is lost."""
    pod = built(case)
    (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "launcher")
    items = {item["path"]: item["fieldRef"]["fieldPath"] for item in volume["downwardAPI"]["items"]}
    texts = {
        key.removeprefix(names.ANNOTATION_LAUNCHER): f"metadata.annotations['{key}']"
        for key in pod["metadata"]["annotations"]
        if key.startswith(names.ANNOTATION_LAUNCHER)
    }

    assert items == texts | {"cancel": f"metadata.annotations['{names.ANNOTATION_STOP}']"}


@every_case
def test_launchers_are_the_package_s_own_byte_for_byte(case: str) -> None:
    annotations = built(case)["metadata"]["annotations"]
    there = [name for name in LAUNCHERS if names.ANNOTATION_LAUNCHER + name in annotations]

    assert [annotations[names.ANNOTATION_LAUNCHER + name] for name in there] == [launcher.read(name) for name in there]
    assert ("dind.sh" in there) == ("disabled" not in case)
    assert ("job.sh" in there) == ("prelude.sh" in there) == ("command" not in case)


def test_scripts_travel_as_their_files() -> None:
    annotations = built("all-fields")["metadata"]["annotations"]

    assert annotations[names.ANNOTATION_LAUNCHER + "script"] == scripts.script_file(
        ["apt-get update", "apt-get install -y make"], ["make\nmake test", "echo $HOME"]
    )
    assert annotations[names.ANNOTATION_LAUNCHER + "after"] == scripts.after_file(["make clean"])


@every_case
def test_every_mounted_volume_is_there_and_every_volume_is_mounted(case: str) -> None:
    pod = built(case)
    mounted = {
        mount["name"]
        for each in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        for mount in each["volumeMounts"]
    }

    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert len(mounted) == len(pod["spec"]["volumes"])


@every_case
def test_the_job_cannot_reach_what_is_not_its_own(case: str) -> None:
    job = container(built(case))
    read_only = {mount["name"] for mount in job["volumeMounts"] if mount.get("readOnly")}

    assert job["securityContext"]["privileged"] is False
    assert built(case)["spec"]["automountServiceAccountToken"] is False
    assert {mount["name"] for mount in job["volumeMounts"]} - read_only <= {"workspace", "run", "docker-config"}


@every_case
def test_only_the_daemon_is_privileged(case: str) -> None:
    pod = built(case)["spec"]
    every = [*pod.get("initContainers", []), *pod["containers"]]

    assert {each["name"] for each in every if each["securityContext"]["privileged"]} <= {"dind"}


def test_credentials_of_the_repository_reach_its_checkout_only() -> None:
    pod = built("all-fields")
    asking = [
        each["name"]
        for each in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
        if '"name": "git", "key"' in json.dumps(each) or '"secretRef": {"name": "git"}' in json.dumps(each)
    ]

    assert asking == ["git"]
    assert not any(volume.get("secret", {}).get("secretName") == "git" for volume in pod["spec"]["volumes"])


def test_every_service_is_a_sidecar_under_its_name_and_the_checkout_comes_last() -> None:
    pod = built("all-fields")["spec"]

    assert [each["name"] for each in pod["initContainers"]] == ["dind", "db", "cache", "git"]
    assert [each.get("restartPolicy") for each in pod["initContainers"]] == ["Always", "Always", "Always", None]
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["docker", "db", "cache"]}]


def test_only_without_a_launcher_do_services_hold_the_job_back() -> None:
    gated = [each["name"] for each in built("command-services")["spec"]["initContainers"] if "startupProbe" in each]
    free = [each["name"] for each in built("all-fields")["spec"]["initContainers"] if "startupProbe" in each]

    assert (gated, free) == (["dind", "db", "cache"], [])
    assert env(built("all-fields"))["CIJOB_SERVICES"] == "db:90:5432:1 cache:60:6379:0"


@every_case
def test_the_pod_ends_by_itself_and_once(case: str) -> None:
    pod, (job, settings) = built(case), CASES[case]

    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["activeDeadlineSeconds"] == timeout_seconds(job.job, settings)
    assert pod["spec"]["terminationGracePeriodSeconds"] == settings.termination_grace_seconds


def test_the_timeout_is_the_jobs_or_the_operators() -> None:
    settings = Settings(default_timeout_seconds=7200)

    assert timeout_seconds(a_cijob().job, settings) == 7200
    assert timeout_seconds(a_cijob().with_spec(timeout="1h30m").job, settings) == 5400


@every_case
def test_the_pod_is_the_cijobs_and_autoscalers_leave_it_alone(case: str) -> None:
    meta = built(case)["metadata"]

    assert meta["ownerReferences"] == [
        {
            "apiVersion": "cijob.dev/v1alpha1",
            "kind": "CiJob",
            "name": JOB_NAME,
            "uid": JOB_UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert meta["labels"] == dict(POOLS.get(case, NO_RULES).pod_metadata.labels or {}) | {
        "app.kubernetes.io/name": "cijob",
        "app.kubernetes.io/component": "job",
        "app.kubernetes.io/managed-by": "cijob-operator",
        "cijob.dev/job": JOB_NAME,
        "cijob.dev/attempt": "1",
        "cijob.dev/pool": CASES[case][0].job.spec.pool_name,
    }
    key, _, value = names.POD_SELECTOR.partition("=")
    assert meta["labels"][key] == value, "the operator's own watch must see it"
    assert meta["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    assert meta["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


@every_case
def test_the_workspace_is_at_the_same_path_everywhere(case: str) -> None:
    pod, path = built(case), CASES[case][0].job.spec.working_dir
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]

    for each in containers:
        assert {"name": "workspace", "mountPath": path} in each["volumeMounts"]
    assert container(pod)["workingDir"] == path


@pytest.mark.parametrize(
    ("endpoint", "host"), [("TCP", "tcp://docker:2375"), ("Unix", "unix:///.cijob/daemon/docker.sock")]
)
def test_the_job_finds_its_daemon(endpoint: str, host: str) -> None:
    pod = pod_of(a_cijob().with_spec(docker={"endpoint": endpoint}))

    assert env(pod)["DOCKER_HOST"] == host
    assert env(pod)["TESTCONTAINERS_HOST_OVERRIDE"] == "localhost"
    assert env(pod, "dind")["CIJOB_ENDPOINT"] == endpoint
    assert pod["spec"]["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["docker"]}]


def test_without_docker_nothing_speaks_of_it() -> None:
    pod = pod_of(a_cijob().without_docker())

    assert "initContainers" not in pod["spec"]
    assert "hostAliases" not in pod["spec"]
    assert {"DOCKER_HOST", "TESTCONTAINERS_HOST_OVERRIDE"}.isdisjoint(env(pod))
    assert env(pod)["CIJOB_DAEMON"] == "0"
    assert "privileged: true" not in yaml.safe_dump(pod)


def test_a_command_waits_by_the_kubelets_probe() -> None:
    """Nobody in the container could wait: neither a shell nor a launcher is needed there."""
    pod = pod_of(a_cijob().with_command("/build").with_spec(docker={"startTimeout": "90s"}))

    probe = container(pod, "dind")["startupProbe"]
    assert probe["exec"]["command"] == ["test", "-e", "/.cijob/daemon/ready"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 90
    assert container(pod)["command"] == ["/build"]
    assert "startupProbe" not in container(built("tcp"), "dind")


@pytest.mark.parametrize("field", ["variables", "env"])
@pytest.mark.parametrize("name", ["CI", "DOCKER_HOST", "TESTCONTAINERS_HOST_OVERRIDE"])
def test_the_users_own_variable_wins(field: str, name: str) -> None:
    value = {name: "mine"} if field == "variables" else [{"name": name, "value": "mine"}]

    pod = pod_of(a_cijob().with_spec(**{field: value}))

    assert env(pod)[name] == "mine"
    assert [variable["name"] for variable in container(pod)["env"]].count(name) == 1, "the API warns of doubles"


def test_what_the_launcher_needs_cannot_be_taken_over() -> None:
    """Validation refuses these names; if one slips past, ours still holds."""
    pod = pod_of(a_cijob().with_spec(variables={"CIJOB_DAEMON": "0", "CIJOB_UID": "x"}))

    assert env(pod)["CIJOB_DAEMON"] == "1"
    assert env(pod)["CIJOB_UID"] == JOB_UID


def test_every_job_sees_what_it_is() -> None:
    seen = env(built("command"))

    assert {
        name: seen[name] for name in ("CI", "CIJOB_NAME", "CIJOB_NAMESPACE", "CIJOB_UID", "CIJOB_ATTEMPT", "CIJOB_POOL")
    } == {
        "CI": "true",
        "CIJOB_NAME": JOB_NAME,
        "CIJOB_NAMESPACE": "team-a",
        "CIJOB_UID": JOB_UID,
        "CIJOB_ATTEMPT": "1",
        "CIJOB_POOL": "default",
    }


def test_the_launcher_is_told_how_long_everything_may_take() -> None:
    seen = env(built("all-fields"))

    assert (seen["CIJOB_START_TIMEOUT"], seen["CIJOB_AFTER_TIMEOUT"], seen["CIJOB_GRACE"]) == ("90", "300", "90")
    assert seen["CIJOB_SHELL"] == "bash"


def test_the_daemon_is_told_the_operators_settings() -> None:
    seen = env(built("all-fields"), "dind")

    assert seen["CIJOB_REGISTRY_MIRRORS"] == "http://mirror:5000 https://other"
    assert seen["CIJOB_INSECURE_REGISTRIES"] == "mirror:5000"
    assert seen["CIJOB_MTU"] == "1400"
    assert seen["CIJOB_ADDRESS_POOLS"] == "base=10.210.0.0/16,size=24 base=10.220.0.0/16,size=24"
    assert seen["CIJOB_PUBLISH_ADDRESS"] == "127.0.0.1"
    assert seen["DOCKER_TLS_CERTDIR"] == ""


@given(st.text(alphabet="$()abc \\'\"\n") | st.text())
def test_a_variable_comes_out_as_it_went_in(value: str) -> None:
    pod = pod_of(a_cijob().with_spec(variables={"X": value}))

    assert expanded(env(pod)["X"]) == value


def test_env_is_expanded_as_in_a_pod() -> None:
    pod = pod_of(a_cijob().with_spec(env=[{"name": "X", "value": "$(CI) $$"}]))

    assert env(pod)["X"] == "$(CI) $$"


QUANTITIES = st.sampled_from(["1m", "50m", "0.05", "100m", "1", "2.5", "1Ki", "64Mi", "128Mi", "1Gi", "5G", "1e3"])
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]), QUANTITIES)


@given(AMOUNTS, st.booleans())
def test_requests_are_always_set_and_never_above_limits(limits: dict[str, str], docker: bool) -> None:
    amounts = {"limits": limits}
    pod = pod_of(a_cijob().with_spec(**({"docker": {"resources": amounts}} if docker else {"resources": amounts})))

    resources = container(pod, "dind" if docker else "job")["resources"]
    assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["requests"])
    assert resources.get("limits", {}) == limits
    for name, limit in limits.items():
        if name in resources["requests"]:
            assert parse_quantity(resources["requests"][name]) <= parse_quantity(limit)


def test_requests_of_the_user_are_kept_and_the_rest_has_defaults() -> None:
    settings = replace(Settings(), job_requests={"cpu": "1", "memory": "1Gi"})

    job = container(pod_of(a_cijob().with_spec(resources={"requests": {"cpu": "10m", "nvidia.com/gpu": 1}}), settings))

    assert job["resources"] == {"requests": {"cpu": "10m", "nvidia.com/gpu": "1", "memory": "1Gi"}}


def test_scripts_that_do_not_fit_into_a_pod_are_told_so() -> None:
    entry = "'\"$`\\" * 14_000

    with pytest.raises(InvalidSpec, match=r"spec\.script: .* bytes, of 245760 at most") as caught:
        pod_of(a_cijob().with_spec(script=[entry, entry, entry]))

    assert len(caught.value.messages) == 1


def write_golden() -> None:
    """Write the golden files anew."""
    for case in CASES:
        text = yaml.safe_dump(shown(built(case)), sort_keys=False, width=120, allow_unicode=True)
        (GOLDEN / f"{case}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_golden()
