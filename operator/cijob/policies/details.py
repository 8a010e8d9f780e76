"""What a status message says beyond its reason's sentence: which entry, how much memory, what a service or git said last.

Texts that come from a Pod go through `secrecy`.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cijob.policies.secrecy import cleaned, runtime_words
from cijob.quantities import format_bytes, parse_bytes, parse_duration
from cijob.reports import DaemonReport, JobReport, Trouble
from cijob.verdict import MAX_MESSAGE, Verdict, last_lines, printable, shortened

if TYPE_CHECKING:
    from cijob.corev1 import Resources
    from cijob.models import CiJobSpec
    from cijob.observation import ContainerState, ObservedPod, Terminated
    from cijob.parts import Service

#: Characters of a script's entry, and of what git or a service said.
_ENTRY: Final = 80
_LINES: Final = 600
_SIGNALS: Final = {
    signal.SIGINT: "an interrupt",
    signal.SIGILL: "the processor does not know an instruction: maybe it was built for another one",
    signal.SIGABRT: "the program gave up on itself",
    signal.SIGBUS: "memory or disk that it mapped was not there",
    signal.SIGFPE: "a division by zero, or the like",
    signal.SIGKILL: "something killed it, maybe the kernel because memory ran out",
    signal.SIGSEGV: "the program crashed",
    signal.SIGPIPE: "nobody read any more what it wrote, as behind a pipe to head",
    signal.SIGTERM: "something told it to end",
}
_MEANINGS: Final = {
    125: "often docker itself, which could not run the container",
    126: "a command was found but could not be executed",
    127: "a command was not found",
} | {128 + number: f"{number.name}: {means}" for number, means in _SIGNALS.items()}


def script_detail(spec: CiJobSpec, ended: Terminated) -> str:
    """Which entry failed, with what exit code, and what that means."""
    report, code = JobReport.parse(ended.message), ended.exit_code
    meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
    if spec.command is not None:
        return f"spec.command exited with {code}{meaning}."
    entries = {"before": spec.before_script, "script": spec.script}.get(report.part if report else "") or ()
    if report is None or not 0 < report.entry <= len(entries):
        return f"It exited with {code}{meaning}."
    field = "spec.beforeScript" if report.part == "before" else "spec.script"
    number = f"Entry {report.entry} of {len(entries)} in {field}"
    shown = _shown(entries[report.entry - 1])
    return f"{number} exited with {code}{meaning}" + (f": {shown}." if shown else ".")


def _shown(entry: str) -> str:
    """The first line of a script's entry, shortened, and how many there are beside it."""
    lines = entry.strip("\n").split("\n")
    first = next(filter(None, map(printable, lines)), "")
    more = f" (+{len(lines) - 1} line{'s' * (len(lines) > 2)})" if len(lines) > 1 else ""  # noqa: PLR2004  plural
    return f"`{shortened(first, _ENTRY)}`{more}" if first else ""


def trouble_of(pod: ObservedPod) -> Trouble:
    """What the daemon's side knows: with `job.sh` from its report, without it from the daemon's own."""
    ended, death = pod.job.terminated, pod.dind.terminated
    report = (ended and JobReport.parse(ended.message)) or (death and DaemonReport.parse(death.message))
    return report.trouble if report else Trouble()


def trouble_detail(spec: CiJobSpec, pod: ObservedPod) -> str:
    """What the daemon's side adds to a failure."""
    trouble, text = trouble_of(pod), ""
    if trouble.killed:
        named = f"The container {trouble.killed_name} ({trouble.killed_image})"
        limit = "" if trouble.killed_limit is None else f", with a limit of {format_bytes(trouble.killed_limit)}"
        text = f" {named if trouble.killed_name else 'A container or a step of a build'} was killed for memory{limit}."
        text += f" {memory_detail(spec, pod)}"
    if trouble.disk is not None:
        size, free = (format_bytes(number) for number in trouble.disk)
        text += f" Docker's disk is full: {free} of {size} are left (spec.docker.storage)."
    return text


def memory_detail(spec: CiJobSpec, pod: ObservedPod) -> str:
    """The most memory that the job and Docker's containers took, beside their limits, as far as they are known."""
    report = JobReport.parse(pod.job.terminated.message) if pod.job.terminated is not None else None
    parts = [_memory("the job", report.peak_memory if report else None, spec.resources)]
    if spec.docker.enabled:
        parts.append(_memory("Docker's containers", trouble_of(pod).peak_memory, spec.docker.resources))
    told = "; ".join(filter(None, parts))
    return f"Memory: {told}." if told else ""


def _memory(what: str, peak: int | None, resources: Resources | None) -> str:
    limit = (resources.limits or {}).get("memory") if resources is not None else None
    bound = "no limit" if limit is None else f"limit {format_bytes(parse_bytes(limit))}"
    if peak is not None:
        return f"{what} took up to {format_bytes(peak)} ({bound})"
    return "" if limit is None else f"{what} ({bound})"


def daemon_detail(death: Terminated | None) -> str:
    """How the daemon ended."""
    if death is None:
        return ""
    report = DaemonReport.parse(death.message)
    return f"It exited with {death.exit_code}." + (f" {report.message}" if report and report.message else "")


def source_detail(ended: Terminated) -> str:
    """Why the checkout failed: git's own last lines."""
    if ended.reason == "OOMKilled":
        return "git ran out of memory: it has as much as the job, spec.resources.limits.memory."
    if ended.reason in {"StartError", "ContainerCannotRun"}:
        return f"Its container could not be started: {runtime_words(ended.message, None)}"
    said = last_lines(cleaned(ended.message), _LINES)
    return f"git said: {said}" if said else f"Its container exited with {ended.exit_code}."


def service_detail(service: Service, state: ContainerState) -> str:
    """Which service was not ready, and what became of its container."""
    text = f"{service.name} was not ready after {parse_duration(service.start_timeout)} s"
    death = state.death
    if death is not None:
        why = " for want of memory (its resources.limits.memory)" if death.reason == "OOMKilled" else ""
        text += f": its container exited with {death.exit_code}{why}"
    if state.restart_count:
        text += f" and was restarted {state.restart_count} time{'s' * (state.restart_count > 1)}"
    return f"{text}."


def service_log_hint(service: Service, pod: ObservedPod) -> str:
    """Where a log is that is not shown."""
    return f"It has values from Secrets, so its log is not shown here: kubectl logs {pod.name} -c {service.name}."


def with_log(end: Verdict, log: str) -> Verdict:
    """A verdict with the last lines of the log that it asked for, as far as there are any."""
    said = last_lines(log, _LINES)
    message = shortened(f"{end.message} It said last: {said}" if said else end.message, MAX_MESSAGE)
    return replace(end, message=message, log_of="")
