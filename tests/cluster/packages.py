"""Debian packages that the embedded cluster needs, installed only where they are missing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.cluster.shell import find, run

# What has to be there, and the package that brings it.
PROGRAMS = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/usr/bin/docker-registry": "docker-registry",
    # Its own record, not its program: the package busybox has that too, but cannot run in an image of its own.
    "/var/lib/dpkg/info/busybox-static.list": "busybox-static",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "buildah": "buildah",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "skopeo": "skopeo",
    "socat": "socat",
    "zstd": "zstd",
}
VM_PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
FORBID_SERVICES = "#!/bin/sh\n# made by tests/cluster while it installs packages\nexit 101\n"
APT_HINT = "Check the network and /etc/apt, try `apt-get update` by hand, then run `up` again."
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages whose programs are not there."""
    return sorted({package for program, package in programs.items() if not present(program)})


def present(program: str) -> bool:
    """Whether a file is there or, for a bare name, a program on PATH."""
    return Path(program).exists() if program.startswith("/") else find(program) is not None


def ensure(*, vm: bool = False) -> None:
    """Install what is missing; with `vm`, what a virtual machine needs too.

    Raises:
        ClusterError: this is no Debian, or apt failed.
    """
    programs = {**PROGRAMS, **VM_PROGRAMS} if vm else PROGRAMS
    wanted = missing(programs)
    if not wanted:
        return
    install(wanted)
    if still := missing(programs):
        raise ClusterError(
            f"apt installed {', '.join(still)}, but not the programs that are looked for",
            "This is Debian bookworm's layout of files: the list is in tests/cluster/packages.py.",
        )


def install(packages: list[str]) -> None:
    """Install packages without letting them start services: the cluster runs its own containerd and registry."""
    if find("apt-get") is None:
        raise ClusterError(
            f"these packages of Debian are missing: {', '.join(packages)}",
            "Install their equals, or use a machine with Debian, or one where a Docker engine answers.",
        )
    with step(f"apt-get install {' '.join(packages)}"), no_services():
        run(["apt-get", "update", "-qq"], env=QUIET, hint=APT_HINT)
        install_words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        run([*install_words, *packages], env=QUIET, seconds=1200, hint=APT_HINT)


@contextmanager
def no_services() -> Iterator[None]:
    """Forbid packages to start services for a while, unless the machine has a policy of its own, as containers do."""
    if SERVICE_POLICY.exists() and SERVICE_POLICY.read_text() != FORBID_SERVICES:
        yield
        return
    SERVICE_POLICY.write_text(FORBID_SERVICES)
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY.unlink()
