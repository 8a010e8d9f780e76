"""A node that is a virtual machine: a kernel of its own, and so cgroup v2, whatever this machine has."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.cluster import network, node
from tests.cluster.api import Api, answers
from tests.cluster.config import Config, NodeConfig
from tests.cluster.pki import Pki
from tests.cluster.processes import Daemon, Supervisor
from tests.cluster.progress import step
from tests.cluster.shell import write
from tests.cluster.vm import guest
from tests.cluster.vm.disk import Disk
from tests.cluster.vm.qemu import HARDWARE, SOFTWARE, Accelerator, Guest, choose_accelerator

KUBELET_PORT = 10248
PROXY_PORT = 10256


class VirtualMachine:
    """One virtual machine. To the cluster it is a single daemon: it ends with its process, and leaves nothing."""

    def __init__(self, config: Config, item: NodeConfig, supervisor: Supervisor, api: Api) -> None:
        self.config = config
        self.item = item
        self.supervisor = supervisor
        self.api = api

    def start(self, disk: Disk, program: Path, pki: Pki) -> None:
        """Start it unless it runs as wanted; does not wait until it is ready."""
        accelerator = self.accelerator(disk.kernel)
        network.connect_vm(self.config, self.item)
        kubelet = node.kubelet(self.item, program, self.api, guest.VERSION)
        files = [
            *guest.configuration(self.config, self.item, pki),
            *guest.credentials(self.config, self.item, pki),
            *guest.commands(kubelet, node.proxy(self.item, program)),
        ]
        archive = guest.pack(files, self.item.folder)
        with step(f"{self.item.name}: start a virtual machine with {accelerator.words}"):
            self.supervisor.start(self.daemon(self.guest(disk, archive).argv(accelerator)))

    def guest(self, disk: Disk, archive: Path) -> Guest:
        item = self.item
        console = self.supervisor.log(item.name)
        return Guest(item.name, item.address, item.interface, disk.root, archive, disk.kernel, disk.initrd, console)

    def accelerator(self, kernel: Path) -> Accelerator:
        """Whether the processor helps, tried once for each cluster: while it runs, the answer must stay the same."""
        if not self.noted.exists():
            with step(f"{self.item.name}: try hardware virtualization"):
                write(self.noted, choose_accelerator(kernel).words)
        return self.noted_accelerator()

    def noted_accelerator(self) -> Accelerator:
        """What the trial found."""
        return HARDWARE if self.noted.exists() and self.noted.read_text() == HARDWARE.words else SOFTWARE

    @property
    def noted(self) -> Path:
        return self.item.folder / "accelerator"

    def wait(self) -> None:
        """Wait until it is a node that works."""
        accelerator = self.noted_accelerator()
        self.wait_for(f"the kubelet ({accelerator.words}: {accelerator.usual})", lambda: self.works(KUBELET_PORT))
        self.wait_for("kube-proxy", lambda: self.works(PROXY_PORT))
        self.wait_for("the node's own word that it is ready", self.daemon().ready)

    def wait_for(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait for one stage on its way, and say so."""
        if not ready():
            with step(f"{self.item.name}: wait for {what}"):
                seconds = self.noted_accelerator().boot_seconds
                self.supervisor.wait(replace(self.daemon(), ready=ready, seconds=seconds))

    def daemon(self, argv: tuple[str, ...] = ()) -> Daemon:
        """The process; without a command to ask about it only."""
        return Daemon(
            self.item.name,
            argv,
            lambda: self.works(KUBELET_PORT) and self.works(PROXY_PORT) and self.api.node_ready(self.item.name),
            group=node.daemon_group(self.item),
            env={"TMPDIR": str(self.item.folder)},  # what it writes to its disk goes into a nameless file there
        )

    def works(self, port: int) -> bool:
        """Whether a daemon in it says that it is well."""
        return answers(f"http://{self.item.address}:{port}/healthz")
