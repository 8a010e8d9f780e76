"""Images of the user: built from a Dockerfile without a daemon, and given to the cluster."""

import json
import os
import sys
import tarfile
from pathlib import Path

from tests.cluster.config import Config
from tests.cluster.driver import Build
from tests.cluster.errors import ClusterError
from tests.cluster.images import store
from tests.cluster.images.names import parse
from tests.cluster.progress import step
from tests.cluster.shell import run, write

CERTIFICATES = Path("/etc/ssl/certs")
PIP_SETTINGS = ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "CERT", "PROXY", "DEFAULT_TIMEOUT")
ARCHIVE_HINT = "Archives of `docker save NAME` and of buildah and skopeo (oci-archive, with a name) can be loaded."
BUILD_HINT = "The last lines above are the build's own; `up` must have run, since base images come from its registry."


def build(config: Config, wanted: Build) -> None:
    """Build a Dockerfile with buildah, in the machine's network, with its certificates and its settings of pip.

    Raises:
        ClusterError: no such folder or file, or the build failed.
    """
    if not wanted.dockerfile.is_file():
        raise ClusterError(f"there is no {wanted.dockerfile}", "Name the Dockerfile with `--file`.")
    if wanted.unless_present and store.registry_digest(config, parse(wanted.tag)):
        print(f"  {wanted.tag} is in the registry already", file=sys.stderr)
        return
    with step(f"build {wanted.tag} from {wanted.dockerfile}"):
        run(
            [*buildah(config), "bud", "--isolation", "chroot", "--network", "host", "--layers", "--format", "oci"]
            + ["--pull", "--tls-verify=false"]
            + [word for volume in volumes(config) for word in ("--volume", volume)]
            + [word for argument in wanted.arguments for word in ("--build-arg", argument)]
            + ["--tag", str(parse(wanted.tag)), "--file", wanted.dockerfile, wanted.context],
            env=registries(config),
            seconds=1800,
            hint=BUILD_HINT,
        )


def volumes(config: Config) -> list[str]:
    """What a build sees of the machine, and the image does not keep."""
    settings = config.run / "build" / "pip.conf"
    write(settings, pip_settings(dict(os.environ)))
    certificates = [f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.is_dir() else []
    return [f"{settings}:/etc/pip.conf:ro", *certificates]


def load(config: Config, image: str) -> str:
    """Push an archive or a built image into the local registry and pull it onto every node.

    Returns:
        The name for Pods.
    """
    path = Path(image)
    if path.is_file():
        source, name = archive_source(path)
    else:
        source, name = built_source(config, image)
    target = parse(name)
    with step(f"load {name}"):
        if source:
            store.push(config, source, target, ["unshare", "--mount", "--propagation=private", "--"])
        for node in config.nodes:
            store.pull(config, node, target)
    return name


def built_source(config: Config, image: str) -> tuple[str, str]:
    """How skopeo reads an image that was built here (empty: the registry has it already), and its full name."""
    name = str(parse(image))
    if has_built(config, name):
        return f"containers-storage:[overlay@{storage(config)}+{runroot(config)}]{name}", name
    if store.registry_digest(config, parse(image)):
        return "", name
    raise ClusterError(
        f"{image} is neither a file nor an image that was built here",
        f"Build it first: `python3 tests/cluster build-image --tag {image} FOLDER`.",
    )


def archive_source(path: Path) -> tuple[str, str]:
    """How skopeo reads an archive, and the name that the archive says.

    Raises:
        ClusterError: it is no image archive, or one without a name.
    """
    try:
        with tarfile.open(path) as archive:
            for kind, index, find_name in (("docker", "manifest.json", docker_name), ("oci", "index.json", oci_name)):
                if index in archive.getnames() and (entry := archive.extractfile(index)):
                    name = find_name(json.load(entry))
                    return f"{kind}-archive:{path}", str(parse(name))
    except (tarfile.TarError, ValueError, LookupError, TypeError) as error:
        raise ClusterError(f"{path} is no image archive with one named image: {error}", ARCHIVE_HINT) from error
    raise ClusterError(f"{path} is no image archive", ARCHIVE_HINT)


def docker_name(manifest: list[dict[str, list[str]]]) -> str:
    """The name in an archive of `docker save`."""
    return manifest[0]["RepoTags"][0]


def oci_name(index: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    """The name in an archive in OCI layout."""
    notes = index["manifests"][0]["annotations"]
    return notes.get("io.containerd.image.name") or notes["org.opencontainers.image.ref.name"]


def has_built(config: Config, name: str) -> bool:
    listed = run([*buildah(config), "images", "--format", "{{.Name}}:{{.Tag}}"], env=registries(config))
    return name in listed.split()


def storage(config: Config) -> Path:
    """Where images that were built and their layers are: a cache like the others."""
    return config.cache / "buildah"


def buildah(config: Config) -> list[str | Path]:
    """The words before a command of buildah; in its own mount namespace, since a build that fails leaves mounts behind."""
    place: list[str | Path] = ["--root", storage(config), "--runroot", runroot(config), "--storage-driver", "overlay"]
    return ["unshare", "--mount", "--propagation=private", "--", "buildah", *place]


def runroot(config: Config) -> Path:
    """Where buildah notes what is mounted."""
    return config.run / "build" / "storage"


def registries(config: Config) -> dict[str, str]:
    """Have buildah take base images from the local registry, under their own names."""
    path = config.run / "build" / "registries.conf"
    write(
        path,
        'unqualified-search-registries = ["docker.io"]\n'
        f'[[registry]]\nprefix = "docker.io"\nlocation = "{config.registry}"\ninsecure = true\n',
    )
    return {"CONTAINERS_REGISTRIES_CONF": str(path)}


def pip_settings(environment: dict[str, str]) -> str:
    """The machine's way to a package index, as pip.conf."""
    given = {name: environment.get(f"PIP_{name}") for name in PIP_SETTINGS}
    settings = [f"{name.lower().replace('_', '-')} = {value}" for name, value in given.items() if value]
    return "\n".join(["[global]", "break-system-packages = true", *settings, ""])
