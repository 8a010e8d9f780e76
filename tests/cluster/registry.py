"""The local image registry: Debian's docker-registry as a process, on an address that nodes and Pods reach.

It runs twice over the same images: open, as the mirror of everything, and on another port for those who have a password.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.api import answers
from tests.cluster.config import Config
from tests.cluster.processes import Daemon
from tests.cluster.shell import write

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json,application/vnd.oci.image.index.v1+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)
PROGRAM = "/usr/bin/docker-registry"
#: Who may use the private one, and the password's hash (bcrypt, which the standard library does not have).
USERNAME, PASSWORD = "ci", "open-sesame"
HTPASSWD = f"{USERNAME}:$2b$04$BwTfzgk.ON8qBl43C/Xt4.EkUOk/N/BU1m5M/HSZnuZHpaBt1ha8W\n"


def daemon(config: Config) -> Daemon:
    return serve(config, "registry", config.registry, {})


def private_daemon(config: Config) -> Daemon:
    """The same images, for pulls and pushes with a password."""
    passwords = config.run / "registry.htpasswd"
    write(passwords, HTPASSWD)
    access = {"auth": {"htpasswd": {"realm": "private", "path": str(passwords)}}}
    return serve(config, "private-registry", config.private_registry, access)


def serve(config: Config, name: str, address: str, access: Mapping[str, object]) -> Daemon:
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(config.keep / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": address},
        **access,
    }
    path = config.run / f"{name}.json"
    write(path, json.dumps(settings))
    return Daemon(name, (PROGRAM, "serve", str(path)), lambda: answers(f"http://{address}/"))


def hosts_folder(config: Config) -> Path:
    """Where containerd, and our own pulls, read which registry stands in for which."""
    return config.run / "certs.d"


def write_mirrors(config: Config) -> None:
    """Have containerd ask the local registry for every image, whatever its name: no pull leaves the machine.

    Only the private one is asked itself for its own.
    """
    for host, address in (("_default", config.registry), (config.private_registry, config.private_registry)):
        write(
            hosts_folder(config) / host / "hosts.toml",
            f'server = "http://{address}"\n\n[host."http://{address}"]\n  capabilities = ["pull", "resolve", "push"]\n',
        )
