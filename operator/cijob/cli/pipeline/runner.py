"""A pipeline from its first job to its last: a CiJob for each, started when its turn has come, and followed."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cijob.cli import creation, overrides
from cijob.cli.errors import CliError, Exit
from cijob.cli.explain import explained
from cijob.cli.files.bundle import Bundle
from cijob.cli.files.checkout import trusting
from cijob.cli.files.execute import check as may_execute
from cijob.cli.files.transfer import Limits, prepare
from cijob.cli.follow.follow import Outcome, follow
from cijob.cli.interrupt import interruptible
from cijob.cli.lookup import find_pool, missing_namespace
from cijob.cli.pipeline.artifacts import Store, repository
from cijob.cli.pipeline.boards import JobView
from cijob.cli.pipeline.caches import Caches
from cijob.cli.pipeline.checkouts import Checkouts
from cijob.cli.pipeline.jobs import LABEL_PIPELINE, manifest, with_timeout
from cijob.cli.pipeline.reporting import report
from cijob.cli.pipeline.schedule import Result, State, begin
from cijob.cli.pipeline.tree import NOTHING
from cijob.cli.pipeline.treeboard import board_for
from cijob.cli.pipeline.variables import with_dotenv
from cijob.cli.printing import duration
from cijob.errors import ApiError, ApiNotFound
from cijob.models import Phase
from cijob.names import DEFAULT_POOL

if TYPE_CHECKING:
    from cijob.cli.api import Api
    from cijob.cli.files.collect import Taken
    from cijob.cli.pipeline.boards import Board
    from cijob.cli.pipeline.plan import Plan
    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Sight
    from cijob.cli.runoptions import RunOptions
    from cijob.importers.gitlab.model import PipelineJob, Spec

#: Jobs that are followed at a time: each holds three connections to the API server, and the client has 100.
_AT_ONCE: Final = 25


async def run_pipeline(api: Api, planned: Plan, options: RunOptions) -> int:
    """Runs a pipeline; gives 0, or the exit code of the first job that failed and may not.

    Raises:
        CliError: it cannot be run, or nobody looks at it any more.
        ApiError: the API server refuses.
    """
    with tempfile.TemporaryDirectory(prefix="cijob-", ignore_cleanup_errors=True) as scratch:
        board = board_for(len(planned.pipeline.jobs))
        run = Run(api, options, planned, Store(Path(scratch), options.artifacts), board)
        try:
            await run.check()
            await interruptible(run.run(), run.cancel, board, what="what runs of the pipeline", look=run.look)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CliError(
                f"the log or the files of the pipeline cannot be written: {error.strerror}",
                f"Make room there, or in {tempfile.gettempdir()}.",
            ) from error
        finally:
            run.caches.close()
            board.close()
    run.report()
    return run.exit_code


class Run:
    """One run of a pipeline.

    Attributes:
        look: how to look at its jobs afterwards, in a sentence.
        caches: to be closed.
    """

    def __init__(self, api: Api, options: RunOptions, planned: Plan, store: Store, board: Board) -> None:
        self._api, self._options, self._plan, self._board = api, options, planned, board
        self._store, self._checkouts = store, Checkouts(store.scratch, planned, board.note)
        self.caches = Caches.of(planned, options, board)
        self._schedule = begin(planned.pipeline, planned.play)
        self._sights: dict[str, Sight] = {}
        self._waiting: dict[asyncio.Task[None], str] = {}
        #: Name and UID of each job's CiJob.
        self._created: dict[str, tuple[str, str]] = {}
        self._cancelled = False
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
                return Exit.FAILED if self._store.lost else Exit.OK

    async def check(self) -> None:
        """Looks, before the first job is created, for what would make one fail: options, files, rights, pools.

        Raises:
            CliError: there is something.
        """
        jobs = self._plan.pipeline.jobs
        given = next((job for job in jobs if job.wants_files), None)
        files = Bundle() if given is None else await asyncio.to_thread(self._bundle, given)
        files.check(self._options.workspace_limit)
        if files.entries:
            await self._checkouts.prepare(self._options.workspace_limit - files.size)
        if files.entries or any(job.artifacts for job in jobs):
            await may_execute(self._api, self._api.namespace)
        await self.caches.check(self._api)
        pools = {str(self._spec(job).get("poolName") or DEFAULT_POOL) for job in jobs}
        with suppress(ApiError):  # who may not read pools may use them
            for pool in sorted(pools):
                await find_pool(self._api, pool)

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
        except OSError:  # the log's reader is gone, or a disk is full
            self._board.note(f"what runs goes on, and nothing else starts. {self.look}")
            raise
        finally:
            for task in (*running, *self._waiting):
                task.cancel()
            await asyncio.gather(*running, *self._waiting, return_exceptions=True)

    async def cancel(self) -> None:
        """Starts no other job, and cancels those that run, gracefully."""
        self._cancelled = True
        self._move(self._schedule.stopped())
        for task in self._waiting:
            task.cancel()
        running = [name for name in self._created if self._schedule.states[name] is State.RUNNING]
        # One that cannot be cancelled keeps none of the others from it.
        done = await asyncio.gather(*map(self._cancel, running), return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    def report(self) -> None:
        """The summary, on stderr."""
        took, lost = time.monotonic() - self._began, self._store.lost
        report(self._schedule, self._sights, took, self._api.namespace, self.look, lost=lost)

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
        if taken is not None and taken.problem:
            if ended.phase is Phase.SUCCEEDED:
                ended = Outcome(Phase.FAILED, "ArtifactsNotTaken", taken.problem, None, ended.attempt)
            else:
                self._board.note(f"{job.name}: {taken.problem}")
        self._end(job, ended)

    async def _followed(self, job: PipelineJob) -> tuple[Outcome, Taken | None]:
        view = JobView(self._board, job.name, self._doing)
        bundle = await asyncio.to_thread(self._bundle, job)
        spec = trusting(self._spec(job)) if bundle.has_git else self._spec(job)
        found = await asyncio.to_thread(self.caches.find, job)
        spec, transfer = prepare(
            spec,
            bundle=bundle,
            artifacts=job.artifacts,
            caching=found.caching,
            into=self._store.folder(job),
            limits=Limits(workspace=self._options.workspace_limit, artifacts=self._options.artifacts_limit),
            progress=view.moved,
        )
        try:
            name, uid = await self._create(job, spec)
            ended = await follow(self._api, self._api.namespace, name, uid, view, transfer=transfer)
            taken = await transfer.finish(succeeded=ended.phase is Phase.SUCCEEDED)
        finally:
            await transfer.aclose()
        await asyncio.to_thread(self.caches.keep, job, found, transfer.saved, transfer.not_restored)
        if taken is not None:
            await asyncio.to_thread(self._store.add, job, taken, view.note)
        return ended, taken

    def _bundle(self, job: PipelineJob) -> Bundle:
        """What a job is given: the folder's files as they are now, and what earlier jobs left."""
        wanted = job.wants_files and self._options.bring_files and not self._options.git_url
        files = repository(self._plan.folder, self._options.artifacts) if wanted else Bundle()
        bundle = self._store.bundle(job, files)
        return self._checkouts.add(job, bundle, self._options.workspace_limit) if wanted else bundle

    def _spec(self, job: PipelineJob) -> Spec:
        """The spec with what earlier jobs left and the options say."""
        spec = with_timeout(job.spec, self._options.timeout)
        spec = with_dotenv(spec, self._store.left_for(job), self._options.variables, job.layers)
        # The rest of the options is in the spec: the importer was given them.
        rest = replace(self._options, variables={}, timeout=None, git_url=None)
        return dict(overrides.completed({"metadata": {"name": "of-a-pipeline"}, "spec": spec}, rest)["spec"])

    async def _create(self, job: PipelineJob, spec: Spec) -> tuple[str, str]:
        namespace = self._api.namespace
        try:
            body = await creation.create(self._api, namespace, manifest(job, spec, self._plan.number))
        except ApiNotFound as error:
            if hint := await missing_namespace(self._api, namespace):
                raise CliError(f"the job cannot be created in the namespace {namespace}", hint) from error
            raise
        name = str(body["metadata"]["name"])
        self._see(job.name, cijob=name)
        self._board.event(f"{job.name}: created {name} in the namespace {namespace}")
        self._created[job.name] = name, str(body["metadata"]["uid"])
        if self._cancelled:  # while it was created
            await self._cancel(job.name)
        return self._created[job.name]

    async def _cancel(self, job: str) -> None:
        await creation.cancel(self._api, self._api.namespace, *self._created[job], "Graceful")

    def _end(self, job: PipelineJob, ended: Outcome) -> None:
        # The status's sentence has the exit code where that says something.
        sentence = ended.message or ended.reason or f"exit code {ended.exit_code}"
        why = "" if ended.phase is Phase.SUCCEEDED else sentence
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

    def _doing(self, name: str, text: str) -> None:
        """What a job does now."""
        self._see(name, doing=text)
        self._board.show(self._schedule, self._sights)
