"""A Pod beside a job's own: the server that its containers talk to, and the eye that sees which ports it has open.

Its link takes packets of 1500 bytes, and no word of a smaller MTU on the way reaches it, as on clouds that filter ICMP:
whoever sends or asks for larger packets than the Pods' network carries waits for ever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.lab import Object
    from tests.e2e.pods import Pod, Pods

IMAGE = "python:3-slim"
#: What a download gives and an upload takes.
BYTES = 20 * 1024 * 1024
#: The rule that makes a path with a smaller MTU swallow what is too large for it.
SILENCE = "iptables -I {chain} -p icmp --icmp-type fragmentation-needed -j DROP"
SERVER = f"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(bytes({BYTES}))
    def do_POST(self):
        size = left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.answer(b"%d" % size)
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = ThreadingHTTPServer(("", 80), Handler)
print("listening", flush=True)
server.serve_forever()
"""
#: Tries the ports of an address. A closed one answers at once; silence for a second counts as closed.
SCAN = """
import json, socket, sys
def is_open(port):
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex((sys.argv[1], port)) == 0
print(json.dumps([port for port in range(1, int(sys.argv[2]) + 1) if is_open(port)]))
"""


@dataclass(frozen=True)
class Outside:
    """The Pod outside."""

    pod: Pod
    url: str

    def open_ports(self, target: Pod, last: int = 65535) -> list[int]:
        """The ports of a Pod that it reaches, from 1 to the last."""
        address = target.body()["status"]["podIP"]
        return list(json.loads(self.pod.execute("job", "python3", "-c", SCAN, address, str(last))))


def start(pods: Pods) -> Outside:
    """Start it, and wait until it serves."""
    serve = f"cat > server.py <<'END'{SERVER}END\nexec python3 server.py"
    pod = pods.start("outside", serve, image=IMAGE, docker={"enabled": False}, change=_widen_the_link)
    pod.wait_for_log("listening\n")
    return Outside(pod, f"http://{pod.body()['status']['podIP']}/")


def _widen_the_link(manifest: Object) -> None:
    script = f"ip link set eth0 mtu 1500 && {SILENCE.format(chain='INPUT')}"
    manifest["spec"]["initContainers"] = [
        {
            "name": "link",
            "image": "docker:29-dind",
            "command": ["sh", "-c", script],
            "securityContext": {"privileged": True},
        }
    ]
