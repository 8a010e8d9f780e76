"""`services` of a job: its Docker daemon, which every CiJob can have, and containers beside it.

Host names are those that GitLab Runner makes (helpers/container/services/services.go, `SplitNameAndVersion`): the alias, and
of the image's name without tag and port, with `/` as `__` and as `-`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab import dind, images
from cijob.importers.gitlab import variables as values
from cijob.importers.gitlab.nodes import Mapping
from cijob.importers.gitlab.variables import VariableCycle, expand, resolve
from cijob.limits import RESERVED_PREFIX

if TYPE_CHECKING:
    from cijob.importers.gitlab.job import Job
    from cijob.importers.gitlab.model import Spec

_PORT: Final = re.compile(r":\d+(?=/)")
_MAX_NAME: Final = 63
_MAX_VARIABLES: Final = 64
_MAX_PORT_DIGITS: Final = 5
#: Ports that well-known images expose, by the end of their name: GitLab Runner waits for those.
_EXPOSED: Final = {
    "cassandra": 9042,
    "couchdb": 5984,
    "elasticsearch": 9200,
    "httpd": 80,
    "influxdb": 8086,
    "mariadb": 3306,
    "memcached": 11211,
    "mongo": 27017,
    "mysql": 3306,
    "neo4j": 7687,
    "nginx": 80,
    "postgis": 5432,
    "postgres": 5432,
    "rabbitmq": 5672,
    "redis": 6379,
    "standalone-chrome": 4444,
    "standalone-firefox": 4444,
    "valkey": 6379,
}
_WEB: Final = frozenset({"httpd", "nginx"})


@dataclass(frozen=True, slots=True)
class Services:
    """What the job has beside it.

    Attributes:
        daemon: whether it has a Docker daemon: it names one, or its script calls docker.
        daemon_names: host names under which it expects the daemon.
        specs: entries of `spec.services`.
        platform: `platform`, where a service asks for one.
    """

    daemon: bool
    daemon_names: frozenset[str]
    specs: list[Spec]
    platform: Spec


def convert(job: Job) -> Services:
    """The services of a job."""
    given: Any = job.config.get("services") or []
    if not isinstance(given, list):
        job.report.error(("services",), "is not a list of services")
        given = []
    daemon, names = False, frozenset[str]()
    specs: list[Spec] = []
    platform: Spec = {}
    for index, one in enumerate(given):
        path = ("services", index)
        entry = one if isinstance(one, Mapping) else {"name": one}
        image = images.name(job, entry.get("name"), (*path, "name"), "the service has no image")
        if not image:
            continue
        if dind.is_daemon(image) or "docker" in re.split(r"[,\s]+", str(entry.get("alias") or "")):
            daemon, names = True, names | _daemon(job, entry, image, path)
        else:
            job.text(entry["name"], *path, "name")  # tells of unknown variables
            specs.append(_service(job, entry, image, path))
            platform |= images.platform(_docker(entry).get("platform"), job.report, (*path, "docker", "platform"))
    if not daemon and (sign := _calls_docker(job)):
        # A runner that lends its host's daemon was meant. No job of ours can have that, and each can have its own.
        daemon = True
        why = "the script calls docker" if sign == ("script",) else "the image is docker's"
        job.report.note(sign, f"{why}: the job gets a Docker daemon of its own, not that of a runner's host")
    return Services(daemon, names, specs, platform)


def _calls_docker(job: Job) -> tuple[str, ...]:
    """The key that shows that a job calls docker; none where nothing does."""
    image: Any = job.config.get("image")
    name = image.get("name") if isinstance(image, Mapping) else image
    if dind.calls_docker(job.script):
        return ("script",)
    return ("image",) if isinstance(name, str) and dind.is_client(expand(name, job.variables)) else ()


def _daemon(job: Job, entry: Any, image: str, path: tuple[str | int, ...]) -> frozenset[str]:  # noqa: ANN401  a value of YAML
    """Names the daemon; gives its host names."""
    report = job.report
    written = str(entry["name"])
    report.note(
        path,
        f"{written if job.unknown(written) else image} is left out: the job has a Docker daemon of its own, of the version that the pool says",
    )
    words = [word for key in ("entrypoint", "command") for word in images.words(entry.get(key), report, (*path, key))]
    if words:
        dind.options(job, words, (*path, "command" if "command" in entry else "entrypoint"))
    lost = [name for name in entry.get("variables") or () if name not in dind.CLIENT | dind.DAEMON]
    if lost:
        report.warning((*path, "variables"), f"the daemon is the pool's to configure: {', '.join(lost)} is left out")
    aliases = _aliases(job, entry, path)
    for alias in aliases:
        if alias != "docker" and re.search(rf"(?<![\w-]){re.escape(alias)}(?=[:/\s\"'])", job.script):
            report.warning((*path, "alias"), f"the script names {alias}: the daemon and its ports are at docker")
    return frozenset({*aliases, *derived(image)})


def _service(job: Job, entry: Any, image: str, path: tuple[str | int, ...]) -> Spec:  # noqa: ANN401  a value of YAML
    """An entry of `spec.services`."""
    command = images.words(entry.get("entrypoint"), job.report, (*path, "entrypoint"))
    args = images.words(entry.get("command"), job.report, (*path, "command"))
    variables = _variables(job, entry, path)
    spec: Spec = {"name": _name(job, entry, image, path), "image": image}
    spec |= images.pull_policy(entry.get("pull_policy"), job.report, (*path, "pull_policy"))
    ports = _ports(job, image, " ".join([*command, *args]), variables, path)
    optional = {"command": command, "args": args, "variables": variables, "ports": ports}
    return spec | {key: value for key, value in optional.items() if value and value != [""]}


def derived(image: str) -> tuple[str, ...]:
    """The host names that GitLab makes of an image, the one that is a DNS name first."""
    repository = _PORT.sub("", images.split(image)[0])
    return tuple(dict.fromkeys((repository.replace("/", "-"), repository.replace("/", "__"))))


def _aliases(job: Job, entry: Any, path: tuple[str | int, ...]) -> list[str]:  # noqa: ANN401  a value of YAML
    """The aliases that the job gives a service: one or several, apart by commas or spaces."""
    return [one for one in re.split(r"[,\s]+", job.text(entry.get("alias"), *path, "alias")) if one]


def _name(job: Job, entry: Any, image: str, path: tuple[str | int, ...]) -> str:  # noqa: ANN401  a value of YAML
    """The service's one name. Others that the job uses are told of."""
    aliases, made = _aliases(job, entry, path), derived(image)
    wanted = (aliases or made)[0]
    name = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")[:_MAX_NAME].strip("-") or "service"
    where = (*path, "alias" if aliases else "name")
    if name != wanted and (aliases or _used(job, wanted)):
        job.report.warning(where, f"the service is reached as {name}, not as {wanted}: names are DNS labels")
    lost = [*aliases[1:], *(one for one in made if one not in (wanted, name, *aliases) and _used(job, one))]
    if lost:
        job.report.warning(where, f"a service has one name, {name}: it is not reached as {', '.join(lost)}")
    return name


def _used(job: Job, host: str) -> bool:
    """Whether script or variables of the job seem to mean this host."""
    name = re.escape(host)
    pattern = re.compile(
        rf"(?:://(?:[^/\s@]*@)?|@|\s-h\s*|--host[=\s]){name}(?=[:/\s\"']|$)|(?<![\w./@-]){name}:\d{{4,5}}\b"
    )
    texts = [job.script, *(job.variables[one] for one in job.own)]
    hosts = any(job.variables[one] == host for one in job.own if "HOST" in one)
    return hosts or any(pattern.search(text) for text in texts)


def _variables(job: Job, entry: Any, path: tuple[str | int, ...]) -> dict[str, str]:  # noqa: ANN401  a value of YAML
    """The job's variables and the service's own, which go first."""
    of_service, findings = values.read(entry.get("variables"), "services:variables", job.name)
    job.report.findings += findings
    passed = (name for name in sorted(job.own - dind.CLIENT) if not name.startswith(RESERVED_PREFIX))
    of_job = {name: job.variables[name] for name in passed}
    room = max(0, _MAX_VARIABLES - len(of_service))
    if len(of_job) > room:
        job.report.warning(path, f"a service can have {_MAX_VARIABLES} variables: the job's own are not passed on")
        of_job = {}
    if not of_service:
        return of_job
    try:
        known = resolve({**job.variables}, of_service)
    except VariableCycle as error:
        job.report.error((*path, "variables"), str(error))
        known = {}
    return of_job | {name: known[name] for name in of_service if name in known}


def _ports(job: Job, image: str, command: str, variables: dict[str, str], path: tuple[str | int, ...]) -> list[int]:
    """Ports to wait for: what the file says, or what a well-known image exposes."""
    said = variables.get("HEALTHCHECK_TCP_PORT", "")
    known = _exposed(image) if "port" not in command else None
    if said.isdecimal() and len(said) <= _MAX_PORT_DIGITS:
        return [int(said)]
    if known is None:
        job.report.warning(
            path,
            f"nothing waits for {image}: GitLab waits up to 30 s for the ports that an image exposes; "
            "say which with the service's variable HEALTHCHECK_TCP_PORT",
        )
        return []
    job.report.note(
        path,
        f"the script waits for {image} on port {known}, the usual one of such images, and fails if nothing listens there; "
        "if it is another, say so with the service's variable HEALTHCHECK_TCP_PORT",
    )
    return [known]


def _exposed(image: str) -> int | None:
    """The port that an image exposes, by its name; web servers of others than Docker's library often have another."""
    repository = images.split(image)[0]
    folder, _, name = repository.rpartition("/")
    if name in _WEB and folder.rpartition("/")[2] not in ("", "library"):
        return None
    return _EXPOSED.get(name)


def _docker(entry: Any) -> Any:  # noqa: ANN401  a value of YAML
    found = entry.get("docker")
    return found if isinstance(found, Mapping) else {}
