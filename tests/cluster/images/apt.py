"""The machine's own apt configuration, which the stand-in images take over: where it gets packages, so do they."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.shell import run

# Settings that say how packages are reached; the rest of the machine's settings are its own business.
TAKEN_OVER = re.compile(r"^Acquire::(https?::Proxy\S*|Check-Valid-Until|Check-Date|Retries) ", re.IGNORECASE)
TARGETS = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)"


@dataclass(frozen=True)
class Apt:
    """Where packages come from.

    Attributes:
        mirror: address of the Debian archive.
        options: settings as lines of apt.conf.
    """

    mirror: str
    options: tuple[str, ...]


def read() -> Apt:
    """Ask apt how it is configured.

    Raises:
        ClusterError: it has no Debian archive.
    """
    targets = run(["apt-get", "indextargets", "--format", TARGETS, "Identifier: Packages"])
    codename = os_release().get("VERSION_CODENAME", "")
    mirror = choose_mirror(targets, codename)
    if mirror is None:
        raise ClusterError(
            f"apt has no Debian archive for {codename or 'this system'}",
            "The stand-in images are made from Debian packages: add a Debian archive to /etc/apt.",
        )
    lines = run(["apt-config", "dump"]).splitlines()
    return Apt(mirror, tuple(line for line in lines if TAKEN_OVER.match(line) and '""' not in line))


def choose_mirror(targets: str, codename: str) -> str | None:
    """The archive of the system's own release, among the lines URI|CODENAME|COMPONENT."""
    for line in targets.splitlines():
        uri, release, component = line.split("|")
        if release == codename and component == "main":
            return uri.rstrip("/")
    return None


def os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines) if value}
