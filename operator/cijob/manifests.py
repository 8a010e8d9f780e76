"""The Pod of an attempt, built from typed pieces. Pure: the same input gives the same Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cijob import launcher, names, scripts
from cijob.errors import InvalidSpec
from cijob.models import Endpoint
from cijob.quantities import parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cijob.corev1 import Resources
    from cijob.models import CiJob
    from cijob.settings import Settings

Manifest = dict[str, Any]

_AFTER_SCRIPT_SECONDS = 300
#: The API server takes 256 KiB of annotations; some are left for others.
_MOST_FILE_BYTES = 240 * 1024
_MEMORY_RESERVE = 128 * 1024 * 1024
_LAUNCHER, _DAEMON, _RUN, _WORKSPACE, _DOCKER_DATA, _DIND_TMP = (
    "launcher",
    "daemon",
    "run",
    "workspace",
    "docker-data",
    "dind-tmp",
)


def build_pod(job: CiJob, attempt: int, settings: Settings) -> Manifest:
    """The Pod that runs an attempt of a CiJob (number from 1), ready to be POSTed.

    Raises:
        InvalidSpec: its scripts do not fit into a Pod.
    """
    docker = job.spec.docker.enabled
    files = _launcher_files(job, settings)
    spec: Manifest = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": timeout_seconds(job, settings),
        "terminationGracePeriodSeconds": settings.termination_grace_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["docker"]}] if docker else [],
        "initContainers": [_dind_container(job, settings)] if docker else [],
        "containers": [_job_container(job, attempt, settings)],
        "volumes": _volumes(job, files),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(job, attempt, files),
        "spec": {key: value for key, value in spec.items() if value != []},
    }


def timeout_seconds(job: CiJob, settings: Settings) -> int:
    """How long an attempt may take, in seconds from the Pod's startTime."""
    return settings.default_timeout_seconds if job.spec.timeout is None else parse_duration(job.spec.timeout)


def _metadata(job: CiJob, attempt: int, files: Mapping[str, str]) -> Manifest:
    return {
        "name": names.pod_name(job.name, job.uid, attempt),
        "namespace": job.namespace,
        "labels": {
            names.LABEL_APP: "cijob",
            names.LABEL_COMPONENT: "job",
            names.LABEL_MANAGED_BY: names.COMPONENT,
            names.LABEL_JOB: job.name,
            names.LABEL_ATTEMPT: str(attempt),
            names.LABEL_POOL: job.spec.pool_name,
        },
        "annotations": {
            # A build cannot be moved to another node: autoscalers must not try.
            "karpenter.sh/do-not-disrupt": "true",
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            **{names.ANNOTATION_LAUNCHER + name: text for name, text in files.items()},
        },
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": job.name,
                "uid": job.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def _launcher_files(job: CiJob, settings: Settings) -> dict[str, str]:
    """The texts that reach the containers as files: the API neither expands nor folds anything in an annotation."""
    files: dict[str, str] = {}
    if job.spec.docker.enabled:
        files |= {name: launcher.read(name) for name in launcher.DIND}
    if job.spec.script is not None:
        files |= {name: launcher.read(name) for name in launcher.JOB}
        files["script"] = scripts.script_file(job.spec.before_script or (), job.spec.script)
        if job.spec.after_script:
            files["after"] = scripts.after_file(job.spec.after_script)
        buildkit = scripts.buildkit_file(settings.registry_mirrors, settings.insecure_registries)
        if job.spec.docker.enabled and buildkit:
            files["buildkitd.toml"] = buildkit
    size = sum(len(text.encode()) for text in files.values())
    if size > _MOST_FILE_BYTES:
        raise InvalidSpec(
            [
                f"spec.script: with its quotes escaped it takes {size} bytes, of {_MOST_FILE_BYTES} at most; put long texts into the image or a ConfigMap"
            ]
        )
    return files


def _job_container(job: CiJob, attempt: int, settings: Settings) -> Manifest:
    spec = job.spec
    container: Manifest = {
        "name": names.CONTAINER_JOB,
        "image": spec.image,
        "workingDir": spec.working_dir,
        "env": _job_env(job, attempt, settings),
        "resources": _resources(spec.resources, settings.job_requests),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": _WORKSPACE, "mountPath": spec.working_dir},
            {"name": _LAUNCHER, "mountPath": names.LAUNCHER_DIR, "readOnly": True},
            {"name": _RUN, "mountPath": names.RUN_DIR},
        ],
        "securityContext": {"privileged": False},
    }
    if spec.docker.enabled:
        container["volumeMounts"].append({"name": _DAEMON, "mountPath": names.DAEMON_DIR, "readOnly": True})
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


def _job_env(job: CiJob, attempt: int, settings: Settings) -> list[Manifest]:
    """What the job sees: what is ours alone, our defaults, then the user's, who wins over a default and may refer to all."""
    spec = job.spec
    defaults = {"CI": "true"}
    if spec.docker.enabled:
        tcp = spec.docker.endpoint is Endpoint.TCP
        defaults["DOCKER_HOST"] = "tcp://docker:2375" if tcp else f"unix://{names.DOCKER_SOCKET}"
        defaults["TESTCONTAINERS_HOST_OVERRIDE"] = "localhost"
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
    variables = [{"name": name, "value": _literal(value)} for name, value in (spec.variables or {}).items()]
    env = [variable.model_dump(by_alias=True, exclude_none=True) for variable in spec.env or ()]
    users = {variable["name"]: variable for variable in (*variables, *env) if variable["name"] not in own}
    ours = own | {name: value for name, value in defaults.items() if name not in users}
    return [*_plain(ours.items()), *users.values()]


def _dind_container(job: CiJob, settings: Settings) -> Manifest:
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
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": _WORKSPACE, "mountPath": job.spec.working_dir},
            {"name": _LAUNCHER, "mountPath": names.LAUNCHER_DIR, "readOnly": True},
            {"name": _DAEMON, "mountPath": names.DAEMON_DIR},
            {"name": _DOCKER_DATA, "mountPath": names.DOCKER_DATA_DIR},
            {"name": _DIND_TMP, "mountPath": "/tmp"},  # noqa: S108  Docker's own /tmp would be in memory
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


def _volumes(job: CiJob, files: Mapping[str, str]) -> list[Manifest]:
    items = {name: names.ANNOTATION_LAUNCHER + name for name in files} | {"cancel": names.ANNOTATION_STOP}
    volumes = [
        {"name": _WORKSPACE, "emptyDir": {}},
        {"name": _RUN, "emptyDir": {}},
        {
            "name": _LAUNCHER,
            "downwardAPI": {
                "items": [
                    {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{key}']"}}
                    for path, key in items.items()
                ]
            },
        },
    ]
    if job.spec.docker.enabled:
        storage = job.spec.docker.storage
        data = storage.model_dump(exclude_none=True) if storage is not None else {}
        if "size" in data:
            data["sizeLimit"] = data.pop("size")
        volumes += [
            {"name": _DAEMON, "emptyDir": {}},
            {"name": _DOCKER_DATA, "emptyDir": data},
            {"name": _DIND_TMP, "emptyDir": {}},
        ]
    return volumes


def _resources(resources: Resources | None, default_requests: Mapping[str, str]) -> Manifest:
    """Requests are always set: what is missing comes from the defaults, but never above a limit that the user set."""
    limits = dict(resources.limits or {}) if resources is not None else {}
    requests = dict(resources.requests or {}) if resources is not None else {}
    for name, default in default_requests.items():
        if name not in requests:
            limit = limits.get(name)
            requests[name] = default if limit is None or parse_quantity(default) <= parse_quantity(limit) else limit
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


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
