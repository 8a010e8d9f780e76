"""The images with a Docker daemon: the stand-in for docker:29-dind, and variants of it that only tests need.

All share one root file system, so that a variant is a layer of a few files.
"""

import json
import subprocess
from collections.abc import Iterable

from tests.cluster.images.oci import File, Settings
from tests.cluster.images.recipe import BUSYBOX, Recipe, Rootfs, script

# forky is the first release of Debian with Docker 28.5; Docker 29 is in none
DOCKER = Rootfs(
    "docker",
    "forky",
    (
        "ca-certificates", "docker-buildx", "docker-cli", "docker-compose", "docker.io", "git", "iproute2", "iptables",
        "openssh-client", "procps", "tini", "util-linux",
    ),
)  # fmt: skip
SETTINGS = Settings(("dockerd-entrypoint.sh",), env=("DOCKER_TLS_CERTDIR=/certs",))
IPTABLES = tuple(f"{name}{action}" for name in ("iptables", "ip6tables") for action in ("", "-save", "-restore"))
# Names of applets that would break Debian's packages, or make BusyBox an init.
KEPT = {"busybox", "dpkg", "dpkg-deb", "init", "linuxrc", "rpm", "rpm2cpio"}
# Programs that Alpine's image lacks and that no applet hides.
NOT_IN_ALPINE = ("bash", "dash", "perl", "prlimit", "ss", "stdbuf", "systemd-detect-virt")


def docker() -> Recipe:
    """The image of pools, with Docker's client."""
    return Recipe("docker:29-dind", SETTINGS, entry_points(), DOCKER, ("docker:29-cli",))


def busybox() -> Recipe:
    """A userland of BusyBox in place of util-linux, coreutils, iproute2, procps and dash, as in the real image."""
    files = (*busybox_userland(), *without("/usr/bin", NOT_IN_ALPINE))
    return Recipe("docker:29-dind-busybox", SETTINGS, (*entry_points(), *files), DOCKER)


def bare() -> Recipe:
    """Docker's programs alone: no entry point, no wrapper, no docker-init."""
    return Recipe("docker:29-dind-bare", Settings(command=("dockerd",)), without("/usr/bin", ["docker-init"]), DOCKER)


def snapshotter() -> Recipe:
    """Images in containerd's store, as Docker 29 has them unless told otherwise."""
    settings = json.dumps({"features": {"containerd-snapshotter": True}}).encode()
    files = (File("/etc/docker"), File("/etc/docker/daemon.json", settings, mode=0o644))
    return Recipe("docker:29-dind-snapshotter", SETTINGS, (*entry_points(), *files), DOCKER)


def unshares() -> Recipe:
    """An entry point that makes a cgroup namespace by itself, where the node has cgroup v2."""
    return Recipe("docker:29-dind-unshares", SETTINGS, (*entry_points(), script("own-cgroup-namespace")), DOCKER)


def legacy() -> Recipe:
    """As on a kernel without nf_tables: only the older iptables works."""
    broken = File("/usr/sbin/xtables-nft-multi", no_kernel_support("nf_tables"))
    return Recipe("docker:29-dind-legacy", SETTINGS, (*entry_points(), broken), DOCKER)


def no_iptables() -> Recipe:
    """As on a kernel that knows neither flavour of iptables."""
    broken = [
        File(f"/usr/sbin/xtables-{flavour}-multi", no_kernel_support(module))
        for flavour, module in (("nft", "nf_tables"), ("legacy", "ip_tables"))
    ]
    return Recipe("docker:29-dind-no-iptables", SETTINGS, (*entry_points(), *broken), DOCKER)


def entry_points() -> tuple[File, ...]:
    """What Debian's packages do not have: the entry points, and the older iptables where they look for it."""
    folder = "/usr/local/sbin/.iptables-legacy"
    links = (
        File(f"{folder}/{name}", target=f"/usr/sbin/{name.replace('tables', 'tables-legacy')}") for name in IPTABLES
    )
    return (
        script("dockerd-entrypoint.sh"),
        script("dind"),
        script("make-certificates"),
        File("/certs", mode=0o1777),
        File(folder),
        *links,
    )


def no_kernel_support(module: str) -> bytes:
    return f'#!/bin/sh\necho "iptables: the kernel has no {module} (this image says so)" >&2\nexit 1\n'.encode()


def busybox_userland() -> tuple[File, ...]:
    """BusyBox under the names of its applets, before and in place of all others."""
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    applets = sorted(set(listed) - KEPT)
    return (
        File("/usr/bin/busybox", BUSYBOX.read_bytes()),
        *(
            File(f"/usr/{folder}/{applet}", target="/usr/bin/busybox")
            for folder in ("bin", "sbin")
            for applet in applets
        ),
    )


def without(folder: str, names: Iterable[str]) -> tuple[File, ...]:
    """Entries that take files of the layer below away."""
    return tuple(File(f"{folder}/.wh.{name}", b"", mode=0o644) for name in names)
