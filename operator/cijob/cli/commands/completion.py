"""`cijob completion`."""

from __future__ import annotations

import click


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print a script that completes commands, options and names in a shell.

    Names of CiJobs, pools, namespaces and contexts are asked for where they are completed; a cluster that does not answer
    within 2 seconds completes nothing. Bash has to be 4.4 or later; in zsh, compinit has to have run before.

    `kubectl cijob` is completed by kubectl's own script (`kubectl completion --help`), which finds the program
    `kubectl_complete-cijob` that comes with cijob.

    \b
    Examples:
      source <(cijob completion bash)
      cijob completion bash > ~/.local/share/bash-completion/completions/cijob
      cijob completion zsh > "${fpath[1]}/_cijob"
      cijob completion fish > ~/.config/fish/completions/cijob.fish
    """
    from cijob.cli.completion import script

    click.echo(script(shell), nl=False)
