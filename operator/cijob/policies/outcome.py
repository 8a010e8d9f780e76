"""The verdict on a Pod that ended, or whose job container did.

It is given when the job container ends, not when the Pod does, but only while the cause is plain. The kubelet withholds
the Pod's phase, its reason and its own `DisruptionTarget` until every container has ended (kubelet/status/status_manager.go
and kubelet_pods.go in k8s.io/kubernetes 1.35), so a script killed by a node's shutdown looks like a failed script, and
one that exits with 0 on SIGTERM like a success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cijob.policies import details
from cijob.policies.secrecy import has_secrets, runtime_words
from cijob.reasons import Reason
from cijob.reports import DaemonReport, JobReport
from cijob.verdict import Verdict, verdict

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from cijob.models import CiJobSpec
    from cijob.observation import ObservedPod, Terminated
    from cijob.parts import Service

#: Reasons of the condition DisruptionTarget (kubernetes.io/docs: Pod disruption conditions).
_DISRUPTIONS: Final = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
}
#: Reasons that the kubelet gives a Pod that it refuses.
_ADMISSION: Final = (
    "UnexpectedAdmissionError",
    "OutOf",
    "NodeAffinity",
    "NodePorts",
    "InvalidNodeInfo",
    "Topology",
    "AppArmor",
    "Sysctl",
)
#: What the kubelet says as it refuses a Pod for its node's pressure; the reason is the one of its evictions.
_PRESSURE: Final = "The node had condition:"
#: The kubelet's word for a container that is gone before it could ask how it ended; the exit code 137 is made up then.
_UNKNOWN: Final = "ContainerStatusUnknown"
#: What a Pod is stopped for when its daemon died.
_DAEMON: Final = frozenset({Reason.DAEMON_LOST, Reason.DAEMON_NOT_READY, Reason.DAEMON_OOM_KILLED})
_KILLED: Final = 137
#: Ends of a container that the runtime never started.
START_ERRORS: Final = frozenset({"StartError", "ContainerCannotRun"})
#: `git.sh` ends with less by itself; with more something else ended it, or the kubelet never started it.
_GIT_KILLED: Final = 126


def outcome(spec: CiJobSpec, pod: ObservedPod, timeout: timedelta) -> Verdict | None:
    """The verdict on a Pod; None while it is not certain yet."""
    ended = pod.end
    if pod.terminal:
        return final_verdict(spec, pod, timeout)
    if ended is not None and _plain(spec, pod, ended, timeout):
        return final_verdict(spec, pod, timeout)
    return None


def vanished(spec: CiJobSpec, last: ObservedPod | None, timeout: timedelta) -> Verdict:
    """The verdict when the Pod is gone, with the last that was seen of it, if anything."""
    if last is not None and (last.terminal or _natural(last)):
        return final_verdict(spec, last, timeout)
    if spec.cancel is not None:
        return verdict(Reason.CANCELLED, "Its Pod was deleted.", _exit_code(last))
    return (_disruption(last) if last is not None else None) or verdict(Reason.POD_DELETED, "", _exit_code(last))


def final_verdict(spec: CiJobSpec, pod: ObservedPod, timeout: timedelta) -> Verdict:
    """The verdict on a Pod whose story is complete. Order: cancel, deadline, daemon, disruption, exit code."""
    code = _exit_code(pod)
    if spec.cancel is not None or pod.stop in {"Graceful", "Immediate"}:
        return verdict(Reason.CANCELLED, "", code)
    if pod.stop == Reason.POOL_DRAINED and not _natural(pod):
        return verdict(Reason.POOL_DRAINED, "", code)
    if pod.reason == "DeadlineExceeded" and not pod.stop and _late(pod, timeout):
        return verdict(Reason.DEADLINE_EXCEEDED, f"It had {int(timeout.total_seconds())} s.", code)
    cause = daemon_verdict(spec, pod) or (None if _natural(pod) else _disruption(pod))
    return cause or _source_verdict(pod) or _service_verdict(spec, pod) or _exit_verdict(spec, pod)


def daemon_verdict(spec: CiJobSpec, pod: ObservedPod) -> Verdict | None:
    """The verdict if the daemon is the cause: it never became ready, or died before the job's end and the job failed."""
    ended, death = pod.job.terminated, _fatal_death(pod)
    if (ended is not None and ended.exit_code == 0) or _natural_failure(pod.failed_checkout):
        return None
    if ended is None and pod.terminal and pod.dind.last_terminated is None and pod.stop not in _DAEMON:
        return None  # the sidecar's regular end, after that of a job that the kubelet cannot tell
    code = _exit_code(pod)
    report = JobReport.parse(ended.message) if ended is not None else None
    if report is not None and report.daemon == "timeout":
        return verdict(Reason.DAEMON_NOT_READY, details.daemon_detail(death), code)
    # The script's launcher knows best; without its report, the kubelet's times tell.
    lost = report.daemon == "lost" if report is not None else _died_before(death, pod.end)
    if not lost and pod.stop not in _DAEMON:
        return None
    # On cgroup v2 the reason says OOMKilled after any inner container's, whatever dockerd itself ended with.
    if death is not None and death.reason == "OOMKilled" and death.exit_code == _KILLED:
        return verdict(Reason.DAEMON_OOM_KILLED, details.memory_detail(spec, pod), code)
    if not (report is not None and report.daemon in {"ready", "lost"}) and _never_ready(death):
        return verdict(Reason.DAEMON_NOT_READY, details.daemon_detail(death), code)
    return verdict(Reason.DAEMON_LOST, details.daemon_detail(death), code)


def _never_ready(death: Terminated | None) -> bool:
    """Whether the daemon itself said that it never answered; one that was killed says nothing."""
    own = DaemonReport.parse(death.message) if death is not None else None
    return own is not None and not own.ready


def _plain(spec: CiJobSpec, pod: ObservedPod, ended: Terminated, timeout: timedelta) -> bool:
    """Whether the job container's end alone tells the cause: with `job.sh`'s report, and nothing else going on."""
    report = JobReport.parse(ended.message)
    if pod.failed_checkout is None:
        told = report is not None and not report.signal and report.exit_code == ended.exit_code
    else:
        told = _natural_failure(ended)
    return (
        told
        and spec.cancel is None
        and not pod.stop
        and pod.deletion_timestamp is None
        and not pod.disruption
        and not _late(pod, timeout)
    )


def _late(pod: ObservedPod, timeout: timedelta) -> bool:
    """Whether the job container was still running (or had not started) when the deadline passed.

    The daemon's own shutdown may run past the deadline: that is not the job's fault.
    """
    if pod.end is None or pod.end.finished_at is None or pod.start_time is None:
        return True
    return pod.end.finished_at >= pod.start_time + timeout


def _natural(pod: ObservedPod) -> bool:
    """Whether the job container ended by itself, so that what befell its Pod later (a drain, a deletion) is no cause."""
    if pod.failed_checkout is not None:
        return _natural_failure(pod.failed_checkout)
    ended, asked = pod.job.terminated, pod.deletion_asked_at
    if ended is None:
        return False
    report = JobReport.parse(ended.message)
    if report is not None and report.exit_code == ended.exit_code:
        return not report.signal
    return asked is not None and ended.finished_at is not None and ended.finished_at < asked


def _natural_failure(checkout: Terminated | None) -> bool:
    """Whether a checkout failed by itself, and said why."""
    return checkout is not None and 0 < checkout.exit_code < _GIT_KILLED and bool(checkout.message)


def _fatal_death(pod: ObservedPod) -> Terminated | None:
    """The end of the daemon that the job suffered from, if it did: a restarted one has ended in order since, maybe."""
    ends = (pod.dind.terminated, pod.dind.last_terminated)
    before = (death for death in ends if _died_before(death, pod.end))
    return next(before, pod.dind.last_terminated or pod.dind.terminated)


def _died_before(death: Terminated | None, ended: Terminated | None) -> bool:
    """Whether the daemon was dead by the job's end; a sidecar's regular end comes after it.

    An end without a time is one that the kubelet made up (ContainerStatusUnknown), for a sidecar that waited to be restarted.
    """
    if death is None or death.finished_at is None:
        return False
    return ended is None or _moment(death.finished_at) < _moment(ended.finished_at)


def _moment(when: datetime | None) -> float:
    return when.timestamp() if when is not None else 0.0


def _disruption(pod: ObservedPod) -> Verdict | None:
    code, detail = _exit_code(pod), pod.message
    if pod.disruption == "TerminationByKubelet":
        return verdict(Reason.EVICTED if pod.reason == "Evicted" else Reason.NODE_SHUTDOWN, detail, code)
    if pod.disruption:
        return verdict(_DISRUPTIONS.get(pod.disruption, Reason.EVICTED), detail, code)
    # A restarted kubelet that has less room, or is under pressure, admits not even what runs.
    if pod.reason.startswith(_ADMISSION) or (pod.reason == "Evicted" and _PRESSURE in detail):
        return verdict(Reason.ADMISSION_ERROR, detail, code)
    if pod.reason == "Evicted":
        return verdict(Reason.DISK_LIMIT_EXCEEDED, detail, code)
    if pod.reason in {"NodeShutdown", "Terminated", "Shutdown"}:
        return verdict(Reason.NODE_SHUTDOWN, detail, code)
    if pod.reason == "NodeLost":
        return verdict(Reason.NODE_LOST, detail, code)
    return verdict(Reason.POD_DELETED, "", code) if pod.deletion_timestamp is not None else None


def _source_verdict(pod: ObservedPod) -> Verdict | None:
    failed = pod.failed_checkout
    if failed is None:
        return None
    if failed.reason == _UNKNOWN:
        return verdict(Reason.CONTAINER_STATUS_UNKNOWN, failed.message)
    return verdict(Reason.SOURCE_FAILED, details.source_detail(failed))


def _service_verdict(spec: CiJobSpec, pod: ObservedPod) -> Verdict | None:
    """The verdict where `job.sh` waited in vain for one of the spec's services."""
    ended = pod.job.terminated
    report = JobReport.parse(ended.message) if ended is not None and spec.script is not None else None
    if report is None or report.part != "services":
        return None
    for service in spec.services or ():
        if service.name == report.service:
            return service_not_ready(service, pod)
    return None


def service_not_ready(service: Service, pod: ObservedPod) -> Verdict:
    """The verdict on a job that could not start without this service. Its log is asked for where it may be shown."""
    hidden = has_secrets(service)
    detail = details.service_detail(service, pod.service(service.name))
    detail += f" {details.service_log_hint(service, pod)}" if hidden else ""
    return verdict(Reason.SERVICE_NOT_READY, detail, _exit_code(pod), log_of="" if hidden else service.name)


def _exit_verdict(spec: CiJobSpec, pod: ObservedPod) -> Verdict:
    ended = pod.job.terminated
    if ended is None:
        if pod.start_time is None:
            return verdict(Reason.ADMISSION_ERROR, pod.message or pod.reason)
        return verdict(Reason.CONTAINER_STATUS_UNKNOWN, pod.message or pod.reason)
    code = ended.exit_code
    if ended.reason == _UNKNOWN:
        return verdict(Reason.CONTAINER_STATUS_UNKNOWN, ended.message)
    if code == 0:
        return verdict(Reason.COMPLETED, "", 0)
    if ended.reason in START_ERRORS:
        return verdict(Reason.START_ERROR, runtime_words(ended.message, spec), code)
    if ended.reason == "OOMKilled":
        return verdict(Reason.OOM_KILLED, details.memory_detail(spec, pod), code)
    return verdict(Reason.SCRIPT_FAILED, details.script_detail(spec, ended) + details.trouble_detail(spec, pod), code)


def _exit_code(pod: ObservedPod | None) -> int | None:
    ended = pod.job.terminated if pod is not None and pod.failed_checkout is None else None
    return ended.exit_code if ended is not None and ended.reason != _UNKNOWN else None
