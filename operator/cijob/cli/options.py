"""Options that commands share, named as kubectl names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cijob.cli.errors import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster and namespace a command means; None: what the kubeconfig says.

    `all_namespaces` is for commands that list.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    all_namespaces: bool = False


class DurationType(click.ParamType[int]):
    """Seconds of a duration as people write it: 90s, 15m, 1h30m, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401  click's signature
        """A number of seconds."""
        from cijob.quantities import parse_duration

        if isinstance(value, int):
            return value
        days, letter, rest = str(value).partition("d")
        try:
            if not letter:
                return parse_duration(days)
            return int(days) * 86400 + (parse_duration(rest) if rest else 0)
        except ValueError:
            self.fail(f"{str(value)[:40]!r} is not a duration: write it as 90s, 15m, 1h30m or 7d.", param, ctx)


DURATION = DurationType()


class PairType(click.ParamType[tuple[str, str]]):
    """A name and what it stands for: NAME=VALUE. The value may be empty, and hold further equals signs."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401  click's signature
        """The two."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{str(value)[:40]!r} has no value: write NAME=VALUE.", param, ctx)
        return name, rest


PAIR = PairType()


def completed(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]:
    """For `shell_complete` of an argument or option: names of `jobs`, `pools`, `namespaces`, `contexts` or `files`."""

    def ask(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from cijob.cli.completion import NAMES

        return NAMES[what](context, parameter, incomplete)

    return ask


def check_choice(names: Sequence[str], *, other: bool) -> None:
    """Names of CiJobs beside other options that choose them say two things.

    Raises:
        CliError: there are both.
    """
    if names and other:
        raise CliError("names and options that choose CiJobs exclude each other", "Leave one of them out.", Exit.USAGE)


def target(*, lists: bool = False) -> Callable[[F], F]:
    """Adds --namespace, --context and --kubeconfig (and -A with `lists`), and passes them on as the argument `target`."""
    options = [
        click.option(
            "-n",
            "--namespace",
            metavar="NAME",
            shell_complete=completed("namespaces"),
            help="Namespace; the kubeconfig's own when unset.",
        ),
        click.option(
            "--context",
            metavar="NAME",
            shell_complete=completed("contexts"),
            help="Context of the kubeconfig; the current one when unset.",
        ),
        click.option(
            "--kubeconfig",
            metavar="FILE",
            type=click.Path(),
            help="Kubeconfig file; else $KUBECONFIG or ~/.kube/config.",
        ),
    ]
    if lists:
        options.append(click.option("-A", "--all-namespaces", is_flag=True, help="List in all namespaces."))

    def decorate(function: F) -> F:
        def command(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  a command's own arguments
            kwargs["target"] = Target(
                kubeconfig=kwargs.pop("kubeconfig"),
                context=kwargs.pop("context"),
                namespace=kwargs.pop("namespace"),
                all_namespaces=kwargs.pop("all_namespaces", False),
            )
            return function(*args, **kwargs)

        command.__doc__ = function.__doc__
        command.__name__ = function.__name__
        command.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]  # click's own
        for option in reversed(options):
            command = option(command)
        return command  # type: ignore[return-value]  # click wants the signature of the wrapper

    return decorate


def output(*formats: str) -> Callable[[F], F]:
    """Adds -o, as kubectl has it; passed on as the argument `output`, None where it is unset."""
    return click.option("-o", "--output", type=click.Choice(formats), help="Output format; text for people when unset.")
