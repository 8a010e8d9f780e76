"""All names, addresses, ports and folders of one development cluster, derived from the number of its instance."""

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.shell import write

MAX_INSTANCE = 9
MAX_NODES = 5
VM_NAME = "vm1"
CLUSTER_DOMAIN = "cluster.local"
REGISTRY_PORT = 5000
PRIVATE_REGISTRY_PORT = 5001
API_PORT = 6443


@dataclass(frozen=True)
class NodeConfig:
    """One node: containerd and kubelet in network and mount namespaces of their own, or in a virtual machine.

    Attributes:
        name: name of the Node object.
        address: address of the node on the cluster's bridge.
        pods: the node's share of the Pod addresses.
        interface: the host's end of the cable to the node.
        folder: what goes at `down`: volumes, logs, configuration. A virtual machine has its own at the same path.
        keep: what outlives `down`: containerd's images. Those of a virtual machine do not.
    """

    name: str
    address: IPv4Address
    pods: IPv4Network
    interface: str
    folder: Path
    keep: Path

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"


@dataclass(frozen=True)
class Config:
    """One cluster.

    Attributes:
        instance: 0 is the cluster of `make demo` and `make test`; others are separate clusters beside it.
        state: folder of this instance on a real disk; holds `run` (ends with `down`) and `keep` (image stores).
        cache: binaries and images, shared by all instances and never required.
        node_count: how many nodes are namespaces of this machine.
        vm: whether there is one more, a virtual machine with cgroup v2.
        nodes: the nodes that are namespaces, node1 first.
    """

    instance: int
    state: Path
    cache: Path
    node_count: int = 1
    vm: bool = False

    @property
    def name(self) -> str:
        return f"cijob-dev{self.instance}"

    @property
    def network(self) -> IPv4Network:
        """Every address of the cluster lies in here: one rule covers all of it."""
        return IPv4Network(f"10.{200 + self.instance}.0.0/16")

    @property
    def node_network(self) -> IPv4Network:
        return IPv4Network((int(self.network.network_address), 24))

    @property
    def pod_network(self) -> IPv4Network:
        return IPv4Network((int(self.network.network_address) + (64 << 8), 18))

    @property
    def service_network(self) -> IPv4Network:
        return IPv4Network((int(self.network.network_address) + (128 << 8), 18))

    @property
    def host(self) -> IPv4Address:
        """The machine's own address on the bridge: API server, registry and DNS listen there."""
        return self.node_network.network_address + 1

    @property
    def bridge(self) -> str:
        return f"cijob{self.instance}"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def keep(self) -> Path:
        return self.state / "keep"

    @property
    def machine(self) -> Path:
        """What the clusters of this machine have changed on it together, to be put back by the last one."""
        return self.state.parent / "machine"

    def others(self) -> bool:
        """Whether another cluster is up, or was not taken down."""
        return any(folder != self.run for folder in self.state.parent.glob("*/run"))

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.jsonl"

    @property
    def kubeconfig(self) -> Path:
        return self.run / "admin.kubeconfig"

    @property
    def api_url(self) -> str:
        return f"https://{self.host}:{API_PORT}"

    @property
    def registry(self) -> str:
        """The local registry as HOST:PORT."""
        return f"{self.host}:{REGISTRY_PORT}"

    @property
    def registry_url(self) -> str:
        return f"http://{self.registry}"

    @property
    def private_registry(self) -> str:
        """The registry that wants a password, as HOST:PORT."""
        return f"{self.host}:{PRIVATE_REGISTRY_PORT}"

    def local_port(self, number: int) -> int:
        """A port on 127.0.0.1 for what only the machine itself needs, apart from those of the other instances."""
        return 23000 + 100 * self.instance + number

    @cached_property
    def nodes(self) -> tuple[NodeConfig, ...]:
        return tuple(self.node(number) for number in range(1, self.node_count + 1))

    @cached_property
    def virtual_nodes(self) -> tuple[NodeConfig, ...]:
        """The nodes that are virtual machines: none, or one."""
        return (self.node(MAX_NODES + 1, VM_NAME),) if self.vm else ()

    @property
    def all_nodes(self) -> tuple[NodeConfig, ...]:
        """Every node, whatever it is made of."""
        return self.nodes + self.virtual_nodes

    def node(self, number: int, name: str = "") -> NodeConfig:
        """The node of that number, from 1."""
        name = name or f"node{number}"
        return NodeConfig(
            name=name,
            address=self.node_network.network_address + 10 + number,
            pods=IPv4Network((int(self.pod_network.network_address) + (number << 8), 24)),
            interface=f"{self.bridge}-{name}",
            folder=self.run / name,
            keep=self.keep / name,
        )


def cache_folder(environment: dict[str, str]) -> Path:
    """Where built binaries and images are kept between runs and checkouts."""
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cijob-dev"


def check_nodes(nodes: int) -> None:
    """Refuse a number of nodes that there are no addresses for, or that no machine bears."""
    if not 1 <= nodes <= MAX_NODES:
        raise ClusterError(f"a cluster of {nodes} nodes is not possible", f"Choose from 1 to {MAX_NODES} nodes.")


def remember(config: Config) -> None:
    """Note which nodes the cluster has; the note ends with the cluster."""
    write(config.run / "cluster.json", json.dumps({"nodes": config.node_count, "vm": config.vm}))


def remembered(config: Config) -> Config:
    """The configuration with the nodes that the cluster that is up has."""
    try:
        noted = json.loads((config.run / "cluster.json").read_text())
        return replace(config, node_count=max(noted["nodes"], config.node_count), vm=noted.get("vm", False))
    except (OSError, ValueError, KeyError):
        return config


def load(instance: int, nodes: int = 1) -> Config:
    """The configuration of one instance.

    Raises:
        ClusterError: a number out of range.
    """
    if not 0 <= instance <= MAX_INSTANCE:
        raise ClusterError(f"there is no instance {instance}", f"Choose one from 0 to {MAX_INSTANCE}.")
    check_nodes(nodes)
    environment = dict(os.environ)
    state = Path(environment.get("CIJOB_DEV_STATE") or "/var/lib/cijob-dev")
    return Config(instance, state / str(instance), cache_folder(environment), nodes)
