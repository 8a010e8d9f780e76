"""docs/cli.md out of the commands' own help: `python -m cijob.cli.manual --write` (or --check)."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cijob.cli.app import COMMANDS, cli
from cijob.cli.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path("docs/cli.md")
_HELP: Final = ("-h, --help", "Show this message and exit.")
_HEAD: Final = """\
<!-- Generated from the commands' help by `make docs` (python -m cijob.cli.manual --write): change it there. -->
# The command line

`cijob` is for those who run jobs, and acts with their own rights: those of a job's author and of a pool's user
([security.md](security.md)) are enough for all but `--all-namespaces`, and `top` in a cluster without metrics-server. It also is a
plugin of kubectl's: `kubectl cijob ls` is `cijob ls`. This page is what `cijob COMMAND --help` prints.

In a pipe there is no colour and nothing moves: what was asked for goes to the standard output, all else to the standard error.
`NO_COLOR` turns colour off on a terminal. `CIJOB_DEBUG=1` shows the traceback of an error that is a bug.
"""


def manual() -> str:
    """The whole page, as Markdown."""
    context = click.Context(cli, info_name="cijob")
    parts = [_HEAD, _contents(context)]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name  # noqa: S101  COMMANDS is where it looks
        parts.append("\n".join(_section(click.Context(command, info_name=name, parent=context))))
    return "\n".join(parts)


def _contents(context: click.Context) -> str:
    rows = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        first = command.get_short_help_str(limit=200) if command is not None else ""
        rows.append(f"| [`{name}`](#cijob-{name}) | {_cell(first)} |\n")
    return "| command | |\n| --- | --- |\n" + "".join(rows)


def _section(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}\n"
    yield f"```\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```\n"
    yield from _paragraphs(inspect.cleandoc(command.help or ""))
    # Not --help: click keeps that of the first context in which a command was used.
    options = [one for one in command.params if isinstance(one, click.Option)]
    rows = [row for option in options if (row := option.get_help_record(context))]
    yield "| option | |\n| --- | --- |"
    yield from (f"| `{_cell(names)}` | {_cell(text)} |" for names, text in [*rows, _HELP])
    yield ""


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs as Markdown: those that click must not wrap are shown as they are."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            head, *lines = paragraph.removeprefix("\b\n").split("\n")
            if not head.endswith(":"):
                head, lines = "", [head, *lines]
            yield from ([f"{head}\n"] if head else [])
            yield "```console\n" + inspect.cleandoc("\n".join(["", *lines])) + "\n```\n"
        else:
            yield " ".join(paragraph.split()) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write the page, or say that it is stale."""
    if sys.argv[1:] not in (["--write"], ["--check"]):
        click.echo("usage: python -m cijob.cli.manual --write | --check", err=True)
        return Exit.USAGE
    if not PAGE.parent.is_dir():
        click.echo("error: there is no docs/ here: run it at the top of a checkout", err=True)
        return Exit.USAGE
    if sys.argv[1] == "--write":
        PAGE.write_text(manual())
        return Exit.OK
    if PAGE.exists() and PAGE.read_text() == manual():
        return Exit.OK
    click.echo(f"{PAGE}: stale (run: make docs)")
    return Exit.FAILED


if __name__ == "__main__":
    sys.exit(main())
