"""A mutating webhook that the API server calls on this machine: what may happen to a Pod on its way into the cluster."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.lab import Cluster, Object

_CONFIGURATION = "mutatingwebhookconfiguration"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.asked = True
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        review["response"] = {"uid": review["request"]["uid"], **self.server.answer}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at what comes of it."""


class _Server(ThreadingHTTPServer):
    answer: Object
    asked = False


@dataclass
class Webhook:
    """A webhook for the Pods of one namespace, which gives the same answer to all."""

    cluster: Cluster
    namespace: str
    folder: Path
    server: _Server | None = None

    def open(self, answer: Object) -> None:
        """Serve, and have the API server ask."""
        self._make_certificate()
        self.server = server = _Server(("127.0.0.1", 0), _Handler)
        server.answer = answer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, self._key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        self.cluster.create(self._configuration(server.server_port))
        wait_for(lambda: self._is_asked(server) or None, 60, lambda: "the API server to ask the new webhook")

    def shut(self) -> None:
        """Serve no more; the API server still asks."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    def remove(self) -> None:
        """Have the API server ask no more."""
        self.cluster.run("delete", _CONFIGURATION, self.namespace, "--ignore-not-found")

    def _is_asked(self, server: _Server) -> bool:
        """Whether the API server has noticed the configuration: a moment after it was stored."""
        container = {"name": "main", "image": "busybox:stable"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": {"containers": [container]}}
        words = ("create", "--filename=-", f"--namespace={self.namespace}", "--dry-run=server")
        self.cluster.run(*words, stdin=json.dumps(pod), check=False)
        return server.asked

    @property
    def _certificate(self) -> Path:
        return self.folder / "webhook.crt"

    @property
    def _key(self) -> Path:
        return self.folder / "webhook.key"

    def _make_certificate(self) -> None:
        made = [
            "-keyout",
            str(self._key),
            "-out",
            str(self._certificate),
            "-days",
            "1",
            "-nodes",
            "-newkey",
            "rsa:2048",
        ]
        who = ["-subj", "/CN=webhook", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(["openssl", "req", "-x509", *made, *who], check=True, capture_output=True, timeout=60)

    def _configuration(self, port: int) -> Object:
        trusted = base64.b64encode(self._certificate.read_bytes()).decode()
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.namespace},
            "webhooks": [
                {
                    "name": "pods.e2e.example.com",
                    "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": trusted},
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                    "rules": [
                        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
                    ],
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 5,
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }


def denies(message: str) -> Object:
    """The answer of one that lets nothing in."""
    return {"allowed": False, "status": {"message": message}}


def patches(*operations: Object) -> Object:
    """The answer of one that changes what comes in, by JSON Patch."""
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
