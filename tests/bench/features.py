"""What each feature of a CiJob costs at its start, and that it costs nothing where it is not used.

From `kubectl create` to the first line of the script, in turn: a job without the feature, and with it. The repository is on
a git server in the cluster, the service is Redis (the script waits until it listens), all images are on the node.

`python -m tests.bench.features`, a part of `make bench`. Prints medians and ranges; nothing is asserted.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tests.bench.bench import Bench, bench, spread
from tests.bench.peers import CLIENT
from tests.bench.start import times
from tests.cluster.registry import PASSWORD
from tests.e2e.gitserver import IMAGE as GIT_SERVER
from tests.e2e.gitserver import NAME, GitServer
from tests.e2e.images import provide
from tests.e2e.registry import config, secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.lab import Object

REDIS = "redis:8"
GIT: Object = {"source": {"git": {"url": f"http://{NAME}/app.git"}}}
SERVICE: Object = {"services": [{"name": "cache", "image": REDIS, "ports": [6379]}]}
SECRET: Object = {"imagePullSecrets": [{"name": "registry"}]}
FEATURES: dict[str, Object] = {
    "nothing": {},
    "source.git": GIT,
    "a service": SERVICE,
    "imagePullSecrets": SECRET,
    "all three": GIT | SERVICE | SECRET,
}


def main() -> None:
    """Measure and print."""
    with bench(__doc__) as lab:
        if lab.node:
            print("features: not measured on one node: the operator places the jobs")
            return
        prepare(lab)
        variants: dict[str, Callable[[], float]] = {}
        for docker in ({"endpoint": "TCP"}, {"endpoint": "Unix"}, {"enabled": False}):
            for name, feature in FEATURES.items():
                label = str(docker.get("endpoint", "no Docker"))
                variants[f"{label}, {name}"] = partial(first_line, lab, {"docker": docker, **feature})
        results = lab.in_turn(variants)
    print(f"{'':30} {'create -> first line, s':>28}")
    for name, values in results.items():
        print(f"{name:30} {spread(values):>28}")


def prepare(lab: Bench) -> None:
    """The git server, and a Secret for a registry."""
    provide(GIT_SERVER, REDIS)
    GitServer(lab.cluster, lab.namespace).start()
    secret(lab.cluster, lab.namespace, "registry", config(lab.cluster.private_registry, PASSWORD))


def first_line(lab: Bench, spec: Object) -> float:
    """Seconds to the first line of one job."""
    begin = time.time()
    job = lab.jobs.start("features", image=CLIENT, script=["date +%s.%N"], **spec)
    return times(job.succeeded())[0] - begin


if __name__ == "__main__":
    main()
