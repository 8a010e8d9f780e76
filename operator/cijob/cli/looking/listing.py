"""`cijob ls`: a list once, or for as long as somebody looks."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from cijob import names
from cijob.cli.console import out, plain
from cijob.cli.errors import Exit
from cijob.cli.looking.jobs import having, headers, in_order, key_of, row, table
from cijob.cli.lookup import check_namespace, find_jobs, labelled_jobs
from cijob.cli.printing import Cell, Stream, formatted, say, show
from cijob.cli.watching import observed
from cijob.transport import CIJOBS, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from cijob.cli.api import Api
    from cijob.cli.looking.jobs import Key
    from cijob.transport import Body

#: Seconds between two pictures of a table on a terminal: at least, and at most, since ages grow.
_SOONEST, _LATEST = 0.1, 1.0
_TABLES: Final = frozenset({None, "wide"})
_ALL: Final = {"namespaces": True, "wide": True}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `cijob ls` was asked for.

    Attributes:
        namespace: None for all.
        names: those with these names; empty: all.
        selector: a label selector; None for all.
        fields: a field selector; None for all.
        phases: those in one of these; empty: all.
        output: -o, or None.
        with_headers: False with --no-headers.
    """

    namespace: str | None
    names: tuple[str, ...] = ()
    selector: str | None = None
    fields: str | None = None
    phases: tuple[str, ...] = ()
    output: str | None = None
    with_headers: bool = True

    @property
    def query(self) -> dict[str, str]:
        """As the API has it."""
        asked = {"labelSelector": self.selector, "fieldSelector": self.fields}
        return {key: value for key, value in asked.items() if value}

    def of(self, jobs: Iterable[Body]) -> list[Body]:
        """Those that have one of the names, and are in one of the phases."""
        return having((job for job in jobs if not self.names or job["metadata"]["name"] in self.names), self.phases)

    @property
    def columns(self) -> dict[str, bool]:
        """Which columns the table has."""
        return {"namespaces": self.namespace is None, "wide": self.output == "wide"}


async def list_once(api: Api, wanted: Wanted) -> int:
    """Print the CiJobs that there are."""
    if wanted.names:
        jobs, missing = await find_jobs(api, api.namespace, wanted.names)
    else:
        jobs, missing = await labelled_jobs(api, wanted.namespace, wanted.selector, wanted.fields), 0
    if not jobs and not missing:
        await check_namespace(api, wanted.namespace)  # an empty list of a namespace that is not there is a typo
    found = in_order(wanted.of(jobs))
    if wanted.output not in _TABLES:
        show(found, str(wanted.output), one=len(wanted.names) == len(found) == 1)
    elif found:
        table(found, datetime.now(UTC), **wanted.columns).print(headers=wanted.with_headers)
    elif not missing:
        click.echo(_none(wanted), err=True)
    return Exit.FAILED if missing else Exit.OK


async def watch(api: Api, wanted: Wanted) -> int:
    """Print the CiJobs that there are and each change, until interrupted."""
    await check_namespace(api, wanted.namespace)
    if (await find_jobs(api, api.namespace, wanted.names))[1]:  # nobody would know what is waited for
        return Exit.FAILED
    source = observed(api, path_of(CIJOBS, wanted.namespace, names.PLURAL), wanted.query, trouble=_trouble)
    if out().is_terminal and not out().is_dumb_terminal and wanted.output in _TABLES:
        await _watch_live(source, wanted)
    else:
        await _watch_lines(source, wanted)
    return Exit.OK


async def _watch_lines(source: AsyncIterator[list[Body]], wanted: Wanted) -> None:
    """A line, or an object, for each change that shows."""
    stream = Stream(*headers(**wanted.columns), with_headers=wanted.with_headers)
    known: dict[Key, Body] = {}
    async for jobs in source:
        found = {key_of(job): job for job in jobs}
        gone = [job for key, job in known.items() if key not in found]
        new = [job for key, job in found.items() if key not in known or _differs(known[key], job, wanted)]
        known = found
        if wanted.output in _TABLES:
            rows = [_row(job, wanted, gone=True) for job in wanted.of(gone)]
            rows += [_row(job, wanted) for job in in_order(wanted.of(new))]
            for line in stream.lines(rows):
                say(line)
        else:
            for job in in_order(wanted.of(new)):
                text = formatted([job], str(wanted.output), one=True)
                click.echo(f"---\n{text}" if wanted.output == "yaml" else text, nl=False)
        sys.stdout.flush()


async def _watch_live(source: AsyncIterator[list[Body]], wanted: Wanted) -> None:
    """A table that changes in place."""
    known: list[Body] = []
    fresh = asyncio.Event()

    async def keep() -> None:
        nonlocal known
        async for jobs in source:
            known = jobs
            fresh.set()

    keeper = asyncio.create_task(keep())
    keeper.add_done_callback(lambda _: fresh.set())
    try:
        await fresh.wait()
        with Live(console=out(), auto_refresh=False, vertical_overflow="crop") as live:
            while not keeper.done():
                fresh.clear()
                live.update(picture(known, wanted, out().size), refresh=True)
                await asyncio.sleep(_SOONEST)  # a picture's time: changes that come meanwhile are in the next one
                await _within(fresh, _LATEST)
        await keeper
    finally:
        keeper.cancel()


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer."""
    await asyncio.wait([waiter := asyncio.create_task(event.wait())], timeout=seconds)
    waiter.cancel()


def picture(jobs: list[Body], wanted: Wanted, size: tuple[int, int]) -> Group:
    """The table as it fits into a terminal of a size (columns, lines): the newest rows, and how many are above them."""
    width, height = size
    found = in_order(wanted.of(jobs))
    room = max(1, height - 3)  # the headers, the line on those above, and the cursor's own
    shown = found[-room:]
    lines = table(shown, datetime.now(UTC), **wanted.columns).lines(headers=wanted.with_headers) if shown else []
    above = len(found) - len(shown)
    if above:
        lines.insert(int(wanted.with_headers), Text(f"... {above} older", style="quiet"))
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return Group(*(lines or [Text(_none(wanted), style="quiet")]))


def _differs(before: Body, job: Body, wanted: Wanted) -> bool:
    """Whether a change shows: in a table only that of a cell which does not change with time alone."""
    if before["metadata"]["resourceVersion"] == job["metadata"]["resourceVersion"]:
        return False
    if wanted.output not in _TABLES:
        return True
    same_time = datetime.now(UTC)
    return row(before, same_time, **_ALL) != row(job, same_time, **_ALL)


def _row(job: Body, wanted: Wanted, *, gone: bool = False) -> tuple[Cell, ...]:
    cells = row(job, datetime.now(UTC), **wanted.columns)
    at = 2 if wanted.namespace is None else 1  # the phase
    return (*cells[:at], "Deleted", *cells[at + 1 :]) if gone else cells


def _none(wanted: Wanted) -> str:
    which = f" that are {' or '.join(wanted.phases)}" if wanted.phases else ""
    which += f" with the labels {plain(wanted.selector)}" if wanted.selector else ""
    which += f" with the fields {plain(wanted.fields)}" if wanted.fields else ""
    return f"No CiJobs{which}" + (f" in the namespace {wanted.namespace}." if wanted.namespace else ".")


def _trouble(message: str) -> None:
    said = f"cijob: {plain(message)}"
    if out().is_terminal:
        out().print(said, style="quiet")  # rich puts it above a table that changes in place
    else:
        click.echo(said, err=True)
