"""How long a user waits for the script, and for the verdict after it.

From `kubectl create` to the first line of the script, which can use Docker, and from the script's end to the verdict. Side
by side with Pods as others start Docker-in-Docker (`tests.bench.peers` says what is modelled).

`python -m tests.bench.start`, a part of `make bench`. Prints medians and ranges; nothing is asserted: the figures depend
on the machine. With `--node NAME` all Pods go to that node, and ours are made without the operator, whose verdict is then
not measured. The node's clock must be that of this machine.
"""

from __future__ import annotations

import json
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.bench import Bench, bench, spread
from tests.bench.peers import CLIENT, Launch, launches
from tests.e2e.lab import PATIENCE, wait_for
from tests.e2e.pods import Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.lab import Object

#: Its first line is the time at which it runs, its last one that of its end.
SCRIPT = "date +%s.%N; docker version >/dev/null; date +%s.%N"
ENDED = {"Succeeded", "Failed"}
#: Seconds to the first line, seconds from the end to the verdict; None where no verdict is read from the Pod.
Figures = tuple[float, float | None]


def main() -> None:
    """Measure and print."""
    with bench(__doc__) as lab:
        variants: dict[str, Callable[[], Figures]] = {} if lab.node else dict(operator(lab))
        for launch in launches(lab.pods):
            if lab.node or not launch.name.startswith("ours"):
                variants[launch.name] = partial(plain, lab, launch)
        results = lab.in_turn(variants)
    print(f"{'':30} {'create -> first line, s':>28} {'script ends -> verdict, s':>28}")
    for name, values in results.items():
        verdicts = [verdict for _, verdict in values if verdict is not None]
        ends = spread(verdicts) if verdicts else "in its log; Pod runs on"
        print(f"{name:30} {spread([first for first, _ in values]):>28} {ends:>28}")


def operator(lab: Bench) -> Iterator[tuple[str, Callable[[], Figures]]]:
    for endpoint in ("TCP", "Unix"):
        yield f"CiJob, {endpoint}", partial(cijob, lab, endpoint)


def cijob(lab: Bench, endpoint: str) -> Figures:
    """A CiJob, its verdict taken from its phase."""
    begin = time.time()
    job = lab.jobs.start("start", image=CLIENT, docker={"endpoint": endpoint}, script=[SCRIPT])
    seen = ended(lab, "cijob", job.name)
    first, last = times(job.log())
    return first - begin, seen - last


def plain(lab: Bench, launch: Launch) -> Figures:
    """A Pod made by hand, its verdict taken from its phase; GitLab Runner's does not end while its service runs."""
    manifest = lab.placed(launch.manifest(SCRIPT, {}, []))
    begin = time.time()
    pod = Pod(lab.cluster, lab.namespace, lab.cluster.create(manifest)["metadata"]["name"])
    try:
        if launch.job == "build":
            wait_for(lambda: len(times(pod.log("build"))) == 2 or None, PATIENCE, lambda: pod.log("build"))
            return times(pod.log("build"))[0] - begin, None
        seen = ended(lab, "pod", pod.name)
        first, last = times(pod.log(launch.job))
        return first - begin, seen - last
    finally:
        pod.delete()


def times(log: str) -> list[float]:
    """The lines that are times."""
    return [float(line) for line in log.splitlines() if line.replace(".", "").isdecimal()]


def ended(lab: Bench, kind: str, name: str) -> float:
    """The time at which a watch first shows the end of an object."""
    arguments = ["get", kind, name, f"--namespace={lab.namespace}", "--output=json", "--watch"]
    command = [lab.cluster.kubectl, f"--kubeconfig={lab.cluster.kubeconfig}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for body in objects(process.stdout):
                if body.get("status", {}).get("phase") in ENDED:
                    return time.time()
        finally:
            process.terminate()
    raise AssertionError(f"the watch ended: {' '.join(arguments)}")


def objects(lines: Iterator[str]) -> Iterator[Object]:
    """The objects of a watch, which kubectl prints one after the other."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip() == "}":
            yield json.loads(text)
            text = ""


if __name__ == "__main__":
    main()
