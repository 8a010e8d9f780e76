"""Plain questions over HTTP: to the API server with the administrator's certificate, and to health endpoints."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from tests.cluster.pki import Pki

SECONDS = 5


def answers(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> bool:
    """Whether an HTTP address answers with a success."""
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        # no proxy: these addresses are all on this machine
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


class Api:
    """The API server, seen by the administrator."""

    def __init__(self, url: str, pki: Pki) -> None:
        self.url = url
        self.pki = pki

    def get(self, path: str) -> bytes | None:
        """The body of an answer; None where there was none, or an error."""
        try:
            context = ssl.create_default_context(cafile=str(self.pki.authority))
            context.load_cert_chain(self.pki.certificate("admin"), self.pki.key("admin"))
            handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            with urllib.request.build_opener(*handlers).open(self.url + path, timeout=SECONDS) as response:
                body: bytes = response.read()
                return body
        except (OSError, http.client.HTTPException):
            return None

    def get_object(self, path: str) -> dict[str, Any] | None:
        """An object of the API; None where it cannot be had now."""
        body = self.get(path)
        if body is None:
            return None
        loaded: dict[str, Any] = json.loads(body)
        return loaded

    def ready(self) -> bool:
        return self.get("/readyz") == b"ok"

    def node_ready(self, name: str) -> bool:
        """Whether the node says that it can run Pods."""
        node = self.get_object(f"/api/v1/nodes/{name}") or {}
        conditions = node.get("status", {}).get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
