"""What the tests of files share: a job's container, commands run beside its script, and a FAKE of `execute`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, cast

from cijob.cli.files import packing
from cijob.cli.files.execute import Result
from tests.unit.launcher.userland import SECONDS, Container, needed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    import pytest

    from cijob.cli.api import Api

NO_API = cast("Api", None)


def a_container(folder: Path, shell: str) -> Container:
    """A job container in a userland, with the tools that files need."""
    container = Container(folder, shell)
    for tool in ("find", "stat", "tar", "xargs"):
        (container.bin / tool).symlink_to(needed("busybox" if shell == "busybox" else tool))
    return container


def run_beside(job: Container, name: str, *arguments: str, stdin: bytes = b"", folder: Path | None = None) -> Result:
    """Run a shell file in the job's container, as an exec does; the result has stdout and stderr behind each other."""
    shell, *options = packing.shell(name, *arguments)
    assert shell == "/bin/sh"
    done = subprocess.run(
        [str(job.bin / "sh"), *options],
        input=stdin,
        capture_output=True,
        env=job.env,
        cwd=folder,
        check=False,
        timeout=SECONDS,
    )
    return Result(done.returncode, done.stdout + done.stderr)


class Executed:
    """FAKE of `execute`: each call takes the next answer, after reading all of its input."""

    def __init__(self, *answers: Result | Exception) -> None:
        self.answers = list(answers)
        self.commands: list[str] = []
        self.words: list[list[str]] = []
        self.inputs: list[bytes] = []

    async def __call__(
        self,
        *where: object,
        stdin: AsyncIterator[bytes] | None = None,
        on_output: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> Result:
        words = cast("Sequence[str]", where[-1])
        self.commands.append(words[3])
        self.words.append(list(words))
        self.inputs.append(b"".join([data async for data in stdin]) if stdin is not None else b"")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if on_output is not None:
            await on_output(answer.stderr)
        return answer


def answers(monkeypatch: pytest.MonkeyPatch, *given: Result | Exception) -> Executed:
    executed = Executed(*given)
    monkeypatch.setattr(packing, "execute", executed)
    return executed
