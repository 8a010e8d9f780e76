"""The `.git` that the jobs of a run find beside their files: one for each depth that they ask for, made before the first job."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from cijob.cli.files.bundle import mib
from cijob.cli.files.checkout import LESS, check_out, depth_of, root_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cijob.cli.files.bundle import Bundle
    from cijob.cli.files.checkout import Checkout
    from cijob.cli.pipeline.plan import Plan
    from cijob.importers.gitlab.model import PipelineJob

#: A command's name in a script, not a part of another word or of a path.
_GIT: Final = re.compile(r"(?<![\w./-])git(?![\w./+-])")

#: Seconds after which a user wants to know what is waited for.
_A_WHILE: Final = 2


class Checkouts:
    """The checkouts of one run; `tell` gets a sentence where jobs have to do without, each once."""

    def __init__(self, scratch: Path, planned: Plan, tell: Callable[[str], None]) -> None:
        self._scratch, self._plan, self._tell = scratch, planned, tell
        self._made: dict[int, Checkout] = {}
        self._told: set[str] = set()

    async def prepare(self, room: int) -> None:
        """Makes those that the pipeline's jobs ask for; each file of theirs may have so many bytes."""
        making = asyncio.create_task(asyncio.to_thread(self.make, room))
        done, _ = await asyncio.wait({making}, timeout=_A_WHILE)
        if not done:
            self._tell(f"making a .git for the jobs out of {self._plan.folder}")
        await making

    def make(self, room: int) -> None:
        """See `prepare`, which does not wait here."""
        folder, jobs = self._plan.folder, [job for job in self._plan.pipeline.jobs if job.wants_files]
        root = root_of(folder)
        if root is None:
            return
        if root != folder.resolve():
            # As in a folder that is no repository. Most such pipelines ask for none.
            if any(map(_calls_git, jobs)):
                self._say(f"{folder} is a part of the repository {root}, which --workspace brings as a whole")
            return
        for depth in sorted(set(map(_depth, jobs))):
            # No job's folder there has a dot.
            into = self._scratch / f"checkout.{depth}"
            made = check_out(root, into, self._plan.ref, number=self._plan.number, depth=depth, limit=room)
            if made.problem:
                self._say(made.problem)
            self._made[depth] = made

    def add(self, job: PipelineJob, bundle: Bundle, limit: int) -> Bundle:
        """What a job gets with its `.git`, where there is one and both are within a limit of bytes."""
        made = self._made.get(_depth(job))
        if made is None or not made.entries or not bundle.entries:
            return bundle
        if bundle.size + made.size > limit:
            self._say(
                f"it is {mib(made.size)}, their files are {mib(bundle.size)}, and {mib(limit)} are allowed: {LESS}"
            )
            return bundle
        return bundle.with_entries(made.entries)

    def _say(self, why: str) -> None:
        sentence = f"jobs get no .git: {why}"
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)


def _depth(job: PipelineJob) -> int:
    return depth_of(job.spec.get("variables") or {})


def _calls_git(job: PipelineJob) -> bool:
    scripts = (job.spec.get(key) or () for key in ("beforeScript", "script", "afterScript"))
    return any(_GIT.search(entry) for script in scripts for entry in script)
