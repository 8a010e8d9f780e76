"""`cijob pools`: what pools offer, who uses them, who waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from cijob.cli.console import plain
from cijob.cli.errors import Exit
from cijob.cli.looking.shares import line, of_pool, shares, waited
from cijob.cli.lookup import find_pool
from cijob.cli.printing import NOTHING, Cell, Table, age, duration, moment, say, show
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cijob.cli.api import Api
    from cijob.cli.looking.shares import Waiter
    from cijob.transport import Body

#: Waiting jobs that are shown one by one.
_SHOWN: Final = 20
_POLICIES: Final = {"None": "open", "Hold": "held", "HoldAndDrain": "draining"}


async def list_pools(api: Api, output: str | None) -> int:
    """Print all pools."""
    pools = sorted(await api.list_pools(), key=lambda pool: str(pool["metadata"]["name"]))
    if output not in {None, "wide"}:
        show(pools, str(output))
    elif pools:
        _table(pools, datetime.now(UTC), wide=output == "wide").print()
    else:
        click.echo("There are no pools: jobs wait until who runs the cluster has made one (docs/pools.md).", err=True)
    return Exit.OK


async def show_pool(api: Api, name: str, output: str | None) -> int:
    """Print one pool: its rules, the shares of namespaces, and who waits."""
    pool = await find_pool(api, name)
    now = datetime.now(UTC)
    if output == "wide":
        _table([pool], now, wide=True).print()
    elif output is not None:
        show([pool], output, one=True)
    else:
        jobs, only = await _jobs(api, name)
        _tell(pool, jobs, now, only=only)
    return Exit.OK


async def _jobs(api: Api, pool: str) -> tuple[list[Body], str]:
    """The pool's CiJobs that have not ended, and the one namespace where no others may be seen; empty for all."""
    try:
        jobs, _ = await api.list_jobs(None, {"fieldSelector": f"spec.poolName={pool}"})
    except ApiError as error:
        if not error.forbidden:
            raise
        jobs, _ = await api.list_jobs(api.namespace, {"fieldSelector": f"spec.poolName={pool}"})
        return of_pool(jobs, pool), api.namespace
    return of_pool(jobs, pool), ""


def _table(pools: Sequence[Body], now: datetime, *, wide: bool) -> Table:
    table = Table(
        "NAME",
        "RUNNING",
        "QUEUED",
        "CAPACITY",
        "PER-NAMESPACE",
        "STATE",
        *(("ISOLATION", "IMAGES") if wide else ()),
        "AGE",
    )
    for pool in pools:
        spec, status = pool["spec"], pool.get("status") or {}
        capacity = spec.get("capacity") or {}
        more: list[Cell] = []
        if wide:
            more = [
                (spec.get("docker") or {}).get("isolation") or "Privileged",
                ",".join(spec.get("images") or ["all"]),
            ]
        queued = str(status.get("queued", 0))
        table.add(
            pool["metadata"]["name"],
            str(status.get("running", 0)),
            queued if queued == "0" else (queued, "waiting"),
            _limit(capacity.get("running")),
            _limit(capacity.get("perNamespace")),
            _state(pool),
            *more,
            age(moment(pool["metadata"].get("creationTimestamp")), now),
        )
    return table


def _limit(number: int | None) -> str:
    return "no limit" if number is None else str(number)


def _state(pool: Body) -> Cell:
    """Whether it admits jobs; unknown to an operator's status means that none has looked at it."""
    policy = str(pool["spec"].get("stopPolicy") or "None")
    if not pool.get("status"):
        return "unseen", "bad"
    state = _POLICIES.get(policy, policy)
    return state, "good" if policy == "None" else "waiting"


def _tell(pool: Body, jobs: Sequence[Body], now: datetime, *, only: str) -> None:
    spec, status, name = pool["spec"], pool.get("status") or {}, pool["metadata"]["name"]
    capacity = spec.get("capacity") or {}
    say(Text.assemble((name, "heading"), ": ", _state(pool)))
    say()
    pairs = [
        (
            "Running",
            f"{status.get('running', 0)} of {_limit(capacity.get('running'))}, {_limit(capacity.get('perNamespace'))} in one namespace",
        ),
        ("Queued", str(status.get("queued", 0))),
        *(
            (condition["type"], f"{condition['status']}: {condition.get('message', '')}")
            for condition in status.get("conditions") or ()
        ),
        *_rules(spec),
    ]
    width = max(len(label) for label, _ in pairs)
    for label, value in pairs:
        say(Text.assemble((f"  {label:<{width}}", "quiet"), f"   {plain(value)}"))
    if not status:
        say("\nNo operator has looked at it yet: is one running? `cijob doctor` checks.")
    _shares(jobs)
    _line(line(jobs), now, many=not only)
    if only:
        said = f"Only CiJobs of the namespace {only} are counted: you may not list those of others, which may go first."
        say(Text(f"\n{said}", style="quiet"))


def _rules(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a job's author has to know of a pool."""
    limits, defaults = _flat(spec.get("limits") or {}), _flat(spec.get("defaults") or {})
    if spec.get("images"):
        yield "Images", ", ".join(spec["images"])
    if limits:
        yield "At most", ", ".join(f"{name} {value}" for name, value in limits)
    if defaults:
        yield "Unless the job says so", ", ".join(f"{name} {value}" for name, value in defaults)
    selector = _flat(spec.get("namespaceSelector") or {})
    if selector:
        yield "Namespaces", ", ".join(f"{name} {value}" for name, value in selector)
    docker = spec.get("docker") or {}
    yield "Isolation", docker.get("isolation") or "Privileged"


def _flat(tree: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """The leaves of a tree of fields, each with its path."""
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            found += _flat(value, f"{path}.")
        elif isinstance(value, list):
            found.append((path, "; ".join(map(_rule, value))))
        else:
            found.append((path, str(value)))
    return found


def _rule(value: object) -> str:
    """A rule of a label selector, as kubectl prints it."""
    if not isinstance(value, dict):
        return str(value)
    values = f" ({','.join(value['values'])})" if value.get("values") else ""
    return f"{value.get('key')} {value.get('operator')}{values}"


def _shares(jobs: Sequence[Body]) -> None:
    found = shares(jobs)
    if not found:
        return
    say()
    total = sum(share.running for share in found)
    table = Table("NAMESPACE", "RUNNING", "SHARE", "WAITING")
    for share in found:
        part = f"{share.running / total:.0%}" if total else NOTHING
        table.add(share.namespace, str(share.running), part, str(share.waiting))
    table.print()


def _line(waiters: Sequence[Waiter], now: datetime, *, many: bool) -> None:
    if not waiters:
        return
    say()
    table = Table(*(["PLACE"] if many else []), "NAMESPACE", "WAITS", "PRIORITY", "FOR", "REASON")
    for waiter in waiters[:_SHOWN]:
        meta, spec = waiter.job["metadata"], waiter.job["spec"]
        place = [str(waiter.place or "")] if many else []
        since = duration(waited(waiter, now))
        table.add(*place, meta["namespace"], meta["name"], str(spec.get("priority") or 0), since, waiter.why)
    table.print()
    if len(waiters) > _SHOWN:
        say(Text(f"... and {len(waiters) - _SHOWN} more", style="quiet"))
