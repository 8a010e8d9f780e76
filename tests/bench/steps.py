"""Where the time goes between the Pod's creation and the first line of a script with a Docker daemon.

`python -m tests.bench.steps`, a part of `make bench`. The Pods are the operator's, made without it; a line in front of
the daemon's command writes down when it runs. The rest comes from dockerd's own log, from the time of the mark that
dind.sh leaves, and from the script. The node's clock must be that of this machine.
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.bench.bench import Bench, bench, spread

if TYPE_CHECKING:
    from tests.e2e.lab import Object

SCRIPT = (
    "date +%s.%N",
    "docker version >/dev/null",
    "cat /.cijob/daemon/begun; stat --format %.9Y /.cijob/daemon/ready",
)
#: A step ends at the first line of dockerd's log with this text.
LOG = {
    "dockerd runs (dind.sh, entry point)": "Starting up",
    "containerd answers (TCP: 1 s asleep)": "Creating a containerd client",
    "storage": "Loading containers: start.",
    "networks, iptables": "Loading containers: done.",
    "dockerd serves": "API listen on",
}


def main() -> None:
    """Measure and print."""
    with bench(__doc__) as lab:
        results = lab.in_turn({name: partial(moments, lab, name) for name in ("TCP", "Unix")})
    print(f"{'':44} {'TCP, s':>22} {'Unix, s':>22}")
    names = list(results["TCP"][0])
    for before, name in [*pairwise(names), (names[1], names[-1]), (names[2], names[-1])]:
        columns = [spread([run[name] - run[before] for run in runs]) for runs in results.values()]
        label = name if names.index(name) == names.index(before) + 1 else f"= all from: {before}"
        print(f"{label:44} {columns[0]:>22} {columns[1]:>22}")


def moments(lab: Bench, endpoint: str) -> dict[str, float]:
    """One Pod: when each step ended, in their order."""
    begin = time.time()
    pod = lab.pods.start("steps", *SCRIPT, change=note_begin, docker={"endpoint": endpoint})
    created = time.time()
    first, daemon, mark = (float(line) for line in pod.succeeded().splitlines() if line.replace(".", "").isdecimal())
    log = pod.log("dind")
    pod.delete()
    steps = {"kubectl": begin, "kubectl create": created, "the daemon's container runs (kubelet)": daemon}
    steps |= {name: logged(log, text) for name, text in LOG.items()}
    return steps | {"mark (dind.sh)": mark, "first line (job.sh)": first}


def note_begin(manifest: Object) -> None:
    """Have the daemon's container write down when it runs."""
    dind = manifest["spec"]["initContainers"][0]
    command = " ".join(dind["command"])
    dind["command"] = ["/bin/sh", "-c", f"date +%s.%N >/.cijob/daemon/begun; exec {command}"]


def logged(log: str, text: str) -> float:
    """The time of the first line of dockerd's log with this text."""
    found = re.search(rf'^time="([^"]+)".*{re.escape(text)}', log, re.MULTILINE)
    assert found is not None, f"no {text!r} in\n{log}"
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", found[1])).timestamp()


if __name__ == "__main__":
    main()
