"""Files into a job before its script, and artifacts and caches out of it behind its afterScript, by exec of `tar` in its container.

The job waits for both: an entry before `beforeScript` (bring.sh) and one before `afterScript` (take.sh, for which job.sh waits behind it),
each for a bounded time. Lines of the log that are the transfer's own have its token in them.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.cli.errors import CliError
from cijob.cli.files.bringing import Part, bring, parts
from cijob.cli.files.bundle import mib
from cijob.cli.files.caching import Saved
from cijob.cli.files.collect import Taken, Wish
from cijob.cli.files.execute import check
from cijob.cli.files.ownlines import MARK, marked, own_part
from cijob.cli.files.packing import Place, Scope, read
from cijob.cli.files.taking import TAKE_SECONDS, Hold, Wishes
from cijob.cli.runoptions import LIMIT
from cijob.importers.gitlab.model import When

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cijob.cli.api import Api
    from cijob.cli.files.bundle import Bundle
    from cijob.cli.files.caching import Caching
    from cijob.importers.gitlab.model import Artifacts, Spec

#: Seconds that a job waits for its files.
BRING_SECONDS: Final = 300
_NOT_OFFERED: Final = (
    "the job did not offer its {}: was its log not readable, or is the operator older than this cijob?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds: bytes of what is brought in and of one job's artifacts, unpacked; number of the artifacts' files."""

    workspace: int = LIMIT
    artifacts: int = LIMIT
    entries: int = 100_000


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Tells nobody."""


def in_words(say: Callable[[str], None], *, moving: bool) -> Callable[[str, int, int], None]:
    """A progress that says what is done in a few words; with `moving` also how much of it, which changes all the time."""

    def progress(what: str, done: int, total: int) -> None:
        amount = f"{mib(done)} of {mib(total)}" if total else mib(done)
        say(f"{what}: {amount}" if moving else f"{what}: {mib(total)}" if total else what)

    return progress


def prepare(  # noqa: PLR0913  what is moved, and how
    spec: Spec,
    *,
    bundle: Bundle | None,
    artifacts: Artifacts | None,
    caching: Caching | None = None,
    into: Path | None = None,
    limits: Limits | None = None,
    progress: Callable[[str, int, int], None] = no_progress,
) -> tuple[Spec, Transfer]:
    """The spec with the entries that wait, and the transfer that goes with it; the same spec if there is nothing to move.

    `into` is an existing folder of this job alone: `Taken.archive` will lie there. `progress` is called with what is being
    done ("bringing files in", "taking artifacts"), and its bytes so far and in all (0: unknown).

    Raises:
        CliError: the files are above the limit, or the job runs a command, which has no entries.
    """
    limits = limits or Limits()
    token = f"transfer-{secrets.token_hex(8)}"
    given = parts(bundle, caching)
    wishes = _wishes(spec, bundle, artifacts, caching, into, limits)
    whens = _whens(wishes)
    if (given or whens) and not spec.get("script"):
        raise CliError(
            "files can be brought into jobs with a script only, and taken out of them; this one has a command",
            "Write the command as a line of spec.script, or put the files into its image.",
        )
    if bundle is not None:
        bundle.check(limits.workspace)
    changed = dict(spec)
    if given:
        changed["beforeScript"] = [bring_entry(token), *(spec.get("beforeScript") or ())]
    if whens:
        when = whens.pop() if len(whens) == 1 else When.ALWAYS
        changed["afterScript"] = [take_entry(token, str(when)), *(spec.get("afterScript") or ())]
    return changed, Transfer(token, given, wishes, progress)


def _wishes(
    spec: Spec,
    bundle: Bundle | None,
    artifacts: Artifacts | None,
    caching: Caching | None,
    into: Path | None,
    limits: Limits,
) -> Wishes:
    working_dir = str(spec.get("workingDir") or "/workspace")
    scope = Scope(known=bundle.names if bundle is not None else None, working_dir=working_dir)
    if artifacts is None or not (artifacts.paths or artifacts.dotenv or artifacts.untracked):
        return Wishes(caching=caching, scope=scope)
    if into is None:
        raise ValueError("artifacts need a folder to go to")
    wish = Wish(artifacts, scope, into, limits.artifacts, limits.entries)
    return Wishes(artifacts=wish, caching=caching, scope=scope)


def _whens(wishes: Wishes) -> set[When]:
    """The ends of the script after which something is wanted."""
    found = {one.cache.when for one in wishes.to_save}
    return found if wishes.artifacts is None else {*found, wishes.artifacts.artifacts.when}


def bring_entry(token: str, seconds: int = BRING_SECONDS) -> str:
    """The entry that waits for the files. Its first line is what the log shows of it."""
    return f'{MARK}{token} cijob_seconds={seconds} # "cijob run" brings files in\n{read("bring.sh")}'


def take_entry(token: str, when: str, seconds: int = TAKE_SECONDS) -> str:
    """The entry that has the container held at the end of afterScript; `when` is GitLab's `artifacts:when`."""
    settings = f"{MARK}{token} cijob_seconds={seconds} cijob_when={when}"
    return f'{settings} # "cijob run" takes artifacts and caches\n{read("take.sh")}'


class Transfer:
    """The files of one CiJob, over all its attempts. Made by `prepare`.

    Before the CiJob is created: `check`. Each attempt whose container runs: `started`. Each line of its log: `shown`. At
    the end, whatever happened: `finish`, or `aclose` if nobody wants to know.
    """

    def __init__(
        self, token: str, given: tuple[Part, ...], wishes: Wishes, progress: Callable[[str, int, int], None]
    ) -> None:
        #: Called as `prepare` says; may be set to another.
        self.progress = progress
        self._token, self._parts, self._wishes = token, given, wishes
        #: Whether the job still has to be given files.
        self.owes = bool(given)
        #: Why caches could not be brought in, or empty.
        self.not_restored = ""
        #: What became of the caches, when it is finished.
        self.saved: tuple[Saved, ...] = ()
        self._succeeded: asyncio.Future[bool] | None = None
        self._taker: asyncio.Task[Taken | None] | None = None

    @property
    def _takes(self) -> bool:
        return self._wishes.artifacts is not None or bool(self._wishes.to_save)

    @property
    def moves(self) -> bool:
        """Whether there is anything to move."""
        return bool(self._parts) or self._takes

    async def check(self, api: Api, namespace: str) -> None:
        """Whether the user may move files there.

        Raises:
            CliError: no: a right is missing, or the cluster's policy forbids it.
        """
        if self.moves:
            await check(api, namespace)

    async def started(self, api: Api, namespace: str, pod_name: str) -> None:
        """The container `job` of an attempt runs: bring the files in. The log may be read meanwhile, or afterwards.

        A container that ends meanwhile is no failure of ours: its log tells why.

        Raises:
            CliError: the files cannot be brought in. The job would wait for them in vain: cancel it.
        """
        await self.aclose()
        self.saved = ()
        place = Place(api, namespace, pod_name)
        if self._takes:
            self._succeeded = asyncio.get_running_loop().create_future()
            self._taker = asyncio.create_task(self._take(place, self._succeeded))
        if self._parts:
            self.owes = True
            self.not_restored = await bring(place, self._token, self._parts, self.progress)
            self.owes = False

    def shown(self, line: bytes) -> bytes:
        """What of a line of the log is the job's own; the transfer's lines are not to be shown.

        The job's may stand before it in the same line, where that was printed without a newline.
        """
        found = marked(line, self._token)
        if found is not None and found.says and self._succeeded is not None and not self._succeeded.done():
            self._succeeded.set_result(not found.behind.startswith(b", failed"))
        return own_part(line, self._token)

    async def finish(self, *, succeeded: bool) -> Taken | None:
        """What was taken. None: there was nothing to take: no artifacts, or not for this outcome, or the job was killed.

        `saved` has what became of the caches.
        """
        if self._taker is None or self._succeeded is None or not self._succeeded.done():
            await self.aclose()
            return self._missed() if succeeded else None
        return await self._taker

    async def aclose(self) -> None:
        """Give up what still goes on."""
        if self._taker is not None:
            self._taker.cancel()
            await asyncio.gather(self._taker, return_exceptions=True)
            self._taker = None

    def _missed(self) -> Taken | None:
        """What is to be said where a job that succeeded offered nothing."""
        problem = _NOT_OFFERED.format("caches")
        missed = [one.cache for one in self._wishes.to_save if one.cache.when is not When.ON_FAILURE]
        self.saved = tuple(Saved(cache=cache, problem=problem) for cache in missed)
        wish = self._wishes.artifacts
        if wish is None or wish.artifacts.when is When.ON_FAILURE:
            return None
        return Taken(problem=_NOT_OFFERED.format("artifacts"))

    async def _take(self, place: Place, succeeded: asyncio.Future[bool]) -> Taken | None:
        hold = Hold(place, self._token, await succeeded, self.progress)
        taken, self.saved = await hold.take(self._wishes)
        return taken
