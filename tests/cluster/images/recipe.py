"""What an image is made from."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images.oci import File, Settings

FILES = Path(__file__).with_name("files")
BUSYBOX = Path("/bin/busybox")


@dataclass(frozen=True)
class Rootfs:
    """A root file system of Debian packages.

    Attributes:
        label: what it is for, in a word.
        suite: release of Debian.
        packages: on top of the smallest system that has apt.
    """

    label: str
    suite: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """One image.

    Attributes:
        name: as Pods write it.
        settings: entry point and the like.
        files: on top of the root file system.
        rootfs: the layer below; None for an image of a few files.
        aliases: further names of the same image.
    """

    name: str
    settings: Settings
    files: tuple[File, ...] = ()
    rootfs: Rootfs | None = None
    aliases: tuple[str, ...] = ()


def script(name: str) -> File:
    """A program of ours, by its name in `files`."""
    return File(f"/usr/local/bin/{name}", (FILES / name).read_bytes())
