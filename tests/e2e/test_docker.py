"""What jobs do with their Docker daemon, and who else can reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.lab import Job, Jobs

CLIENT = "docker:29-cli"
#: Prints every port of an address below 40000 that accepts a connection; quick, since a closed port answers at once.
SCAN = """
my ($address) = @ARGV;
for my $port (1 .. 39999) {
    my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port, Timeout => 1) or next;
    print "open: $port\\n";
}
print "scanned\\n";
"""
SERVER = """
my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die $!;
while (my $client = $listener->accept) { print $client "hello from inside\\n"; close $client }
"""


def open_ports(jobs: Jobs, target: Job) -> list[int]:
    """The ports of a job's Pod that another Pod reaches, besides a check that the scan sees any."""
    address = target.pod()["status"]["podIP"]
    scan = jobs.start("scan", docker={"enabled": False}, script=[f"perl -MIO::Socket::INET -e '{SCAN}' {address}"])
    assert scan.end()["phase"] == "Succeeded", scan.log()
    log = scan.log()
    assert "scanned" in log
    return [int(line.removeprefix("open: ")) for line in log.splitlines() if line.startswith("open: ")]


def test_a_scan_finds_a_port_that_is_open(jobs: Jobs) -> None:
    server = f"perl -MIO::Socket::INET -e '{SERVER}' & echo listening; sleep 600"
    job = jobs.start("open", docker={"enabled": False}, script=[server])
    job.wait_for_log("listening\n")
    assert open_ports(jobs, job) == [8080]
    job.cancel("Immediate")


def test_the_daemon_and_published_ports_are_reached_on_localhost_and_from_no_other_pod(jobs: Jobs) -> None:
    job = jobs.start(
        "ports",
        image=CLIENT,
        script=[
            f"docker run --detach --publish 8080:8080 ubuntu:25.10 perl -MIO::Socket::INET -e '{SERVER}'",
            "docker network create other",
            f"docker run --detach --network other --publish 8081:8080 ubuntu:25.10 perl -MIO::Socket::INET -e '{SERVER}'",
            (
                "for port in 8080 8081; do until perl -MIO::Socket::INET -e "
                "'print IO::Socket::INET->new(shift)->getline' localhost:$port; do sleep 0.2; done; done"
            ),
            "cat /proc/net/tcp; echo serving; sleep 600",
        ],
    )
    job.wait_for_log("serving\n")
    log = job.log()
    assert log.count("hello from inside") == 2
    assert "0100007F:0947" in log, "the daemon listens on 127.0.0.1:2375"
    assert open_ports(jobs, job) == []
    job.cancel("Immediate")


def test_a_unix_endpoint_listens_on_no_port_at_all(jobs: Jobs) -> None:
    job = jobs.start("unix", image=CLIENT, docker={"endpoint": "Unix"}, script=["docker version", "cat /proc/net/tcp"])
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert ":0947" not in log


def test_an_image_is_built_and_run(jobs: Jobs) -> None:
    dockerfile = 'FROM ubuntu:25.10\nRUN echo built > /result\nCMD ["cat", "/result"]\n'
    job = jobs.start(
        "build",
        image=CLIENT,
        script=[
            f"cat > Dockerfile <<'END'\n{dockerfile}END",
            "docker build --tag mine .",
            'test "$(docker run --rm mine)" = built',
        ],
    )
    assert job.end()["phase"] == "Succeeded", job.log()


def test_a_folder_of_the_workspace_is_mounted_into_a_container(jobs: Jobs) -> None:
    job = jobs.start(
        "volume",
        image=CLIENT,
        script=[
            "mkdir sub && echo from the job > sub/in",
            'docker run --rm --volume "$PWD/sub:/data" ubuntu:25.10 sh -c "tr a-z A-Z < /data/in > /data/out"',
            'test "$(cat sub/out)" = "FROM THE JOB"',
        ],
    )
    assert job.end()["phase"] == "Succeeded", job.log()


def test_the_job_container_is_not_privileged_and_has_no_token(jobs: Jobs) -> None:
    job = jobs.start(
        "bounds",
        script=[
            "test ! -e /var/run/secrets/kubernetes.io/serviceaccount",
            "! mount -t tmpfs none /mnt 2>/dev/null",
            "! test -e /dev/kmsg",
            "grep CapEff /proc/self/status",
        ],
    )
    status, log = job.end(), job.log()
    assert status["phase"] == "Succeeded", log
    assert "00000000a80425fb" in log, "a container's default capabilities, not all"
    spec = job.pod()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"] == {"privileged": False}


def test_an_image_of_a_user_other_than_root_uses_docker(jobs: Jobs) -> None:
    for endpoint in ("TCP", "Unix"):
        job = jobs.start(
            "non-root",
            image="cimg/base:current",
            docker={"endpoint": endpoint},
            script=["id -u", "docker run --rm ubuntu:25.10 echo hello > greeting", "grep hello greeting"],
        )
        status, log = job.end(), job.log()
        assert status["phase"] == "Succeeded", log
        assert "3434" in log
