"""A pipeline from its first job to its last: a CiJob for each, started when its turn has come, and followed."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.text import Text

from cijob.cli import console, creation, overrides
from cijob.cli.errors import CliError, Exit
from cijob.cli.explain import explained
from cijob.cli.files.bundle import Bundle, mib
from cijob.cli.files.transfer import Limits, prepare
from cijob.cli.follow.follow import Outcome, follow
from cijob.cli.importing import USUAL
from cijob.cli.interrupt import Mode, interruptible
from cijob.cli.lookup import missing_namespace
from cijob.cli.pipeline.artifacts import Store
from cijob.cli.pipeline.boards import board_for
from cijob.cli.pipeline.jobs import LABEL_PIPELINE, manifest, with_timeout
from cijob.cli.pipeline.plan import Plan, plan
from cijob.cli.pipeline.schedule import Result, State, begin
from cijob.cli.pipeline.tree import MARKS, NOTHING, outcome, summary
from cijob.cli.pipeline.variables import with_dotenv
from cijob.cli.printing import Table, duration
from cijob.errors import ApiError, ApiNotFound
from cijob.models import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.cli.api import Api
    from cijob.cli.files.collect import Taken
    from cijob.cli.files.transfer import Transfer
    from cijob.cli.pipeline.boards import Board
    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Sight
    from cijob.cli.runoptions import RunOptions
    from cijob.importers.gitlab.model import PipelineJob, Spec

#: Jobs that are followed at a time: each holds three connections to the API server, and the client has 100.
_AT_ONCE: Final = 25


async def run_pipeline(api: Api, options: RunOptions) -> int:
    """Runs a pipeline's file; gives 0, or the exit code of the first job that failed and may not.

    Raises:
        CliError: it cannot be run, or nobody looks at it any more.
        ApiError: the API server refuses.
    """
    if options.detach:
        raise CliError(
            "a pipeline cannot be left: it is this command that starts one job after the other",
            "Leave out --detach, or let a CI server run the command.",
            Exit.USAGE,
        )
    planned = await asyncio.to_thread(plan, options, Path(options.file or USUAL))
    files = Bundle()
    if options.bring_files and not options.git_url and any(job.wants_files for job in planned.pipeline.jobs):
        files = await asyncio.to_thread(Bundle.of, planned.folder)
        files.check(options.workspace_limit)
    with tempfile.TemporaryDirectory(prefix="cijob-") as scratch:
        board = board_for(len(planned.pipeline.jobs))
        run = Run(api, options, planned, files, Store(Path(scratch), options.artifacts), board)
        try:
            await interruptible(run.run(), run.cancel, board, what="what runs of the pipeline", look=run.look)
        finally:
            board.close()
    run.report()
    return run.exit_code


class Run:
    """One run of a pipeline.

    Attributes:
        look: how to look at its jobs afterwards, in a sentence.
    """

    def __init__(self, api: Api, options: RunOptions, planned: Plan, files: Bundle, store: Store, board: Board) -> None:
        self._api, self._options, self._plan, self._board = api, options, planned, board
        self._files, self._store = files, store
        self._schedule = begin(planned.pipeline, planned.play)
        self._sights: dict[str, Sight] = {}
        self._waiting: dict[asyncio.Task[None], str] = {}
        self._mode: Mode | None = None
        self._moving_allowed = False
        self._failure: int | None = None
        self._began = time.monotonic()
        self.look = f"`cijob ls -n {api.namespace} -l {LABEL_PIPELINE}={planned.number}` lists its jobs."

    @property
    def exit_code(self) -> int:
        """What the command ends with; to be asked when the pipeline is over."""
        match self._schedule.result():
            case Result.FAILED:
                return self._failure or Exit.FAILED
            case Result.CANCELLED:
                return Exit.INTERRUPTED
            case Result.SUCCEEDED | Result.BLOCKED:
                return Exit.OK

    async def run(self) -> None:
        """Starts jobs, follows them, and starts those that can start then, until the pipeline is over."""
        running: dict[asyncio.Task[None], str] = {}
        try:
            while not self._schedule.over:
                for job in self._schedule.ready()[: _AT_ONCE - len(running)]:
                    self._move(self._schedule.started(job.name))
                    self._see(job.name, began=time.monotonic())
                    running[asyncio.create_task(self._job(job))] = job.name
                self._wait_for_delays()
                self._board.show(self._schedule, self._sights)
                done, _ = await asyncio.wait({*running, *self._waiting}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    name = running.pop(task, "")
                    delayed = self._waiting.pop(task, "")
                    if name:
                        task.result()
                    elif not task.cancelled():
                        self._move(self._schedule.due(delayed))
        finally:
            for task in (*running, *self._waiting):
                task.cancel()
            await asyncio.gather(*running, *self._waiting, return_exceptions=True)

    async def cancel(self, mode: Mode) -> None:
        """Starts no other job, and cancels those that run."""
        self._mode = mode
        self._move(self._schedule.stopped())
        for task in self._waiting:
            task.cancel()
        names = [self._sights[name].cijob for name, state in self._schedule.states.items() if state is State.RUNNING]
        await asyncio.gather(*(creation.cancel(self._api, self._api.namespace, name, mode) for name in names if name))

    def report(self) -> None:
        """The summary, on stderr. The only job of a pipeline has said all that there is to say."""
        good = self._schedule.result() is Result.SUCCEEDED
        rows = summary(self._schedule, self._sights)
        created = [sight.cijob for sight in self._sights.values() if sight.cijob]
        if len(rows) == len(created) == 1:
            if not good:
                _say(f"`cijob describe {created[0]} -n {self._api.namespace}` tells more.")
            return
        _say(outcome(self._schedule, time.monotonic() - self._began), "quiet" if good else "bad")
        table = Table("JOB", "RESULT", "TIME", "NOTE")
        for state, name, took, why in rows:
            table.add(name, (state.value, MARKS[state][2]), took, why)
        for line in table.lines():
            console.err().print(line, soft_wrap=True)
        if not good:
            _say(self.look)

    # --- one job --------------------------------------------------------------------------------------------------------

    async def _job(self, job: PipelineJob) -> None:
        """Creates a job's CiJob and follows it to its end."""
        try:
            ended, taken = await self._followed(job)
        except (CliError, ApiError) as error:
            # It was not created, or is out of sight: it fails, as in GitLab a job whose runner is lost, and not all of them.
            told = explained(error, self._api.server, self._api.namespace) if isinstance(error, ApiError) else error
            message = ". ".join(part for part in (told.message, told.hint) if part)
            self._end(job, Outcome(Phase.FAILED, "", message, None, 0))
            return
        if taken is not None and taken.problem and ended.phase is Phase.SUCCEEDED:
            ended = Outcome(Phase.FAILED, "ArtifactsNotTaken", taken.problem, None, ended.attempt)
        self._end(job, ended)

    async def _followed(self, job: PipelineJob) -> tuple[Outcome, Taken | None]:
        view = _View(self, job.name)
        spec = self._spec(job)
        files = self._files if job.wants_files else Bundle()
        bundle = await asyncio.to_thread(self._store.bundle, job, files)
        spec, transfer = prepare(
            spec,
            bundle=bundle,
            artifacts=job.artifacts,
            into=self._store.folder(job),
            limits=Limits(workspace=self._options.workspace_limit, artifacts=self._options.artifacts_limit),
            progress=view.moved,
        )
        try:
            name, uid = await self._create(job, spec, transfer)
            ended = await follow(self._api, self._api.namespace, name, uid, view, transfer=transfer)
            taken = await transfer.finish()
        finally:
            await transfer.aclose()
        if taken is not None:
            await asyncio.to_thread(self._store.add, job, taken, view.note)
        return ended, taken

    def _spec(self, job: PipelineJob) -> Spec:
        """The spec with what earlier jobs left and the options say."""
        spec = with_timeout(job.spec, self._options.timeout)
        spec = with_dotenv(spec, self._store.left_for(job), self._options.variables.keys())
        # The rest of the options is in the spec: the importer was given them.
        rest = replace(self._options, variables={}, timeout=None, git_url=None)
        return dict(overrides.completed({"metadata": {"name": "of-a-pipeline"}, "spec": spec}, rest)["spec"])

    async def _create(self, job: PipelineJob, spec: Spec, transfer: Transfer) -> tuple[str, str]:
        namespace = self._api.namespace
        if transfer.moves and not self._moving_allowed:
            await transfer.check(self._api, namespace)
            self._moving_allowed = True
        try:
            body = await creation.create(self._api, namespace, manifest(job, spec, self._plan.number))
        except ApiNotFound as error:
            if hint := await missing_namespace(self._api, namespace):
                raise CliError(f"the job cannot be created in the namespace {namespace}", hint) from error
            raise
        name = str(body["metadata"]["name"])
        self._see(job.name, cijob=name)
        self._board.event(f"{job.name}: created {name} in the namespace {namespace}")
        if self._mode is not None:  # the user cancelled while it was created
            await creation.cancel(self._api, namespace, name, self._mode)
        return name, str(body["metadata"]["uid"])

    def _end(self, job: PipelineJob, ended: Outcome) -> None:
        why = "" if ended.phase is Phase.SUCCEEDED else _why(ended)
        self._see(job.name, ended=time.monotonic(), doing="", why=why)
        match ended.phase:
            case Phase.SUCCEEDED:
                self._move(self._schedule.succeeded(job.name))
            case Phase.CANCELLED:
                self._move(self._schedule.cancelled(job.name))
            case _:
                self._move(self._schedule.failed(job.name, ended.exit_code))
        state = self._schedule.states[job.name]
        if state is State.FAILED and self._failure is None:
            self._failure = ended.code
        sight = self._sights[job.name]
        took = duration((sight.ended or 0) - (sight.began or 0))
        said = f"{job.name}: {state.value} after {took}"
        if why:
            self._board.note(f"{said}: {why}")
        else:
            self._board.event(said)

    # --- what is known --------------------------------------------------------------------------------------------------

    def _wait_for_delays(self) -> None:
        """A task for each delay that has begun."""
        for job in self._schedule.delayed():
            if job.name not in self._waiting.values():
                self._see(job.name, due=time.monotonic() + job.start_in)
                self._waiting[asyncio.create_task(asyncio.sleep(job.start_in))] = job.name
                self._board.event(f"{job.name}: starts in {duration(job.start_in)}")

    def _move(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def _see(self, name: str, **changes: object) -> None:
        self._sights[name] = replace(self._sights.get(name, NOTHING), **changes)  # type: ignore[arg-type]  # fields of Sight

    def doing(self, name: str, text: str) -> None:
        """What a job does now."""
        self._see(name, doing=text)
        self._board.show(self._schedule, self._sights)

    @property
    def board(self) -> Board:
        """Where it is shown."""
        return self._board

    @property
    def sights(self) -> Mapping[str, Sight]:
        """What is known of its jobs."""
        return self._sights


class _View:
    """One job of a run, as `follow` shows it."""

    def __init__(self, run: Run, job: str) -> None:
        self._run, self._job = run, job

    def progress(self, text: str) -> None:
        """See View."""
        self._run.doing(self._job, text)
        self._run.board.doing(self._job, text)

    def line(self, data: bytes) -> None:
        """See View."""
        self._run.board.log(self._job, data)

    def note(self, text: str) -> None:
        """See View."""
        self._run.board.note(f"{self._job}: {text}")

    def attempt(self, number: int) -> None:
        """See View."""
        self._run.board.attempt(self._job, number)

    def moved(self, what: str, done: int, total: int) -> None:
        """Files are on their way into the job, or out of it."""
        self._run.doing(self._job, f"{what}: {mib(done)}" + (f" of {mib(total)}" if total else ""))


def _why(ended: Outcome) -> str:
    """What went wrong: the status's sentence, which has the exit code where that says something."""
    return ended.message or ended.reason or f"exit code {ended.exit_code}"


def _say(text: str, style: str = "quiet") -> None:
    console.err().print(Text(f"cijob: {console.plain(text)}", style=style), soft_wrap=True)
