"""Secrets for the private registry of the development cluster."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from tests.cluster.registry import USERNAME

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Object


def config(host: str, password: str) -> Object:
    """Docker's configuration as `kubectl create secret docker-registry` writes it."""
    auth = base64.b64encode(f"{USERNAME}:{password}".encode()).decode()
    return {"auths": {host: {"username": USERNAME, "password": password, "auth": auth}}}


def secret(cluster: Cluster, namespace: str, name: str, content: Object) -> None:
    """Create a Secret for pulls."""
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(content)},
        }
    )
