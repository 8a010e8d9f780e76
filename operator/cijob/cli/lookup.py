"""Objects by the names that people type; where there is none of a name, what they may have meant."""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import click

from cijob import names
from cijob.cli.errors import CliError, Exit
from cijob.cli.explain import is_kind_missing
from cijob.errors import ApiError, ApiNotFound
from cijob.transport import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body

_BAD_REQUEST: Final = 400
#: What an object can be called: anything else would be read as another path by the API server.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
#: How kubectl names the kinds in front of a name: `cijob wait $(cijob ls -o name)` has to work.
_KINDS: Final = re.compile(
    r"(?:cij|bp|(?:cijobs?|buildpools?)(?:(?:\.v1alpha1)?\.cijob\.dev)?)/", re.IGNORECASE | re.ASCII
)


class NotThereError(CliError):
    """There is nothing of a name."""


def bare(name: str) -> str:
    """A name without the kind that `-o name` prints before it: `cijob.cijob.dev/x` is `x`."""
    return _KINDS.sub("", name, count=1) if _KINDS.match(name) else name


async def find_job(api: Api, namespace: str, name: str) -> Body:
    """The CiJob of a name, with or without its kind as `-o name` prints it.

    Raises:
        CliError: there is none; the hint names the one that was probably meant.
        ApiError: the API server refused or did not answer.
    """
    name = bare(name)
    if not name:
        raise CliError("the name of the CiJob is empty", "Is a variable of the shell unset?")
    if _NAME.fullmatch(name):
        try:
            return await api.get_job(namespace, name)
        except ApiNotFound as error:
            if is_kind_missing(error):
                raise
    hint = await _job_hint(api, namespace, name)
    raise NotThereError(f"there is no CiJob {name} in the namespace {namespace}", hint)


async def find_jobs(
    api: Api, namespace: str, wanted: Sequence[str], *, ignore_missing: bool = False
) -> tuple[list[Body], int]:
    """The CiJobs of these names, each once, and how many there are none of: each of these is told, unless they are ignored.

    Raises:
        ApiError: the API server refused or did not answer.
    """
    jobs, missing = [], 0
    for name in dict.fromkeys(map(bare, wanted)):
        try:
            jobs.append(await find_job(api, namespace, name))
        except CliError as error:
            if ignore_missing and isinstance(error, NotThereError):
                continue
            tell(error)
            missing += 1
    return jobs, missing


def tell(error: CliError) -> None:
    """An error of one CiJob of several, as `main` shows one that ends the command."""
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)


async def labelled_jobs(api: Api, namespace: str | None, selector: str | None, fields: str | None = None) -> list[Body]:
    """The CiJobs of a namespace, or of all, that have some labels, and values of fields.

    Raises:
        CliError: a selector cannot be read.
        ApiError: the API server refused or did not answer.
    """
    asked = {"labelSelector": selector or "", "fieldSelector": fields or ""}
    try:
        return (await api.list_jobs(namespace, {key: value for key, value in asked.items() if value}))[0]
    except ApiError as error:
        if error.status == _BAD_REQUEST and fields is not None and (selector is None or "field" in error.message):
            raise CliError(
                f"{fields!r} chooses no fields: {error.message.strip()}",
                "Write it as status.phase=Failed or spec.poolName!=default; metadata.name is the third that there is.",
                Exit.USAGE,
            ) from error
        if selector is None or error.status != _BAD_REQUEST:
            raise
        raise CliError(
            f"{selector!r} chooses no labels: {error.message.strip()}",
            "Write it as team=web, team!=web, 'team in (web, app)' or team; with commas between several.",
            Exit.USAGE,
        ) from error


async def find_pool(api: Api, name: str) -> Body:
    """The BuildPool of a name; raises as `find_job`."""
    name = bare(name)
    if _NAME.fullmatch(name):
        try:
            return await api.get_pool(name)
        except ApiNotFound as error:
            if is_kind_missing(error):
                raise
    known: list[str] = []
    with suppress(ApiError):  # the hint is a courtesy: who may not list pools gets none
        known = [pool["metadata"]["name"] for pool in await api.list_pools()]
    raise CliError(f"there is no BuildPool {name}", pool_hint(name, known))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: the CiJob of a Pod's name, the start of a name, or a close one."""
    known = sorted(known)
    of_pod = [one for one in known if names.is_pod_name(name, one)]
    begun = [one for one in known if name and one.startswith(name)]
    near = of_pod or (begun if len(begun) == 1 else []) or get_close_matches(name, known, n=1)
    return near[0] if near else None


def pool_hint(name: str, known: Iterable[str]) -> str:
    """What to do where there is no pool of that name."""
    known = list(known)
    if (near := nearest(name, known)) is not None:
        return f"Did you mean {near}?"
    return "`cijob pools` lists those that there are." if known else "Ask who runs the cluster to create it."


async def _job_hint(api: Api, namespace: str, name: str) -> str:
    """What to do where there is no such CiJob. Questions that the API server does not answer are left out."""
    known: list[str] = []
    with suppress(ApiError):
        known = [job["metadata"]["name"] for job in (await api.list_jobs(namespace))[0]]
    if (near := nearest(name, known)) is not None:
        return f"Did you mean {near}?"
    if not known and (hint := await missing_namespace(api, namespace)):
        return hint
    with suppress(ApiError):
        if found := (await api.list_jobs(None, {"fieldSelector": f"metadata.name={name}"}))[0]:
            return f"There is one in the namespace {found[0]['metadata']['namespace']}: choose it with -n."
    return f"`cijob ls -n {namespace}` lists those that there are."


async def missing_namespace(api: Api, namespace: str) -> str:
    """A sentence if the namespace itself is not there; empty if it is, or if the user may not know."""
    try:
        await api.request("GET", f"{CORE}/namespaces/{namespace}")
    except ApiNotFound:
        pass
    except ApiError:  # who may not ask is told nothing
        return ""
    else:
        return ""
    known: list[str] = []
    with suppress(ApiError):
        known = [one["metadata"]["name"] for one in (await api.list_all(f"{CORE}/namespaces", {}))[0]]
    near = nearest(namespace, known)
    meant = f"did you mean {near}?" if near else "`kubectl get namespaces` lists them."
    return f"There is no namespace {namespace}: {meant}"


async def check_namespace(api: Api, namespace: str | None) -> None:
    """Tells a namespace that is not there from an empty one; None, for all, is there.

    Raises:
        CliError: it is not there.
    """
    if namespace and (said := await missing_namespace(api, namespace)):
        message, _, hint = said.partition(": ")
        raise CliError(message[:1].lower() + message[1:], hint[:1].upper() + hint[1:])
