"""Which cluster and namespace are meant: by a kubeconfig, as kubectl reads it, or inside of a Pod by its service account."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kubernetes.aio import client, config
from kubernetes.aio.config.kube_config import KubeConfigMerger

from cijob.cli.errors import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.cli.options import Target

_HOME: Final = "~/.kube/config"
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: How the client quotes what the command wrote to its standard error.
_BYTES: Final = re.compile(r"\bb'(.*)'$")
_HINT: Final = "Set KUBECONFIG or --kubeconfig to a kubeconfig file; `kubectl config get-contexts` lists its contexts."


@dataclass(frozen=True, slots=True)
class Place:
    """How to reach a cluster, and where in it commands act that name no namespace."""

    configuration: client.Configuration
    namespace: str
    context: str = ""


async def place_of(target: Target) -> Place:
    """The place that a command means.

    Raises:
        CliError: there is none; the message says what to do.
    """
    if target.namespace is not None and not _LABEL.fullmatch(target.namespace):
        raise CliError(
            f"{target.namespace!r} is no name of a namespace",
            "They are of lower case letters, digits and dashes.",
            Exit.USAGE,
        )
    paths = paths_of(target.kubeconfig)
    if not _exist(paths):
        return _in_cluster(target, paths)
    try:
        return await _of_files(paths, target)
    except CliError:
        raise
    except (AttributeError, KeyError, TypeError) as error:
        raise CliError(f"no cluster to talk to: {paths} is no kubeconfig", _HINT) from error
    except Exception as error:  # a file that is none, a plugin that fails, keys that cannot be read
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CliError(f"no cluster to talk to: {reason}", _HINT) from error


def paths_of(kubeconfig: str | None) -> str:
    """The files that are read, with colons between them, as kubectl has it."""
    return kubeconfig or os.environ.get("KUBECONFIG") or _HOME


def contexts_of(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The contexts of what `merged` gives, by name."""
    return {str(one.value["name"]): one.value.get("context") or {} for one in content["contexts"]}


def merged(paths: str) -> Mapping[str, Any]:
    """What the files say together."""
    logging.getLogger("kubernetes").setLevel(logging.CRITICAL)  # what it would warn of is an error of ours
    content: Mapping[str, Any] = KubeConfigMerger(paths).config.value  # type: ignore[no-untyped-call]  # no types there
    return content


def _exist(paths: str) -> bool:
    return any(path and Path(path).expanduser().exists() for path in paths.split(os.pathsep))


async def _of_files(paths: str, target: Target) -> Place:
    content = merged(paths)
    contexts = contexts_of(content)
    wanted = target.context or content.get("current-context")
    if not wanted:
        raise CliError(f"the kubeconfig {paths} says no current context", "Choose one with --context. " + _HINT)
    if wanted not in contexts:
        near = get_close_matches(wanted, contexts, n=1)
        known = ", ".join(sorted(contexts)) or "none"
        raise CliError(
            f"there is no context {wanted} in the kubeconfig {paths}",
            f"Did you mean {near[0]}?" if near else f"Those that there are: {known}.",
        )
    configuration = client.Configuration()
    with _heard() as said:
        await config.load_kube_config(  # type: ignore[no-untyped-call]  # no types there
            config_file=paths, context=wanted, client_configuration=configuration
        )
    if said:  # the requests would be those of nobody, and refused for want of rights
        raise CliError(
            f"the kubeconfig's command for credentials failed: {said[-1]}",
            f"It is users[].user.exec of {paths}, for the context {wanted}: `kubectl get pods` runs it, too. Install it, or log in.",
        )
    namespace = target.namespace or contexts[wanted].get("namespace") or "default"
    return Place(configuration, str(namespace), str(wanted))


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the client only logs when it goes on without credentials (`load_from_exec_plugin` in its kube_config)."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(_BYTES.sub(r"\1", " ".join(record.getMessage().split())))

    logger, handler = logging.getLogger("kubernetes.aio.config.kube_config"), Handler(logging.ERROR)
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


def _in_cluster(target: Target, paths: str) -> Place:
    """The Pod's own cluster and namespace, where no kubeconfig is there and none was named."""
    if target.kubeconfig or target.context or not (_ACCOUNT / "token").exists():
        raise CliError(f"no cluster to talk to: there is no kubeconfig {paths}", _HINT)
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
        namespace = (_ACCOUNT / "namespace").read_text().strip()
    except (config.ConfigException, OSError) as error:
        raise CliError(f"no cluster to talk to: {error}", _HINT) from error
    return Place(configuration, target.namespace or namespace)
