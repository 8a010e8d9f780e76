"""Completion in shells: names from the cluster, quick, and silent where anything goes wrong.

The shells' own scripts are click's; kubectl asks its plugins in the way of cobra
(kubernetes/kubectl, pkg/cmd/plugin_completion.go).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import click

    from cijob.cli.api import Api
    from cijob.cli.options import Target

VARIABLE: Final = "_CIJOB_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")
#: Seconds for an answer of the cluster: nobody waits longer for a name.
_PATIENCE: Final = 2.0
#: More than these nobody reads.
_MOST: Final = 500
#: Of cobra (ShellCompDirective in completions.go): the shell shall offer no files, or shall.
_NO_FILES, _FILES = 4, 0


def script(shell: str) -> str:
    """What a shell has to read to complete commands of `cijob`."""
    from cijob.cli.app import cli

    kind = get_completion_class(shell)
    assert kind is not None, shell  # noqa: S101  one of SHELLS
    completion = kind(cli, {}, "cijob", VARIABLE)
    return completion.source_template % completion.source_vars()  # source() would start a bash to ask for its version


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """CiJobs of the namespace that is meant, the newest first, each with its phase."""

    async def ask(api: Api) -> list[CompletionItem[str]]:
        found, _ = await api.list_jobs(api.namespace)
        found.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
        named = set(_given(context))
        return [
            CompletionItem(job["metadata"]["name"], help=str((job.get("status") or {}).get("phase", "")))
            for job in found
            if job["metadata"]["name"] not in named
        ]

    return _answers(context, incomplete, ask)


def pools(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """BuildPools."""

    async def ask(api: Api) -> list[CompletionItem[str]]:
        return [CompletionItem(pool["metadata"]["name"]) for pool in await api.list_pools()]

    return _answers(context, incomplete, ask)


def namespaces(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Namespaces, for those who may list them."""

    async def ask(api: Api) -> list[CompletionItem[str]]:
        found, _ = await api.list_all("/api/v1/namespaces", {})
        return [CompletionItem(one["metadata"]["name"]) for one in found]

    return _answers(context, incomplete, ask)


def contexts(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Contexts of the kubeconfig."""
    try:
        from cijob.cli.kubeconfig import contexts_of, merged, paths_of

        found = contexts_of(merged(paths_of(context.params.get("kubeconfig"))))
    except Exception:  # noqa: BLE001  whatever it is, a shell's line is no place for it
        return []
    return _beginning([CompletionItem(name) for name in found], incomplete)


def files(_context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Files, which the shell finds itself."""
    return [CompletionItem(incomplete, type="file")]


NAMES: Final = {"jobs": jobs, "pools": pools, "namespaces": namespaces, "contexts": contexts, "files": files}
"""What `options.completed` can complete."""


def answer(arguments: list[str]) -> str:
    """Completions as cobra prints them: a line each with a tab before its description, then a line with directives.

    Args:
        arguments: the words after `kubectl cijob`; the last one is to be completed, and may be empty.
    """
    from cijob.cli.app import cli

    *words, incomplete = arguments or [""]
    items = ShellComplete(cli, {}, "cijob", VARIABLE).get_completions(words, incomplete)
    files = any(item.type in {"file", "dir"} for item in items)
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items if item.type == "plain"]
    return "\n".join([*(" ".join(line.splitlines()) for line in lines), f":{_FILES if files else _NO_FILES}", ""])


def kubectl() -> NoReturn:
    """The entry point `kubectl_complete-cijob`, which kubectl's own completion calls."""
    try:
        text = answer(sys.argv[1:])
    except Exception:  # noqa: BLE001  as above
        text = f":{_NO_FILES}\n"
    sys.stdout.write(text)
    sys.exit(0)


def _answers(
    context: click.Context, incomplete: str, ask: Callable[[Api], Awaitable[list[CompletionItem[str]]]]
) -> list[CompletionItem[str]]:
    """What the cluster answers in time; nothing when it does not, or refuses."""
    try:
        import asyncio

        from cijob.cli.api import connected

        async def run() -> list[CompletionItem[str]]:
            async with asyncio.timeout(_PATIENCE), connected(_target(context.params)) as api:
                return await ask(api)

        return _beginning(asyncio.run(run()), incomplete)
    except Exception:  # noqa: BLE001  as above
        return []


def _target(parameters: dict[str, Any]) -> Target:
    """The cluster and namespace that the words before name."""
    from cijob.cli.options import Target

    return Target(
        kubeconfig=parameters.get("kubeconfig"),
        context=parameters.get("context"),
        namespace=parameters.get("namespace"),
    )


def _given(context: click.Context) -> tuple[str, ...]:
    """The names that are on the line already."""
    names = context.params.get("names") or ()
    return tuple(names) if isinstance(names, (list, tuple)) else ()


def _beginning(items: list[CompletionItem[str]], incomplete: str) -> list[CompletionItem[str]]:
    return [item for item in items if item.value.startswith(incomplete)][:_MOST]
