"""What makes a virtual machine a node of one cluster: an archive of files, unpacked by the guest before its network starts.

The files lie in the guest where they would lie on the machine, so that a node's configuration is the same in both.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.cluster import network, node, registry
from tests.cluster.config import Config, NodeConfig
from tests.cluster.images.oci import File
from tests.cluster.pki import Pki
from tests.cluster.processes import Daemon
from tests.cluster.vm.disk import COMMANDS, DAEMONS

VERSION = "v2"
TAINT = {"key": node.CGROUP_LABEL, "value": VERSION, "effect": "NoSchedule"}
# Of a node that is a part of this machine: its cgroups are below the cluster's, and some rights are missing.
NAMESPACE_SETTINGS = ("cgroupRoot", "enforceNodeAllocatable", "failCgroupV1", "featureGates")
PRIVATE = 0o600
PUBLIC = 0o644

NETWORK = """\
[Match]
Name=eth0
[Network]
Address={address}/{prefix}
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
[Link]
MTUBytes={mtu}
"""


def kubelet_config(config: Config, item: NodeConfig, pki: Pki) -> dict[str, object]:
    """As on the other nodes, but as it is usual on cgroup v2; only Pods that ask for it are put here."""
    shared = node.kubelet_config(config, item, pki)
    settings = {name: value for name, value in shared.items() if name not in NAMESPACE_SETTINGS}
    return {**settings, "cgroupDriver": "systemd", "registerWithTaints": [TAINT]}


def network_file(config: Config, item: NodeConfig) -> str:
    return NETWORK.format(
        address=item.address, prefix=config.node_network.prefixlen, gateway=config.host, mtu=network.uplink_mtu()
    )


def commands(kubelet: Daemon, proxy: Daemon) -> list[File]:
    """The commands of the node's daemons, as systemd reads them: words between blanks."""
    argvs = dict(zip(DAEMONS, (kubelet.argv, proxy.argv), strict=True))
    return [
        File(f"{COMMANDS}/{name}", f"COMMAND={' '.join(argv)}\n".encode(), mode=PUBLIC) for name, argv in argvs.items()
    ]


def configuration(config: Config, item: NodeConfig, pki: Pki) -> list[File]:
    """Everything that the daemons read, apart from keys and certificates."""
    resolver = f"nameserver {config.host}\n"
    texts = {
        Path("/etc/containerd/config.toml"): node.containerd_config(config, item, own_kernel=True),
        item.folder / "cni" / "10-pods.conflist": json.dumps(node.cni_config(item)),
        item.folder / "kubelet.json": json.dumps(kubelet_config(config, item, pki)),
        item.folder / "proxy.json": json.dumps(node.proxy_config(config, item)),
        item.folder / "resolv.conf": resolver,
        Path("/etc/resolv.conf"): resolver,
        Path("/etc/systemd/network/10-eth0.network"): network_file(config, item),
    }
    manifests = File(str(item.folder / "manifests"))
    return [manifests, *(File(str(path), text.encode(), mode=PUBLIC) for path, text in texts.items())]


def credentials(config: Config, item: NodeConfig, pki: Pki) -> list[File]:
    """The node's own keys and certificates, and how to pull images; never the authority's key."""
    pki.kubeconfig(item.name, config.api_url, item.folder / "kubelet.kubeconfig")
    paths = [
        pki.authority, pki.certificate(item.name), pki.key(item.name), pki.certificate("proxy"), pki.key("proxy"),
        item.folder / "kubelet.kubeconfig", config.run / "proxy.kubeconfig",
    ]  # fmt: skip
    mirrors = sorted(path for path in registry.hosts_folder(config).rglob("*") if path.is_file())
    return [
        *(File(str(path), path.read_bytes(), mode=PRIVATE) for path in paths),
        *(File(str(path), path.read_bytes(), mode=PUBLIC) for path in mirrors),
    ]


def pack(files: list[File], folder: Path) -> Path:
    """Write the archive into a folder, named by its content, in place of earlier ones; an archive is a disk as it is.

    Args:
        files: what goes into it.
        folder: where to write.
    """
    digest = hashlib.sha256(repr(files).encode()).hexdigest()[:16]
    path = folder / f"config-{digest}.tar"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in folder.glob("config-*"):
        outdated.unlink()
    new = path.with_suffix(".new")
    new.touch(mode=PRIVATE)
    with tarfile.open(new, "w") as archive:
        for file in files:
            archive.addfile(entry(file), io.BytesIO(file.content or b""))
    new.rename(path)
    return path


def entry(file: File) -> tarfile.TarInfo:
    """The head of a file in the archive."""
    info = tarfile.TarInfo(file.path.lstrip("/"))
    info.mode = file.mode
    if file.content is not None:
        info.size = len(file.content)
    elif file.target:
        info.type, info.linkname = tarfile.SYMTYPE, file.target
    else:
        info.type = tarfile.DIRTYPE
    return info
