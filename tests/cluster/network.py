"""The machine's side of the network: a bridge that the nodes hang on, routes to the Pods, and a way out for them.

All of it is found again by name, so that `down` can take it away whatever happened before.
"""

import json

from tests.cluster.config import Config, NodeConfig
from tests.cluster.errors import ClusterError
from tests.cluster.machine import FORWARDING
from tests.cluster.progress import wait_until
from tests.cluster.shell import run, succeeds

OVERLAY_MTU = 1400
TUN_HINT = "A virtual machine needs /dev/net/tun: `modprobe tun`, or in a container have it passed in."


def up(config: Config) -> None:
    """Create what is missing of the bridge, the rules and the routes."""
    if not succeeds(["ip", "link", "show", config.bridge]):
        refuse_overlap(config)
        run(["ip", "link", "add", config.bridge, "type", "bridge"])
    run(["ip", "link", "set", config.bridge, "mtu", str(uplink_mtu()), "up"])
    run(["ip", "address", "replace", f"{config.host}/{config.node_network.prefixlen}", "dev", config.bridge])
    for table, chain, rule in rules(config):
        if not succeeds(["iptables", "-w", "-t", table, "-C", chain, *rule]):
            run(["iptables", "-w", "-t", table, "-I", chain, *rule])


def down(config: Config) -> None:
    """Take away what `up` made; the nodes' ends are gone with their namespaces."""
    for link in links(config):
        delete_link(link)
    for table, chain, rule in rules(config):
        while succeeds(["iptables", "-w", "-t", table, "-C", chain, *rule]):
            run(["iptables", "-w", "-t", table, "-D", chain, *rule])


def links(config: Config) -> list[str]:
    """The cluster's interfaces that the machine has now."""
    found = json.loads(run(["ip", "-json", "link", "show"]) or "[]")
    names = [link["ifname"] for link in found]
    return [name for name in names if name == config.bridge or name.startswith(f"{config.bridge}-")]


def rules(config: Config) -> list[tuple[str, str, list[str]]]:
    """The firewall's rules as (table, chain, rule): let the cluster's traffic through, hide it behind the machine."""
    network, mark = str(config.network), ["-m", "comment", "--comment", config.name]
    return [
        ("nat", "POSTROUTING", ["-s", network, "!", "-d", network, *mark, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-s", network, *mark, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-d", network, *mark, "-j", "ACCEPT"]),
    ]


def connect(config: Config, node: NodeConfig, holder: int) -> None:
    """Lay a cable from the bridge into a node's network namespace, and give the node its address and routes."""
    if node.interface not in links(config):
        # one step, so that there is never half a cable
        peer = ["peer", "name", "eth0", "netns", str(holder)]
        run(["ip", "link", "add", node.interface, "type", "veth", *peer])
    run(["ip", "link", "set", node.interface, "master", config.bridge, "mtu", str(uplink_mtu()), "up"])
    inside = ["nsenter", f"--target={holder}", "--net", "ip"]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "address", "replace", f"{node.address}/{config.node_network.prefixlen}", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "mtu", str(uplink_mtu()), "up"])
    run([*inside, "route", "replace", "default", "via", str(config.host)])
    run(["nsenter", f"--target={holder}", "--net", "sh", "-c", 'echo 1 > "$0"', FORWARDING])
    route_pods(config, node)


def connect_vm(config: Config, node: NodeConfig) -> None:
    """Lay a cable from the bridge to a virtual machine, which sets the address at its own end itself."""
    if node.interface not in links(config):
        run(["ip", "tuntap", "add", "dev", node.interface, "mode", "tap"], hint=TUN_HINT)
    run(["ip", "link", "set", node.interface, "master", config.bridge, "mtu", str(uplink_mtu()), "up"])
    route_pods(config, node)


def route_pods(config: Config, node: NodeConfig) -> None:
    """Have the machine, and through it the other nodes, find the node's Pods; the route goes with the bridge."""
    run(["ip", "route", "replace", str(node.pods), "via", str(node.address), "dev", config.bridge])


def disconnect(config: Config, node: NodeConfig) -> None:
    """Take the cable to a node away."""
    if node.interface in links(config):
        delete_link(node.interface)


def delete_link(name: str) -> None:
    """Delete an interface; a cable also goes by itself, a moment after the namespace at its other end."""

    def gone() -> bool:
        return succeeds(["ip", "link", "delete", name]) or not succeeds(["ip", "link", "show", name])

    wait_until(gone, 10, f"the interface {name} to go")


def uplink_mtu() -> int:
    """The MTU of the interface with the default route; Pods must not send larger packets."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
    if not routes:
        return 1500
    link = json.loads(run(["ip", "-json", "link", "show", "dev", routes[0]["dev"]]))
    return int(link[0]["mtu"])


def pod_mtu() -> int:
    """The MTU of the Pods' interfaces: as with an overlay, where a daemon that takes 1500 for granted fails."""
    return min(uplink_mtu(), OVERLAY_MTU)


def refuse_overlap(config: Config) -> None:
    """Stop where the machine already uses the cluster's addresses for something else."""
    routes = run(["ip", "-4", "route", "show", "root", str(config.network)])
    if routes.strip():
        raise ClusterError(
            f"this machine already has a route into {config.network}",
            "Choose other addresses with `--instance N` (it is the second number of them, less 200).",
            routes,
        )
