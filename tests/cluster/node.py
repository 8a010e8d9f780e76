"""One node: a process that holds its namespaces, containerd, kubelet and kube-proxy in them.

The namespaces are what makes `down` clean: network interfaces, firewall rules and mounts of a node vanish with its last
process. They also make a second node no different from the first.
"""

import json
from pathlib import Path

from tests.cluster import network, registry
from tests.cluster.api import Api, answers
from tests.cluster.cgroups import Cgroups
from tests.cluster.config import CLUSTER_DOMAIN, Config, NodeConfig
from tests.cluster.images import store
from tests.cluster.images.names import parse
from tests.cluster.images.recipes import PAUSE_IMAGE
from tests.cluster.machine import NODE_FOLDERS
from tests.cluster.pki import Pki
from tests.cluster.processes import Daemon, Supervisor
from tests.cluster.progress import wait_until
from tests.cluster.shell import run, succeeds, write

CONTAINERD = "/usr/bin/containerd"
CGROUP_LABEL = "cijob.dev/cgroup"

CONTAINERD_CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = {restricted}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = {systemd}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{hosts}"
"""


def holder_name(node: NodeConfig) -> str:
    return node.name


def daemon_group(node: NodeConfig) -> str:
    """The cgroup of the node's daemons, and of the processes that watch its containers."""
    return f"{node.name}-daemons"


def forget_containers(item: NodeConfig) -> None:
    """Remove containerd's records of containers that are dead; its images stay."""

    def forgotten() -> bool:
        left = []
        for kind, options in (("tasks", ["--force"]), ("containers", [])):
            left = store.ctr(item, kind, "ls", "--quiet").split()
            if left:  # containerd may be removing the same ones at this moment
                succeeds([*store.ctr_words(item), kind, "rm", *options, *left])
        return not left

    wait_until(forgotten, 30, f"containerd of {item.name} to forget its containers", hint="Run `down --purge`.")


def reset(config: Config, node: NodeConfig, cgroups: Cgroups) -> None:
    """End all that runs in the node's namespaces, and with it the namespaces."""
    cgroups.kill(daemon_group(node))
    cgroups.kill(node.name)
    network.disconnect(config, node)


def holder(node: NodeConfig, pause: Path) -> Daemon:
    """The process whose namespaces are the node."""
    argv = ("unshare", "--net", "--mount", "--propagation=private", str(pause))
    return Daemon(holder_name(node), argv, lambda: True, group=daemon_group(node))


def prepare(config: Config, node: NodeConfig, supervisor: Supervisor) -> None:
    """Connect the node and give it folders of its own in place of the machine's."""
    record = supervisor.record(holder_name(node))
    if record is None:
        return  # it just died: waiting for it says so
    network.connect(config, node, record.pid)
    inside = ["nsenter", f"--target={record.pid}", "--mount"]
    if succeeds([*inside, "test", "-e", "/run/cijob-dev-node"]):
        return
    run([*inside, "mount", "--make-rshared", "/"])
    for folder in NODE_FOLDERS:
        own = node.folder / folder.replace("/", "-").strip("-")
        own.mkdir(parents=True, exist_ok=True)
        run([*inside, "mount", "--bind", own, folder])
    run([*inside, "mount", "-t", "tmpfs", "-o", "mode=755,size=64m", "tmpfs", "/run"])
    run([*inside, "touch", "/run/cijob-dev-node"])


def write_configuration(config: Config, node: NodeConfig, pki: Pki) -> None:
    """Write the files that the node's daemons read."""
    node.keep.mkdir(parents=True, exist_ok=True)
    (node.folder / "manifests").mkdir(parents=True, exist_ok=True)
    write(node.folder / "containerd.toml", containerd_config(config, node))
    write(node.folder / "cni" / "10-pods.conflist", json.dumps(cni_config(node), indent=1))
    write(node.folder / "kubelet.json", json.dumps(kubelet_config(config, node, pki), indent=1))
    write(node.folder / "proxy.json", json.dumps(proxy_config(config, node), indent=1))
    write(node.folder / "resolv.conf", f"nameserver {config.host}\n")
    pki.kubeconfig(node.name, config.api_url, node.folder / "kubelet.kubeconfig")


def containerd_config(config: Config, node: NodeConfig, *, own_kernel: bool = False) -> str:
    """Containerd's configuration; with a kernel of its own, a node may do what some machines forbid even root."""
    return CONTAINERD_CONFIG.format(
        restricted=json.dumps(not own_kernel),
        systemd=json.dumps(own_kernel),
        root=node.keep / "containerd",
        state=node.folder / "containerd",
        socket=node.containerd_socket,
        pause=parse(PAUSE_IMAGE),
        cni=node.folder / "cni",
        hosts=registry.hosts_folder(config),
    )


def cni_config(node: NodeConfig) -> dict[str, object]:
    """The Pods' network: routed, not bridged.

    Packets between two Pods then pass the node's firewall, which Services need, on kernels without br_netfilter too.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": str(node.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(node.folder / "addresses"),
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "mtu": network.pod_mtu(), "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_config(config: Config, node: NodeConfig, pki: Pki) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate(node.name)),
        "tlsPrivateKeyFile": str(pki.key(node.name)),
        "address": str(node.address),
        "healthzBindAddress": str(node.address),
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "staticPodPath": str(node.folder / "manifests"),
        "clusterDNS": [str(config.host)],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(node.folder / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{config.name}/{node.name}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "50Mi"},
        # machines where even root lacks some capabilities: containers on containers, some CI systems
        "featureGates": {"KubeletInUserNamespace": True},
    }


def proxy_config(config: Config, node: NodeConfig) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(config.run / "proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": str(config.pod_network),
        "hostnameOverride": node.name,
        "bindAddress": str(node.address),
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"localhostNodePorts": False},
        # a network namespace may not change these: leave them as they are
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def containerd(node: NodeConfig) -> Daemon:
    return Daemon(
        f"containerd-{node.name}",
        (CONTAINERD, "--config", str(node.folder / "containerd.toml")),
        lambda: succeeds(["ctr", "--address", node.containerd_socket, "version"]),
        holder_name(node),
        daemon_group(node),
    )


def kubelet(node: NodeConfig, program: Path, api: Api, version: str) -> Daemon:
    """The kubelet; its Node says which version of cgroups it has, v1 or v2."""
    return Daemon(
        f"kubelet-{node.name}",
        (
            str(program), "kubelet", f"--config={node.folder}/kubelet.json",
            f"--kubeconfig={node.folder}/kubelet.kubeconfig",
            f"--hostname-override={node.name}", f"--node-ip={node.address}",
            f"--node-labels={CGROUP_LABEL}={version}",
        ),
        lambda: answers(f"http://{node.address}:10248/healthz") and api.node_ready(node.name),
        holder_name(node),
        daemon_group(node),
        seconds=90,
    )  # fmt: skip


def proxy(node: NodeConfig, program: Path) -> Daemon:
    return Daemon(
        f"kube-proxy-{node.name}",
        (str(program), "kube-proxy", f"--config={node.folder}/proxy.json"),
        lambda: answers(f"http://{node.address}:10256/healthz"),
        holder_name(node),
        daemon_group(node),
    )
