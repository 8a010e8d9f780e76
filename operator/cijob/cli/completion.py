"""Completion in shells: names from the cluster, quick, and silent where anything goes wrong.

All of them are answered in the way in which kubectl asks its plugins, which is that of cobra (kubernetes/kubectl,
pkg/cmd/plugin_completion.go); `shells` has the scripts. click's own know no value behind an equals sign, nor, in bash, one
with a colon, which names of contexts have on EKS and OpenShift.
"""

from __future__ import annotations

import os
import sys
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, Final, NoReturn

from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import click

    from cijob.cli.api import Api
    from cijob.cli.options import Target

#: Set by the scripts: the words are to be completed, and nothing run. `bash`: they are as they were typed, with quotes.
VARIABLE: Final = "_CIJOB_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")
#: Seconds for an answer of the cluster: nobody waits longer for a name.
_PATIENCE: Final = 2.0
#: More than these nobody reads.
_MOST: Final = 500
#: Of cobra (ShellCompDirective in completions.go): whether the shell shall offer files.
_NO_FILES, _FILES, _FOLDERS = 4, 0, 16


def script(shell: str) -> str:
    """What a shell has to read to complete commands of `cijob`."""
    return resources("cijob.cli.shells").joinpath(f"cijob.{shell}").read_text(encoding="utf-8")


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """CiJobs of the namespace that is meant, the newest first, each with its phase."""

    async def ask(api: Api) -> list[CompletionItem[str]]:
        from cijob.cli.lookup import bare

        kind, named = incomplete.removesuffix(bare(incomplete)), set(map(bare, _given(context)))  # cijob/NAME
        found, _ = await api.list_jobs(api.namespace)
        found.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
        return [
            CompletionItem(kind + job["metadata"]["name"], help=str((job.get("status") or {}).get("phase", "")))
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
        arguments: the words after `cijob`; the last one is to be completed, and may be empty.
    """
    from cijob.cli.app import cli

    *words, incomplete = arguments or [""]
    items = ShellComplete(cli, {}, "cijob", VARIABLE).get_completions(_with_command(words, incomplete), incomplete)
    types = {item.type for item in items}
    rest = _FILES if "file" in types else _FOLDERS if "dir" in types else _NO_FILES
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items if item.type == "plain"]
    return "\n".join([*(" ".join(line.splitlines()) for line in lines), f":{rest}", ""])


def kubectl() -> NoReturn:
    """The entry point `kubectl_complete-cijob`, which kubectl's own completion calls; and the scripts, by VARIABLE."""
    words = sys.argv[1:]
    try:
        if os.environ.get(VARIABLE) == "bash":
            words = [(split_arg_string(word) or [""])[0] for word in words]
        text = answer(words)
    except Exception:  # noqa: BLE001  as above
        text = f":{_NO_FILES}\n"
    sys.stdout.write(text)
    sys.exit(0)


def _with_command(words: list[str], incomplete: str) -> list[str]:
    """Words with a command in front where an option that stands before the command lacks its value."""
    from cijob.cli.app import TARGET, reordered

    name, equals, _ = incomplete.partition("=")
    lacking = (words and words[-1] in TARGET) or (equals and name in TARGET)
    return ["ls", *words] if lacking and not reordered(words) else words


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
