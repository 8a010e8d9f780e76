"""Containers that take more memory than they may, in a way that Docker never misses.

containerd's shim asks the kernel for news of kills for memory only when the container's program runs already (containerd at
0005db5c, cmd/containerd-shim-runc-v2/task/service.go, Start). One that takes its memory at once is dead by then if the shim has to wait
for a processor: its exit code is 137, but `State.OOMKilled` stays false, and there is no event. What such a container has to
show here is what comes of a kill that Docker knows of.
"""

from __future__ import annotations

_WAIT = "'until [ -e /go ]; do sleep 0.1; done; exec \"$@\"'"


def run(name: str, command: str, *options: str) -> str:
    """An entry of a script: a container whose command starts when Docker has it running, and its exit code in `code`.

    Args:
        name: of the container.
        command: the words behind the image's name, as a shell takes them; the image has sh, sleep and touch.
        options: of `docker run`, the image last.
    """
    return "\n".join(
        (
            f"docker run --detach --name {name} {' '.join(options)} sh -c {_WAIT} sh {command}",
            f"docker exec {name} touch /go || :",  # the container's end may come before its own
            f"code=$(docker wait {name})",
            f"docker logs {name}",
        )
    )
