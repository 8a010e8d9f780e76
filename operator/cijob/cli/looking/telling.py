"""A CiJob's story in words, as `cijob describe` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from cijob import names
from cijob.cli.console import PHASES, plain
from cijob.cli.looking.cases import advice_on, steps_while_waiting
from cijob.cli.looking.describing import when
from cijob.cli.looking.jobs import FINISHED, phase_of, pool_of, reason_of, status_of, took
from cijob.cli.looking.timeline import timeline, waiting_words
from cijob.cli.printing import Table, age, moment, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cijob.cli.looking.describing import Story
    from cijob.cli.looking.timeline import Moment
    from cijob.transport import Body

_PIPELINE: Final = f"{names.GROUP}/pipeline"
_PIPELINE_JOB: Final = f"{names.GROUP}/pipeline-job"
_RETRY_OF: Final = f"{names.GROUP}/retry-of"
#: Seconds in which a job may well have no status: the operator writes one once it runs, or has waited for 5 s.
_NEW: Final = 15
#: Containers whose log an option of `cijob logs` shows.
_LOG_OPTION: Final = {names.CONTAINER_JOB: "", names.CONTAINER_DIND: " --dind"}


def tell(story: Story, now: datetime, flag: str) -> None:
    """Print the whole story. `flag` names the namespace in commands: ` -n NAMESPACE`, or nothing."""
    _head(story.job)
    say()
    _facts(story.job, now)
    _diagnosis(story, now, flag)
    _timeline(timeline(story.job, story.pods, now), now)
    _log(story, flag)
    _events(story.events, now)
    for unseen in story.unseen:
        say(Text(f"\nNot shown, {plain(unseen)}.", style="quiet"))


def _head(job: Body) -> None:
    status, phase = status_of(job), phase_of(job)
    code = f", exit code {status['exitCode']}" if status.get("exitCode") is not None else ""
    why = f", {plain(reason)}" if (reason := reason_of(job)) else ""
    say(Text.assemble((job["metadata"]["name"], "heading"), ": ", (phase, PHASES.get(phase, "")), why, code))


def _facts(job: Body, now: datetime) -> None:
    pairs = list(_pairs(job, now))
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        line = Text("  ")
        line.append(f"{name:<{width}}", style="quiet")
        line.append(f"   {plain(value)}")
        say(line)


def _pairs(job: Body, now: datetime) -> Iterator[tuple[str, str]]:
    meta, spec, status = job["metadata"], job["spec"], status_of(job)
    notes = (meta.get("labels") or {}) | (meta.get("annotations") or {})
    yield "Namespace", meta["namespace"]
    yield "Pool", pool_of(job)
    yield "Image", spec["image"]
    yield "Docker", _docker(spec)
    if spec.get("services"):
        yield "Services", ", ".join(f"{one['name']} ({one['image']})" for one in spec["services"])
    git = (spec.get("source") or {}).get("git")
    if git:
        yield "Repository", git["url"] + (f" at {git['ref']}" if git.get("ref") else "")
    if notes.get(_PIPELINE):
        yield "Pipeline", notes[_PIPELINE] + (f", job {notes[_PIPELINE_JOB]}" if notes.get(_PIPELINE_JOB) else "")
    if notes.get(_RETRY_OF):
        yield "Retry of", notes[_RETRY_OF]
    created = moment(meta["creationTimestamp"])
    yield "Created", f"{_local(created)} ({age(created, now)} ago)" if created else ""
    if status.get("startTime") and phase_of(job) != "Starting":
        yield ("Took" if status.get("completionTime") else "Runs for"), took(job, now)
    if status.get("attempt"):
        yield "Attempts", _attempts(status)
    if status.get("podName"):
        yield "Pod", status["podName"] + (f" on the node {status['nodeName']}" if status.get("nodeName") else "")


def _docker(spec: dict[str, Any]) -> str:
    docker = spec.get("docker") or {}
    if docker.get("enabled") is False:
        return "none"
    return "a daemon of its own, on " + (
        "the socket /var/run/docker.sock" if docker.get("endpoint") == "Unix" else "tcp://docker:2375"
    )


def _attempts(status: dict[str, Any]) -> str:
    retries = status.get("retries") or {}
    kinds = ((retries.get("user"), "after failures of its own"), (retries.get("infra"), "after the cluster's trouble"))
    said = ", ".join(f"{count} {why}" for count, why in kinds if count)
    return str(status["attempt"]) + (f" (ran again: {said})" if said else "")


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _timeline(moments: Sequence[Moment], now: datetime) -> None:
    _section("Timeline")
    first = moments[0].at
    days = first.astimezone().date() != max(one.at for one in moments).astimezone().date()
    offsets = [f"+{age(first, one.at)}" for one in moments]
    width = max(map(len, offsets))
    for one, offset in zip(moments, offsets, strict=True):
        at = one.at.astimezone().strftime("%Y-%m-%d %H:%M:%S" if days else "%H:%M:%S")
        line = Text(f"  {'now':<{len(at)}}" if one.at is now else f"  {at}", style="quiet")
        line.append(f"  {offset:>{width}}  ")
        line = Text.assemble(line, (plain(one.what), one.style))
        say(line)


def _diagnosis(story: Story, now: datetime, flag: str) -> None:
    """What ended the job, or holds it up: the operator's words, and then ours."""
    job, status, phase = story.job, status_of(story.job), phase_of(story.job)
    message, reason = plain(str(status.get("message") or "")), str(status.get("reason") or "")
    if not status:
        _unseen(job, now)
    if phase in {"Running", "Succeeded"} or not (reason or message):
        return
    again = phase == "Pending" and bool(status.get("attempts"))
    over = phase in FINISHED or again
    _section("What happened" if over else "What it waits for")
    for line in filter(None, [message, *map(plain, waiting_words(story.pods) if phase == "Starting" else ())]):
        say(f"  {line}")
    values = {"n": flag, "name": job["metadata"]["name"], "pool": pool_of(job), "image": plain(job["spec"]["image"])}
    steps = steps_while_waiting(reason)
    if over and (advice := advice_on(reason, _exit_code(status), message)) is not None:
        _section("Whose fault it is")
        say(f"  {advice.fault.value}: {advice.why.format(**values)}.")
        steps = advice.steps
    if steps:
        _section("What to try, where it does not run again by itself" if again else "What to try")
        for step in steps:
            say(f"  - {step.format(**values)}")


def _unseen(job: Body, now: datetime) -> None:
    """A CiJob without a status: a new one, or one that no operator looks at."""
    created = moment(job["metadata"]["creationTimestamp"])
    if created is not None and (now - created).total_seconds() > _NEW:
        _section("What it waits for")
        say("  No operator has taken it on: is one running? `cijob doctor` checks.")


def _exit_code(status: dict[str, Any]) -> int | None:
    code = status.get("exitCode")
    if code is None and status.get("attempts"):
        code = status["attempts"][-1].get("exitCode")
    return None if code is None else int(code)


def _log(story: Story, flag: str) -> None:
    if story.log_of is None:
        return
    container, attempt = story.log_of
    option = _LOG_OPTION.get(container, f" --container {container}")
    again = f" --attempt {attempt}" if len(story.pods) > 1 else ""
    _section(f"Last lines of the log: cijob logs {story.job['metadata']['name']}{flag}{option}{again}")
    lines = story.log.splitlines()
    for line in lines or ["(nothing was printed)"]:
        say(f"  {plain(line)}" if lines else Text(f"  {line}", style="quiet"))


def _events(events: Sequence[Body], now: datetime) -> None:
    if not events:
        return
    _section("Events")
    table = Table("AGE", "TYPE", "REASON", "OBJECT", "MESSAGE")
    for event in events:
        bad = event.get("type") == "Warning"
        about, count = event["involvedObject"], int(event.get("count") or 1)
        since = age(moment(when(event) or None), now) + (f" (x{count})" if count > 1 else "")
        kind = (event.get("type", ""), "waiting") if bad else event.get("type", "")
        table.add(
            since, kind, event.get("reason", ""), f"{about['kind'].lower()}/{about['name']}", event.get("message", "")
        )
    for line in table.lines():
        say(Text.assemble("  ", line))


def _section(title: str) -> None:
    say()
    say(Text(title, style="heading"))
