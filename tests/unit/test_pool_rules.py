"""What a pool makes of a job: a table for each rule, and what holds for all pools and jobs (hypothesis)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.corev1 import Resources
from cijob.manifests import build_pod, timeout_seconds
from cijob.policies.pool_rules import full_name, not_allowed, selects, with_life, with_pool_settings, with_resources
from cijob.pool import BuildPoolSpec, LabelSelector
from cijob.quantities import parse_duration, parse_quantity
from cijob.settings import Settings
from cijob.validation import validate_pool
from tests.unit.builders import a_cijob

SETTINGS = Settings()


def a_pool(**spec: Any) -> BuildPoolSpec:  # noqa: ANN401  fields of any type
    """A pool with some fields set."""
    pool = BuildPoolSpec.model_validate(spec)
    assert validate_pool(pool) == []
    return pool


def effective(spec: dict[str, Any], pool: BuildPoolSpec) -> Any:  # noqa: ANN401  a spec, looked into by the tests
    """A job's spec as its pool completes it."""
    job = a_cijob().with_spec(**spec).job
    return with_resources(with_life(job.spec, pool, SETTINGS), pool)


# --- times, retries, time to live


@pytest.mark.parametrize(
    ("own", "default", "limit", "timeout"),
    [
        (None, None, None, "3600s"),
        (None, "2h", None, "2h"),
        (None, None, "30m", "30m"),
        (None, None, "2h", "3600s"),
        (None, "2h", "90m", "90m"),
        ("10m", "2h", "90m", "10m"),
    ],
)
def test_a_timeout_is_the_jobs_the_pools_or_the_operators_and_never_above_the_limit(
    own: str | None, default: str | None, limit: str | None, timeout: str
) -> None:
    pool = a_pool(defaults={"timeout": default, "ttlSecondsAfterFinished": 1}, limits={"timeout": limit})

    assert effective({"timeout": own}, pool).timeout == timeout


@pytest.mark.parametrize(
    ("own", "default", "limit", "ttl", "once_over"),
    [
        (None, None, None, 86400, 86400),
        (None, 60, None, 60, 60),
        (None, None, 30, 30, 30),
        (None, 60, 30, 30, 30),
        (20, 60, 30, 20, 20),
        (0, 60, 30, 0, 0),
        (100, 60, 30, 100, 30),
    ],
)
def test_a_time_to_live_is_within_the_limit_at_the_end_even_if_it_was_raised(
    own: int | None, default: int | None, limit: int | None, ttl: int, once_over: int
) -> None:
    pool = a_pool(
        defaults={"ttlSecondsAfterFinished": default, "timeout": "1m"}, limits={"ttlSecondsAfterFinished": limit}
    )
    spec = a_cijob().with_spec(ttlSecondsAfterFinished=own).job.spec

    assert with_life(spec, pool, SETTINGS).ttl_seconds_after_finished == ttl
    assert with_life(spec, pool, SETTINGS, over=True).ttl_seconds_after_finished == once_over


@pytest.mark.parametrize(
    ("own", "default", "most", "retries"),
    [
        ({}, None, None, (0, 3)),
        ({}, {"limit": 2}, None, (2, 3)),
        ({}, {"limit": 2, "infraLimit": 5}, 1, (1, 1)),
        ({}, None, 0, (0, 0)),
        ({"limit": 1}, {"limit": 2}, 1, (1, 1)),
        ({"limit": 0, "infraLimit": 0}, {"limit": 2, "infraLimit": 5}, None, (0, 0)),
    ],
)
def test_retries_are_the_jobs_or_the_pools_and_never_above_the_limit(
    own: dict[str, int], default: dict[str, int] | None, most: int | None, retries: tuple[int, int]
) -> None:
    pool = a_pool(defaults={"retry": default, "timeout": "1m"}, limits={"retries": most})
    found = effective({"retry": own}, pool).retry

    assert (found.limit, found.infra_limit) == retries


# --- resources


@pytest.mark.parametrize(
    ("own", "default", "most", "requests", "limits"),
    [
        ({}, None, {"cpu": "4"}, {}, {"cpu": "4"}),
        ({}, {"limits": {"cpu": "2"}}, {"cpu": "4"}, {}, {"cpu": "2"}),
        ({}, {"limits": {"cpu": "8"}}, {"cpu": "4"}, {}, {"cpu": "4"}),
        ({}, {"requests": {"cpu": "8"}, "limits": {"cpu": "8"}}, {"cpu": "4"}, {"cpu": "4"}, {"cpu": "4"}),
        ({"limits": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, {"cpu": "4"}, {"cpu": "1"}, {"cpu": "1"}),
        ({"requests": {"cpu": "3"}}, {"limits": {"cpu": "2"}}, {"cpu": "4"}, {"cpu": "3"}, {"cpu": "3"}),
        ({"requests": {"cpu": "3"}}, None, None, {"cpu": "3"}, {}),
        ({}, None, {"nvidia.com/gpu": "1"}, {}, {}),
        ({"limits": {"nvidia.com/gpu": 1}}, None, {"nvidia.com/gpu": "2"}, {}, {"nvidia.com/gpu": "1"}),
        ({}, {"limits": {"memory": "1Gi"}}, {"cpu": "1"}, {}, {"memory": "1Gi", "cpu": "1"}),
    ],
)
def test_resources_are_filled_in_and_stay_within_limits(
    own: dict[str, Any],
    default: dict[str, Any] | None,
    most: dict[str, str] | None,
    requests: dict[str, str],
    limits: dict[str, str],
) -> None:
    pool = a_pool(
        defaults={"resources": default, "docker": {"resources": default}, "timeout": "1m"},
        limits={"resources": most, "docker": {"resources": most}},
    )
    spec = effective({"resources": own, "docker": {"resources": own}}, pool)

    for found in (spec.resources, spec.docker.resources):
        assert ((found.requests or {}), (found.limits or {})) == (requests, limits)


def test_services_get_the_limits_and_not_the_jobs_defaults() -> None:
    pool = a_pool(defaults={"resources": {"requests": {"cpu": "1"}}}, limits={"resources": {"memory": "1Gi"}})
    job = a_cijob().with_service("db").with_service("big", ports=None, resources={"limits": {"memory": "64Mi"}}).job

    found = [service.resources for service in with_resources(job.spec, pool).services or ()]
    assert found == [Resources(limits={"memory": "1Gi"}), Resources(limits={"memory": "64Mi"})]


@pytest.mark.parametrize(
    ("own", "default", "most", "size"),
    [
        (None, None, None, None),
        (None, {"size": "10Gi"}, None, "10Gi"),
        (None, {"size": "10Gi"}, "5Gi", "5Gi"),
        (None, None, "5Gi", "5Gi"),
        ({"medium": "Memory"}, {"size": "1Gi"}, "5Gi", "5Gi"),
        ({"size": "1Gi"}, {"size": "10Gi"}, "5Gi", "1Gi"),
    ],
)
def test_storage_is_filled_in_and_stays_within_the_limit(
    own: dict[str, str] | None, default: dict[str, str] | None, most: str | None, size: str | None
) -> None:
    pool = a_pool(defaults={"docker": {"storage": default}, "timeout": "1m"}, limits={"docker": {"storage": most}})
    storage = effective({"docker": {"storage": own}} if own else {}, pool).docker.storage

    assert (storage.size if storage else None) == size
    assert (storage.medium if storage else None) == (own or {}).get("medium")


def test_a_job_without_docker_stays_without() -> None:
    pool = a_pool(limits={"docker": {"resources": {"cpu": "1"}, "storage": "5Gi"}})

    assert effective({"docker": {"enabled": False}}, pool).docker == a_cijob().without_docker().job.spec.docker


# --- what is not allowed

LIMITS = {
    "timeout": "1h",
    "ttlSecondsAfterFinished": 600,
    "retries": 2,
    "resources": {"cpu": "2", "memory": "4Gi"},
    "docker": {"resources": {"memory": "8Gi"}, "storage": "20Gi"},
}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"timeout": "1h1s"}, "spec.timeout: 1h1s; at most 1h"),
        ({"timeout": "60m"}, None),
        ({"ttlSecondsAfterFinished": 601}, "spec.ttlSecondsAfterFinished: 601; at most 600"),
        ({"retry": {"limit": 3}}, "spec.retry.limit: 3; at most 2"),
        ({"retry": {"infraLimit": 3}}, "spec.retry.infraLimit: 3; at most 2"),
        ({"resources": {"limits": {"cpu": "2001m"}}}, "spec.resources.limits.cpu: 2001m; at most 2"),
        ({"resources": {"requests": {"cpu": 3}}}, "spec.resources.requests.cpu: 3; at most 2"),
        ({"resources": {"limits": {"memory": "4096Mi", "nvidia.com/gpu": 8}}}, None),
        ({"docker": {"resources": {"limits": {"memory": "9Gi"}}}}, "spec.docker.resources.limits.memory: 9Gi; at most 8Gi"),
        ({"docker": {"storage": {"size": "21Gi"}}}, "spec.docker.storage.size: 21Gi; at most 20Gi"),
        (
            {"services": [{"name": "db", "image": "x", "resources": {"limits": {"cpu": 3}}}]},
            "spec.services[0].resources.limits.cpu: 3; at most 2",
        ),
    ],
)  # fmt: skip
def test_what_is_above_a_limit_is_named_with_it(spec: dict[str, Any], says: str | None) -> None:
    assert not_allowed(a_cijob().with_spec(**spec).job.spec, a_pool(limits=LIMITS)) == ([says] if says else [])


@pytest.mark.parametrize(
    ("image", "pattern", "fits"),
    [
        ("ubuntu", "docker.io/library/ubuntu:*", True),
        ("ubuntu:25.10", "docker.io/library/ubuntu:*", True),
        ("ubuntu:25.10", "ubuntu:*", True),
        ("ubuntu", "docker.io/library/ubuntu:latest", True),
        ("docker.io/ubuntu", "docker.io/library/*", True),
        ("index.docker.io/library/ubuntu:1", "docker.io/library/*", True),
        ("team/app:1", "docker.io/team/*", True),
        ("team/app:1", "docker.io/library/*", False),
        ("registry.example.com/team/app:1", "registry.example.com/team/*", True),
        ("registry.example.com:5000/app", "registry.example.com:5000/*", True),
        ("registry.example.com.evil.org/team/app:1", "registry.example.com/*", False),
        ("evil.org/registry.example.com/team/app", "registry.example.com/*", False),
        ("localhost/app", "docker.io/*", False),
        ("ubuntu@sha256:" + "a" * 64, "docker.io/library/ubuntu@sha256:" + "a" * 64, True),
        ("ubuntu@sha256:" + "b" * 64, "docker.io/library/ubuntu@sha256:" + "a" * 64, False),
        ("ubuntu:25.10", "docker.io/library/ubuntu@*", False),
        ("registryXexample.com/app", "registry.example.com/*", False),
        ("ubuntu", "*", True),
    ],
)
def test_images_are_matched_by_their_full_names(image: str, pattern: str, fits: bool) -> None:
    pool = a_pool(images=[pattern])
    service = [{"name": "db", "image": image}]

    assert (not_allowed(a_cijob().with_spec(image=image).job.spec, pool) == []) is fits
    of_service = not_allowed(a_cijob().with_spec(image="ok", services=service).job.spec, a_pool(images=["ok", pattern]))
    assert of_service == ([] if fits else [f"spec.services[0].image: {image}; one of ok, {pattern}"])


def test_no_image_at_all_is_allowed_by_an_empty_list() -> None:
    assert not_allowed(a_cijob().job.spec, a_pool(images=[])) == ["spec.image: ubuntu:25.10; one of "]


def test_a_full_name_is_its_own_full_name() -> None:
    for image in ("ubuntu", "team/app", "r.example.com/x", "localhost:5000/x:1", "a/b@sha256:" + "0" * 64):
        assert full_name(full_name(image)) == full_name(image)


# --- namespaces, settings


@pytest.mark.parametrize(
    ("selector", "labels", "fits"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_a_selector_selects_as_kubernetes_does(selector: dict[str, Any], labels: dict[str, str], fits: bool) -> None:
    assert selects(LabelSelector.model_validate(selector), labels) is fits


def test_without_a_selector_all_namespaces_are_selected() -> None:
    assert selects(None, {})


def test_a_pools_docker_section_takes_the_place_of_the_operators_settings() -> None:
    pool = a_pool(
        docker={
            "image": "registry.example.com/docker:29-dind",
            "mirrors": ["https://mirror.example.com"],
            "insecureRegistries": [],
            "mtu": 1400,
            "addressPools": [{"base": "10.210.0.0/16", "size": 24}],
        },
        onNodeLost="Retry",
        nodeLostGrace="2m",
    )
    found = with_pool_settings(Settings(insecure_registries=("old:5000",)), pool)

    assert found.dind_image == "registry.example.com/docker:29-dind"
    assert (found.registry_mirrors, found.insecure_registries) == (("https://mirror.example.com",), ())
    assert (found.mtu, found.address_pools) == ("1400", ("10.210.0.0/16/24",))
    assert (found.on_node_lost, found.node_lost_grace_seconds) == ("Retry", 120)
    assert with_pool_settings(SETTINGS, a_pool()) is SETTINGS
    script = build_pod(a_cijob().job, 1, found)
    assert any("mirror.example.com" in text for text in script["metadata"]["annotations"].values()), "buildx's, too"


# --- all pools and jobs

SECONDS = st.integers(1, 7200).map(lambda number: f"{number}s")
AMOUNT = st.integers(1, 64).map(str)
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]), AMOUNT)
SMALL = st.integers(0, 10)


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """Requests and limits, none above its limit."""
    limits, requests = draw(AMOUNTS), draw(AMOUNTS)
    return {"limits": limits, "requests": {k: v for k, v in requests.items() if int(v) <= int(limits.get(k, v))}}


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


STORAGE = some(size=AMOUNT, medium=st.sampled_from(["", "Memory"]))
RETRY = some(limit=SMALL, infraLimit=SMALL)
POOLS = st.fixed_dictionaries(
    {
        "defaults": some(
            timeout=SECONDS, queueTimeout=SECONDS, resources=resources(), retry=RETRY, ttlSecondsAfterFinished=SMALL,
            docker=some(resources=resources(), storage=STORAGE),
        ),
        "limits": some(
            timeout=SECONDS, resources=AMOUNTS, retries=SMALL, ttlSecondsAfterFinished=SMALL,
            docker=some(resources=AMOUNTS, storage=AMOUNT),
        ),
    }
).map(BuildPoolSpec.model_validate)  # fmt: skip
SERVICES = st.lists(resources(), max_size=2).map(
    lambda each: [{"name": f"s{number}", "image": "x", "resources": one} for number, one in enumerate(each)]
)
JOBS = some(
    timeout=SECONDS, queueTimeout=SECONDS, resources=resources(), retry=RETRY, ttlSecondsAfterFinished=SMALL,
    docker=some(resources=resources(), storage=STORAGE), services=SERVICES,
).map(lambda spec: a_cijob().with_spec(**spec))  # fmt: skip


@given(JOBS, POOLS)
def test_what_an_allowed_job_gets_is_within_the_limits_and_still_allowed(job: Any, pool: BuildPoolSpec) -> None:  # noqa: ANN401  a builder
    own = job.job.spec
    if not_allowed(own, pool):
        return
    spec = with_resources(with_life(own, pool, SETTINGS), pool)

    assert not_allowed(spec, pool) == []
    limits = pool.limits
    assert limits.timeout is None or parse_duration(spec.timeout or "") <= parse_duration(limits.timeout)
    most = limits.retries
    assert most is None or max(spec.retry.limit, spec.retry.infra_limit) <= most
    pod = build_pod(replace(job.job, spec=spec), 1, SETTINGS)
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        daemon = container["name"] == "dind"
        capped = (limits.docker.resources if limits.docker else None) if daemon else limits.resources
        found = container["resources"]
        for side in ("requests", "limits"):
            for name, amount in found.get(side, {}).items():
                if capped and name in capped:
                    assert parse_quantity(amount) <= parse_quantity(capped[name]), (container["name"], side, name)
        for name in {"cpu", "memory", "ephemeral-storage"} & set(capped or {}):
            assert name in found["limits"], "what has no limit of its own gets the pool's"
        for name, amount in found["requests"].items():
            assert parse_quantity(amount) <= parse_quantity(found.get("limits", {}).get(name, amount))
    storage = limits.docker.storage if limits.docker else None
    if storage is not None:
        (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "docker-data")
        assert parse_quantity(volume["emptyDir"]["sizeLimit"]) <= parse_quantity(storage)


@given(JOBS, POOLS)
def test_what_a_job_says_itself_is_never_changed(job: Any, pool: BuildPoolSpec) -> None:  # noqa: ANN401  a builder
    own = job.job.spec
    spec = with_resources(with_life(own, pool, SETTINGS), pool)

    assert own.timeout in {None, spec.timeout}
    assert own.queue_timeout in {None, spec.queue_timeout}
    assert own.ttl_seconds_after_finished in {None, spec.ttl_seconds_after_finished}
    for field in own.retry.model_fields_set:
        assert getattr(spec.retry, field) == getattr(own.retry, field)
    for before, after in ((own.resources, spec.resources), (own.docker.resources, spec.docker.resources)):
        if before is not None:
            assert (before.requests or {}).items() <= ((after and after.requests) or {}).items()
            assert (before.limits or {}).items() <= ((after and after.limits) or {}).items()


def test_a_pool_without_rules_changes_nothing() -> None:
    spec = a_cijob().job.spec

    assert with_resources(with_life(spec, BuildPoolSpec(), SETTINGS), BuildPoolSpec()) is spec
    assert timeout_seconds(a_cijob().job, SETTINGS) == SETTINGS.default_timeout_seconds
