"""The disk that virtual machines start from: Debian with what a node needs, without anything of one cluster.

It is kept under a hash of all that goes into it, is only ever read, and may be deleted while no virtual machine runs.
"""

import hashlib
import json
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.images.apt import Apt
from tests.cluster.images.build import Builder
from tests.cluster.images.oci import File
from tests.cluster.images.recipe import Rootfs
from tests.cluster.locks import locked
from tests.cluster.progress import step
from tests.cluster.shell import run

FORMAT = 1  # to be raised when the same recipe is written in another way
SIZE = "24G"  # of the file system; the file is sparse and holds what is in it
SYSTEM = Rootfs(
    "node",
    "trixie",
    (
        "ca-certificates", "conntrack", "containerd", "containernetworking-plugins", "dbus", "ethtool",
        "initramfs-tools", "iproute2", "iptables", "kmod", "linux-image-cloud-amd64", "procps", "runc", "socat",
        "systemd-sysv", "udev", "util-linux", "zstd",
    ),
)  # fmt: skip
FILES = Path(__file__).with_name("files")
UNITS = "/etc/systemd/system"
COMMANDS = "/etc/cijob"  # where each daemon's command is
DAEMONS = ("kubelet", "kube-proxy")
# They only cost time, and under emulation much of it.
UNWANTED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "getty@tty1.service", "serial-getty@ttyS0.service", "ldconfig.service",
    "modprobe@efi_pstore.service", "systemd-hwdb-update.service", "systemd-journal-catalog-update.service",
    "systemd-networkd-wait-online.service", "systemd-pstore.service", "systemd-update-done.service",
)  # fmt: skip
# What is asked for later is loaded then, but for these: nobody asks for them by name.
MODULES = ("br_netfilter", "nf_conntrack", "overlay")


@dataclass(frozen=True)
class Disk:
    """What a virtual machine is started with, all of it to be read only."""

    folder: Path

    @property
    def root(self) -> Path:
        """The root file system, as a raw disk."""
        return self.folder / "root.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def static_files() -> tuple[File, ...]:
    """What the system has on top of Debian's packages: it unpacks the second disk, then starts the node's daemons."""
    wanted = {
        "sysinit.target": {"cijob-unpack.service": f"{UNITS}/cijob-unpack.service"},
        "multi-user.target": {
            "systemd-networkd.service": "/usr/lib/systemd/system/systemd-networkd.service",
            **{f"cijob@{daemon}.service": f"{UNITS}/cijob@.service" for daemon in DAEMONS},
        },
    }
    texts = {
        "/etc/modules-load.d/cijob.conf": "\n".join([*MODULES, ""]),
        "/etc/sysctl.d/cijob.conf": "net.ipv4.ip_forward = 1\n",
        "/etc/fstab": "",
    }
    return (
        *(File(f"{UNITS}/{unit}", target="/dev/null") for unit in UNWANTED),
        *(File(f"{UNITS}/{path.name}", path.read_bytes(), mode=0o644) for path in sorted(FILES.iterdir())),
        *(
            File(f"{UNITS}/{target}.wants/{unit}", target=path)
            for target, units in wanted.items()
            for unit, path in units.items()
        ),
        *(File(path, text.encode(), mode=0o644) for path, text in texts.items()),
    )


class Disks:
    """Makes the disk in a cache folder."""

    def __init__(self, cache: Path, apt: Apt, program: Path) -> None:
        self.folder = cache / "vm"
        self.program = program  # all of Kubernetes: its path changes with its content
        self.builder = Builder(cache, apt)
        self.apt = apt

    def get(self) -> Disk:
        """The disk, made unless the cache has it.

        Raises:
            ClusterError: this is no x86_64, or a package could not be had.
        """
        if platform.machine() != "x86_64":
            raise ClusterError("virtual machines are made for x86_64 only", "Leave `--vm` out.")
        final = self.folder / f"{SYSTEM.label}-{self.key()}"
        if not final.exists():
            with locked(self.folder / "lock", "the disk of virtual machines, which another `up` is making"):
                if not final.exists():
                    self.make(final)
        return Disk(final)

    def key(self) -> str:
        """Changes with anything that goes into the disk."""
        recipe = [FORMAT, SIZE, asdict(SYSTEM), asdict(self.apt), str(self.program)]
        content = json.dumps(recipe, sort_keys=True)
        return hashlib.sha256(f"{content}{static_files()}".encode()).hexdigest()[:16]

    def make(self, final: Path) -> None:
        """Make the disk; it appears whole or not at all, and in place of those of earlier recipes."""
        work = final.with_name(f"{final.name}.unfinished")
        with step(f"make the disk of virtual machines (kept in {final})"):
            for outdated in self.folder.glob(f"{SYSTEM.label}-*"):
                shutil.rmtree(outdated)
            work.mkdir()
            self.fill(Disk(work), work / "system")
            shutil.rmtree(work / "system")
            work.rename(final)

    def fill(self, disk: Disk, system: Path) -> None:
        """Install the packages in a folder, then write that as a disk."""
        self.builder.folder.mkdir(parents=True, exist_ok=True)
        self.builder.mmdebstrap(SYSTEM, system)
        for file in static_files():
            place(system, file)
        below(system, self.program).parent.mkdir(parents=True)
        shutil.copy2(self.program, below(system, self.program))
        shutil.copy(newest(system, "vmlinuz-*"), disk.kernel)
        shutil.copy(newest(system, "initrd.img-*"), disk.initrd)
        # nothing of the file system's own is written to where the file has a hole: that reads as zeros anyway
        options = "lazy_itable_init=1,lazy_journal_init=1"
        run(["mkfs.ext4", "-q", "-F", "-E", options, "-d", system, disk.root, SIZE])


def place(system: Path, file: File) -> None:
    """Put one file below a folder that will be the root of a system."""
    path = below(system, file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if file.content is None:
        path.symlink_to(file.target)
    else:
        path.write_bytes(file.content)
        path.chmod(file.mode)


def below(system: Path, path: Path | str) -> Path:
    """Where a file of the system lies now."""
    return system / str(path).lstrip("/")


def newest(system: Path, pattern: str) -> Path:
    """The one kernel or initial file system, or the newest."""
    return max((system / "boot").glob(pattern))
