"""Images that tests run inside of inner containers: dockerd pulls them from the local registry, no node needs them."""

from pathlib import Path

from tests.cluster.images.daemons import DOCKER
from tests.cluster.images.oci import File, Settings
from tests.cluster.images.recipe import Recipe, Rootfs
from tests.cluster.toolchain import Toolchain

CPUS = Path(__file__).with_name("cpus")
RYUK = Path(__file__).with_name("ryuk")
JAVA = Rootfs("java", "trixie", ("default-jre-headless",))
# 252 is the last systemd that boots on cgroup v1 without being told to
SYSTEMD = Rootfs("systemd", "bookworm", ("systemd-sysv",))
# What a container needs not, and what a privileged one would change on the node.
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "console-getty.service", "dev-hugepages.mount", "dpkg-db-backup.timer",
    "getty.target", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-binfmt.service", "systemd-firstboot.service",
    "systemd-logind.service", "systemd-modules-load.service", "systemd-random-seed.service", "systemd-sysctl.service",
)  # fmt: skip
BUILDKIT = "github.com/moby/buildkit@v0.25.0"  # the version in the go.mod of buildx 0.29, which DOCKER has


def cpus(tools: Toolchain) -> Recipe:
    """Prints `GOMAXPROCS=N` and `limit=QUOTA/PERIOD`, as a Go program sees its container."""
    program = tools.program(CPUS)
    return Recipe("cijob-dev/cpus:1", Settings(("/cpus",)), (File("/cpus", program.read_bytes()),))


def java(_tools: Toolchain) -> Recipe:
    """Prints what the JVM sees of the container: `Effective CPU Count`, and which version of cgroups it found."""
    command = ("java", "-XshowSettings:system", "-version")
    return Recipe("cijob-dev/java:1", Settings(command=command), rootfs=JAVA)


def systemd(_tools: Toolchain) -> Recipe:
    """Boots a service manager, as the nodes of kind do."""
    folder = "/etc/systemd/system"
    files = (
        File(f"{folder}/default.target", target="/lib/systemd/system/multi-user.target"),
        *(File(f"{folder}/{unit}", target="/dev/null") for unit in MASKED),
    )
    return Recipe("cijob-dev/systemd:1", Settings(command=("/sbin/init",), env=("container=docker",)), files, SYSTEMD)


def buildkit(tools: Toolchain) -> Recipe:
    """What `docker buildx create` starts: the name is buildx's own."""
    folder = tools.built(BUILDKIT, "./cmd/buildkitd", "./cmd/buildctl")
    files = (
        *(File(f"/usr/bin/{name}", (folder / name).read_bytes()) for name in ("buildkitd", "buildctl")),
        File("/usr/bin/buildkit-runc", target="/usr/bin/runc"),
    )
    return Recipe("moby/buildkit:buildx-stable-1", Settings(("buildkitd",)), files, DOCKER)


def ryuk(tools: Toolchain) -> Recipe:
    """What Testcontainers starts to clean up: the name and tag are those of its Python package."""
    program = tools.program(RYUK)
    return Recipe("testcontainers/ryuk:0.8.1", Settings(("/ryuk",)), (File("/ryuk", program.read_bytes()),))
