"""Docker-in-Docker: which services of GitLab CI mean a Docker daemon, and how its clients find a CiJob's own.

A CiJob's daemon listens on tcp://docker:2375 without TLS, on the Pod's loopback only, so that all that GitLab's manual says
of certificates (https://docs.gitlab.com/ci/docker/using_docker_build/) has nothing to do here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab import images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cijob.importers.gitlab.job import Job

HOST: Final = "tcp://docker:2375"
_HOST: Final = re.compile(r"(?:tcp|https?)://([^:/]+)(?::(\d+))?/?")
_SOCKET: Final = re.compile(r"unix://(/var)?/run/docker\.sock")
_TLS: Final = ("DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH")
#: Variables of Docker's clients, which mean nothing to other services.
#: Variables of its service that mean nothing here: the storage driver is the pool's, and the script waits for the daemon.
DAEMON: Final = frozenset({"DOCKER_DRIVER", "HEALTHCHECK_TCP_PORT"})
CLIENT: Final = frozenset({"DOCKER_HOST", "DOCKER_TLS_CERTDIR", *_TLS})
#: Options of the daemon that mean nothing here: where it listens is not the job's to say, its MTU and driver are right.
_NEEDLESS: Final = re.compile(
    r"dockerd|dockerd-entrypoint\.sh|(-H|--host|--tls|--tlsverify|--mtu|--storage-driver|-s)(=.*)?|--[a-z0-9]*-?tls\b.*"
)
_VALUE_OF: Final = frozenset({"-H", "--host", "--mtu", "--storage-driver", "-s"})
_CALL: Final = re.compile(
    r"""
    (?: ^ | [;&|(`{!] | \b(?:then|do|else|if|elif|while|until|time|exec|command|env|xargs|sudo(?:[ \t]+-\S+)*)\b ) [ \t]*
    (?: \w+=(?:"[^"\n]*"|'[^'\n]*'|[^\s"'])* [ \t]+ )*  # variables of this one command
    (?: /usr/(?:local/)?bin/ )? docker(?:-compose)? [ \t]+ (?:\\\n\s*)? [a-z-]
    """,
    re.MULTILINE | re.VERBOSE,
)
_TLS_IN_SCRIPT: Final = re.compile(
    r"\bdocker:2376\b|--tls(?:verify|cacert)\b|/certs/client\b|\bDOCKER_TLS(?:_VERIFY)?=[^\s;&]"
)


def is_daemon(image: str) -> bool:
    """Whether an image of a service is `docker:dind` in any of its forms."""
    repository, tag = images.split(image)
    last = repository.rpartition("/")[2]
    return last in ("docker", "dind") or last.endswith("-dind") or tag.rpartition("-")[2] == "dind"


def calls_docker(script: str) -> bool:
    """Whether a script starts docker or docker-compose."""
    return _CALL.search(script) is not None


def is_client(image: str) -> bool:
    """Whether an image is Docker's own, which a job uses to call docker: with make, say."""
    return images.split(image)[0].rpartition("/")[2] == "docker"


def options(job: Job, words: Iterable[str], path: tuple[str | int, ...]) -> None:
    """Names what a job asks of its daemon's command line."""
    lost: list[str] = []
    value_of = ""
    for word in words:
        if value_of:
            value_of = ""
        elif _NEEDLESS.fullmatch(word):
            value_of = word if word in _VALUE_OF else ""
        else:
            lost.append(word)
    if lost:
        job.report.warning(path, f"the daemon is the pool's to configure: {' '.join(lost)} is left out")
    else:
        job.report.note(path, "left out: the daemon listens on loopback without TLS, and its MTU fits the cluster's")


def variables(job: Job, names: frozenset[str]) -> dict[str, str]:
    """The job's variables with those of Docker's clients made to fit; every change is told.

    Args:
        job: one that has a daemon.
        names: under which GitLab would have it reached.
    """
    found = dict(job.variables)
    told: list[str] = []
    if found.get("DOCKER_TLS_CERTDIR"):
        found["DOCKER_TLS_CERTDIR"] = ""
        told.append("DOCKER_TLS_CERTDIR is emptied")
    for name in _TLS:
        if name in found:
            del found[name]
            told.append(f"{name} is left out")
    if tls := _place(job, ("DOCKER_TLS_CERTDIR", *_TLS), told):
        job.report.note(tls, f"no TLS: the daemon listens on the job's own loopback only; {', '.join(told)}")
    _host(job, names, found)
    for name in sorted(job.own - CLIENT):
        if _TLS_IN_SCRIPT.search(job.variables.get(name, "")):
            job.report.warning(("variables", name), f"names port 2376 or certificates of the daemon: it is at {HOST}")
    if _TLS_IN_SCRIPT.search(job.script):
        job.report.warning(
            ("script",), f"the script speaks of the daemon's certificates or of port 2376: it is at {HOST}"
        )
    return found


def _host(job: Job, names: frozenset[str], found: dict[str, str]) -> None:
    """Makes DOCKER_HOST name the job's own daemon."""
    given = found.get("DOCKER_HOST")
    if not given:
        return
    path = ("variables", "DOCKER_HOST")
    address = _HOST.fullmatch(given)
    if address and address[1] in names | {"docker", "localhost", "127.0.0.1"}:
        if (address[1], address[2]) not in {("docker", "2375"), ("localhost", "2375"), ("127.0.0.1", "2375")}:
            found["DOCKER_HOST"] = HOST
            job.report.note(path, f"{given} becomes {HOST}: the job's own daemon, on loopback without TLS")
    elif _SOCKET.fullmatch(given):
        found["DOCKER_HOST"] = HOST
        job.report.note(path, f"{given} becomes {HOST}: the job's own daemon")
    else:
        job.report.warning(path, f"{given} is not the job's own daemon, which is at {HOST}; it stays as it is")


def _place(job: Job, names: tuple[str, ...], told: list[str]) -> tuple[str, ...]:
    """Where to tell it: at the first of the variables that the job itself sets, or at the job."""
    if not told:
        return ()
    given: Any = job.config.get("variables") or {}
    return next((("variables", name) for name in names if name in given), ("variables",))
