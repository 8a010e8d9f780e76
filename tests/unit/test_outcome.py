"""The verdict on a Pod: a table of sentences, then the rules that hold for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from cijob.models import Phase
from cijob.policies.outcome import final_verdict, outcome, vanished
from cijob.reasons import Reason
from tests.unit.builders import CiJobBuilder, PodBuilder, a_cijob, a_pod, daemon_report, report

HOUR = timedelta(hours=1)
SCRIPT = a_cijob()
COMMAND = a_cijob().with_command("/build")


@dataclass(frozen=True)
class Case:
    """A Pod, and what is known of its job from it: a reason and an exit code, or nothing yet (None)."""

    says: str
    pod: PodBuilder
    reason: Reason | None
    code: int | None = None
    job: CiJobBuilder = SCRIPT
    timeout: timedelta = HOUR


def check(cases: list[Case]) -> pytest.MarkDecorator:
    """A test for each case, named by its sentence."""
    assert len({case.says for case in cases}) == len(cases)
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.says)


FAST = [
    Case(
        "a script that ends with 0 is a success at once", a_pod().terminated(0, report=report(0)), Reason.COMPLETED, 0
    ),
    Case("a failing script is known at once", a_pod().terminated(7, report=report(7)), Reason.SCRIPT_FAILED, 7),
    Case(
        "a script whose container ran out of memory is known at once",
        a_pod().terminated(137, reason="OOMKilled", report=report(137)),
        Reason.OOM_KILLED,
        137,
    ),
    Case(
        "the daemon that was never ready is known at once",
        a_pod().terminated(125, report=report(125, part="daemon", entry=0, daemon="timeout")),
        Reason.DAEMON_NOT_READY,
        125,
    ),
    Case(
        "the daemon that died under the script is known at once",
        a_pod().terminated(1, report=report(1, daemon="lost")),
        Reason.DAEMON_LOST,
        1,
    ),
    Case(
        "a script that succeeds although the daemon died is a success",
        a_pod().terminated(0, report=report(0, daemon="lost")).dind_restarted(),
        Reason.COMPLETED,
        0,
    ),
]
WAITS = [
    Case("a Pod that is not scheduled tells nothing", a_pod(), None),
    Case("a running job tells nothing", a_pod().running(), None),
    Case("a job container that ended without a report", a_pod().terminated(0), None),
    Case("a job container killed with its launcher", a_pod().terminated(137), None),
    Case("a report that the script forged with another exit code", a_pod().terminated(1, report=report(0)), None),
    Case("a signal came", a_pod().terminated(143, report=report(143, signal="TERM")), None),
    Case("a signal came and the script ended with 0", a_pod().terminated(0, report=report(0, signal="TERM")), None),
    Case("the Pod is being deleted", a_pod().terminated(1, report=report(1)).being_deleted(), None),
    Case("somebody disrupts the Pod", a_pod().terminated(1, report=report(1)).disrupted("EvictionByEvictionAPI"), None),
    Case("the job is cancelled", a_pod().terminated(1, report=report(1)), None, job=SCRIPT.with_cancel("Graceful")),
    Case("the operator stopped the Pod", a_pod().terminated(1, report=report(1)).stopped("DaemonLost"), None),
    Case(
        "the deadline has passed",
        a_pod().terminated(1, report=report(1), finished=61),
        None,
        timeout=timedelta(seconds=60),
    ),
    Case("a command ended with 0", a_pod().terminated(0), None, job=COMMAND),
    Case("a command failed", a_pod().terminated(3), None, job=COMMAND),
    Case("a command left some JSON of its own", a_pod().terminated(3, report='{"exitCode": 3}'), None, job=COMMAND),
]
NATURAL = a_pod().terminated(5, report=report(5), finished=40)
KILLED = a_pod().terminated(143, report=report(143, signal="TERM"), finished=55)
OBEYED = a_pod().terminated(0, report=report(0, signal="TERM"), finished=55)
TERMINAL = [
    Case("a command that ended with 0", a_pod().terminated(0).ended("Succeeded"), Reason.COMPLETED, 0, job=COMMAND),
    Case("a command that failed", a_pod().terminated(3).ended("Failed"), Reason.SCRIPT_FAILED, 3, job=COMMAND),
    Case(
        "a command that ran out of memory",
        a_pod().terminated(137, reason="OOMKilled").ended("Failed"),
        Reason.OOM_KILLED,
        137,
        job=COMMAND,
    ),
    Case(
        "a command that is not in the image",
        a_pod().terminated(128, reason="StartError").ended("Failed"),
        Reason.START_ERROR,
        128,
        job=COMMAND,
    ),
    Case(
        "a container that the runtime cannot run",
        a_pod().terminated(127, reason="ContainerCannotRun").ended("Failed"),
        Reason.START_ERROR,
        127,
    ),
    Case(
        "a container that the kubelet lost track of",
        a_pod().terminated(137, reason="ContainerStatusUnknown").ended("Failed"),
        Reason.CONTAINER_STATUS_UNKNOWN,  # and no exit code: the kubelet made 137 up
    ),
    Case(
        "a Pod that failed without a word on its job",
        a_pod().started().ended("Failed"),
        Reason.CONTAINER_STATUS_UNKNOWN,
    ),
    Case(
        "a job that was killed by something else than a deletion",
        a_pod().terminated(143, report=report(143, signal="TERM")).ended("Failed"),
        Reason.SCRIPT_FAILED,
        143,
    ),
]
CANCELLED = [
    Case(
        f"a {how} cancel wins over {what}",
        pod,
        Reason.CANCELLED,
        pod.pod.job.terminated.exit_code if pod.pod.job.terminated else None,
        job=SCRIPT.with_cancel(how),
    )
    for how in ("Graceful", "Immediate")
    for what, pod in {
        "success": OBEYED.ended("Succeeded"),
        "the script's failure": NATURAL.ended("Failed"),
        "the deadline that carries it out": KILLED.stopped(how).ended("Failed", "DeadlineExceeded"),
        "the job's own deadline": a_pod().running().ended("Failed", "DeadlineExceeded"),
        "a dead daemon": a_pod().dind_restarted().terminated(1, report=report(1, daemon="lost")).ended("Failed"),
        "a disruption": KILLED.disrupted("EvictionByEvictionAPI").ended("Failed"),
    }.items()
]
DEADLINE = [
    Case(
        "the job's deadline wins over the exit code",
        a_pod()
        .terminated(143, report=report(143, signal="TERM"), finished=3602)
        .ended("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
        Reason.DEADLINE_EXCEEDED,
        143,
    ),
    Case(
        "a job whose image is pulled until the deadline",
        a_pod().waiting("ImagePullBackOff").ended("Failed", "DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
    ),
    Case(
        "a job that ends with 0 after its deadline is late",
        a_pod().terminated(0, report=report(0, signal="TERM"), finished=3602).ended("Failed", "DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        0,
    ),
    Case(
        "a job that ends exactly at its deadline is late",
        a_pod().terminated(1, report=report(1), finished=3601).ended("Failed", "DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        1,
    ),
    Case(
        "the deadline wins over a dead daemon",
        a_pod()
        .terminated(1, report=report(1, daemon="lost"), finished=3602)
        .dind_restarted()
        .ended("Failed", "DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        1,
    ),
    Case(
        "the daemon's shutdown past the deadline is not the job's fault",
        a_pod().terminated(0, finished=3600).ended("Failed", "DeadlineExceeded"),
        Reason.COMPLETED,
        0,
        job=COMMAND,
    ),
    Case(
        "nor does it hide a failure before the deadline",
        a_pod().terminated(9, finished=3600).ended("Failed", "DeadlineExceeded"),
        Reason.SCRIPT_FAILED,
        9,
        job=COMMAND,
    ),
    Case(
        "the deadline by which we stop a Pod is not the job's",
        KILLED.dind_restarted().stopped("DaemonLost").ended("Failed", "DeadlineExceeded"),
        Reason.DAEMON_LOST,
        143,
    ),
    Case(
        "nor if nobody saw the job's end",
        a_pod().running().dind_restarted().stopped("DaemonLost").ended("Failed", "DeadlineExceeded"),
        Reason.DAEMON_LOST,
    ),
    Case(
        "a timeout of its own counts, not the default",
        a_pod().terminated(143, report=report(143, signal="TERM"), finished=61).ended("Failed", "DeadlineExceeded"),
        Reason.DEADLINE_EXCEEDED,
        143,
        timeout=timedelta(seconds=60),
    ),
]
DAEMON = [
    Case(
        "a command failed after its daemon had died",
        a_pod().terminated(1, finished=40).dind_restarted(finished=30).ended("Failed"),
        Reason.DAEMON_LOST,
        1,
        job=COMMAND,
    ),
    Case(
        "a command failed after its daemon had died, and the new daemon ended in order",
        a_pod().terminated(1, finished=40).dind_restarted(finished=30).dind_terminated(0, finished=45).ended("Failed"),
        Reason.DAEMON_LOST,
        1,
        job=COMMAND,
    ),
    Case(
        "a daemon out of memory in the second of the script's end, and the new one ended in order",
        a_pod()
        .terminated(1, report=report(1, daemon="lost"), finished=40)
        .dind_restarted(137, reason="OOMKilled", finished=40)
        .dind_terminated(0, finished=45)
        .ended("Failed"),
        Reason.DAEMON_OOM_KILLED,
        1,
    ),
    Case(
        "a daemon that ended after the command did is no cause",
        a_pod().terminated(1, finished=40).dind_terminated(0, finished=45).ended("Failed"),
        Reason.SCRIPT_FAILED,
        1,
        job=COMMAND,
    ),
    Case(
        "a daemon that ended in the same second as the command is no cause",
        a_pod().terminated(1, finished=40).dind_terminated(0, finished=40).ended("Failed"),
        Reason.SCRIPT_FAILED,
        1,
        job=COMMAND,
    ),
    Case(
        "a dead daemon does not spoil a success",
        a_pod().terminated(0, finished=40).dind_restarted(finished=30).ended("Succeeded"),
        Reason.COMPLETED,
        0,
        job=COMMAND,
    ),
    Case(
        "a report of a living daemon is trusted over the sidecar's times",
        a_pod().terminated(1, report=report(1, signal="INT"), finished=40).dind_restarted(finished=30).ended("Failed"),
        Reason.SCRIPT_FAILED,
        1,
    ),
    Case(
        "a daemon out of memory under a script",
        a_pod().terminated(1, report=report(1, daemon="lost")).dind_restarted(137, reason="OOMKilled"),
        Reason.DAEMON_OOM_KILLED,
        1,
    ),
    Case(
        "a daemon that fell by itself after an inner container ran out of memory, as cgroup v2 shows it",
        a_pod().terminated(1, report=report(1, daemon="lost")).dind_restarted(2, reason="OOMKilled"),
        Reason.DAEMON_LOST,
        1,
    ),
    Case(
        "a daemon out of memory under a command",
        a_pod().terminated(1, finished=40).dind_restarted(137, reason="OOMKilled", finished=30).ended("Failed"),
        Reason.DAEMON_OOM_KILLED,
        1,
        job=COMMAND,
    ),
    Case(
        "a daemon that died before it was ever ready",
        a_pod()
        .terminated(1, finished=40)
        .dind_restarted(1, report=daemon_report(ready=False, message="no iptables"), finished=30)
        .ended("Failed"),
        Reason.DAEMON_NOT_READY,
        1,
        job=COMMAND,
    ),
    Case(
        "a daemon that never got up, and waited for its next start when the kubelet ended the Pod",
        a_pod()
        .dind_restarted(1, report=daemon_report(ready=False, message="no iptables"), finished=30)
        .dind_terminated(137, reason="ContainerStatusUnknown", finished=None)
        .stopped("DaemonNotReady")
        .ended("Failed"),
        Reason.DAEMON_NOT_READY,
    ),
    Case(
        "a daemon that died under a script, and whose successor never got ready",
        a_pod()
        .terminated(143, report=report(143, signal="TERM", daemon="lost"), finished=40)
        .dind_restarted(1, report=daemon_report(ready=False), finished=30)
        .stopped("DaemonLost")
        .ended("Failed", "DeadlineExceeded"),
        Reason.DAEMON_LOST,
        143,
    ),
    Case(
        "a Pod that we stopped because its daemon died",
        KILLED.dind_restarted().stopped("DaemonLost").ended("Failed", "DeadlineExceeded"),
        Reason.DAEMON_LOST,
        143,
    ),
    Case(
        "the daemon wins over a disruption",
        a_pod()
        .terminated(1, report=report(1, daemon="lost"))
        .dind_restarted()
        .disrupted("EvictionByEvictionAPI")
        .ended("Failed"),
        Reason.DAEMON_LOST,
        1,
    ),
]
DISRUPTION = [
    Case(
        f"{condition or 'no condition'} and {reason or 'no reason'}",
        (KILLED.disrupted(condition) if condition else KILLED).ended("Failed", reason),
        expected,
        143,
    )
    for condition, reason, expected in [
        ("PreemptionByScheduler", "", Reason.PREEMPTED),
        ("EvictionByEvictionAPI", "", Reason.EVICTED),
        ("DeletionByTaintManager", "", Reason.NODE_LOST),
        ("DeletionByPodGC", "", Reason.NODE_LOST),
        ("TerminationByKubelet", "Evicted", Reason.EVICTED),
        ("TerminationByKubelet", "Terminated", Reason.NODE_SHUTDOWN),
        ("SomethingNew", "", Reason.EVICTED),
        ("", "Evicted", Reason.DISK_LIMIT_EXCEEDED),
        ("", "NodeShutdown", Reason.NODE_SHUTDOWN),
        ("", "Terminated", Reason.NODE_SHUTDOWN),
        ("", "Shutdown", Reason.NODE_SHUTDOWN),
        ("", "OutOfmemory", Reason.ADMISSION_ERROR),  # a restarted kubelet with less room: its Pod had started
        ("", "NodeLost", Reason.NODE_LOST),
    ]
] + [
    Case(
        "a Pod that ran and that a restarted kubelet refused for its node's pressure",
        KILLED.ended("Failed", "Evicted", "Pod was rejected: The node had condition: [DiskPressure]. "),
        Reason.ADMISSION_ERROR,
        143,
    ),
    Case(
        "an evicted Pod of which only the sidecar's end is known",
        a_pod()
        .started()
        .dind_terminated(137, reason="OOMKilled")
        .disrupted("TerminationByKubelet")
        .ended("Failed", "Evicted", "The node was low on resource: memory."),
        Reason.EVICTED,
    ),
    Case(
        "a Pod whose evicted containers were removed before the kubelet knew their ends",
        a_pod()
        .terminated(137, reason="ContainerStatusUnknown")
        .disrupted("TerminationByKubelet")
        .ended("Failed", "Evicted", "The node was low on resource: memory."),
        Reason.EVICTED,
    ),
    Case(
        "a condition that does not hold is none",
        NATURAL.with_condition("DisruptionTarget", status="False", reason="EvictionByEvictionAPI").ended("Failed"),
        Reason.SCRIPT_FAILED,
        5,
    ),
    Case("a deleted Pod whose job was killed", KILLED.being_deleted(50).ended("Failed"), Reason.POD_DELETED, 143),
    Case(
        "exit code 0 on SIGTERM during a deletion is not a success",
        OBEYED.being_deleted(50).ended("Succeeded"),
        Reason.POD_DELETED,
        0,
    ),
    Case(
        "nor is it without a report",
        a_pod().terminated(0, finished=55).being_deleted(50).ended("Succeeded"),
        Reason.POD_DELETED,
        0,
        job=COMMAND,
    ),
    Case(
        "nor in the second of the deletion",
        a_pod().terminated(0, finished=50).being_deleted(50).ended("Succeeded"),
        Reason.POD_DELETED,
        0,
        job=COMMAND,
    ),
    Case(
        "exit code 0 on SIGTERM during a drain is not a success",
        OBEYED.disrupted("EvictionByEvictionAPI").being_deleted(50).ended("Succeeded"),
        Reason.EVICTED,
        0,
    ),
    Case(
        "a command that had ended before the deletion",
        a_pod().terminated(0, finished=40).being_deleted(50).ended("Succeeded"),
        Reason.COMPLETED,
        0,
        job=COMMAND,
    ),
    Case(
        "a drain after the natural end changes nothing",
        NATURAL.disrupted("EvictionByEvictionAPI").being_deleted(41).ended("Failed"),
        Reason.SCRIPT_FAILED,
        5,
    ),
    Case(
        "a drain after the natural end does not spoil a success",
        a_pod().terminated(0, report=report(0), finished=40).disrupted("DeletionByTaintManager").ended("Succeeded"),
        Reason.COMPLETED,
        0,
    ),
    Case(
        "a deletion in the second of the natural end changes nothing, as the report tells",
        NATURAL.being_deleted(40).ended("Failed"),
        Reason.SCRIPT_FAILED,
        5,
    ),
]
ADMISSION = [
    Case(f"the node refused the Pod as {reason}", a_pod().started().ended("Failed", reason), Reason.ADMISSION_ERROR)
    for reason in ("UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "NodeAffinity", "TopologyAffinityError")
] + [
    Case("a Pod that failed before it started", a_pod().ended("Failed"), Reason.ADMISSION_ERROR),
    Case(
        "the node refused the Pod for its pressure",
        a_pod().started().ended("Failed", "Evicted", "Pod was rejected: The node had condition: [DiskPressure]. "),
        Reason.ADMISSION_ERROR,
    ),
]


@check([*FAST, *WAITS, *TERMINAL, *CANCELLED, *DEADLINE, *DAEMON, *DISRUPTION, *ADMISSION])
def test_the_verdict_on(case: Case) -> None:
    end = outcome(case.job.job.spec, case.pod.pod, case.timeout)

    assert ((end.reason, end.exit_code) if end is not None else (None, None)) == (case.reason, case.code)


@check(FAST)
def test_the_fast_verdict_is_the_final_one(case: Case) -> None:
    """What is said when the job container ends must not be another story once the Pod has ended."""
    phase = "Succeeded" if case.reason is Reason.COMPLETED else "Failed"

    assert outcome(case.job.job.spec, case.pod.ended(phase).pod, HOUR) == outcome(case.job.job.spec, case.pod.pod, HOUR)


#: A Pod that everything befell at once.
ALL = (
    a_pod()
    .terminated(137, report=report(137, signal="TERM", daemon="lost"), reason="OOMKilled", finished=3602)
    .dind_restarted()
    .disrupted("EvictionByEvictionAPI")
    .ended("Failed", "DeadlineExceeded")
)
NO_DEADLINE = ALL.ended("Failed")
NO_DAEMON = NO_DEADLINE.terminated(137, report=report(137, signal="TERM"), reason="OOMKilled", finished=3602)
PRECEDENCE = [
    Case("a cancel is first", ALL, Reason.CANCELLED, 137, job=SCRIPT.with_cancel("Graceful")),
    Case("then the deadline", ALL, Reason.DEADLINE_EXCEEDED, 137),
    Case("then the daemon", NO_DEADLINE, Reason.DAEMON_LOST, 137),
    Case("then what befell the Pod", NO_DAEMON, Reason.EVICTED, 137),
    Case("then memory", NO_DAEMON.with_status(conditions=[]), Reason.OOM_KILLED, 137),
    Case(
        "then the exit code",
        a_pod().terminated(137, report=report(137, signal="TERM"), finished=3602).ended("Failed"),
        Reason.SCRIPT_FAILED,
        137,
    ),
]


@check(PRECEDENCE)
def test_of_many_causes_the_first_is_told(case: Case) -> None:
    end = final_verdict(case.job.job.spec, case.pod.pod, case.timeout)

    assert (end.reason, end.exit_code) == (case.reason, case.code)


VANISHED = [
    Case("a Pod that was running", a_pod().running(), Reason.POD_DELETED),
    Case("a Pod that was never seen on a node", a_pod(), Reason.POD_DELETED),
    Case("a script that had been killed", KILLED.being_deleted(50), Reason.POD_DELETED, 143),
    Case("a script that ended with 0 on SIGTERM", OBEYED.being_deleted(50), Reason.POD_DELETED, 0),
    Case("a script that had ended by itself", NATURAL.being_deleted(50), Reason.SCRIPT_FAILED, 5),
    Case(
        "a script that had succeeded by itself",
        a_pod().terminated(0, report=report(0), finished=40).being_deleted(50),
        Reason.COMPLETED,
        0,
    ),
    Case("a Pod that had ended", a_pod().terminated(3).ended("Failed"), Reason.SCRIPT_FAILED, 3, job=COMMAND),
    Case(
        "a command that had ended before the deletion",
        a_pod().terminated(0, finished=40).being_deleted(50),
        Reason.COMPLETED,
        0,
        job=COMMAND,
    ),
    Case(
        "a command killed by it", a_pod().terminated(0, finished=55).being_deleted(50), Reason.POD_DELETED, 0, COMMAND
    ),
    Case("a cancelled job", a_pod().running(), Reason.CANCELLED, job=SCRIPT.with_cancel("Immediate")),
    Case("a cancelled job that was killed", KILLED, Reason.CANCELLED, 143, job=SCRIPT.with_cancel("Graceful")),
]


@check(VANISHED)
def test_the_verdict_after_the_deletion_of(case: Case) -> None:
    end = vanished(case.job.job.spec, case.pod.pod, case.timeout)

    assert (end.reason, end.exit_code) == (case.reason, case.code)


def test_a_pod_that_nobody_saw_was_deleted() -> None:
    assert vanished(SCRIPT.job.spec, None, HOUR).reason is Reason.POD_DELETED
    assert vanished(SCRIPT.with_cancel("Graceful").job.spec, None, HOUR).reason is Reason.CANCELLED


ENTRIES = SCRIPT.with_spec(
    beforeScript=["apt-get update\n", "\n\n  set -e\nmake deps\n\tmake \x1b[31mmore\n"],
    script=["make", "echo " + "x" * 200, "\n \n"],
)


@pytest.mark.parametrize(
    ("part", "entry", "code", "says"),
    [
        ("script", 1, 7, "Entry 1 of 3 in spec.script exited with 7: `make`."),
        ("script", 2, 1, f"Entry 2 of 3 in spec.script exited with 1: `echo {'x' * 74}…`."),
        ("script", 3, 1, "Entry 3 of 3 in spec.script exited with 1."),
        ("before", 1, 100, "Entry 1 of 2 in spec.beforeScript exited with 100: `apt-get update`."),
        ("before", 2, 2, "Entry 2 of 2 in spec.beforeScript exited with 2: `set -e` (+2 lines)."),
        ("script", 0, 1, "It exited with 1."),
        ("script", 4, 1, "It exited with 1."),
        ("script", -1, 1, "It exited with 1."),
        ("a word that the job wrote", 1, 1, "It exited with 1."),
        ("script", 1, 125, "exited with 125 (often docker itself, which could not run the container): `make`."),
        ("script", 1, 126, "exited with 126 (a command was found but could not be executed): `make`."),
        ("script", 1, 127, "exited with 127 (a command was not found): `make`."),
        (
            "script",
            1,
            137,
            "exited with 137 (SIGKILL: something killed it, maybe the kernel because memory ran out): `make`.",
        ),
        ("script", 1, 139, "exited with 139 (SIGSEGV: the program crashed): `make`."),
        ("script", 1, 143, "exited with 143 (SIGTERM: something told it to end): `make`."),
        ("script", 1, 200, "exited with 200: `make`."),
    ],
)
def test_a_failed_script_s_message_names_the_entry_and_what_its_code_means(
    part: str, entry: int, code: int, says: str
) -> None:
    end = outcome(ENTRIES.job.spec, a_pod().terminated(code, report=report(code, part=part, entry=entry)).pod, HOUR)

    assert end is not None
    assert end.message.endswith(says)


def test_a_failed_command_s_message_says_what_its_code_means() -> None:
    end = final_verdict(COMMAND.job.spec, a_pod().terminated(126).ended("Failed").pod, HOUR)

    assert end.message == (
        "The job failed. spec.command exited with 126 (a command was found but could not be executed)."
    )


@pytest.mark.parametrize(
    ("pod", "parts"),
    [
        (
            a_pod().terminated(128, reason="StartError", report='exec: "/nope": no such file').ended("Failed"),
            ["could not be started", 'exec: "/nope": no such file'],
        ),
        (
            a_pod().terminated(143, finished=3700).ended("Failed", "DeadlineExceeded"),
            ["It had 3600 s.", "spec.timeout"],
        ),
        (
            KILLED.ended("Failed", "Evicted", 'Container job exceeded its local ephemeral storage limit "1Gi". '),
            ["more disk than it may", 'local ephemeral storage limit "1Gi"'],
        ),
        (
            a_pod()
            .terminated(1, report=report(1, daemon="lost"))
            .dind_restarted(2, report=daemon_report(ready=True, message="dockerd ended with 2.")),
            ["died while the job ran", "It exited with 2.", "dockerd ended with 2."],
        ),
        (
            a_pod().started().ended("Failed", "OutOfcpu", "Node didn't have enough resource: cpu"),
            ["enough resource: cpu"],
        ),
    ],
)
def test_the_message_tells_the_case(pod: PodBuilder, parts: list[str]) -> None:
    end = outcome(SCRIPT.job.spec, pod.pod, HOUR)

    assert end is not None
    assert [part for part in parts if part not in end.message] == []


@check([*TERMINAL, *CANCELLED, *DEADLINE, *DAEMON, *DISRUPTION, *ADMISSION])
def test_a_phase_goes_with_its_reason(case: Case) -> None:
    end = final_verdict(case.job.job.spec, case.pod.pod, case.timeout)

    assert end.phase is {Reason.COMPLETED: Phase.SUCCEEDED, Reason.CANCELLED: Phase.CANCELLED}.get(
        end.reason, Phase.FAILED
    )


MIB = 1024 * 1024
LIMITED = SCRIPT.with_spec(
    resources={"limits": {"memory": "256M"}}, docker={"resources": {"limits": {"memory": "512Mi", "cpu": "2"}}}
)
JOB_OOM = a_pod().terminated(137, reason="OOMKilled")


@pytest.mark.parametrize(
    ("job", "pod", "says"),
    [
        (
            LIMITED,
            a_pod().terminated(137, reason="OOMKilled", report=report(137, peakMemory=244 * MIB, innerPeakMemory=MIB)),
            "Memory: the job took up to 244Mi (limit 244Mi); Docker's containers took up to 1Mi (limit 512Mi).",
        ),
        (LIMITED, JOB_OOM.ended("Failed"), "Memory: the job (limit 244Mi); Docker's containers (limit 512Mi)."),
        (LIMITED.without_docker(), JOB_OOM.ended("Failed"), "Memory: the job (limit 244Mi)."),
        (SCRIPT, JOB_OOM.ended("Failed"), "or use less."),
        (
            LIMITED,
            a_pod()
            .terminated(1, report=report(1, daemon="lost", peakMemory=20 * MIB))
            .dind_restarted(137, reason="OOMKilled"),
            "Memory: the job took up to 20Mi (limit 244Mi); Docker's containers (limit 512Mi).",
        ),
    ],
)
def test_where_memory_was_the_cause_the_message_has_what_was_taken_beside_the_limits(
    job: CiJobBuilder, pod: PodBuilder, says: str
) -> None:
    end = outcome(job.job.spec, pod.pod, HOUR)

    assert end is not None
    assert end.reason in {Reason.OOM_KILLED, Reason.DAEMON_OOM_KILLED}
    assert end.message.endswith(says)


_DB = {"name": "db", "image": "postgres:16", "limit": 64 * 1024 * 1024}


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ({}, ""),
        ({"oomKilled": None, "disk": None}, ""),
        (
            {"oomKilled": _DB},
            (
                " The container db (postgres:16) was killed for memory, with a limit of 64Mi. "
                "Memory: the job took up to 1.2Mi (no limit)."
            ),
        ),
        (
            {"oomKilled": _DB | {"limit": None}, "peakMemory": None},
            " The container db (postgres:16) was killed for memory.",
        ),
        (
            {"oomKilled": {"name": "", "image": "", "limit": 384 * MIB}, "innerPeakMemory": 384 * MIB},
            (
                " A container or a step of a build was killed for memory, with a limit of 384Mi. "
                "Memory: the job took up to 1.2Mi (no limit); Docker's containers took up to 384Mi (no limit)."
            ),
        ),
        ({"innerPeakMemory": 384 * MIB}, ""),
        (
            {"disk": {"size": 1024**3, "free": 12 * 1024**2}},
            " Docker's disk is full: 12Mi of 1Gi are left (spec.docker.storage).",
        ),
    ],
)
def test_a_failed_script_s_message_tells_what_the_daemon_knows(trouble: dict[str, Any], says: str) -> None:
    pod = a_pod().terminated(1, report=report(1, **trouble)).pod
    told = outcome(SCRIPT.job.spec, pod, HOUR)
    assert told is not None
    assert told.message.endswith("Entry 1 of 1 in spec.script exited with 1: `make test`." + says)


def test_without_a_launcher_the_daemon_s_own_report_tells() -> None:
    own = daemon_report(ready=True, oomKilled=_DB)
    pod = a_pod().terminated(137, finished=40).dind_terminated(0, report=own, finished=50).ended("Failed").pod
    told = outcome(COMMAND.job.spec, pod, HOUR)
    assert told is not None
    assert told.message.endswith("The container db (postgres:16) was killed for memory, with a limit of 64Mi.")
