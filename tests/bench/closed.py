"""What inner containers can take, and who else reaches them: side by side with Pods as others start Docker-in-Docker.

`python -m tests.bench.closed`, a part of `make bench`; `tests.bench.peers` says what is modelled. In each Pod the daemon's
container has the limits of LIMITS. The script lets an inner container use all the CPU that it gets, publishes a port, and,
once another Pod has tried all ports, lets an inner container take 400 MB. What holds depends on the node's cgroup version:
`--node NAME` says which node. Run once; nothing is asserted (the tests of ours are in tests/e2e/test_containment.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.bench import Bench, bench
from tests.bench.peers import Launch, launches
from tests.e2e.pods import Pod

if TYPE_CHECKING:
    from tests.e2e.lab import Object

LIMITS = {"cpu": "500m", "memory": "384Mi"}
IMAGE_INSIDE = "ubuntu:25.10"
#: Two processes for four seconds; prints how many CPUs they got, which an idle machine alone answers well.
BURN = (
    "perl -e '$end = time + 4; $child = fork; 1 while time < $end; exit unless $child; wait; "
    '$t += $_ for times; printf "%.2f\\n", $t / 4\''
)
EAT = "perl -e '$x = \"x\" x (400 << 20)'"
SERVE = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 80, Listen => 5); 1 while $s->accept'"
#: Runs in another Pod. A closed port answers at once; silence for a second counts as closed.
SCAN = """
import json, socket, sys
def is_open(port):
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex((sys.argv[1], port)) == 0
print(json.dumps([port for port in range(1, 65536) if is_open(port)]))
"""
SCRIPT = f"""
docker pull -q {IMAGE_INSIDE}
echo "cgroup: $(docker info --format '{{{{.CgroupVersion}}}}')"
echo "cpu: $(docker run --rm {IMAGE_INSIDE} {BURN})"
docker run --detach --publish 8080:80 {IMAGE_INSIDE} {SERVE}
echo published
until [ -e /tmp/scanned ]; do sleep 0.2; done
code=0; docker run --rm {IMAGE_INSIDE} {EAT} || code=$?
echo "memory: $code"
# A dead sidecar is started again, a dead service is not.
left=20; until docker version >/dev/null 2>&1 || [ $((left = left - 1)) = 0 ]; do sleep 0.5; done
"""
#: What listens there.
PORTS = {2375: "the daemon, plain", 2376: "the daemon, TLS", 8080: "a published port"}
#: The exit code of `docker run`.
EXITS = {"0": "it got them", "137": "it was killed", "125": "no answer", "1": "no answer"}


@dataclass(frozen=True)
class Row:
    """What one Pod showed."""

    cgroup: str
    cpu: str
    memory: str
    daemon: str
    ports: str


def main() -> None:
    """Measure and print."""
    with bench(__doc__) as lab:
        mirror = lab.cluster.registry_mirror
        arguments = [f"--registry-mirror={mirror}", f"--insecure-registry={mirror.removeprefix('http://')}"]
        rows = {launch.name: look(lab, launch, arguments) for launch in launches(lab.pods)}
    print(f"limits of the daemon's container: {LIMITS['cpu']} CPU, {LIMITS['memory']}; node: {lab.node or 'any'}")
    print(
        f"{'':30} {'cgroup':>6} {'CPUs used':>10} {'400 MB inside':>24} {'daemon after that':>26}   open to other Pods"
    )
    for name, row in rows.items():
        print(f"{name:30} {row.cgroup:>6} {row.cpu:>10} {row.memory:>24} {row.daemon:>26}   {row.ports}")


def look(lab: Bench, launch: Launch, arguments: list[str]) -> Row:
    """One Pod, from its start to its end."""
    manifest = lab.placed(launch.manifest(SCRIPT, LIMITS, arguments))
    pod = Pod(lab.cluster, lab.namespace, lab.cluster.create(manifest)["metadata"]["name"])
    try:
        pod.wait_for_log("published\n", launch.job)
        ports = open_ports(lab, pod.body()["status"]["podIP"])
        pod.execute(launch.job, "touch", "/tmp/scanned")  # noqa: S108  in the Pod
        pod.wait_for_log("memory: ", launch.job)
        found = dict(line.split(": ", 1) for line in pod.log(launch.job).splitlines() if ": " in line)
        return Row(found["cgroup"], found["cpu"], EXITS.get(found["memory"], found["memory"]), fate(pod, launch), ports)
    finally:
        pod.delete()


def fate(pod: Pod, launch: Launch) -> str:
    """What became of the daemon, by its container's status, once the API server has heard of the script's end."""
    pod.end(launch.job)
    status = pod.container(launch.daemon)
    # A sidecar is started again, and ends by itself after the job; an ordinary container stays as it is.
    state = status["state"] if launch.job == "build" else status["lastState"]
    ended = state.get("terminated")
    return f"died ({ended['reason']}, {ended['exitCode']})" if ended else "lives"


def open_ports(lab: Bench, address: str) -> str:
    """The ports that another Pod reaches."""
    scan = {"name": "scan", "image": "python:3-slim", "command": ["python3", "-c", SCAN, address]}
    spec: Object = {"restartPolicy": "Never", "containers": [scan]}
    created = lab.cluster.create(lab.placed({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec}))
    pod = Pod(lab.cluster, lab.namespace, created["metadata"]["name"])
    ended = pod.end("scan")
    assert ended["exitCode"] == 0, pod.log("scan")
    found = json.loads(pod.log("scan"))
    pod.delete()
    return ", ".join(f"{port} ({PORTS.get(port, 'unknown')})" for port in found) or "nothing"


if __name__ == "__main__":
    main()
