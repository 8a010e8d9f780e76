"""dind.sh with a fake dockerd: flags, the mark of readiness, signals, and what it writes into cgroup files."""

from __future__ import annotations

import json
import signal
import stat
from typing import Any

import pytest

from tests.unit.launcher.daemon import MIB, run
from tests.unit.launcher.userland import Container, needed, program


def test_tcp_is_on_the_loopback_address_only(dind: Container) -> None:
    argv, _ = run(dind)
    hosts = [flag for flag in argv if flag.startswith("--host")]
    sockets = [f"--host=unix://{dind.root}/system.sock", f"--host=unix://{dind.daemon}/docker.sock"]
    assert hosts == [*sockets, "--host=tcp://127.0.0.1:2375"]
    assert "--tls=false" in argv
    assert "--ip=127.0.0.1" in argv
    assert "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=127.0.0.1" in argv


def test_unix_has_no_port(dind: Container) -> None:
    dind.env["CIJOB_ENDPOINT"] = "Unix"
    argv, _ = run(dind)
    assert not [flag for flag in argv if "tcp:" in flag or "--tls" in flag]


def test_published_ports_may_be_opened(dind: Container) -> None:
    dind.env["CIJOB_PUBLISH_ADDRESS"] = "0.0.0.0"  # noqa: S104  what the test is about
    argv, _ = run(dind)
    assert "--ip=0.0.0.0" in argv
    assert "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=0.0.0.0" in argv


@pytest.mark.parametrize(("setting", "mtu"), [("", "1400"), ("1300", "1300")])
def test_mtu_is_the_settings_or_that_of_the_default_route(dind: Container, setting: str, mtu: str) -> None:
    dind.env["CIJOB_MTU"] = setting
    argv, _ = run(dind)
    assert f"--mtu={mtu}" in argv
    assert f"--default-network-opt=bridge=com.docker.network.driver.mtu={mtu}" in argv


def test_an_mtu_of_the_route_comes_before_the_interfaces(dind: Container) -> None:
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own ip to our fake")
    program(dind.bin, "ip", "#!/bin/sh\necho 'default via 10.0.0.1 dev eth0 mtu 1350'\n")
    argv, _ = run(dind)
    assert "--mtu=1350" in argv


def test_without_a_default_route_docker_chooses_the_mtu(dind: Container) -> None:
    (dind.root / "routes").write_text("Iface\tDestination\tGateway\n")
    argv, _ = run(dind)
    assert not [flag for flag in argv if "mtu" in flag]


LISTS = ("--registry-mirror", "--insecure-registry", "--default-address-pool")


def test_lists_become_a_flag_for_each_word(dind: Container) -> None:
    dind.env |= {
        "CIJOB_REGISTRY_MIRRORS": "http://a:5000 https://b",
        "CIJOB_INSECURE_REGISTRIES": "a:5000 *",
        "CIJOB_ADDRESS_POOLS": "base=172.30.0.0/16,size=24 base=10.9.0.0/16,size=26",
    }
    argv, _ = run(dind)
    assert [flag for flag in argv if flag.split("=")[0] in LISTS] == [
        "--registry-mirror=http://a:5000",
        "--registry-mirror=https://b",
        "--insecure-registry=a:5000",
        "--insecure-registry=*",
        "--default-address-pool=base=172.30.0.0/16,size=24",
        "--default-address-pool=base=10.9.0.0/16,size=26",
    ]


def test_the_images_entry_point_starts_dockerd_by_name(dind: Container) -> None:
    program(dind.bin, "dockerd-entrypoint.sh", '#!/bin/sh\necho "entrypoint $1"; exec "$@"\n')
    _, lines = run(dind)
    assert "entrypoint dockerd" in lines


def test_without_an_entry_point_docker_init_does(dind: Container) -> None:
    program(dind.bin, "docker-init", '#!/bin/sh\necho "init $1 $2"; shift; exec "$@"\n')
    _, lines = run(dind)
    assert "init -- dockerd" in lines


def test_the_mark_comes_with_the_first_answer_and_goes_with_the_daemon(dind: Container) -> None:
    mark, asked = dind.daemon / "ready", dind.root / "asked"
    mark.write_text("of the daemon before\n")
    (dind.root / "answer").unlink()
    with dind.start("dind.sh") as running:
        running.wait_until(lambda: asked.exists() and asked.read_text().count("\n") >= 2)
        assert not mark.exists()
        (dind.root / "answer").touch()
        running.wait_until(mark.exists)
        instance = mark.read_text()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (dind.daemon / "docker.sock", dind.root / "system.sock")]
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert f"--host unix://{dind.daemon}/docker.sock ps --quiet" in asked.read_text().splitlines()
    assert len(instance.split()) == 1
    assert instance != "of the daemon before\n"
    assert modes == [0o666, 0o666]
    assert "dockerd got SIGTERM" in ended.lines
    assert not mark.exists()
    assert ended.code == 0
    assert ended.message == {
        "ready": True,
        "message": "dockerd ended with 0.",
        "exitCode": 0,
        "peakMemory": 4096,
        "innerPeakMemory": 2048,
    }


def test_each_daemon_has_a_mark_of_its_own(dind: Container) -> None:
    marks = set()
    for _ in range(2):
        with dind.start("dind.sh") as running:
            running.wait_until((dind.daemon / "ready").exists)
            marks.add((dind.daemon / "ready").read_text())
            running.signal(signal.SIGTERM)
            running.end()
    assert len(marks) == 2


def test_a_daemon_that_dies_before_it_answers(dind: Container) -> None:
    (dind.root / "answer").unlink()
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = "7"
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.lines[-1] == "cijob: dockerd ended with 7"
    assert ended.message is not None
    assert (ended.message["ready"], ended.message["exitCode"]) == (False, 7)
    assert ended.message["message"] == "dockerd ended with 7."


def test_a_daemon_that_is_stopped_as_it_comes_back_had_been_ready(dind: Container) -> None:
    """The kubelet shows only the newest end: it must not read as if the job never had a daemon."""
    with dind.start("dind.sh") as running:
        running.wait_until((dind.daemon / "ready").exists)
        running.signal(signal.SIGTERM)
        running.end()
    (dind.root / "answer").unlink()
    (dind.root / "die").touch()
    dind.env["FAKE_CODE"] = "1"
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert not (dind.daemon / "ready").exists()
    assert ended.message is not None
    assert ended.message["ready"] is True


def test_sigterm_before_dockerd_is_started_starts_none(dind: Container) -> None:
    program(
        dind.bin,
        "iptables",
        '#!/bin/sh\n: >"$CIJOB_ROOT/checking"; until [ -e "$CIJOB_ROOT/go" ]; do sleep 0.05; done\n',
    )
    with dind.start("dind.sh") as running:
        running.wait_until((dind.root / "checking").exists)
        running.signal(signal.SIGTERM)
        (dind.root / "go").touch()
        ended = running.end()
    assert ended.lines == ["cijob: stopped before dockerd was started"]
    assert not (dind.root / "argv").exists()


def test_a_daemon_that_hangs_does_not_hold_up_its_own_end(dind: Container) -> None:
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own timeout to our fake")
    dind.env["CIJOB_DIAGNOSE"] = "End"
    program(dind.bin, "timeout", f'#!/bin/sh\n[ $1 = 5 ] && shift && exec {needed("timeout")} 0.1 "$@"\n')
    with dind.start("dind.sh") as running:
        running.wait_until((dind.daemon / "ready").exists)
        program(dind.bin, "docker", "#!/bin/sh\nexec sleep 600\n")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "dockerd got SIGTERM" in ended.lines
    assert ended.message is not None
    assert ended.message["oomKilled"] is None


def test_sigterm_before_the_first_answer_ends_the_daemon(dind: Container) -> None:
    (dind.root / "answer").unlink()
    with dind.start("dind.sh") as running:
        running.wait_for("dockerd up")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert "dockerd got SIGTERM" in ended.lines
    assert ended.message is not None
    assert ended.message["ready"] is False


@pytest.mark.parametrize("missing", ["dockerd", "docker"])
def test_an_image_that_is_no_docker_image_is_told_so(dind: Container, missing: str) -> None:
    (dind.bin / missing).unlink()
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.code == 1
    assert ended.message is not None
    assert f"the image has no {missing}" in ended.message["message"]
    assert ended.message["ready"] is False


# --- networks


@pytest.mark.parametrize(
    ("known", "pools"),
    [
        ({}, []),
        ({"KUBERNETES_SERVICE_HOST": "172.20.0.1"}, ["192.168.0.0/16,size=24"]),
        (
            {"CIJOB_HOST_IP": "192.168.1.7"},
            ["172.17.0.0/16,size=24", "172.18.0.0/15,size=24", "172.20.0.0/14,size=24"],
        ),
        ({"CIJOB_POD_IP": "172.31.9.9", "CIJOB_HOST_IP": "192.168.1.7"}, ["198.18.0.0/15,size=24"]),
        (
            {"CIJOB_POD_IP": "172.31.9.9", "CIJOB_HOST_IP": "192.168.1.7", "KUBERNETES_SERVICE_HOST": "198.19.0.1"},
            [],
        ),
        ({"CIJOB_HOST_IP": "172.32.0.1"}, []),
    ],
    ids=["none near", "services in 172", "nodes in 192.168", "both", "all", "beyond 172.16/12"],
)
def test_networks_of_docker_stay_clear_of_the_addresses_that_the_pod_knows(
    dind: Container, known: dict[str, str], pools: list[str]
) -> None:
    dind.env |= {
        "CIJOB_POD_IP": "10.1.2.3",
        "CIJOB_HOST_IP": "10.0.0.1",
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    } | known
    argv, _ = run(dind)
    assert [flag for flag in argv if "address-pool" in flag] == [
        f"--default-address-pool=base={pool}" for pool in pools
    ]


def test_a_nameserver_counts_as_an_address_of_the_cluster(dind: Container) -> None:
    (dind.root / "resolv").write_text("nameserver 172.20.0.10\n")
    argv, _ = run(dind)
    assert "--default-address-pool=base=192.168.0.0/16,size=24" in argv


def test_iptables_that_work_only_in_the_older_flavour_are_used(dind: Container) -> None:
    program(dind.bin, "iptables", "#!/bin/sh\nexit 3\n")
    program(dind.bin, "iptables-legacy", "#!/bin/sh\necho older\n")
    program(dind.bin, "docker-init", '#!/bin/sh\niptables; shift; exec "$@"\n')
    _, lines = run(dind)
    assert "older" in lines


def test_a_module_that_iptables_needs_is_loaded_first(dind: Container) -> None:
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own modprobe to our fake")
    program(dind.bin, "iptables", '#!/bin/sh\n[ -e "$CIJOB_ROOT/loaded" ]\n')
    program(dind.bin, "modprobe", '#!/bin/sh\n[ "$1" != nf_tables ] || : >"$CIJOB_ROOT/loaded"\n')
    run(dind)
    assert (dind.root / "loaded").exists()


def test_iptables_that_work_in_no_flavour_are_one_line(dind: Container) -> None:
    program(dind.bin, "iptables", "#!/bin/sh\necho 'Could not \"fetch\"\n rule set' >&2; exit 3\n")
    with dind.start("dind.sh") as running:
        ended = running.end()
    assert ended.code == 1
    assert len(ended.lines) == 1
    assert "iptables works in neither flavour" in ended.lines[0]
    assert "rule set" in ended.lines[0]
    assert ended.message is not None
    assert ended.message["message"] == ended.lines[0].removeprefix("cijob: ")


@pytest.mark.parametrize(
    ("addresses", "rules"),
    [
        ("", False),
        ("fe8000000000000000fc00fffe000001 04 40 20 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\n", False),
        ("fd000000000000000000000000000002 04 40 00 82     eth0\n", True),
    ],
    ids=["no IPv6", "link-local and loopback", "an address of the Pod's"],
)
def test_rules_for_ipv6_are_made_where_the_pod_has_it(dind: Container, addresses: str, *, rules: bool) -> None:
    (dind.root / "ipv6").write_text(addresses)
    dind.env["CIJOB_IPV6"] = str(dind.root / "ipv6")
    argv, _ = run(dind)
    assert ("--ip6tables=false" not in argv) is rules


# --- diagnosis


def _answer(dind: Container, question: str = "1-a") -> dict[str, Any]:
    """What the daemon's side says to a question of the job's."""
    with dind.start("dind.sh") as running:
        running.wait_until((dind.daemon / "ready").exists)
        running.wait_until((dind.daemon / "ask").is_fifo)
        (dind.daemon / "ask").write_text(f"$(reboot)\n{question}\n")
        answer = dind.daemon / "answer"
        running.wait_until(answer.exists)
        asked, text = answer.read_text().splitlines()
    assert asked == question
    return dict(json.loads("{" + text + "}"))


def test_a_job_that_asks_is_told_which_container_was_killed_for_memory(dind: Container) -> None:
    (dind.root / "events").write_text('1 first one:1\n2 db reg:5000/post"gres:16\n')
    (dind.root / "limit").write_text("67108864\n")
    killed = {"name": "db", "image": "reg:5000/post_gres:16", "limit": 67108864}
    assert _answer(dind)["oomKilled"] == killed
    asked = (dind.root / "asked").read_text()
    assert "--since 0 --until 2026-01-01T00:00:00.5Z --filter event=oom" in asked
    assert "inspect --format {{.HostConfig.Memory}} 2\n" in asked


def test_a_container_without_a_limit_hit_that_of_all(dind: Container) -> None:
    (dind.root / "events").write_text("2 db postgres:16\n")
    (dind.root / "limit").write_text("0\n")
    (dind.root / "cgroup/memory/memory.stat").write_text(f"hierarchical_memory_limit {512 * MIB}\n")
    assert _answer(dind)["oomKilled"] == {"name": "db", "image": "postgres:16", "limit": 384 * MIB}


def test_the_limit_of_a_container_that_is_gone_is_not_known(dind: Container) -> None:
    (dind.root / "events").write_text("2 db postgres:16\n")  # there is no file `limit`: docker fails
    assert _answer(dind)["oomKilled"] == {"name": "db", "image": "postgres:16", "limit": None}


def test_a_kill_that_docker_missed_is_in_the_kernels_log(dind: Container) -> None:
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own dmesg to our fake")
    ours, other, fine = "a" * 64, "b" * 64, "c" * 64
    sidecar = f"/kubepods/burstable/podx/{'d' * 64}/docker"
    kills = [
        f"[1.2] oom-kill:constraint=CONSTRAINT_MEMCG,cpuset=x,oom_memcg={sidecar},task_memcg={sidecar}/{one},task=dd,pid=7"
        for one in (ours, other)
    ]
    (dind.root / "log").write_text(
        "\n".join([*kills, f"[1.3] Killed process in {sidecar}/{fine}, total-vm:1kB"]) + "\n"
    )
    program(dind.bin, "dmesg", '#!/bin/sh\ncat "$CIJOB_ROOT/log"\n')
    (dind.root / "events").write_text("")
    (dind.root / "died").write_text(f"{ours} db postgres:16\n{fine} web nginx:1\n")
    (dind.root / "limit").write_text("67108864\n")
    assert _answer(dind)["oomKilled"] == {"name": "db", "image": "postgres:16", "limit": 67108864}


@pytest.mark.parametrize(("answered", "limit"), [(True, 300 * MIB), (False, None)])
def test_a_kill_that_docker_has_no_name_for_is_told_without_one(
    dind: Container, *, answered: bool, limit: int | None
) -> None:
    (dind.root / "cgroup/memory/docker/memory.events").write_text("oom 1\noom_kill 1\n")
    (dind.root / "cgroup/memory/docker/memory.max").write_text(f"{300 * MIB}\n")
    if answered:
        (dind.root / "events").write_text("")  # else the fake docker fails
    assert _answer(dind)["oomKilled"] == {"name": "", "image": "", "limit": limit}


def test_nothing_killed_and_a_disk_with_room_are_no_trouble(dind: Container) -> None:
    (dind.root / "events").write_text("")
    program(dind.bin, "df", "#!/bin/sh\necho Head\necho 'disk 1048576 1 1048575 1% /'\n")
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own df to our fake")
    assert _answer(dind) == {"oomKilled": None, "disk": None, "innerPeakMemory": 2048}


def test_a_full_disk_is_told_with_its_size(dind: Container) -> None:
    (dind.root / "events").write_text("")
    program(dind.bin, "df", "#!/bin/sh\necho Head\necho 'disk 1048576 1047552 1024 100% /'\n")
    if dind.shell == "busybox":
        pytest.skip("BusyBox's shell prefers its own df to our fake")
    assert _answer(dind)["disk"] == {"size": 1024 * MIB, "free": MIB}


def test_without_a_launcher_to_ask_the_daemons_own_report_tells(dind: Container) -> None:
    dind.env["CIJOB_DIAGNOSE"] = "End"
    (dind.root / "events").write_text("2 db postgres:16\n")
    (dind.root / "limit").write_text("67108864\n")
    with dind.start("dind.sh") as running:
        running.wait_until((dind.daemon / "ready").exists)
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert ended.message is not None
    assert ended.message["oomKilled"]["name"] == "db"
    assert not (dind.daemon / "ask").exists()
