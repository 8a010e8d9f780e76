"""Image archives in the OCI layout, written with the standard library: layers, configuration, manifest, index."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BLOCK = 1 << 20
EPOCH = "2026-01-01T00:00:00Z"  # the same content is the same image, whenever it is made


@dataclass(frozen=True)
class File:
    """One entry of a layer: a file with content, a symbolic link (`target`), or a folder (neither)."""

    path: str
    content: bytes | None = None
    target: str = ""
    mode: int = 0o755


@dataclass(frozen=True)
class Settings:
    """What the image says about how to run it."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    folder: str = "/"
    user: str = ""

    def as_config(self) -> dict[str, Any]:
        # of two values of a variable Docker takes the first, and containerd the last
        env = {word.partition("=")[0]: word for word in (PATH_VARIABLE, *self.env)}
        return {
            "Env": list(env.values()),
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "WorkingDir": self.folder,
            "User": self.user,
        }


@dataclass(frozen=True)
class Layer:
    """A compressed layer as a file."""

    path: Path
    media_type: str
    diff_id: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        with self.path.open("rb") as stream:
            object.__setattr__(self, "digest", hashlib.file_digest(stream, "sha256").hexdigest())

    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.path.stat().st_size}


def files_layer(files: Iterable[File], path: Path) -> Layer:
    """Pack files into a layer; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.mode = file.mode
            if file.target:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.target
                archive.addfile(entry)
            elif file.content is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(file.content)
                archive.addfile(entry, io.BytesIO(file.content))
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return Layer(path, GZIP_LAYER, hashlib.sha256(buffer.getvalue()).hexdigest())


def zstd_layer(path: Path) -> Layer:
    """A layer from a root file system that is packed already."""
    digest = hashlib.sha256()
    with subprocess.Popen(["zstd", "--decompress", "--stdout", str(path)], stdout=subprocess.PIPE) as unpack:
        if unpack.stdout is None:
            raise ClusterError("zstd has no output")
        while block := unpack.stdout.read(BLOCK):
            digest.update(block)
    if unpack.returncode != 0:
        raise ClusterError(f"{path} is damaged", "Delete it and run `up` again: it is made anew.")
    return Layer(path, ZSTD_LAYER, digest.hexdigest())


def write_archive(path: Path, architecture: str, settings: Settings, layers: list[Layer]) -> str:
    """Write an image as an archive that skopeo, docker and containerd read.

    Returns:
        The digest of the image's manifest, as `sha256:...`.
    """
    config = encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": settings.as_config(),
            "created": EPOCH,
            "history": [{"created": EPOCH, "created_by": "tests/cluster"} for _ in layers],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        }
    )
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [layer.descriptor() for layer in layers],
        }
    )
    entry = {"mediaType": MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}
    with tarfile.open(path, "w") as archive:
        add(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}))
        add(archive, "index.json", encode({"schemaVersion": 2, "manifests": [entry]}))
        add(archive, blob(digest_of(config)), config)
        add(archive, blob(digest_of(manifest)), manifest)
        for layer in layers:
            archive.add(layer.path, blob(f"sha256:{layer.digest}"))
    return digest_of(manifest)


def encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
