"""Stand-in images that only tests need: `up` leaves them alone, `python3 tests/cluster stand-ins` provides them."""

from collections.abc import Iterable

from tests.cluster.errors import ClusterError
from tests.cluster.images import daemons, databases, programs, servers

#: Images of the sidecar, by name: nodes need them.
DAEMONS = {
    "docker:29-dind-bare": daemons.bare,
    "docker:29-dind-busybox": daemons.busybox,
    "docker:29-dind-legacy": daemons.legacy,
    "docker:29-dind-no-iptables": daemons.no_iptables,
    "docker:29-dind-snapshotter": daemons.snapshotter,
    "docker:29-dind-unshares": daemons.unshares,
}
#: Images of inner containers, by name: only the registry needs them.
PROGRAMS = {
    "cijob-dev/cpus:1": programs.cpus,
    "cijob-dev/java:1": programs.java,
    "cijob-dev/systemd:1": programs.systemd,
    "moby/buildkit:buildx-stable-1": programs.buildkit,
    "testcontainers/ryuk:0.8.1": programs.ryuk,
}
#: Images of servers beside jobs or in Pods of their own, by name: nodes pull them from the registry.
SERVERS = {
    "cijob-dev/git:1": servers.git,
    "cijob-dev/web:1": servers.web,
    "postgres:17": databases.postgres,
    "redis:8": databases.redis,
}
NAMES = (*DAEMONS, *PROGRAMS, *SERVERS)


def check(names: Iterable[str]) -> None:
    """Refuse names that are none of these images.

    Raises:
        ClusterError: there is no such image.
    """
    if unknown := sorted(set(names) - set(NAMES)):
        raise ClusterError(f"there is no stand-in image {', '.join(unknown)}", f"There are: {', '.join(NAMES)}.")
