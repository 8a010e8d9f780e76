"""The API server behind the proxy: its address and how to be let in, out of a kubeconfig; and the proxy's own kubeconfig."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go."""

    url: str
    ssl: ssl.SSLContext | bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


def upstream_of(kubeconfig: Path) -> Upstream:
    """The server of a kubeconfig's current context, with its client certificate or token.

    Raises:
        KeyError, StopIteration: it names things that it does not hold.
    """
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    secure = ssl.create_default_context(cadata=_data(cluster, "certificate-authority").decode())
    if "client-certificate" in user or "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:  # the standard library reads a pair from files only
            pair.write(_data(user, "client-certificate") + b"\n" + _data(user, "client-key"))
            pair.flush()
            secure.load_cert_chain(pair.name)
    token = user.get("token")
    return Upstream(cluster["server"], secure, {"Authorization": f"Bearer {token}"} if token else {})


def write_kubeconfig(url: str, path: Path) -> Path:
    """A kubeconfig (JSON is YAML) for a server that asks for nothing."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "faults", "cluster": {"server": url}}],
        "users": [{"name": "faults", "user": {}}],
        "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
        "current-context": "faults",
    }
    path.write_text(json.dumps(content))
    return path


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _data(entry: dict[str, Any], key: str) -> bytes:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return Path(entry[key]).read_bytes()
