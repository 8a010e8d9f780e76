"""Settings from the environment: each has a default, and a bad one is a message that names it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from cijob.errors import ConfigurationError
from cijob.settings import PREFIX, Settings


def read(**variables: str) -> Settings:
    """Settings of an environment with these variables, and others that do not concern them."""
    environment = {"PATH": "/bin", "CIJOB_NAME": "x", **{PREFIX + name: value for name, value in variables.items()}}
    return Settings.from_environment(environment)


def test_nothing_needs_to_be_set() -> None:
    assert read() == Settings()


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = Settings()

    assert (settings.dind_image, settings.dind_image_pull_policy) == ("docker:29-dind", "IfNotPresent")
    assert (settings.default_timeout_seconds, settings.default_ttl_seconds) == (3600, 86400)
    assert (settings.termination_grace_seconds, settings.waiting_grace_seconds) == (60, 120)
    assert (settings.namespaces, settings.relist_seconds, settings.health_port) == ((), 300, 8080)
    assert (settings.on_node_lost, settings.node_lost_grace_seconds) == ("Wait", 300)
    assert (settings.log_format, settings.log_level) == ("json", "info")
    assert (settings.registry_mirrors, settings.insecure_registries) == ((), ())
    assert (settings.mtu, settings.address_pools) == ("", ())
    assert settings.job_requests == {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "256Mi"}
    assert settings.dind_requests == {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DIND_IMAGE", " registry.corp/docker:28-dind ", "registry.corp/docker:28-dind"),
        ("DIND_IMAGE_PULL_POLICY", "Always", "Always"),
        ("REGISTRY_MIRRORS", "http://a:5000, https://b ,", ("http://a:5000", "https://b")),
        ("INSECURE_REGISTRIES", "a:5000,b:80", ("a:5000", "b:80")),
        ("MTU", "1400", "1400"),
        ("MTU", "", ""),
        ("ADDRESS_POOLS", "10.210.0.0/16/24,fd00::/48/64", ("10.210.0.0/16/24", "fd00::/48/64")),
        ("ADDRESS_POOLS", "", ()),
        ("JOB_REQUESTS", "cpu=2,memory=1.5Gi", {"cpu": "2", "memory": "1.5Gi"}),
        ("DIND_REQUESTS", "", {}),
        ("DEFAULT_TIMEOUT_SECONDS", "7200", 7200),
        ("DEFAULT_TTL_SECONDS", "0", 0),
        ("TERMINATION_GRACE_SECONDS", "30", 30),
        ("WAITING_GRACE_SECONDS", "0", 0),
        ("ON_NODE_LOST", "Retry", "Retry"),
        ("NODE_LOST_GRACE_SECONDS", "0", 0),
        ("NAMESPACES", "team-a,team-b", ("team-a", "team-b")),
        ("RELIST_SECONDS", "1", 1),
        ("HEALTH_PORT", "9090", 9090),
        ("LOG_FORMAT", "console", "console"),
        ("LOG_LEVEL", "debug", "debug"),
    ],
)
def test_a_setting_is_read(name: str, text: str, value: object) -> None:
    assert getattr(read(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("DIND_IMAGE", " ", "must name an image"),
        ("DIND_IMAGE_PULL_POLICY", "always", "one of Always, IfNotPresent, Never"),
        ("MTU", "jumbo", "from 576 to 65535"),
        ("MTU", "1", "from 576 to 65535"),
        ("ADDRESS_POOLS", "10.210.0.0", "such as 10.210.0.0/16/24"),
        ("ADDRESS_POOLS", "10.210.0.0/16", "such as 10.210.0.0/16/24"),
        ("ADDRESS_POOLS", "10.210.0.0/16/8", "such as 10.210.0.0/16/24"),
        ("ADDRESS_POOLS", "10.210.0.0/16/33", "such as 10.210.0.0/16/24"),
        ("ADDRESS_POOLS", "10.210.0.1/16/24", "such as 10.210.0.0/16/24"),
        ("ADDRESS_POOLS", "ten/16/24", "such as 10.210.0.0/16/24"),
        ("JOB_REQUESTS", "cpu", "cpu=100m,memory=128Mi"),
        ("JOB_REQUESTS", "=1", "cpu=100m,memory=128Mi"),
        ("JOB_REQUESTS", "cpu=", "cpu=100m,memory=128Mi"),
        ("DIND_REQUESTS", "memory=lots", "not a quantity"),
        ("DEFAULT_TIMEOUT_SECONDS", "1h", "whole number"),
        ("DEFAULT_TIMEOUT_SECONDS", "0", "from 1 to"),
        ("DEFAULT_TTL_SECONDS", "-1", "from 0 to"),
        ("TERMINATION_GRACE_SECONDS", "0", "from 1 to"),
        ("WAITING_GRACE_SECONDS", "1.5", "whole number"),
        ("ON_NODE_LOST", "retry", "one of Wait, Retry"),
        ("NODE_LOST_GRACE_SECONDS", "5m", "whole number"),
        ("RELIST_SECONDS", "0", "from 1 to"),
        ("HEALTH_PORT", "65536", "from 1 to 65535"),
        ("HEALTH_PORT", "", "whole number"),
        ("HEALTH_PORT", "²", "whole number"),
        ("LOG_FORMAT", "text", "one of json, console"),
        ("LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
    ],
)
def test_a_bad_setting_is_named(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: text})

    assert PREFIX + name in str(caught.value)
    assert says in str(caught.value)


def test_an_unknown_setting_is_no_silent_typo() -> None:
    with pytest.raises(ConfigurationError, match="CIJOB_OPERATOR_RELIST_SECOND is not a setting") as caught:
        read(RELIST_SECOND="5")

    assert "CIJOB_OPERATOR_RELIST_SECONDS" in str(caught.value)


def test_settings_do_not_change() -> None:
    settings = Settings()

    for spec in fields(settings):
        with pytest.raises(FrozenInstanceError):
            setattr(settings, spec.name, None)
    with pytest.raises(TypeError):
        settings.job_requests["cpu"] = "1"  # type: ignore[index]  # that it cannot be set is the test
