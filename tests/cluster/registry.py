"""The local image registry: Debian's docker-registry as a process, on an address that nodes and Pods reach."""

import json
from pathlib import Path

from tests.cluster.api import answers
from tests.cluster.config import Config
from tests.cluster.processes import Daemon
from tests.cluster.shell import write

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json,application/vnd.oci.image.index.v1+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)


def daemon(config: Config) -> Daemon:
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(config.keep / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": config.registry},
    }
    path = config.run / "registry.json"
    write(path, json.dumps(settings))
    program = "/usr/bin/docker-registry"
    return Daemon("registry", (program, "serve", str(path)), lambda: answers(f"{config.registry_url}/v2/"))


def hosts_folder(config: Config) -> Path:
    """Where containerd, and our own pulls, read which registry stands in for which."""
    return config.run / "certs.d"


def write_mirrors(config: Config) -> None:
    """Have containerd ask the local registry for every image, whatever its name: no pull leaves the machine."""
    write(
        hosts_folder(config) / "_default" / "hosts.toml",
        f'server = "{config.registry_url}"\n\n'
        f'[host."{config.registry_url}"]\n  capabilities = ["pull", "resolve", "push"]\n',
    )
