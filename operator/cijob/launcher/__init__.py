"""The shell files that run in a Pod's containers, as package data."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

#: The files of each container, the one that it starts first.
DIND: Final = ("dind.sh", "cgroup.sh", "network.sh", "runc.sh", "diagnosis.sh")
JOB: Final = ("job.sh", "prelude.sh")
GIT: Final = ("git.sh",)
#: For the waiting in `job.sh`, and for the services' own checks.
SERVICES: Final = ("services.sh", "ready.sh")


@cache
def read(name: str) -> str:
    """The text of a launcher, such as `job.sh`.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
