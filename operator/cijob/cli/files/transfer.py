"""Files into a job before its script, and artifacts out of it behind its afterScript, by exec of `tar` in its container.

The job waits for both: an entry before `beforeScript` (bring.sh) and one before `afterScript` (take.sh), each for a bounded
time. Lines of the log that are the transfer's own have its token in them.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from cijob.cli.errors import CliError
from cijob.cli.files.archive import not_kept
from cijob.cli.files.bundle import mib
from cijob.cli.files.collect import Place, Taken, Wish, collect, read, shell
from cijob.cli.files.execute import check, refused
from cijob.cli.runoptions import LIMIT
from cijob.errors import ApiError, ApiNotFound, ApiUnavailable
from cijob.importers.gitlab.model import When

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from cijob.cli.api import Api
    from cijob.cli.files.bundle import Bundle
    from cijob.importers.gitlab.model import Artifacts, Spec

T = TypeVar("T")

#: Seconds that a job waits for its files.
BRING_SECONDS: Final = 300
#: Seconds that it waits for its artifacts to be taken: afterScript has 300 in all.
TAKE_SECONDS: Final = 240
#: Seconds between tries over a broken connection.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
_CHUNK: Final = 256 * 1024
_NOT_OFFERED: Final = "the job did not offer its artifacts: was its log not readable, or has its after_script a `trap` on EXIT of its own?"
#: What kubelets and runtimes say of a container that has ended.
_GONE: Final = ("container not found", "not running", "not created or running", "task not found", "no running task")


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


def prepare(
    spec: Spec,
    *,
    bundle: Bundle | None,
    artifacts: Artifacts | None,
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
    brings = bundle if bundle is not None and (bundle.entries or bundle.archives) else None
    takes = (
        artifacts if artifacts is not None and (artifacts.paths or artifacts.dotenv or artifacts.untracked) else None
    )
    if (brings or takes) and not spec.get("script"):
        raise CliError(
            "files can be brought into jobs with a script only, and taken out of them; this one has a command",
            "Write the command as a line of spec.script, or put the files into its image.",
        )
    wish, changed = None, dict(spec)
    if brings is not None:
        brings.check(limits.workspace)
        changed["beforeScript"] = [bring_entry(token), *(spec.get("beforeScript") or ())]
    if takes is not None:
        if into is None:
            raise ValueError("artifacts need a folder to go to")
        changed["afterScript"] = [take_entry(token, str(takes.when)), *(spec.get("afterScript") or ())]
        working_dir = str(spec.get("workingDir") or "/workspace")
        known = bundle.names if bundle is not None else None
        wish = Wish(takes, known, working_dir, into, limits.artifacts, limits.entries)
    return changed, Transfer(token, brings, wish, progress)


def bring_entry(token: str, seconds: int = BRING_SECONDS) -> str:
    """The entry that waits for the files. Its first line is what the log shows of it."""
    return f'cijob_transfer={token} cijob_seconds={seconds} # "cijob run" brings files in\n{read("bring.sh")}'


def take_entry(token: str, when: str, seconds: int = TAKE_SECONDS) -> str:
    """The entry that has the container held at the end of afterScript; `when` is GitLab's `artifacts:when`."""
    settings = f"cijob_transfer={token} cijob_seconds={seconds} cijob_when={when}"
    return f'{settings} # "cijob run" takes artifacts\n{read("take.sh")}'


class Transfer:
    """The files of one CiJob, over all its attempts. Made by `prepare`.

    Before the CiJob is created: `check`. Each attempt whose container runs: `started`. Each line of its log: `shown`. At
    the end, whatever happened: `finish`, or `aclose` if nobody wants to know.
    """

    def __init__(
        self, token: str, bundle: Bundle | None, wish: Wish | None, progress: Callable[[str, int, int], None]
    ) -> None:
        #: Called as `prepare` says; may be set to another.
        self.progress = progress
        self._token, self._bundle, self._wish = token, bundle, wish
        self._own = re.compile(rb"(?P<mark>cijob: |\$ cijob_transfer=)[^\r\n]*" + re.escape(token.encode()))
        #: Whether the job still has to be given files.
        self.owes = bundle is not None
        self._ready = asyncio.Event()
        self._taker: asyncio.Task[Taken] | None = None

    @property
    def moves(self) -> bool:
        """Whether there is anything to move."""
        return self._bundle is not None or self._wish is not None

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
        self._ready = asyncio.Event()
        place = Place(api, namespace, pod_name)
        if self._wish is not None:
            self._taker = asyncio.create_task(self._take(place, self._wish))
        if self._bundle is not None:
            self.owes = True
            await self._bring(place, self._bundle)
            self.owes = False

    def shown(self, line: bytes) -> bytes:
        """What of a line of the log is the job's own; the transfer's lines are not to be shown.

        The job's may stand before it in the same line, where that was printed without a newline.
        """
        if self._token.encode() not in line:
            return line
        found = self._own.search(line)
        if found is None:  # such as what `set -x` makes of it
            return b""
        if found["mark"] == b"cijob: ":
            self._ready.set()
        before = line[: found.start()]
        return before + b"\n" if before else b""

    async def finish(self, *, succeeded: bool) -> Taken | None:
        """What was taken. None: there was nothing to take: no artifacts, or not for this outcome, or the job was killed."""
        if self._taker is None or self._wish is None or not self._ready.is_set():
            await self.aclose()
            missed = succeeded and self._wish is not None and self._wish.artifacts.when is not When.ON_FAILURE
            return Taken(problem=_NOT_OFFERED) if missed else None
        return await self._taker

    async def aclose(self) -> None:
        """Give up what still goes on."""
        if self._taker is not None:
            self._taker.cancel()
            await asyncio.gather(self._taker, return_exceptions=True)
            self._taker = None

    async def _bring(self, place: Place, bundle: Bundle) -> None:
        async def bring() -> None:
            result = await place.run(shell("unpack.sh"), stdin=self._sent(bundle))
            why = result.stderr.decode(errors="replace").strip().partition("\n")[0]
            # Where it failed, the job ends with that, and its log says why.
            mark = ("brought",) if result.code == 0 else ("failed", why or f"tar ended with {result.code}")
            await place.run(shell("mark.sh", self._token, *mark))

        try:
            await _again_and_again(bring)
        except ApiError as error:
            if _is_gone(error):
                return
            if error.forbidden:
                raise refused(error, place.namespace) from error
            raise CliError(f"the files could not be brought into the job: {error.message}") from error

    async def _sent(self, bundle: Bundle) -> AsyncIterator[bytes]:
        pieces, sent = _large(bundle.blocks()), 0
        total = bundle.archive_size
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
            sent += len(piece)
            self.progress("bringing files in", min(sent, total), total)

    async def _take(self, place: Place, wish: Wish) -> Taken:
        await self._ready.wait()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                taken = await _again_and_again(lambda: collect(place, wish, self.progress))
        except ApiError as error:
            taken = Taken(problem=error.message)
        except CliError as error:
            taken = Taken(problem=". ".join(part for part in (error.message, error.hint) if part))
        except TimeoutError:
            taken = Taken(problem=f"the artifacts could not be taken within {TAKE_SECONDS} s")
        except OSError as error:
            taken = Taken(problem=not_kept(error))
        with suppress(ApiError):  # the job lets go by itself, later
            await _again_and_again(lambda: place.run(shell("mark.sh", self._token, "taken")))
        return taken


async def _again_and_again(act: Callable[[], Awaitable[T]]) -> T:
    """What an act gives, over connections that break; some times only, and never to a container that is gone.

    Raises:
        ApiError: what the last one raised.
    """
    for pause in _PAUSES:
        try:
            return await act()
        except ApiUnavailable as error:
            if _is_gone(error):
                raise
            await asyncio.sleep(pause)
    return await act()


def _large(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a size that is worth a message."""
    piece = bytearray()
    for block in blocks:
        piece += block
        if len(piece) >= _CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _is_gone(error: ApiError) -> bool:
    """Whether the container has ended, or its Pod is gone."""
    return isinstance(error, ApiNotFound) or any(one in error.message for one in _GONE)
