"""The control plane: etcd, API server, controllers and scheduler as processes of the machine, and the cluster's DNS."""

import json
import socket
from pathlib import Path

from tests.cluster.api import Api, answers
from tests.cluster.config import API_PORT, CLUSTER_DOMAIN, Config
from tests.cluster.pki import Pki
from tests.cluster.processes import Daemon
from tests.cluster.shell import write

DNS_QUERY = (  # A kubernetes.default.svc.cluster.local
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
)


def write_configuration(config: Config, pki: Pki) -> None:
    """Write the files that the daemons below read."""
    for user in ("controllers", "scheduler", "proxy", "dns"):
        pki.kubeconfig(user, config.api_url, config.run / f"{user}.kubeconfig")
    pki.kubeconfig("admin", config.api_url, config.kubeconfig)
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
    write(config.run / "audit-policy.json", json.dumps(policy))


def etcd(config: Config, program: Path) -> Daemon:
    client, peer = (f"http://127.0.0.1:{config.local_port(number)}" for number in (1, 2))
    return Daemon(
        "etcd",
        (
            str(program), "etcd", f"--data-dir={config.run}/etcd",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data ends with the cluster
        ),
        lambda: answers(f"{client}/health"),
    )  # fmt: skip


def apiserver(config: Config, program: Path, pki: Pki, api: Api) -> Daemon:
    kubelet = "apiserver-to-kubelet"
    return Daemon(
        "kube-apiserver",
        (
            str(program), "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{config.local_port(1)}",
            f"--bind-address={config.host}", f"--advertise-address={config.host}", f"--secure-port={API_PORT}",
            f"--tls-cert-file={pki.certificate('apiserver')}", f"--tls-private-key-file={pki.key('apiserver')}",
            f"--client-ca-file={pki.authority}",
            f"--service-account-key-file={pki.token_public_key}",
            f"--service-account-signing-key-file={pki.key('tokens')}",
            f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
            f"--service-cluster-ip-range={config.service_network}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            f"--kubelet-client-certificate={pki.certificate(kubelet)}", f"--kubelet-client-key={pki.key(kubelet)}",
            f"--kubelet-certificate-authority={pki.authority}", "--kubelet-preferred-address-types=InternalIP",
            # the machine has routes to Pods but not to Services: webhooks are called at their Pods
            "--enable-aggregator-routing=true",
            f"--audit-policy-file={config.run}/audit-policy.json", f"--audit-log-path={config.audit_log}",
            "--audit-log-mode=blocking", "--audit-log-maxsize=100000",  # MB: one file, which tests read while it grows
        ),
        api.ready,
    )  # fmt: skip


def controllers(config: Config, program: Path, pki: Pki) -> Daemon:
    port = config.local_port(3)
    return Daemon(
        "kube-controller-manager",
        (
            str(program), "kube-controller-manager", f"--kubeconfig={config.run}/controllers.kubeconfig",
            f"--service-account-private-key-file={pki.key('tokens')}", f"--root-ca-file={pki.authority}",
            "--use-service-account-credentials", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={port}",
        ),
        lambda: listens("127.0.0.1", port),
    )  # fmt: skip


def scheduler(config: Config, program: Path) -> Daemon:
    port = config.local_port(4)
    return Daemon(
        "kube-scheduler",
        (
            str(program), "kube-scheduler", f"--kubeconfig={config.run}/scheduler.kubeconfig", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={port}",
        ),
        lambda: listens("127.0.0.1", port),
    )  # fmt: skip


def dns(config: Config, program: Path) -> Daemon:
    """Names of Services; it runs on the machine, so that it asks the machine's own resolvers for all others."""
    return Daemon(
        "dns",
        (
            str(program), "dns", f"--kubeconfig={config.run}/dns.kubeconfig",
            f"--listen={config.host}:53", f"--domain={CLUSTER_DOMAIN}",
        ),
        lambda: resolves(str(config.host)),
    )  # fmt: skip


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def resolves(server: str) -> bool:
    """Whether the DNS server knows the API server's Service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.settimeout(1)
        try:
            query.sendto(DNS_QUERY, (server, 53))
            reply = query.recv(512)
        except OSError:
            return False
    return reply[3] & 0xF == 0 and reply[7] == 1  # no error, one answer
