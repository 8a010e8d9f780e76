"""The kind driver: for machines where a Docker engine answers. UNTESTED: the machines that this was written on have none.

It needs no stand-ins: kind's nodes and Pods pull the real images from the network.
"""

from pathlib import Path

from tests.cluster.config import Config
from tests.cluster.driver import Build, Status
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.cluster.shell import find, run, succeeds
from tests.cluster.toolchain import Toolchain

NODE_IMAGE_HINT = "kind pulls its node image from the network: check that Docker can pull at all."


def docker_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    return find("docker") is not None and succeeds(["docker", "info"], seconds=20)


class Kind:
    """A cluster of Docker containers; see `driver.Driver` for what its methods promise."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tools = Toolchain(config.cache)
        self.folder = config.cache / "kind" / config.name

    def kind(self, *words: str | Path, seconds: float = 900) -> str:
        return run([self.tools.kind(), *words], seconds=seconds, hint=NODE_IMAGE_HINT)

    def exists(self) -> bool:
        return self.config.name in self.kind("get", "clusters").split()

    def up(self, nodes: int | None, images: list[str] | None, *, vm: bool) -> None:
        if vm:
            raise ClusterError(
                "kind clusters have no virtual machines", "Use `--driver embedded`, or leave `--vm` out."
            )
        if images is not None:
            raise ClusterError("kind clusters have no stand-in images", "Leave `--images` out.")
        self.tools.helm()
        if self.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "kind.yaml"
        workers = "- role: worker\n" * ((nodes or 1) - 1)
        settings.write_text(
            f"kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n{workers}"
        )
        with step(f"kind create cluster {self.config.name}"):
            self.kind("create", "cluster", "--name", self.config.name, "--config", settings,
                      "--kubeconfig", self.kubeconfig_path(), "--wait", "180s")  # fmt: skip

    def down(self, *, purge: bool) -> None:
        del purge  # the images of a kind cluster end with it
        with step(f"kind delete cluster {self.config.name}"):
            self.kind("delete", "cluster", "--name", self.config.name, "--kubeconfig", self.kubeconfig_path())

    def status(self) -> Status:
        nodes = self.kind("get", "nodes", "--name", self.config.name).split() if self.exists() else []
        return Status(
            driver="kind",
            ready=bool(nodes),
            kubeconfig=str(self.kubeconfig_path()),
            registry_mirror="",
            private_registry="",
            kubectl=str(find("kubectl") or ""),
            helm=str(self.tools.helm_if_built() or ""),
            nodes=nodes,
            audit_log="",
            components=dict.fromkeys(nodes, "ready"),
        )

    def kubeconfig_path(self) -> Path:
        return self.folder / "kubeconfig"

    def kubeconfig(self) -> Path:
        if not self.kubeconfig_path().exists():
            raise ClusterError("the cluster is down", "Run `python3 tests/cluster up`.")
        return self.kubeconfig_path()

    def load_image(self, image: str) -> str:
        kind = "image-archive" if Path(image).is_file() else "docker-image"
        self.kind("load", kind, image, "--name", self.config.name)
        return image

    def stand_ins(self, names: list[str]) -> None:
        """There are none: a test that needs one fails, and says which."""
        print(f"kind clusters have no stand-in images: {', '.join(names)}")

    def build_image(self, build: Build) -> None:
        """Build with Docker, which notices by itself what has not changed."""
        words = [word for argument in build.arguments for word in ("--build-arg", argument)]
        with step(f"docker build {build.tag}"):
            run(
                ["docker", "build", "--tag", build.tag, "--file", build.dockerfile, *words, build.context],
                env={"DOCKER_BUILDKIT": "1"},
                seconds=1800,
            )
