"""The rules of a CiJob's spec as the operator checks them.

The API server checks most of them first (`crdgen/rules.py`); here they catch what was stored before a rule existed or
passed a server that counts characters where bytes matter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cijob import checks
from cijob import limits as say
from cijob.parts import Endpoint
from cijob.pool import Isolation
from cijob.quantities import parse_quantity

if TYPE_CHECKING:
    from cijob.checks import Problems
    from cijob.corev1 import EnvFromSource
    from cijob.models import CiJobSpec
    from cijob.parts import Docker, Git, Retry, Service
    from cijob.pool import BuildPoolSpec

_WORKING_DIR = re.compile(say.WORKING_DIR)
_DOTTED_DIR = re.compile(say.DOTTED_DIR, re.DOTALL)
_SYSTEM_DIR = re.compile(say.SYSTEM_DIR, re.DOTALL)
# RE2's \s, and so the API server's, knows ASCII only.
_GIT_URL = re.compile(say.GIT_URL, re.ASCII)
_GIT_REF = re.compile(say.GIT_REF, re.ASCII)
_DNS_LABEL = re.compile(say.JOB_NAME)


def validate_name(name: str) -> list[str]:
    """What is wrong with a CiJob's name, which labels of its Pod must hold; empty when all is well."""
    return [] if _DNS_LABEL.fullmatch(name) else [say.SAY_NAME]


def validate_spec(spec: CiJobSpec) -> list[str]:
    """What makes a spec impossible to run: `path: what is wrong; what to write` each, none when all is well."""
    return [f"spec{path}: {message}" for path, message in _problems(spec)]


def validate_pool(spec: BuildPoolSpec) -> list[str]:
    """What makes a pool impossible to use: as for a CiJob."""
    return [f"spec{path}: {message}" for path, message in _pool_problems(spec)]


def _pool_problems(spec: BuildPoolSpec) -> Problems:
    """Only what would make the operator or the API server fail on each of the pool's Pods."""
    defaults, limits = spec.defaults, spec.limits
    yield from checks.resources(defaults.resources, ".defaults.resources")
    if defaults.docker is not None:
        yield from checks.resources(defaults.docker.resources, ".defaults.docker.resources")
    daemon = limits.docker.resources if limits.docker is not None else None
    yield from checks.quantities(
        {f"[{name}]": amount for name, amount in (limits.resources or {}).items()}, ".limits.resources"
    )
    yield from checks.quantities(
        {f"[{name}]": amount for name, amount in (daemon or {}).items()}, ".limits.docker.resources"
    )
    sizes = {".limits.docker.storage": limits.docker.storage if limits.docker is not None else None}
    if defaults.docker is not None and defaults.docker.storage is not None:
        sizes[".defaults.docker.storage.size"] = defaults.docker.storage.size
    yield from checks.quantities({path: size for path, size in sizes.items() if size is not None}, "")
    for path, text in (
        (".defaults.timeout", defaults.timeout),
        (".defaults.queueTimeout", defaults.queue_timeout),
        (".limits.timeout", limits.timeout),
        (".nodeLostGrace", spec.node_lost_grace),
    ):
        if text is not None:
            yield from checks.duration(text, path, (say.MIN_TIMEOUT, say.MAX_TIMEOUT), say.SAY_TIMEOUT)
    if spec.docker.isolation is Isolation.RUNTIME_CLASS and spec.placement.runtime_class_name is None:
        yield ".docker.isolation", say.SAY_RUNTIME_CLASS
    for index, one in enumerate(spec.placement.tolerations or ()):
        if not one.key and one.operator != "Exists":
            yield f".placement.tolerations[{index}]", say.SAY_TOLERATION
    metadata = spec.pod_metadata
    if any(
        key.partition("/")[0].endswith(say.RESERVED_DOMAINS)
        for key in {**(metadata.labels or {}), **(metadata.annotations or {})}
    ):
        yield ".podMetadata", say.SAY_POD_METADATA


def _problems(spec: CiJobSpec) -> Problems:
    """Pairs of a path below spec and a sentence."""
    if not _DNS_LABEL.fullmatch(spec.pool_name):
        yield ".poolName", say.SAY_POOL
    yield from checks.image(spec.image, ".image")
    yield from _commands(spec)
    yield from _scripts(spec)
    yield from checks.variables(spec.variables, spec.env, "")
    for index, source in enumerate(spec.env_from or ()):
        yield from _env_from(source, f".envFrom[{index}]")
    yield from _working_dir(spec.working_dir)
    if spec.source is not None:
        yield from _git(spec.source.git, ".source.git")
    yield from _services(spec)
    for index, secret in enumerate(spec.image_pull_secrets or ()):
        yield from checks.object_name(secret.name, f".imagePullSecrets[{index}].name")
    yield from checks.resources(spec.resources, ".resources")
    yield from _docker(spec.docker)
    yield from _retry(spec.retry)
    for path, text in ((".timeout", spec.timeout), (".queueTimeout", spec.queue_timeout)):
        if text is not None:
            yield from checks.duration(text, path, (say.MIN_TIMEOUT, say.MAX_TIMEOUT), say.SAY_TIMEOUT)


def _commands(spec: CiJobSpec) -> Problems:
    if (spec.script is None) == (spec.command is None):
        yield "", say.SAY_ONE_OF
    if spec.command is None:
        if spec.args is not None:
            yield ".args", say.SAY_ARGS
        return
    beside = {
        "beforeScript": spec.before_script is not None,
        "afterScript": spec.after_script is not None,
        "shell": "shell" in spec.model_fields_set,
    }
    for field in (field for field, given in beside.items() if given):
        yield f".{field}", say.SAY_SCRIPT_ONLY.format(field, field)
    if spec.command[0] == "":
        yield ".command", say.SAY_COMMAND


def _scripts(spec: CiJobSpec) -> Problems:
    """NUL characters and the size of all text lists."""
    scripts = {"script": spec.script, "beforeScript": spec.before_script, "afterScript": spec.after_script}
    for field, entries in {**scripts, "command": spec.command, "args": spec.args}.items():
        for index, entry in enumerate(entries or ()):
            yield from checks.nul(entry, f".{field}[{index}]")
    if sum(checks.bytes_of(entry) for entries in scripts.values() for entry in entries or ()) > say.SCRIPT_BYTES:
        yield ".script", say.SAY_SCRIPT_BYTES


def _env_from(source: EnvFromSource, path: str) -> Problems:
    if (source.secret_ref is None) == (source.config_map_ref is None):
        yield path, say.SAY_ENV_FROM
    if source.prefix:
        yield from checks.env_name(source.prefix, f"{path}.prefix")
    for field, ref in (("secretRef", source.secret_ref), ("configMapRef", source.config_map_ref)):
        if ref is not None:
            yield from checks.object_name(ref.name, f"{path}.{field}.name")


def _working_dir(path: str) -> Problems:
    if not _WORKING_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_WORKING_DIR
    if _DOTTED_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_DOTTED_DIR
    if _SYSTEM_DIR.fullmatch(path):
        yield ".workingDir", say.SAY_SYSTEM_DIR


def _git(git: Git, path: str) -> Problems:
    if not _GIT_URL.fullmatch(git.url):
        yield f"{path}.url", say.SAY_GIT_URL
    if git.ref is not None and not _GIT_REF.fullmatch(git.ref):
        yield f"{path}.ref", say.SAY_GIT_REF
    if git.credentials_secret_ref is not None:
        yield from checks.object_name(git.credentials_secret_ref.name, f"{path}.credentialsSecretRef.name")
        if git.url.startswith("http://"):
            yield path, say.SAY_GIT_PLAIN


def _services(spec: CiJobSpec) -> Problems:
    services = spec.services or ()
    for index, service in enumerate(services):
        yield from _service(service, f".services[{index}]")
    if len({service.name for service in services}) < len(services):
        yield ".services", say.SAY_TWICE
    ports = [port for service in services for port in service.ports or ()]
    if len(set(ports)) < len(ports):
        yield ".services", say.SAY_ONE_PORT
    if spec.docker.enabled and spec.docker.endpoint is Endpoint.TCP and say.DOCKER_PORT in ports:
        yield ".services", say.SAY_DOCKER_PORT


def _service(service: Service, path: str) -> Problems:
    if not _DNS_LABEL.fullmatch(service.name):
        yield f"{path}.name", say.SAY_SERVICE_NAME
    if service.name in say.RESERVED_SERVICES:
        yield f"{path}.name", say.SAY_SERVICE_RESERVED
    yield from checks.image(service.image, f"{path}.image")
    for field, words in (("command", service.command), ("args", service.args), ("ready", service.ready)):
        for index, word in enumerate(words or ()):
            yield from checks.nul(word, f"{path}.{field}[{index}]")
    for field, words in (("command", service.command), ("ready", service.ready)):
        if words and words[0] == "":
            yield f"{path}.{field}", say.SAY_COMMAND
    yield from checks.variables(service.variables, service.env, path)
    bounds = (say.MIN_SERVICE_TIMEOUT, say.MAX_SERVICE_TIMEOUT)
    yield from checks.duration(service.start_timeout, f"{path}.startTimeout", bounds, say.SAY_SERVICE_TIMEOUT)
    yield from checks.resources(service.resources, f"{path}.resources")


def _docker(docker: Docker) -> Problems:
    if not docker.enabled and docker.model_fields_set & {"endpoint", "resources", "storage", "start_timeout"}:
        yield ".docker", say.SAY_DOCKER_OFF
    yield from checks.resources(docker.resources, ".docker.resources")
    if docker.storage is not None and docker.storage.size is not None:
        path = ".docker.storage.size"
        malformed = list(checks.quantities({path: docker.storage.size}, ""))
        yield from malformed
        if not malformed and not parse_quantity(docker.storage.size):
            yield path, say.SAY_STORAGE_SIZE
    bounds = (say.MIN_START_TIMEOUT, say.MAX_START_TIMEOUT)
    yield from checks.duration(docker.start_timeout, ".docker.startTimeout", bounds, say.SAY_START_TIMEOUT)


def _retry(retry: Retry) -> Problems:
    if retry.when is not None and not retry.limit:
        yield ".retry", say.SAY_RETRY_LIMIT
    if retry.when is not None and retry.when.reasons is None and retry.when.exit_codes is None:
        yield ".retry.when", say.SAY_RETRY_WHEN
