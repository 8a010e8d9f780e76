"""Keys, certificates and kubeconfigs of the cluster, made with openssl. They live in the run folder and end with it."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.config import Config
from tests.cluster.shell import run, write

DAYS = "3650"


@dataclass(frozen=True)
class Identity:
    """A client or server certificate.

    Attributes:
        name: name of its files.
        user: the user that the API server sees (CN).
        group: the group that it sees (O); empty for none.
        hosts: what a server certificate is valid for, as `DNS:...` or `IP:...`.
    """

    name: str
    user: str
    group: str = ""
    hosts: tuple[str, ...] = ()


class Pki:
    """The cluster's certificate authority and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, name: str) -> Path:
        """The private key of an identity."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The certificate of an identity."""
        return self.folder / f"{name}.crt"

    @property
    def authority(self) -> Path:
        """The certificate that all others are checked against."""
        return self.certificate("ca")

    @property
    def token_public_key(self) -> Path:
        """What service account tokens are checked against."""
        return self.folder / "tokens.pub"

    def create(self, identities: list[Identity]) -> None:
        """Make what is missing; each certificate appears under its name only when it is whole."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.create_authority()
        self.create_token_key()
        for identity in identities:
            self.sign(identity)

    def create_authority(self) -> None:
        """Make the authority, once."""
        if self.authority.exists():
            return
        key, new = self.key("ca"), self.folder / "ca.new"
        self.create_key(key)
        # Python 3.13 and later verify strictly: an authority must say that it signs, a certificate by which key it was.
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        run(["openssl", "req", "-x509", "-key", key, "-out", new, "-days", DAYS, "-subj", "/CN=cijob-dev", *usage])
        new.rename(self.authority)

    def create_token_key(self) -> None:
        """Make the key pair that signs service account tokens."""
        if self.token_public_key.exists():
            return
        self.create_key(self.key("tokens"))
        new = self.folder / "tokens.new"
        run(["openssl", "pkey", "-in", self.key("tokens"), "-pubout", "-out", new])
        new.rename(self.token_public_key)

    @staticmethod
    def create_key(path: Path) -> None:
        """Make a private key; the small curve is quick to make and to use."""
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])

    def sign(self, identity: Identity) -> None:
        """Make an identity's key and certificate, once."""
        if self.certificate(identity.name).exists():
            return
        subject = f"/O={identity.group}/CN={identity.user}" if identity.group else f"/CN={identity.user}"
        request, new = self.folder / f"{identity.name}.csr", self.folder / f"{identity.name}.new"
        extensions = self.folder / f"{identity.name}.ext"
        names = f"subjectAltName={','.join(identity.hosts)}\n" if identity.hosts else ""
        extensions.write_text(
            f"{names}extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        self.create_key(self.key(identity.name))
        run(["openssl", "req", "-new", "-key", self.key(identity.name), "-subj", subject, "-out", request])
        authority: list[str | Path] = ["-CA", self.authority, "-CAkey", self.key("ca"), "-CAcreateserial"]
        run(["openssl", "x509", "-req", "-in", request, *authority, "-days", DAYS, "-extfile", extensions, "-out", new])
        new.rename(self.certificate(identity.name))

    def kubeconfig(self, name: str, server: str, path: Path) -> Path:
        """Write the kubeconfig of an identity, as JSON, which is YAML too."""
        cluster = {"server": server, "certificate-authority": str(self.authority)}
        user = {"client-certificate": str(self.certificate(name)), "client-key": str(self.key(name))}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cijob-dev", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "cijob-dev", "context": {"cluster": "cijob-dev", "user": name}}],
            "current-context": "cijob-dev",
        }
        write(path, json.dumps(content, indent=1))
        path.chmod(0o600)
        return path


def identities(config: Config) -> list[Identity]:
    """Everyone who holds a certificate of this cluster."""
    service = config.service_network.network_address + 1
    api_names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    api_hosts = (*(f"DNS:{name}" for name in api_names), f"IP:{config.host}", f"IP:{service}", "IP:127.0.0.1")
    nodes = [
        Identity(node.name, f"system:node:{node.name}", "system:nodes", (f"DNS:{node.name}", f"IP:{node.address}"))
        for node in config.all_nodes
    ]
    return [
        Identity("apiserver", "kube-apiserver", hosts=api_hosts),
        Identity("apiserver-to-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("admin", "admin", "system:masters"),
        Identity("controllers", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("dns", "system:serviceaccount:kube-system:kube-dns"),  # a built-in role lets it read Services
        *nodes,
    ]
