"""The stand-in images: what is in each. The README of tests/cluster says why they stand in, and for what."""

import subprocess
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.images import daemons
from tests.cluster.images.oci import File, Settings
from tests.cluster.images.recipe import BUSYBOX, FILES, Recipe, Rootfs

PAUSE_IMAGE = "cijob-dev/pause:1"

DEBIAN = Rootfs("plain", "trixie", ("ca-certificates",))
PYTHON = Rootfs("python", "trixie", ("ca-certificates", "python3", "python3-pip", "python3-venv"))
CLIENT = Rootfs("client", "trixie", ("ca-certificates", "curl", "docker-cli", "git"))


def pause(program: Path) -> Recipe:
    """The image that holds a Pod's namespaces; every node needs it."""
    return Recipe(PAUSE_IMAGE, Settings(("/pause",)), (File("/pause", program.read_bytes()),))


def wanted(names: list[str] | None) -> list[Recipe]:
    """The stand-in images of these names, or all.

    Raises:
        ClusterError: there is no such image.
    """
    recipes = all_recipes()
    if names is None:
        return recipes
    unknown = set(names) - {recipe.name for recipe in recipes}
    if unknown:
        known = ", ".join(recipe.name for recipe in recipes)
        raise ClusterError(f"there is no stand-in image {', '.join(sorted(unknown))}", f"There are: {known}.")
    return [recipe for recipe in recipes if recipe.name in names]


def all_recipes() -> list[Recipe]:
    """Every stand-in image, quick ones first."""
    applets = busybox_files()
    shell = Settings(command=("sh",), folder="/app")
    return [
        Recipe("busybox:stable", Settings(command=("sh",)), applets),
        Recipe("ailhan/web-debug:latest", shell, (*applets, *web_debug("passing"))),
        Recipe("ailhan/web-debug:failing", shell, (*applets, *web_debug("failing"))),
        daemons.docker(),
        Recipe("ubuntu:25.10", Settings(command=("/bin/bash",)), debian_files(), DEBIAN),
        Recipe("python:3-slim", Settings(command=("python3",)), python_files(), PYTHON),
        Recipe("cimg/base:current", Settings(command=("/bin/bash",), user="3434:3434"), home_files(), CLIENT),
    ]


def debian_files() -> tuple[File, ...]:
    """What keeps a job's `apt-get install` short."""
    return (File("/etc/apt/preferences.d/stand-in", (FILES / "apt-preferences").read_bytes(), mode=0o644),)


def home_files() -> tuple[File, ...]:
    """A home for the image's ordinary user."""
    return (File("/home/circleci", mode=0o777),)


def web_debug(outcome: str) -> tuple[File, ...]:
    """The application image of the mission's pipeline: all that the pipeline asks of it is its test run."""
    return (File("/app"), File("/app/runtests.sh", (FILES / f"runtests-{outcome}.sh").read_bytes()))


def python_files() -> tuple[File, ...]:
    """The names under which the official image has Python; and pip installs where it is told, as there."""
    return (
        File("/usr/local/bin/python", target="/usr/bin/python3"),
        File("/usr/local/bin/python3", target="/usr/bin/python3"),
        File("/etc/pip.conf", b"[global]\nbreak-system-packages = true\n", mode=0o644),
    )


def busybox_files() -> tuple[File, ...]:
    """A whole small system: Debian's static busybox under the name of each of its applets."""
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    applets = sorted(set(listed) - {"busybox"})
    return (
        File("/bin"),
        File("/etc"),
        File("/root", mode=0o700),
        File("/tmp", mode=0o1777),  # noqa: S108 - a folder of the image, not of this machine
        File("/usr"),
        File("/usr/bin"),
        File("/bin/busybox", BUSYBOX.read_bytes()),
        *(File(f"/bin/{applet}", target="busybox") for applet in applets),
        File("/usr/bin/env", target="/bin/busybox"),
        File("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", mode=0o644),
        File("/etc/group", b"root:x:0:\nnogroup:x:65534:\n", mode=0o644),
    )
