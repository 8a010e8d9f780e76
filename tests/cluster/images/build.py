"""Makes the stand-in images and keeps them as archives, each under a hash of all that went into it."""

import hashlib
import json
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.images import oci
from tests.cluster.images.apt import Apt
from tests.cluster.images.recipe import Recipe, Rootfs
from tests.cluster.locks import locked
from tests.cluster.progress import step
from tests.cluster.shell import run

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
FORMAT = 3  # to be raised when archives of the same recipe are written in another way
KEY_LENGTH = 16
# As the official images have it: a container's files need not survive a power cut, and nobody reads manuals in it.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
MMDEBSTRAP_HINT = (
    "Look at the messages above; `up` again tries once more. A full disk and an unreachable mirror are usual."
)


@dataclass(frozen=True)
class Archive:
    """An image as a file.

    Attributes:
        path: the OCI archive.
        digest: of its manifest.
    """

    path: Path
    digest: str


class Builder:
    """Makes archives in a cache folder that may be emptied at any time."""

    def __init__(self, cache: Path, apt: Apt) -> None:
        self.folder = cache / "images"
        self.apt = apt

    def archive(self, recipe: Recipe) -> Archive:
        """The archive of an image, made unless the cache has it."""
        stem = recipe.name.replace("/", "_").replace(":", "_")
        path = self.folder / f"{stem}-{self.key(recipe)}.tar"
        noted = path.with_suffix(".digest")
        if not (path.exists() and noted.exists()):
            with locked(self.folder / f"{stem}.lock", f"{recipe.name}, which another `up` is making"):
                if not (path.exists() and noted.exists()):
                    self.make(recipe, path, stem)
        return Archive(path, noted.read_text())

    def make(self, recipe: Recipe, path: Path, stem: str) -> None:
        """Write an archive, in place of those of earlier recipes but the last: another checkout may be using that."""
        with step(f"make the image {recipe.name}"):
            there = self.folder.glob(f"{stem}-{'?' * KEY_LENGTH}.tar")  # not those of NAME:TAG-more
            for outdated in sorted(there, key=lambda archive: archive.stat().st_mtime)[:-1]:
                outdated.with_suffix(".digest").unlink(missing_ok=True)
                outdated.unlink()
            digest = self.write(recipe, path)
            path.with_suffix(".digest").write_text(digest)

    def key(self, recipe: Recipe) -> str:
        """Changes with anything that goes into the image."""
        content = json.dumps([FORMAT, asdict(recipe), asdict(self.apt)], sort_keys=True, default=hash_bytes)
        return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]

    def write(self, recipe: Recipe, path: Path) -> str:
        """Put the layers together; returns the image's digest."""
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            layers = []
            if recipe.rootfs:
                layers.append(oci.zstd_layer(self.rootfs(recipe.rootfs)))
            if recipe.files:
                layers.append(oci.files_layer(recipe.files, Path(work) / "files.tar.gz"))
            whole = Path(work) / path.name
            digest = oci.write_archive(whole, architecture(), recipe.settings, layers)
            whole.rename(path)
        return digest

    def rootfs(self, rootfs: Rootfs) -> Path:
        """A root file system, packed; shared by the images that need the same one."""
        content = json.dumps([FORMAT, asdict(rootfs), asdict(self.apt)], sort_keys=True)
        path = (
            self.folder
            / f"rootfs-{rootfs.suite}-{rootfs.label}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.tar.zst"
        )
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=self.folder) as work:
                for outdated in self.folder.glob(f"rootfs-{rootfs.suite}-{rootfs.label}-*"):
                    outdated.unlink()
                self.mmdebstrap(rootfs, Path(work) / path.name)
                (Path(work) / path.name).rename(path)
        return path

    def mmdebstrap(self, rootfs: Rootfs, path: Path) -> None:
        # testing's lists expire within a week, and a mirror may lag behind
        options = ('Acquire::Check-Valid-Until "false";', 'Acquire::Languages "none";', *self.apt.options)
        run(
            # what it mounts goes with it, even if it is killed
            ["unshare", "--mount", "--propagation=private", "--"]
            + ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(rootfs.packages)}"]
            + [f"--aptopt={option.rstrip(';')}" for option in options]
            + [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
            # without manuals, but with their folder, where scripts of packages (Java's) make links
            + ['--essential-hook=mkdir -p "$1/usr/share/man/man1"']
            + [rootfs.suite, path, f"deb {self.apt.mirror} {rootfs.suite} main"],
            env={"TMPDIR": str(self.folder)},  # /tmp may be in memory
            seconds=1800,
            hint=MMDEBSTRAP_HINT,
        )


def hash_bytes(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"no hash for {type(value)}")
    return hashlib.sha256(value).hexdigest()


def architecture() -> str:
    """The machine's architecture in the words of images."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise ClusterError(f"no stand-in images for {machine}", f"Use one of {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[machine]
