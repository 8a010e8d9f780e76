"""Plain questions over HTTP: to the API server with the administrator's certificate, and to health endpoints."""

import http.client
import json
import ssl
import urllib.parse
from typing import Any

from tests.cluster.pki import Pki

SECONDS = 5


def ask(url: str, method: str = "GET", accept: str = "*/*") -> dict[str, str] | None:
    """The headers of a successful answer of a plain HTTP address on this machine; None where there is none."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)  # goes through no proxy
    try:
        connection.request(method, parts.path or "/", headers={"Accept": accept})
        response = connection.getresponse()
        response.read()
        return dict(response.getheaders()) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def answers(url: str) -> bool:
    """Whether a plain HTTP address on this machine answers with a success."""
    return ask(url) is not None


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
            parts = urllib.parse.urlsplit(self.url)
            connection = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=context)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
                return body if response.status == http.client.OK else None
            finally:
                connection.close()
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
