"""Programs inside of inner containers on a node with cgroup v2: what a Go program sees, and a service manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.images import provide
from tests.e2e.test_programs import BOOT

if TYPE_CHECKING:
    from tests.e2e.pods import Pods

#: Emulation makes of half a second ten.
DOCKER = {"startTimeout": "20m", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}


def test_go_sees_the_cpus_of_the_sidecar_and_a_service_manager_boots(pods: Pods) -> None:
    provide("cijob-dev/cpus:1", "cijob-dev/systemd:1")
    pod = pods.start("programs", "docker run --rm cijob-dev/cpus:1", BOOT, docker=DOCKER)
    lines = pod.succeeded().splitlines()
    assert "limit=150000/100000" in lines
    assert {"running", "degraded"} & set(lines)
    assert "active" in lines
    pod.delete()
