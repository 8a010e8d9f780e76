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
from tests.cluster.vm.disk import UNITS

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
UNIT = """\
[Unit]
After={after}
[Service]
ExecStart={command}
Restart=always
RestartSec=2
KillMode=process
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
OOMScoreAdjust=-999
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


def daemons(item: NodeConfig, kubelet: Daemon, proxy: Daemon) -> list[File]:
    """The node's daemons as services of systemd, started with its target."""
    containerd = node.containerd(item)
    services = [
        ("cijob-containerd", "network.target", containerd),
        ("cijob-kubelet", "cijob-containerd.service", kubelet),
        ("cijob-kube-proxy", "network.target", proxy),
    ]
    return [
        file
        for name, after, daemon in services
        for file in (
            File(f"{UNITS}/{name}.service", unit(daemon.argv, after).encode(), mode=PUBLIC),
            File(f"{UNITS}/cijob-node.target.wants/{name}.service", target=f"../{name}.service"),
        )
    ]


def unit(argv: tuple[str, ...], after: str) -> str:
    """A service of systemd for a command."""
    return UNIT.format(after=after, command=" ".join(quoted(word) for word in argv))


def quoted(word: str) -> str:
    """A word of a command in a unit file."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def configuration(config: Config, item: NodeConfig, pki: Pki) -> list[File]:
    """Everything that the daemons read, apart from keys and certificates."""
    resolver = f"nameserver {config.host}\n"
    texts = {
        item.folder / "containerd.toml": node.containerd_config(config, item, own_kernel=True),
        item.folder / "cni" / "10-pods.conflist": json.dumps(node.cni_config(item)),
        item.folder / "kubelet.json": json.dumps(kubelet_config(config, item, pki)),
        item.folder / "proxy.json": json.dumps(node.proxy_config(config, item)),
        item.folder / "resolv.conf": resolver,
        Path("/etc/resolv.conf"): resolver,
        Path("/etc/systemd/network/10-eth0.network"): network_file(config, item),
    }
    folders = [File(str(item.folder / "manifests")), File(str(item.keep))]
    return [*folders, *(File(str(path), text.encode(), mode=PUBLIC) for path, text in texts.items())]


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


def pack(files: list[File], program: Path, folder: Path) -> Path:
    """Write the archive into a folder, named by its content, in place of earlier ones; an archive is a disk as it is.

    Args:
        files: what goes into it.
        program: one more file, too large to be read at once; its path changes with its content.
        folder: where to write.
    """
    digest = hashlib.sha256(repr([program, files]).encode()).hexdigest()[:16]
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
        archive.add(program, str(program))
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
