"""The containers of the launchers' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.launcher.daemon import DOCKER, DOCKERD
from tests.unit.launcher.userland import SHELLS, Container, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SHELLS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """A job container without a daemon, once for each userland: dash, Debian with bash, BusyBox."""
    return Container(tmp_path / "cijob", str(request.param))


@pytest.fixture(params=[shell for shell in SHELLS if shell != "busybox"])
def tools_job(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    """A job container that waits for a daemon and whose tools a test may replace: Debian's BusyBox prefers its own."""
    return Container(tmp_path / "cijob", str(request.param), {"CIJOB_DAEMON": "1"})


@pytest.fixture
def dind(job: Container) -> Container:
    """A sidecar whose daemon answers, on a node with cgroup v1 and no limits."""
    program(job.bin, "dockerd", DOCKERD)
    program(job.bin, "docker", DOCKER)
    program(job.bin, "iptables", "#!/bin/sh\n")
    (job.root / "answer").touch()
    (job.root / "resolv").write_text("nameserver 10.96.0.10\nsearch default.svc\n")
    (job.root / "net/eth0").mkdir(parents=True)
    (job.root / "net/eth0/mtu").write_text("1400\n")
    (job.root / "routes").write_text(
        "Iface\tDestination\tGateway\nlo\t0000007F\t00000000\neth0\t00000000\t0100C80A\neth0\t0000C80A\t00000000\n"
    )
    (job.root / "groups").write_text("0::/\n")
    (job.root / "cgroup/memory").mkdir(parents=True)
    (job.root / "cgroup/memory/memory.stat").write_text("rss 4096\nhierarchical_memory_limit 9223372036854771712\n")
    (job.root / "cgroup/memory/memory.max_usage_in_bytes").write_text("4096\n")
    (job.root / "cgroup/memory/docker").mkdir()
    (job.root / "cgroup/memory/docker/memory.max_usage_in_bytes").write_text("2048\n")
    job.env |= {
        "CIJOB_RUN": str(job.root / "state"),
        "CIJOB_SYSTEM_SOCKET": str(job.root / "system.sock"),
        "CIJOB_NET": str(job.root / "net"),
        "CIJOB_ROUTES": str(job.root / "routes"),
        "CIJOB_GROUPS": str(job.root / "groups"),
        "CIJOB_RESOLV": str(job.root / "resolv"),
        "CIJOB_DATA": str(job.root),
    }
    return job
