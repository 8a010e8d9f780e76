"""A node that is a virtual machine: a kernel of its own, and so cgroup v2, whatever this machine has."""

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


class VirtualMachine:
    """One virtual machine. To the cluster it is a single daemon: it ends with its process, and leaves nothing."""

    def __init__(self, config: Config, item: NodeConfig, supervisor: Supervisor, api: Api) -> None:
        self.config = config
        self.item = item
        self.supervisor = supervisor
        self.api = api

    def start(self, disk: Disk, program: Path, pki: Pki) -> None:
        """Start it unless it runs as wanted; does not wait until it is ready."""
        accelerator = self.accelerator(disk)
        network.connect_vm(self.config, self.item)
        kubelet = node.kubelet(self.item, program, self.api, guest.VERSION)
        files = [
            *guest.configuration(self.config, self.item, pki),
            *guest.credentials(self.config, self.item, pki),
            *guest.daemons(self.item, kubelet, node.proxy(self.item, program)),
        ]
        archive = guest.pack(files, program, self.item.folder)
        with step(f"{self.item.name}: start a virtual machine with {accelerator.words}"):
            self.supervisor.start(self.daemon(self.guest(disk, archive).argv(accelerator)))

    def guest(self, disk: Disk, archive: Path) -> Guest:
        item = self.item
        console = self.supervisor.log(item.name)
        return Guest(item.name, item.address, item.interface, disk.root, archive, disk.kernel, disk.initrd, console)

    def accelerator(self, disk: Disk) -> Accelerator:
        """Whether the processor helps, tried once for each cluster: while it runs, the answer must stay the same."""
        noted = self.item.folder / "accelerator"
        if not noted.exists():
            with step(f"{self.item.name}: try hardware virtualization"):
                write(noted, choose_accelerator(disk.kernel).argv[1])
        return HARDWARE if noted.read_text() == HARDWARE.argv[1] else SOFTWARE

    def daemon(self, argv: tuple[str, ...] = ()) -> Daemon:
        """The process; without a command to ask about it only."""
        return Daemon(
            self.item.name,
            argv,
            lambda: self.works("10248") and self.works("10256") and self.api.node_ready(self.item.name),
            group=node.daemon_group(self.item),
            env={"TMPDIR": str(self.item.folder)},  # what it writes to its disk goes into a nameless file there
            seconds=SOFTWARE.boot_seconds,
        )

    def works(self, port: str) -> bool:
        """Whether a daemon in it says that it is well: 10248 is the kubelet's, 10256 kube-proxy's port for that."""
        return answers(f"http://{self.item.address}:{port}/healthz")
