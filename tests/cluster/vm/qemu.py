"""QEMU: its command line, and whether the machine's processor helps it."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.shell import run

PROGRAM = "qemu-system-x86_64"
KVM = Path("/dev/kvm")
PROCESSORS = 2
MEMORY_MIB = 5120
TRIAL_SECONDS = 20  # a processor that helps needs one, or a few on a busy machine
PANIC = "Kernel panic"
# Asked of a kernel that has no disk: it starts, finds nothing to go on with, and ends.
TRIAL = ("-machine", "q35", "-m", "256", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none")
# The limits are for a machine that is emulated, while the emulator's machine has other things to do as well.
KERNEL_OPTIONS = (
    "root=/dev/vda", "rw", "rootflags=noinit_itable", "net.ifnames=0", "console=ttyS0", "quiet", "panic=-1",
    "mitigations=off", "systemd.show_status=0", "systemd.journald.forward_to_console=1",
    "systemd.default_device_timeout_sec=600", "systemd.default_timeout_start_sec=600",
)  # fmt: skip


@dataclass(frozen=True)
class Accelerator:
    """How the guest's instructions are carried out.

    Attributes:
        argv: options of QEMU.
        words: for people.
        usual: how long a node takes to get ready on a machine with nothing else to do, for people.
        boot_seconds: how long a node may take to get ready.
    """

    argv: tuple[str, ...]
    words: str
    usual: str
    boot_seconds: float


HARDWARE = Accelerator(("-accel", "kvm", "-cpu", "host"), "hardware virtualization", "some seconds", 120)
# Without the processor's quick ways to copy bytes: emulated, they go byte by byte, and cost a sixth of all time.
SOFTWARE = Accelerator(
    ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-erms,-fsrm"), "software emulation", "about a minute", 900
)


@dataclass(frozen=True)
class Guest:
    """One virtual machine.

    Attributes:
        name: its host name.
        address: its address, which its hardware address is made from.
        interface: the machine's end of its cable.
        root: the disk that it starts from; what it writes there is forgotten at its end.
        config: the archive that its second disk consists of.
        kernel: its kernel.
        initrd: the kernel's initial file system.
        console: file for all that it says.
    """

    name: str
    address: IPv4Address
    interface: str
    root: Path
    config: Path
    kernel: Path
    initrd: Path
    console: Path

    def argv(self, accelerator: Accelerator) -> tuple[str, ...]:
        """The command that runs it."""
        return (
            PROGRAM, "-name", self.name, *accelerator.argv,
            "-machine", "q35", "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", str(self.kernel), "-initrd", str(self.initrd),
            "-append", " ".join((*KERNEL_OPTIONS, f"systemd.hostname={self.name}")),
            "-drive", f"file={self.root},if=virtio,format=raw,snapshot=on",
            "-drive", f"file={self.config},if=virtio,format=raw,readonly=on",
            "-netdev", f"tap,id=net0,ifname={self.interface},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net0,mac={hardware_address(self.address)},romfile=",
            "-device", "virtio-rng-pci",
            "-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console",
        )  # fmt: skip


def hardware_address(address: IPv4Address) -> str:
    """A MAC address that no other guest has: QEMU's usual first bytes, then the IP address."""
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, *address.packed))


def choose_accelerator(kernel: Path) -> Accelerator:
    """The processor's help where it can be had and works.

    There are machines, virtual ones mostly, whose /dev/kvm opens and answers, but then cannot run a guest: so a kernel
    is started on trial.
    """
    return HARDWARE if os.access(KVM, os.R_OK | os.W_OK) and boots(kernel, HARDWARE) else SOFTWARE


def boots(kernel: Path, accelerator: Accelerator) -> bool:
    """Whether a kernel comes as far as to look for its disk; in vain, since it is given none."""
    argv = [PROGRAM, *accelerator.argv, *TRIAL, "-serial", "stdio", "-kernel", str(kernel)]
    try:
        return PANIC in run([*argv, "-append", "console=ttyS0 panic=-1 quiet"], seconds=TRIAL_SECONDS)
    except ClusterError:
        return False
