"""The networks of a job's containers: packets of the right size, names, addresses, and no door to the outside."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from tests.e2e import outside as outside_module
from tests.e2e.lab import PATIENCE, wait_for
from tests.e2e.outside import BYTES, SILENCE, Outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.lab import Object
    from tests.e2e.pods import Pod, Pods

#: An image with a little of everything: what it transfers and resolves, in one of Docker's networks or while it is built.
DOCKERFILE = """
FROM busybox:stable AS probe
COPY probe.sh /www/
FROM probe AS tried
ARG url seconds
RUN sh /www/probe.sh $url $seconds > /result
"""
PROBE = f"""
cat /sys/class/net/eth0/mtu
timeout $2 wget -qO- $1 | wc -c
yes | head -c {BYTES} > /tmp/upload
timeout $2 wget -qO- --post-file=/tmp/upload $1 || echo timeout
echo
for name in kubernetes.default.svc.cluster.local kubernetes.default; do
    ping -c 1 -W 1 $name | sed -n 's/^PING .*(\\(.*\\)).*/\\1/p'
done
ulimit -S -n
ulimit -H -n
"""
COMPOSE = """
services:
  probe:
    image: probe
    command: sh /www/probe.sh $URL 30
  web:
    image: probe
    command: httpd -f -p 80 -h /www
    ports: ["8082:80"]
"""
PREPARE = (
    f"cat > probe.sh <<'END'{PROBE}END\ncat > Dockerfile <<'END'{DOCKERFILE}END\ncat > compose.yaml <<'END'{COMPOSE}END",
    "docker build --quiet --target probe --tag probe .",
    "docker network create mine",
    "echo prepared; sleep 3600",
)
PLACES = {
    "the default bridge": "docker run --rm probe sh /www/probe.sh $URL 30",
    "a network of the user's": "docker run --rm --network mine probe sh /www/probe.sh $URL 30",
    "a compose network": "docker compose --progress quiet run --rm -T probe",
    "a step of a build": "docker build --quiet --build-arg url=$URL --build-arg seconds=30 --tag tried . >/dev/null && docker run --rm tried cat /result",
}
SERVE = "httpd -f -p {port} -h /www"


@pytest.fixture(scope="module")
def outside(pods: Pods) -> Outside:
    """The server outside."""
    return outside_module.start(pods)


@pytest.fixture(scope="module")
def usual(pods: Pods) -> Iterator[Pod]:
    """A Pod with the settings that everybody has."""
    yield from prepared(pods.start("usual", *PREPARE))


@pytest.fixture(scope="module")
def unusual(pods: Pods) -> Iterator[Pod]:
    """A Pod where all that can be chosen about networks is chosen otherwise."""
    chosen = pods.using(mtu="1500", address_pools=("10.99.0.0/16/24",))
    yield from prepared(chosen.start("unusual", *PREPARE, change=daemon_env(CIJOB_PUBLISH_ADDRESS="0.0.0.0")))  # noqa: S104


def prepared(pod: Pod) -> Iterator[Pod]:
    """Wait for a Pod in which networks can be tried, and cut it off from ICMP."""
    pod.wait_for_log("prepared\n")
    pod.execute("dind", *SILENCE.format(chain="OUTPUT").split())
    yield pod
    pod.delete()


def daemon_env(**variables: str) -> Callable[[Object], None]:
    """A change that sets variables of the sidecar."""

    def change(manifest: Object) -> None:
        env = manifest["spec"]["initContainers"][0]["env"]
        env[:] = [one for one in env if one["name"] not in variables]
        env += [{"name": name, "value": value} for name, value in variables.items()]

    return change


def shell(pod: Pod, script: str, container: str = "job", **variables: str) -> str:
    """Run a script in a container; gives what it printed."""
    words = [f"--namespace={pod.namespace}", pod.name, f"--container={container}", "--"]
    env = [f"{name}={value}" for name, value in variables.items()]
    done = pod.cluster.run("exec", *words, "env", *env, "sh", "-euc", script, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def subnets(pod: Pod) -> list[str]:
    """The addresses of all of Docker's IPv4 networks."""
    form = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    found = shell(pod, f"docker network inspect --format '{form}' $(docker network ls --quiet)").split()
    return [subnet for subnet in found if ":" not in subnet]


def lie_in(subnets: list[str], network: str) -> bool:
    """Whether all of some networks lie in another."""
    return all(ip_network(subnet).subnet_of(ip_network(network)) for subnet in subnets)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", PLACES.values(), ids=PLACES)
def test_containers_have_the_pods_mtu_dns_and_a_hosts_nofile(usual: Pod, outside: Outside, command: str) -> None:
    mtu = shell(usual, "cat /sys/class/net/eth0/mtu").strip()
    assert int(mtu) < 1500, "else nothing is tested here"
    service = usual.cluster.get("service", "kubernetes", "--namespace=default")["spec"]["clusterIP"]
    found = shell(usual, command, URL=outside.url).split()
    assert found[:3] == [mtu, str(BYTES), str(BYTES)]
    assert found[3:5] == [service, service]
    limits = shell(usual, "grep '^Max open files' /proc/1/limits", "dind").split()
    hard = min(524288, int(limits[4]))
    assert found[5:] == [str(min(1024, hard)), str(hard)]


def test_a_wrong_mtu_would_hang(unusual: Pod, outside: Outside) -> None:
    command = PLACES["the default bridge"].replace(" 30", " 2")
    found = shell(unusual, command, URL=outside.url).split()
    assert found[0] == "1500"
    assert int(found[1]) < BYTES
    assert found[2] == "timeout"


def test_containers_of_one_network_find_each_other_by_name(usual: Pod) -> None:
    shell(usual, "docker run --detach --name peer --network mine probe sleep 600")
    shell(usual, "docker run --rm --network mine probe ping -c 1 -W 5 peer")


def test_search_domains_are_the_pods(usual: Pod) -> None:
    search = "sed -n 's/^search //p' /etc/resolv.conf"
    pods = shell(usual, search)
    assert "svc.cluster.local" in pods
    for network in ("bridge", "mine"):
        assert shell(usual, f"docker run --rm --network {network} probe {search}") == pods


def test_networks_have_dockers_own_addresses_where_the_cluster_has_others(usual: Pod) -> None:
    assert lie_in(subnets(usual), "172.16.0.0/12")


def test_networks_have_the_addresses_that_were_chosen(unusual: Pod) -> None:
    assert lie_in(subnets(unusual), "10.99.0.0/16")


def test_networks_keep_off_addresses_of_the_cluster(pods: Pods) -> None:
    change = daemon_env(KUBERNETES_SERVICE_HOST="172.20.0.1", CIJOB_HOST_IP="192.168.7.9")
    pod = pods.start("pools", "docker network create mine", "echo prepared; sleep 600", change=change)
    pod.wait_for_log("prepared\n")
    found = subnets(pod)
    pod.delete()
    assert len(found) == 2
    assert not any(ip_network(subnet).overlaps(ip_network("172.16.0.0/12")) for subnet in found), found
    assert not any(ip_network(subnet).overlaps(ip_network("192.168.0.0/16")) for subnet in found), found


def test_published_ports_are_open_on_localhost_and_closed_to_other_pods(usual: Pod, outside: Outside) -> None:
    serve = SERVE.format(port=80)
    shell(
        usual,
        f"""
        docker run --detach --publish 8080:80 probe {serve}
        docker run --detach --publish 8081:80 --network mine probe {serve}
        docker compose --progress quiet up --detach web
        docker network create --ipv6 six
        docker run --detach --publish 8083:80 --network six probe {serve}
        docker run --detach --publish 8053:53/udp probe sleep 3600
        for port in 8080 8081 8082 8083; do
            ask="until timeout 5 wget -qO /dev/null http://127.0.0.1:$port/probe.sh; do sleep 0.1; done"
            docker run --rm --network host probe timeout 60 sh -c "$ask"
        done
        """,
    )
    assert outside.open_ports(usual) == []
    assert ipv6_listeners(usual) == []
    assert udp_addresses(usual) == {"0100007F:1F75"}, "127.0.0.1:8053"


def test_ports_that_the_user_opens_to_all_are_open(usual: Pod, outside: Outside) -> None:
    shell(
        usual,
        f"""
        docker run --detach --name explicit --publish 0.0.0.0:8084:80 probe {SERVE.format(port=80)}
        docker run --detach --name host --network host probe {SERVE.format(port=8085)}
        """,
    )
    open_to_all(outside, usual, 8084, 8085)
    shell(usual, "docker rm --force explicit host")


def test_a_pool_can_open_published_ports_and_the_daemon_stays_closed(unusual: Pod, outside: Outside) -> None:
    shell(unusual, f"docker run --detach --publish 8080:80 probe {SERVE.format(port=80)}")
    open_to_all(outside, unusual, 8080)


def open_to_all(outside: Outside, pod: Pod, *ports: int) -> None:
    """Just these ports are open: a server may take a moment until it listens, after its container has started."""
    wait_for(lambda: outside.open_ports(pod, 9000) == [*ports] or None, 60, lambda: str(outside.open_ports(pod, 9000)))


def test_a_network_with_ipv6_works(usual: Pod) -> None:
    shell(
        usual,
        """
        docker network create --ipv6 only6
        docker run --detach --name peer6 --network only6 probe sleep 600
        docker run --rm --network only6 probe ping -6 -c 1 -W 5 peer6
        """,
    )


def test_iptables_that_does_not_work_is_one_clear_line(pods: Pods) -> None:
    pod = pods.start("broken", "true", change=break_iptables)
    message = "iptables works in neither flavour"
    pod.wait_for_log(message, "dind")

    def waits() -> Object | None:
        dind = pod.container("dind")
        return dind if dind.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" else None

    # Only then is the log that of one whole run.
    ended = wait_for(waits, PATIENCE, lambda: str(pod.body()))["lastState"]["terminated"]
    assert message in ended["message"]
    lines = pod.log("dind").splitlines()
    pod.delete()
    assert len(lines) == 1, lines


def break_iptables(manifest: Object) -> None:
    """Make every iptables of the sidecar one that fails, before the launcher starts."""
    daemon = manifest["spec"]["initContainers"][0]
    programs = "/usr/sbin/*tables* /sbin/*tables* /usr/local/sbin/.iptables-legacy/*"
    fake = f"for one in {programs}; do [ ! -e $one ] || ln -sf /bin/false $one; done; exec /bin/sh $0"
    daemon["command"] = ["/bin/sh", "-c", fake, *daemon["command"][1:]]


def ipv6_listeners(pod: Pod) -> list[str]:
    """The addresses, in hexadecimal, on which IPv6 sockets of a Pod listen, ::1 left out."""
    lines = [line.split() for line in shell(pod, "cat /proc/net/tcp6").splitlines()[1:]]
    addresses = [fields[1] for fields in lines if fields[3] == "0A"]
    return [address for address in addresses if not address.startswith("00000000000000000000000001000000")]


def udp_addresses(pod: Pod) -> set[str]:
    """The addresses and ports, in hexadecimal, that UDP sockets of a Pod are bound to."""
    lines = shell(pod, "tail -q -n +2 /proc/net/udp /proc/net/udp6").splitlines()
    return {line.split()[1] for line in lines}
