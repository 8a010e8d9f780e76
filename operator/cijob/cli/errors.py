"""What goes wrong on a command line, in sentences that say what to do. No traceback ever reaches a user."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `cijob`. A job's own exit code, where it has one, goes before these."""

    OK = 0
    FAILED = 1
    USAGE = 2
    #: As a shell has it for SIGINT: the job was cancelled, or the command was interrupted.
    INTERRUPTED = 130


class CliError(Exception):
    """Something that ends a command.

    Attributes:
        message: what is wrong, in one sentence or a few lines.
        hint: what to do; empty where the message says it.
        code: the exit code.
    """

    def __init__(self, message: str, hint: str = "", code: int = Exit.FAILED) -> None:
        self.message = message
        self.hint = hint
        self.code = code
        super().__init__(message)
