"""A control plane without nodes, for as long as the tests run: etcd, API server and garbage collector.

They are the development cluster's own program (`tests/cluster`), on free ports of the loopback interface; no root is
needed, and nothing outlives the test process. There is no scheduler and no kubelet: `kubelet.py` plays both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import yaml

from tests.cluster.config import cache_folder
from tests.cluster.pki import Identity, Pki
from tests.cluster.shell import log_tail
from tests.cluster.toolchain import Toolchain
from tests.faults.api import APPLY_PATCH, CIJOBS, Api, Body, Refused
from tests.faults.ports import free_port
from tests.faults.upstream import Upstream, upstream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ROOT: Final = Path(__file__).parents[2]
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SECONDS: Final = 120
_PAUSE: Final = 0.1


@asynccontextmanager
async def control_plane(folder: Path) -> AsyncIterator[Upstream]:
    """Start it, with this checkout's CRDs, in an empty folder; gives the administrator's way in."""
    crds = [yaml.safe_load(manifest.read_text()) for manifest in sorted((ROOT / "crds").glob("*.yaml"))]
    program = await asyncio.to_thread(Toolchain(cache_folder(dict(os.environ))).kubernetes) / "cijob-kube"
    client, peer, secure, controllers = (free_port() for _ in range(4))
    pki = Pki(folder / "pki")
    await asyncio.to_thread(
        pki.create,
        [
            Identity("apiserver", "kube-apiserver", hosts=("IP:127.0.0.1",)),
            Identity("admin", "admin", "system:masters"),
        ],
    )
    kubeconfig = pki.kubeconfig("admin", f"https://127.0.0.1:{secure}", folder / "admin.kubeconfig")
    upstream = upstream_of(kubeconfig)
    processes = contextlib.ExitStack()
    with processes:

        def start(name: str, *arguments: str) -> None:
            processes.enter_context(_process(folder / f"{name}.log", str(program), name, *arguments))

        start(
            "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )  # fmt: skip
        start(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={secure}",
            f"--tls-cert-file={pki.certificate('apiserver')}", f"--tls-private-key-file={pki.key('apiserver')}",
            f"--client-ca-file={pki.authority}", "--service-cluster-ip-range=10.96.0.0/24",
            f"--service-account-key-file={pki.token_public_key}",
            f"--service-account-signing-key-file={pki.key('tokens')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC", "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",  # nothing here makes the account of a new namespace
            "--endpoint-reconciler-type=none", "--enable-priority-and-fairness=false",
        )  # fmt: skip
        async with Api(upstream) as api:
            log = folder / "kube-apiserver.log"
            await _wait_for(lambda: _ready(api), lambda: log_tail(log))
            for crd in crds:
                await _install(api, crd)
            # It looks for new kinds every 30 s only: it starts when ours are there.
            start(
                "kube-controller-manager", f"--kubeconfig={kubeconfig}", "--leader-elect=false",
                "--controllers=garbage-collector-controller", "--bind-address=127.0.0.1", f"--secure-port={controllers}",
                "--kube-api-qps=1000", "--kube-api-burst=1000",
            )  # fmt: skip
            yield upstream


async def _install(api: Api, crd: Body) -> None:
    path = f"{_CRDS}/{crd['metadata']['name']}"
    await api.call("PATCH", f"{path}?fieldManager=faults&force=true", crd, APPLY_PATCH)

    async def served() -> bool:
        try:
            await api.call("GET", f"{CIJOBS}/{crd['spec']['names']['plural']}")
        except Refused:
            return False
        return True

    await _wait_for(served, lambda: f"{path} is not served")


async def _ready(api: Api) -> bool:
    try:
        return bool((await api.call("GET", "/readyz"))["text"] == "ok")
    except (Refused, aiohttp.ClientError, OSError):
        return False


async def _wait_for(condition: Callable[[], Awaitable[bool]], detail: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            while not await condition():  # noqa: ASYNC110  nothing else tells
                await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise AssertionError(f"the control plane is not ready after {_SECONDS} s: {detail()}") from error


@contextlib.contextmanager
def _process(log: Path, *argv: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  a context manager of the process
    # The kernel ends it with us, however we end.
    with (
        log.open("wb") as output,
        subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
