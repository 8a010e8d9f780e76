"""What both kinds of development cluster can do."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Status:
    """The state of a cluster, for people and as JSON for programs.

    Attributes:
        driver: `embedded` or `kind`.
        ready: whether every component works.
        kubeconfig: path of the administrator's kubeconfig.
        registry_mirror: address of the local registry for dockerd's `--registry-mirror`; empty for none.
        private_registry: HOST:PORT of a registry that wants a password (see `registry`); empty for none.
        kubectl: path of kubectl.
        helm: path of helm.
        nodes: names of the nodes.
        audit_log: path of the API server's audit log, JSON lines; empty for none.
        components: each component's state in a word.
    """

    driver: str
    ready: bool
    kubeconfig: str
    registry_mirror: str
    private_registry: str
    kubectl: str
    helm: str
    nodes: list[str]
    audit_log: str
    components: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Build:
    """An image to be built.

    Attributes:
        context: folder that the Dockerfile copies from.
        dockerfile: the Dockerfile.
        tag: name of the image.
        arguments: build arguments, as NAME=VALUE.
        unless_present: do nothing where the cluster has an image of that name.
    """

    context: Path
    dockerfile: Path
    tag: str
    arguments: tuple[str, ...]
    unless_present: bool


class Driver(Protocol):
    """A way to run a development cluster. Every method raises ClusterError with what to do about a failure."""

    def up(self, nodes: int | None, images: list[str] | None, *, vm: bool) -> None:
        """Bring the cluster up, or repair it.

        Args:
            nodes: how many nodes; None for as many as before, or one.
            images: names of the stand-in images to provide; None for all.
            vm: add a node that is a virtual machine with cgroup v2; one that was added before stays anyway.
        """

    def down(self, *, purge: bool) -> None:
        """Take the cluster away; with `purge`, its image stores too."""

    def status(self) -> Status:
        """What runs."""

    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig."""

    def load_image(self, image: str) -> str:
        """Give an image to the cluster.

        Args:
            image: path of an archive, or the name of an image that `build-image` built.

        Returns:
            The name under which Pods use it.
        """

    def stand_ins(self, names: list[str]) -> None:
        """Provide stand-in images of `images/extra.py`, which only tests need."""

    def build_image(self, build: Build) -> None:
        """Build a Dockerfile, the result to be loaded by its tag."""
