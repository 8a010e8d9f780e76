"""The virtual machine: its command line, what it is given, and the disk that it starts from."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster import registry
from tests.cluster.api import Api
from tests.cluster.cgroups import version
from tests.cluster.config import MAX_INSTANCE, MAX_NODES, Config, load, remember, remembered
from tests.cluster.errors import ClusterError
from tests.cluster.images.apt import Apt
from tests.cluster.images.oci import File
from tests.cluster.node import kubelet, proxy
from tests.cluster.pki import Pki, identities
from tests.cluster.vm import disk, guest, qemu
from tests.cluster.vm.disk import UNITS, Disks, place
from tests.cluster.vm.qemu import HARDWARE, SOFTWARE, Guest

APT = Apt("http://archive.example/debian", ())
PROGRAM = Path("/cache/kubernetes-1/cijob-kube")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A cluster with a virtual machine, in a folder of the test's own."""
    monkeypatch.setenv("CIJOB_DEV_STATE", str(tmp_path))
    monkeypatch.setattr("tests.cluster.network.uplink_mtu", lambda: 1450)
    return replace(load(3), vm=True)


def a_guest(config: Config) -> Guest:
    (item,) = config.virtual_nodes
    files = (Path(f"/disk/{name}") for name in ("root.img", "config.tar", "vmlinuz", "initrd", "console.log"))
    return Guest(item.name, item.address, item.interface, *files)


def texts(config: Config) -> dict[str, str]:
    (item,) = config.virtual_nodes
    found = guest.configuration(config, item, Pki(config.run / "pki"))
    return {file.path: (file.content or b"").decode() for file in found}


# --- the cluster's configuration --------------------------------------------------------------------------------------


def test_there_is_none_unless_it_is_wanted() -> None:
    assert load(0).virtual_nodes == ()
    assert [node.name for node in replace(load(0), vm=True).all_nodes] == ["node1", "vm1"]


def test_its_addresses_and_interface_are_no_other_nodes() -> None:
    config = replace(load(MAX_INSTANCE, MAX_NODES), vm=True)
    (vm,) = config.virtual_nodes
    assert vm.address in config.node_network
    assert vm.pods.subnet_of(config.pod_network)
    assert not any(vm.address == node.address or vm.pods.overlaps(node.pods) for node in config.nodes)
    assert len(vm.interface) <= 15
    assert vm.interface.startswith(f"{config.bridge}-"), "`down` finds what it takes away by this name"


def test_a_cluster_that_is_up_keeps_it(config: Config) -> None:
    remember(config)
    assert remembered(load(3)).vm
    assert remembered(load(3)).node_count == 1


def test_a_note_from_before_there_were_any_is_understood(config: Config) -> None:
    config.run.mkdir(parents=True)
    (config.run / "cluster.json").write_text('{"nodes": 2}')
    noted = remembered(load(3))
    assert (noted.node_count, noted.vm) == (2, False)


def test_it_has_a_certificate_for_its_address(config: Config) -> None:
    (identity,) = [one for one in identities(config) if one.name == "vm1"]
    assert identity.user == "system:node:vm1"
    assert f"IP:{config.virtual_nodes[0].address}" in identity.hosts


# --- QEMU -------------------------------------------------------------------------------------------------------------


def test_the_disk_is_never_written_to(config: Config) -> None:
    drives = [word for word in a_guest(config).argv(SOFTWARE) if word.startswith("file=")]
    assert drives == [
        "file=/disk/root.img,if=virtio,format=raw,snapshot=on",
        "file=/disk/config.tar,if=virtio,format=raw,readonly=on",
    ]


def test_it_hangs_on_the_clusters_bridge(config: Config) -> None:
    argv = a_guest(config).argv(HARDWARE)
    assert "tap,id=net0,ifname=cijob3-vm1,script=no,downscript=no" in argv
    assert "virtio-net-pci,netdev=net0,mac=52:54:0a:cb:00:10,romfile=" in argv


@pytest.mark.parametrize(("accelerator", "words"), [(HARDWARE, "-accel kvm -cpu host"), (SOFTWARE, "-accel tcg,")])
def test_the_accelerator_is_named(config: Config, accelerator: qemu.Accelerator, words: str) -> None:
    assert words in " ".join(a_guest(config).argv(accelerator))


@pytest.mark.parametrize(
    ("device", "says", "chosen"),
    [
        (False, "", SOFTWARE),
        (True, "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs", HARDWARE),
        (True, "KVM internal error. Suberror: 1", SOFTWARE),
        (True, None, SOFTWARE),
    ],
)
def test_the_processor_helps_only_where_a_kernel_starts_with_its_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: bool, says: str | None, chosen: qemu.Accelerator
) -> None:
    def trial(*_words: object, **_options: object) -> str:
        if says is None:
            raise ClusterError("took more than 20 s")
        return says

    monkeypatch.setattr(qemu, "KVM", tmp_path if device else tmp_path / "none")
    monkeypatch.setattr(qemu, "run", trial)
    assert qemu.choose_accelerator(Path("/disk/vmlinuz")) is chosen


# --- what the guest is given ------------------------------------------------------------------------------------------


def test_its_kubelet_is_a_usual_one_with_a_taint(config: Config) -> None:
    settings = json.loads(texts(config)[f"{config.run}/vm1/kubelet.json"])
    assert settings["cgroupDriver"] == "systemd"
    assert not settings.keys() & {"cgroupRoot", "enforceNodeAllocatable", "featureGates", "failCgroupV1"}
    assert settings["registerWithTaints"] == [{"key": "cijob.dev/cgroup", "value": "v2", "effect": "NoSchedule"}]
    assert settings["address"] == str(config.virtual_nodes[0].address)


def test_its_containerd_uses_systemd_and_the_clusters_registry(config: Config) -> None:
    settings = texts(config)["/etc/containerd/config.toml"]
    assert "SystemdCgroup = true" in settings
    assert "restrict_oom_score_adj = false" in settings
    assert f'config_path = "{registry.hosts_folder(config)}"' in settings


def test_its_network_is_the_clusters(config: Config) -> None:
    lines = texts(config)["/etc/systemd/network/10-eth0.network"].splitlines()
    assert {"Address=10.203.0.16/24", "Gateway=10.203.0.1", "MTUBytes=1450"} <= set(lines)
    assert texts(config)["/etc/resolv.conf"] == "nameserver 10.203.0.1\n"


def test_its_commands_are_those_of_any_node(config: Config) -> None:
    (item,) = config.virtual_nodes
    argv = kubelet(item, PROGRAM, _no_api(config), "v2").argv
    files = {file.path: file.content for file in guest.commands(kubelet(item, PROGRAM, _no_api(config), "v2"),
                                                                proxy(item, PROGRAM))}  # fmt: skip
    assert files["/etc/cijob/kubelet"] == f"COMMAND={' '.join(argv)}\n".encode()
    assert b"--node-labels=cijob.dev/cgroup=v2" in (files["/etc/cijob/kubelet"] or b"")
    assert (
        files["/etc/cijob/kube-proxy"] == f"COMMAND={PROGRAM} kube-proxy --config={item.folder}/proxy.json\n".encode()
    )


def _no_api(config: Config) -> Api:
    return Api(config.api_url, Pki(config.run / "pki"))


def test_it_gets_its_own_keys_and_no_others(config: Config) -> None:
    (item,) = config.virtual_nodes
    pki = Pki(config.run / "pki")
    pki.folder.mkdir(parents=True)
    for name in ("ca", "admin", "vm1", "node1", "proxy", "tokens"):
        pki.key(name).write_text(f"key of {name}")
        pki.certificate(name).write_text(f"certificate of {name}")
    pki.kubeconfig("proxy", config.api_url, config.run / "proxy.kubeconfig")
    registry.write_mirrors(config)
    given = {file.path: file for file in guest.credentials(config, item, pki)}
    assert {Path(path).name for path in given if path.endswith(".key")} == {"vm1.key", "proxy.key"}
    assert given[str(pki.key("vm1"))].mode == 0o600
    assert str(registry.hosts_folder(config) / "_default" / "hosts.toml") in given


def test_an_archive_is_a_disk_named_by_its_content(tmp_path: Path) -> None:
    files = [File("/etc/a", b"text", mode=0o600), File("/etc/b", target="a"), File("/var/c")]
    path = guest.pack(files, tmp_path)
    assert path.stat().st_size % 512 == 0, "disks consist of sectors"
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        kinds = {entry.name: (entry.isfile(), entry.issym(), entry.isdir()) for entry in archive}
    assert kinds == {"etc/a": (True, False, False), "etc/b": (False, True, False), "var/c": (False, False, True)}
    assert guest.pack(files, tmp_path) == path
    assert guest.pack(files[:1], tmp_path) != path
    assert len(list(tmp_path.iterdir())) == 1


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_disk_is_named_by_all_that_goes_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {Disks(tmp_path, APT, PROGRAM).key(), Disks(tmp_path, APT, PROGRAM).key()}
    assert len(keys) == 1
    keys.add(Disks(tmp_path, APT, Path("/cache/kubernetes-2/cijob-kube")).key())
    keys.add(Disks(tmp_path, Apt("http://other.example/debian", ()), PROGRAM).key())
    monkeypatch.setattr(disk, "MODULES", ("overlay",))
    keys.add(Disks(tmp_path, APT, PROGRAM).key())
    assert len(keys) == 4


def test_other_processors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ClusterError, match="x86_64 only"):
        Disks(tmp_path, APT, PROGRAM).get()


def test_what_starts_with_the_system_is_there(tmp_path: Path) -> None:
    for file in disk.static_files():
        place(tmp_path, file)
    units = tmp_path / UNITS.lstrip("/")
    for wants in units.glob("*.wants/*"):
        target = str(wants.readlink())
        assert target.startswith("/usr/lib/") or (tmp_path / target.lstrip("/")).is_file(), wants
    assert (units / "fstrim.timer").readlink() == Path("/dev/null")


def test_a_file_takes_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "fstab").symlink_to("/nonexistent")
    place(tmp_path, File("/etc/fstab", b"text", mode=0o644))
    assert not (tmp_path / "etc" / "fstab").is_symlink()


# --- the machine's own cgroups ----------------------------------------------------------------------------------------


def test_the_machines_version_is_told_truly(tmp_path: Path) -> None:
    one, two = tmp_path / "v1", tmp_path / "v2"
    (one / "memory").mkdir(parents=True)
    (one / "memory" / "cgroup.procs").touch()
    two.mkdir()
    (two / "cgroup.controllers").touch()
    assert (version(one), version(two)) == ("v1", "v2")
