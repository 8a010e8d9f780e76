"""Brings images to where Pods find them: into the local registry, and onto the nodes ahead of time."""

from collections.abc import Sequence
from pathlib import Path

from tests.cluster import registry
from tests.cluster.api import ask
from tests.cluster.config import Config, NodeConfig
from tests.cluster.images.build import Archive
from tests.cluster.images.names import Name
from tests.cluster.progress import step
from tests.cluster.shell import run


def register(config: Config, archive: Archive, name: Name) -> None:
    """Push an archive into the local registry unless it is there."""
    if registry_digest(config, name) != archive.digest:
        with step(f"push {name} into the local registry"):
            push(config, f"oci-archive:{archive.path}", name)


def publish(config: Config, archive: Archive, name: Name, present: dict[str, dict[str, str]]) -> None:
    """Push an archive into the local registry unless it is there, and pull it onto each node that lacks it.

    Args:
        config: the cluster.
        archive: the image.
        name: its name.
        present: the images of each node by name, see `node_digests`.
    """
    register(config, archive, name)
    lacking = [node for node in config.nodes if present[node.name].get(str(name)) != archive.digest]
    if lacking:
        with step(f"pull {name} onto {', '.join(node.name for node in lacking)}"):
            for node in lacking:
                pull(config, node, name)


def push(config: Config, source: str, name: Name, inside: Sequence[str] = ()) -> None:
    """Copy an image from anywhere skopeo reads it into the local registry.

    Args:
        config: the cluster.
        source: the image in the words of skopeo.
        name: its name in the registry.
        inside: words of a command that runs skopeo, for a source that it has to mount.
    """
    target = f"docker://{config.registry}/{name.repository}:{name.tag}"
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    run([*inside, *skopeo, source, target], seconds=900)


def registry_digest(config: Config, name: Name) -> str | None:
    """The digest of the image that the local registry has under this name."""
    url = f"{config.registry_url}/v2/{name.repository}/manifests/{name.tag}"
    headers = ask(url, "HEAD", registry.MANIFEST_TYPES) or {}
    return headers.get("Docker-Content-Digest")


def ctr_words(node: NodeConfig) -> list[str | Path]:
    """The words before a command of containerd's own client, for a node's Pods' images and containers."""
    return ["ctr", "--address", node.containerd_socket, "--namespace", "k8s.io"]


def ctr(node: NodeConfig, *words: str | Path) -> str:
    """Run containerd's own client against a node."""
    return run([*ctr_words(node), *words], seconds=900)


def node_digests(node: NodeConfig) -> dict[str, str]:
    """The images of a node by name."""
    lines = ctr(node, "images", "ls").splitlines()[1:]
    return {fields[0]: fields[2] for fields in (line.split() for line in lines)}


def pull(config: Config, node: NodeConfig, name: Name) -> None:
    """Pull an image from the local registry onto a node."""
    ctr(node, "images", "pull", "--hosts-dir", registry.hosts_folder(config), str(name))
