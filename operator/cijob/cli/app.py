"""The command `cijob`, also as `kubectl cijob`. Only click is imported here: `--help` must come at once."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from cijob import __version__
from cijob.cli.errors import CliError, Exit

#: The commands in the order in which `--help` lists them, with their modules below `commands`.
COMMANDS = {
    "run": "run",
    "convert": "convert",
    "ls": "ls",
    "logs": "logs",
    "describe": "describe",
    "cancel": "cancel",
    "retry": "retry",
    "wait": "wait",
    "delete": "delete",
    "shell": "shell",
    "pools": "pools",
    "top": "top",
    "doctor": "doctor",
    "completion": "completion",
}

#: What other tools call what is done here.
_ELSEWHERE = {
    **dict.fromkeys(("get", "list", "ps", "watch"), "ls"),
    **dict.fromkeys(("log", "tail", "attach"), "logs"),
    **dict.fromkeys(("exec", "ssh", "sh"), "shell"),
    **dict.fromkeys(("stop", "kill", "abort"), "cancel"),
    **dict.fromkeys(("apply", "create", "submit", "start"), "run"),
    **dict.fromkeys(("rerun", "restart"), "retry"),
    **dict.fromkeys(("show", "status"), "describe"),
    "rm": "delete",
    "check": "doctor",
    "version": "--version",
}
#: What comes with the extra `cli`, and not with the operator's own packages.
_EXTRA = frozenset({"rich", "yaml"})
#: Options of nearly every command, with a value each, that say where it acts.
TARGET = ("-n", "--namespace", "--context", "--kubeconfig")
#: What a shell's script sets _CIJOB_COMPLETE to.
_SHELLS = frozenset({"words", "bash"})


class Commands(click.Group):
    """A group whose commands are looked up by name; a typo is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"cijob.cli.commands.{COMMANDS[cmd_name]}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, for the words as `reordered` has them."""
        return super().parse_args(ctx, reordered(args))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but with the nearest name where there is no such command."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = _ELSEWHERE.get(args[0]) or next(iter(get_close_matches(args[0], COMMANDS, n=1)), None)
            meant = f"did you mean {near}?" if near else f"`{ctx.command_path} --help` lists them all."
            ctx.fail(f"There is no command {args[0]!r}: {meant}")
        return super().resolve_command(ctx, args)


def reordered(words: list[str]) -> list[str]:
    """Words as commands here understand them, of words as people know them from elsewhere.

    `-n NAMESPACE` and its like may stand before the command, as kubectl has it; `help COMMAND` is `COMMAND --help`.
    """
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].partition("=")[0] in TARGET:
        options.append(rest.pop(0))
        if "=" not in options[-1] and rest:
            options.append(rest.pop(0))
    if rest[:1] == ["help"]:
        return [*rest[1:2], "--help"]
    return [*rest[:1], *options, *rest[1:]] if rest else []


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cijob")
def cli() -> None:
    """Run CI jobs that need Docker on a Kubernetes cluster, and see what becomes of them."""


def main() -> NoReturn:
    """The entry points `cijob` and `kubectl-cijob`."""
    _open_what_is_closed()
    _complete_for_a_shell()
    program = "kubectl cijob" if Path(sys.argv[0]).name.startswith("kubectl") else "cijob"
    try:
        result = cli.main(prog_name=program, standalone_mode=False)
        code = result if isinstance(result, int) else Exit.OK
    except CliError as error:
        _say(f"error: {error.message}" if error.code else error.message)
        if error.hint:
            _say(error.hint)
        code = error.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = Exit.INTERRUPTED
    except OSError as error:  # a full disk above all
        if os.environ.get("CIJOB_DEBUG"):
            raise
        _say(f"error: {error.filename or 'the output'} cannot be read or written: {error.strerror or error}")
        code = Exit.FAILED
        sys.stdout = None  # what it still holds would fail once more
    except Exception as error:  # the last resort: a bug of ours is told in a line, too
        if os.environ.get("CIJOB_DEBUG"):
            raise
        for line in _unexpected(error):
            _say(line)
        code = Exit.FAILED
    sys.exit(code)


def _unexpected(error: Exception) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and (missing := str(error.name).partition(".")[0]) in _EXTRA:
        return (
            f"error: cijob is installed without what its command line needs: there is no {missing}",
            "Install it with the extra `cli`: pip install '.[cli]' in a checkout.",
        )
    return (
        f"error: unexpected {type(error).__name__}: {error}",
        "This is a bug of cijob's: run it again with CIJOB_DEBUG=1 and report what it prints.",
    )


def _say(text: str) -> None:
    """A sentence on stderr; what it has of others' texts steers no terminal."""
    with suppress(ModuleNotFoundError):  # of what `_unexpected` says
        from cijob.cli.console import plain

        text = plain(text)
    click.echo(text, err=True)


def _complete_for_a_shell() -> None:
    """Answers a shell's script, and ends, where one asks for completions."""
    if os.environ.get("_CIJOB_COMPLETE") in _SHELLS:
        from cijob.cli.completion import kubectl

        kubectl()


def _open_what_is_closed() -> None:
    """Nobody reads or writes a stream that was closed before the start (`>&-`): it is None then, and no stream."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  it stays open
