"""The embedded driver: Kubernetes as plain processes on a Linux machine, as root, without Docker or an image registry."""

import os
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tests.cluster import controlplane, machine, network, node, packages, pki, registry
from tests.cluster.api import Api
from tests.cluster.cgroups import SYSTEM, Cgroups, version
from tests.cluster.config import Config, check_nodes, remember, remembered
from tests.cluster.driver import Build, Status
from tests.cluster.errors import ClusterError
from tests.cluster.images import apt, extra, loading, recipes, store
from tests.cluster.images.build import Archive, Builder
from tests.cluster.images.names import parse
from tests.cluster.images.recipe import Recipe
from tests.cluster.locks import locked
from tests.cluster.pki import Pki
from tests.cluster.processes import Daemon, Supervisor
from tests.cluster.progress import step, wait_until
from tests.cluster.toolchain import Toolchain
from tests.cluster.vm.disk import Disk, Disks
from tests.cluster.vm.machine import VirtualMachine


class Embedded:
    """One cluster of processes; see `driver.Driver` for what its methods promise."""

    def __init__(self, config: Config) -> None:
        self.config = remembered(config)
        self.cgroups = Cgroups(config.name)
        self.supervisor = Supervisor(config.run / "pids", config.logs, self.cgroups)
        self.pki = Pki(config.run / "pki")
        self.api = Api(config.api_url, self.pki)
        self.tools = Toolchain(config.cache)

    # --- up -----------------------------------------------------------------------------------------------------------

    def up(self, nodes: int | None, images: list[str] | None, *, vm: bool) -> None:
        """Bring it up, or repair it."""
        require_root()
        vm = vm or self.config.vm
        packages.ensure(vm=vm)
        pool = ThreadPoolExecutor(max_workers=1)  # images are made while programs are built, one after the other
        try:
            sources = apt.read()
            builder = Builder(self.config.cache, sources)
            archives = {recipe: pool.submit(builder.archive, recipe) for recipe in recipes.wanted(images)}
            tools = self.tools.kubernetes()
            self.tools.helm()
            pause = recipes.pause(tools / "pause")
            disk = pool.submit(Disks(self.config.cache, sources, program(tools)).get) if vm else None
            with self.locked():
                self.resize(nodes, vm=vm)
                self.prepare()
                self.start_control_plane(tools)
                self.start_nodes(tools)
                if disk:
                    self.start_virtual_machines(disk.result(), program(tools))
                self.provide_images({pause: done(builder.archive(pause)), **archives})
                self.wait_for_cluster(tools)
        finally:
            pool.shutdown(cancel_futures=True)

    def resize(self, nodes: int | None, *, vm: bool) -> None:
        """Take over which nodes are wanted."""
        self.config = replace(self.config, vm=vm)
        if nodes is None:
            return
        check_nodes(nodes)
        if nodes < self.config.node_count:
            raise ClusterError(f"the cluster has {self.config.node_count} nodes already", "Take it down first.")
        self.config = replace(self.config, node_count=nodes)

    def prepare(self) -> None:
        """Everything that the processes need to be there before them."""
        config = self.config
        config.logs.mkdir(parents=True, exist_ok=True)
        remember(config)
        groups = [name for item in config.all_nodes for name in (item.name, node.daemon_group(item))]
        self.cgroups.create(SYSTEM, *groups)
        with step("network, certificates and configuration"):
            machine.prepare(config)
            network.up(config)
            self.pki.create(pki.identities(config))
            controlplane.write_configuration(config, self.pki)
            registry.write_mirrors(config)
            for item in config.nodes:
                node.write_configuration(config, item, self.pki)

    def start_control_plane(self, tools: Path) -> None:
        for item in self.config.nodes:
            if not self.supervisor.runs(node.holder(item, tools / "pause")):
                node.reset(self.config, item, self.cgroups)
        early = [registry.daemon(self.config), registry.private_daemon(self.config)]
        early += [controlplane.etcd(self.config, program(tools))]
        early += [node.holder(item, tools / "pause") for item in self.config.nodes]
        self.start(early)
        with step("registry, etcd and nodes' namespaces"):
            self.wait(early)
        for item in self.config.nodes:
            node.prepare(self.config, item, self.supervisor)
        self.start([controlplane.apiserver(self.config, program(tools), self.pki, self.api)])

    def start_nodes(self, tools: Path) -> None:
        """Start containerd while the API server starts; the rest needs that."""
        fresh = not (self.config.run / "was-ready").exists()
        for item in self.config.nodes:
            started = self.supervisor.start(node.containerd(item))
            self.wait([node.containerd(item)])
            if started and fresh:
                node.forget_containers(item)
        with step("API server"):
            self.wait([controlplane.apiserver(self.config, program(tools), self.pki, self.api)])
        self.start(self.late_daemons(tools))

    def start_virtual_machines(self, disk: Disk, kube: Path) -> None:
        """They take long: images are provided meanwhile."""
        for vm in self.virtual_machines():
            vm.start(disk, kube, self.pki)

    def virtual_machines(self) -> list[VirtualMachine]:
        return [VirtualMachine(self.config, item, self.supervisor, self.api) for item in self.config.virtual_nodes]

    def late_daemons(self, tools: Path) -> list[Daemon]:
        """What needs the API server."""
        kube = program(tools)
        return [
            controlplane.controllers(self.config, kube, self.pki),
            controlplane.scheduler(self.config, kube),
            controlplane.dns(self.config, kube),
            *(node.kubelet(item, kube, self.api, version()) for item in self.config.nodes),
            *(node.proxy(item, kube) for item in self.config.nodes),
        ]

    def provide_images(self, archives: dict[Recipe, Future[Archive]]) -> None:
        """Have all images in the registry and on the nodes, each as soon as it is made."""
        present = {item.name: store.node_digests(item) for item in self.config.nodes}
        for recipe, made in archives.items():
            for name in (recipe.name, *recipe.aliases):
                store.publish(self.config, made.result(), parse(name), present)

    def wait_for_cluster(self, tools: Path) -> None:
        for daemon in self.late_daemons(tools):
            if not daemon.ready():
                with step(daemon.name):
                    self.wait([daemon])
        for vm in self.virtual_machines():
            vm.wait()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until(
            lambda: self.api.get(account) is not None, 30, "the default service account",
            hint="Look at the controller manager's log, or take the cluster down and up again.",
        )  # fmt: skip
        (self.config.run / "was-ready").touch()

    def start(self, daemons: list[Daemon]) -> None:
        for daemon in daemons:
            if self.supervisor.start(daemon):
                print(f"  started {daemon.name}", file=sys.stderr, flush=True)

    def wait(self, daemons: list[Daemon]) -> None:
        for daemon in daemons:
            self.supervisor.wait(daemon)

    # --- down ---------------------------------------------------------------------------------------------------------

    def down(self, *, purge: bool) -> None:
        require_root()
        with self.locked():
            self.stop_nodes()
            with step("end all processes"):
                self.cgroups.kill()
            with step("remove network, folders and cgroups"):
                self.remove_traces()
            if purge:
                shutil.rmtree(self.config.keep, ignore_errors=True)

    def stop_nodes(self) -> None:
        for item in self.config.nodes:
            with step(f"stop {item.name}"):
                for daemon in ("kubelet", "kube-proxy"):
                    self.supervisor.stop(f"{daemon}-{item.name}")
                self.cgroups.kill(item.name)
                if self.supervisor.record(f"containerd-{item.name}"):
                    node.forget_containers(item)
                node.reset(self.config, item, self.cgroups)

    def remove_traces(self) -> None:
        network.down(self.config)
        if self.config.run.exists():
            shutil.rmtree(self.config.run)
        machine.restore(self.config)
        self.cgroups.remove()

    # --- questions and images -----------------------------------------------------------------------------------------

    def status(self) -> Status:
        tools = self.tools.kubernetes_if_built()
        helm = self.tools.helm_if_built()
        components = self.components(tools) if tools else {}
        return Status(
            driver="embedded",
            ready=bool(components) and all(state == "ready" for state in components.values()),
            kubeconfig=str(self.config.kubeconfig),
            registry_mirror=self.config.registry_url,
            private_registry=self.config.private_registry,
            kubectl=str(tools / "kubectl") if tools else "",
            helm=str(helm or ""),
            nodes=[item.name for item in self.config.all_nodes],
            audit_log=str(self.config.audit_log),
            components=components,
        )

    def components(self, tools: Path) -> dict[str, str]:
        states = {}
        if not self.config.run.exists():
            return {}
        for daemon in self.daemons(tools):
            running = self.supervisor.record(daemon.name) is not None
            states[daemon.name] = "ready" if running and daemon.ready() else "not ready" if running else "not running"
        return states

    def daemons(self, tools: Path) -> list[Daemon]:
        """Every process of the cluster."""
        return [
            registry.daemon(self.config),
            registry.private_daemon(self.config),
            controlplane.etcd(self.config, program(tools)),
            controlplane.apiserver(self.config, program(tools), self.pki, self.api),
            *(node.holder(item, tools / "pause") for item in self.config.nodes),
            *(node.containerd(item) for item in self.config.nodes),
            *self.late_daemons(tools),
            *(vm.daemon() for vm in self.virtual_machines()),
        ]

    def kubeconfig(self) -> Path:
        if not self.config.kubeconfig.exists():
            raise ClusterError("the cluster is down", "Run `python3 tests/cluster up`.")
        return self.config.kubeconfig

    def load_image(self, image: str) -> str:
        self.kubeconfig()
        return loading.load(self.config, image)

    def stand_ins(self, names: list[str]) -> None:
        """Make them one after the other; programs are pulled by inner containers only, so that no node gets them."""
        require_root()
        packages.ensure()
        self.kubeconfig()
        builder = Builder(self.config.cache, apt.read())
        daemons = [make() for name, make in extra.DAEMONS.items() if name in names]
        self.provide_images({recipe: done(builder.archive(recipe)) for recipe in daemons})
        others = {**extra.PROGRAMS, **extra.SERVERS}
        for name in others.keys() & set(names):
            store.register(self.config, builder.archive(others[name](self.tools)), parse(name))

    def build_image(self, build: Build) -> None:
        """Build with buildah."""
        require_root()
        packages.ensure()
        self.kubeconfig()
        loading.build(self.config, build)

    def locked(self) -> AbstractContextManager[None]:
        """One `up` or `down` at a time."""
        return locked(self.config.state / "lock", "another `up` or `down` of this cluster")


def done(archive: Archive) -> Future[Archive]:
    """An archive that is there already, among those that are still being made."""
    future: Future[Archive] = Future()
    future.set_result(archive)
    return future


def program(tools: Path) -> Path:
    return tools / "cijob-kube"


def require_root() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            "the embedded cluster needs root on Linux: it makes network namespaces and mounts",
            "Run it as root, or start a Docker engine and use `--driver kind`.",
        )
