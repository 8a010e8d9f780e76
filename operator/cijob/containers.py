"""The containers of a Pod: the job, its Docker daemon, its services, the checkout of its repository. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.parts import Endpoint
from cijob.quantities import parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cijob.corev1 import EnvVar, Resources
    from cijob.models import CiJob
    from cijob.parts import Git, Service
    from cijob.settings import Settings

Manifest = dict[str, Any]

#: Names of the Pod's volumes.
LAUNCHER, DAEMON, RUN, WORKSPACE, DOCKER_DATA, DIND_TMP, SERVICES, DOCKER_CONFIG, DOCKER_SECRET = (
    "launcher",
    "daemon",
    "run",
    "workspace",
    "docker-data",
    "dind-tmp",
    "services",
    "docker-config",
    "docker-secret",
)
_AFTER_SCRIPT_SECONDS: Final = 300
_MEMORY_RESERVE: Final = 128 * 1024 * 1024
#: So long may one run of a service's check take; `ready.sh` asks again and again within one.
_CHECK_SECONDS: Final = 30
#: What of the Secret with a repository's credentials the container `git` gets, and as what.
_CREDENTIALS: Final = {
    "CIJOB_GIT_USERNAME": "username",
    "CIJOB_GIT_PASSWORD": "password",
    "CIJOB_GIT_SSH_KEY": "ssh-privatekey",
    "CIJOB_GIT_KNOWN_HOSTS": "known_hosts",
    "CIJOB_GIT_CA": "ca.crt",
}


def job_container(job: CiJob, attempt: int, settings: Settings) -> Manifest:
    """The container that runs the script or the command."""
    spec = job.spec
    container: Manifest = {
        "name": names.CONTAINER_JOB,
        "image": spec.image,
        "workingDir": spec.working_dir,
        "env": _job_env(job, attempt, settings),
        "resources": _resources(spec.resources, settings.job_requests),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": WORKSPACE, "mountPath": spec.working_dir},
            _launcher_mount(),
            {"name": RUN, "mountPath": names.RUN_DIR},
        ],
        "securityContext": {"privileged": False},
    }
    if spec.docker.enabled:
        container["volumeMounts"].append({"name": DAEMON, "mountPath": names.DAEMON_DIR, "readOnly": True})
    if spec.script is not None and any(service.ready for service in spec.services or ()):
        container["volumeMounts"].append({"name": SERVICES, "mountPath": names.SERVICES_DIR, "readOnly": True})
    if spec.image_pull_secrets:
        container["volumeMounts"] += _docker_config(with_launcher=spec.script is not None)
    if spec.command is not None:
        container["command"] = list(spec.command)
        container["args"] = list(spec.args or ())
    else:
        container["command"] = ["/bin/sh", f"{names.LAUNCHER_DIR}/job.sh"]
    if spec.env_from:
        container["envFrom"] = [source.model_dump(by_alias=True, exclude_none=True) for source in spec.env_from]
    if spec.image_pull_policy is not None:
        container["imagePullPolicy"] = str(spec.image_pull_policy)
    return container


def _docker_config(*, with_launcher: bool) -> list[Manifest]:
    """A writable folder for docker's configuration, with the Secret's: `job.sh` copies it, or the kubelet mounts it."""
    secret = {"name": DOCKER_SECRET, "readOnly": True}
    if with_launcher:
        secret |= {"mountPath": names.DOCKER_SECRET_DIR}
    else:
        secret |= {"mountPath": f"{names.DOCKER_CONFIG_DIR}/config.json", "subPath": "config.json"}
    return [{"name": DOCKER_CONFIG, "mountPath": names.DOCKER_CONFIG_DIR}, secret]


def _job_env(job: CiJob, attempt: int, settings: Settings) -> list[Manifest]:
    """What the job sees: what is ours alone, our defaults, then the user's, who wins over a default and may refer to all."""
    spec = job.spec
    own = {
        "CIJOB_NAME": job.name,
        "CIJOB_NAMESPACE": job.namespace,
        "CIJOB_UID": job.uid,
        "CIJOB_ATTEMPT": str(attempt),
        "CIJOB_POOL": spec.pool_name,
    }
    if spec.script is not None:
        own |= {
            "CIJOB_SHELL": str(spec.shell),
            "CIJOB_DAEMON": "1" if spec.docker.enabled else "0",
            "CIJOB_START_TIMEOUT": str(parse_duration(spec.docker.start_timeout)),
            "CIJOB_AFTER_TIMEOUT": str(_AFTER_SCRIPT_SECONDS),
            "CIJOB_GRACE": str(settings.termination_grace_seconds),
        }
        if spec.services:
            own["CIJOB_SERVICES"] = " ".join(map(_awaited, spec.services))
    users = {
        variable["name"]: variable for variable in _users_env(spec.variables, spec.env) if variable["name"] not in own
    }
    ours = own | {name: value for name, value in _defaults(job).items() if name not in users}
    return [*_plain(ours.items()), *users.values()]


def _defaults(job: CiJob) -> dict[str, str]:
    """Variables of the job's that the user may set to something else."""
    spec, defaults = job.spec, {"CI": "true"}
    if spec.docker.enabled:
        tcp = spec.docker.endpoint is Endpoint.TCP
        defaults["DOCKER_HOST"] = "tcp://docker:2375" if tcp else f"unix://{names.DOCKER_SOCKET}"
        defaults["TESTCONTAINERS_HOST_OVERRIDE"] = "localhost"
    if spec.image_pull_secrets:
        defaults["DOCKER_CONFIG"] = names.DOCKER_CONFIG_DIR
    given = {*(spec.variables or {}), *(variable.name for variable in spec.env or ())}
    if spec.source is not None and "GIT_CONFIG_COUNT" not in given:
        # The checkout is root's, and git would refuse it to a job of another user (CVE-2022-24765). Its submodules are
        # repositories too, wherever they are.
        defaults |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return defaults


def _users_env(variables: Mapping[str, str] | None, env: Iterable[EnvVar] | None) -> list[Manifest]:
    literal = [{"name": name, "value": _literal(value)} for name, value in (variables or {}).items()]
    return [*literal, *(variable.model_dump(by_alias=True, exclude_none=True) for variable in env or ())]


def dind_container(job: CiJob, settings: Settings, *, privileged: bool) -> Manifest:
    """The sidecar with the Docker daemon: no other container is ever privileged."""
    docker = job.spec.docker
    env = {
        "CIJOB_ENDPOINT": str(docker.endpoint),
        "CIJOB_PUBLISH_ADDRESS": "127.0.0.1",
        "CIJOB_MTU": settings.mtu,
        "CIJOB_REGISTRY_MIRRORS": " ".join(settings.registry_mirrors),
        "CIJOB_INSECURE_REGISTRIES": " ".join(settings.insecure_registries),
        "CIJOB_ADDRESS_POOLS": " ".join(_address_pool(pool) for pool in settings.address_pools),
        "CIJOB_MEMORY_RESERVE": str(_MEMORY_RESERVE),
        # Without `job.sh` nobody asks while the job's end is fresh.
        "CIJOB_DIAGNOSE": "Asked" if job.spec.command is None else "End",
        # Without it the image's entry point would make certificates and listen on the Pod's address.
        "DOCKER_TLS_CERTDIR": "",
    }
    container: Manifest = {
        "name": names.CONTAINER_DIND,
        "image": settings.dind_image,
        "imagePullPolicy": settings.dind_image_pull_policy,
        "restartPolicy": "Always",
        "command": ["/bin/sh", f"{names.LAUNCHER_DIR}/dind.sh"],
        "env": [*_plain(env.items()), _pod_field("CIJOB_POD_IP", "podIP"), _pod_field("CIJOB_HOST_IP", "hostIP")],
        "resources": _resources(docker.resources, settings.dind_requests),
        "securityContext": {"privileged": privileged},
        "volumeMounts": [
            {"name": WORKSPACE, "mountPath": job.spec.working_dir},
            _launcher_mount(),
            {"name": DAEMON, "mountPath": names.DAEMON_DIR},
            {"name": DOCKER_DATA, "mountPath": names.DOCKER_DATA_DIR},
            {"name": DIND_TMP, "mountPath": "/tmp"},  # noqa: S108  Docker's own /tmp would be in memory
        ],
    }
    if job.spec.command is not None:
        # Nobody waits for the daemon inside the job container, so the kubelet does.
        container["startupProbe"] = {
            "exec": {"command": ["test", "-e", f"{names.DAEMON_DIR}/ready"]},
            "periodSeconds": 1,
            "failureThreshold": parse_duration(docker.start_timeout),
        }
    return container


def service_container(service: Service, job: CiJob, settings: Settings) -> Manifest:
    """A sidecar for what the job needs beside it, such as a database."""
    container: Manifest = {
        "name": service.name,
        "image": service.image,
        "restartPolicy": "Always",
        "env": _users_env(service.variables, service.env),
        "resources": _resources(service.resources, settings.service_requests),
        "securityContext": {"privileged": False},
        "volumeMounts": [{"name": WORKSPACE, "mountPath": job.spec.working_dir}],
    }
    for field, words in (("command", service.command), ("args", service.args)):
        if words is not None:
            container[field] = list(words)
    if service.image_pull_policy is not None:
        container["imagePullPolicy"] = str(service.image_pull_policy)
    if service.ready is not None:
        container["volumeMounts"] += [_launcher_mount(), {"name": SERVICES, "mountPath": names.SERVICES_DIR}]
    return container | _probe(service, gates=job.spec.script is None)


def _probe(service: Service, *, gates: bool) -> Manifest:
    """How the kubelet asks a service whether it is ready.

    `job.sh` waits for the mark that `ready.sh` leaves, so that a readiness probe, which delays nothing, is enough. Without
    `job.sh` a startup probe holds the job back; it can see the Pod's address only, and one port.
    """
    seconds = parse_duration(service.start_timeout)
    if service.ready is not None:
        command = ["/bin/sh", f"{names.LAUNCHER_DIR}/ready.sh", service.name, *service.ready]
        probe: Manifest = {"exec": {"command": command}, "periodSeconds": 1, "timeoutSeconds": _CHECK_SECONDS}
        if not gates:
            return {"readinessProbe": probe}
        timeout = min(seconds, _CHECK_SECONDS)
        return {"startupProbe": probe | {"timeoutSeconds": timeout, "failureThreshold": -(-seconds // timeout)}}
    if service.ports and gates:
        port = {"tcpSocket": {"port": service.ports[0]}}
        return {"startupProbe": port | {"periodSeconds": 1, "failureThreshold": seconds}}
    return {}


def _awaited(service: Service) -> str:
    """A word of CIJOB_SERVICES, as `services.sh` reads it."""
    ports = ",".join(map(str, service.ports or ()))
    return f"{service.name}:{parse_duration(service.start_timeout)}:{ports}:{0 if service.ready is None else 1}"


def git_container(git: Git, job: CiJob, settings: Settings) -> Manifest:
    """An init container that checks the repository out. It alone sees the credentials."""
    plain = {
        "CIJOB_GIT_URL": _literal(git.url),
        "CIJOB_GIT_REF": _literal(git.ref or ""),
        "CIJOB_GIT_DEPTH": str(git.depth),
        "CIJOB_GIT_SUBMODULES": str(git.submodules or ""),
    }
    container: Manifest = {
        "name": names.CONTAINER_GIT,
        "image": settings.git_image or settings.dind_image,
        "imagePullPolicy": settings.git_image_pull_policy if settings.git_image else settings.dind_image_pull_policy,
        "command": ["/bin/sh", f"{names.LAUNCHER_DIR}/git.sh"],
        "workingDir": job.spec.working_dir,
        "env": _plain(plain.items()),
        # It has ended before the job starts, so that it needs no room of its own on the node.
        "resources": _resources(job.spec.resources, settings.job_requests),
        "securityContext": {"privileged": False},
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": WORKSPACE, "mountPath": job.spec.working_dir},
            _launcher_mount(),
            {"name": RUN, "mountPath": names.RUN_DIR},
        ],
    }
    if git.credentials_secret_ref is not None:
        secret = git.credentials_secret_ref.name
        container["env"] += [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}}}
            for name, key in _CREDENTIALS.items()
        ]
        # None of the keys has to be there, but the Secret has: the kubelet waits for it, and says so.
        container["envFrom"] = [{"prefix": "CIJOB_SECRET_", "secretRef": {"name": secret}}]
    return container


def _resources(resources: Resources | None, default_requests: Mapping[str, str]) -> Manifest:
    """Requests are always set: what is missing comes from the defaults, but never above a limit that the user set."""
    limits = dict(resources.limits or {}) if resources is not None else {}
    requests = dict(resources.requests or {}) if resources is not None else {}
    for name, default in default_requests.items():
        if name not in requests:
            limit = limits.get(name)
            requests[name] = default if limit is None or parse_quantity(default) <= parse_quantity(limit) else limit
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def _launcher_mount() -> Manifest:
    return {"name": LAUNCHER, "mountPath": names.LAUNCHER_DIR, "readOnly": True}


def _plain(pairs: Iterable[tuple[str, str]]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in pairs]


def _pod_field(name: str, field: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"status.{field}"}}}


def _literal(value: str) -> str:
    """A value that comes out of the kubelet's expansion as it is: `$$` becomes `$`, and `$(NAME)` finds no variable."""
    return value.replace("$", "$$")


def _address_pool(pool: str) -> str:
    base, _, size = pool.rpartition("/")
    return f"base={base},size={size}"
