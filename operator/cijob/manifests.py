"""The Pod of an attempt, built from typed pieces. Pure: the same input gives the same Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob import containers, launcher, names, scripts
from cijob.errors import InvalidSpec
from cijob.pool import NO_RULES, Isolation
from cijob.quantities import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.containers import Manifest
    from cijob.models import CiJob
    from cijob.pool import BuildPoolSpec
    from cijob.settings import Settings

#: The API server takes 256 KiB of annotations; some are left for others.
_MOST_FILE_BYTES = 240 * 1024


def build_pod(job: CiJob, attempt: int, settings: Settings, pool: BuildPoolSpec = NO_RULES) -> Manifest:
    """The Pod that runs an attempt of a CiJob (number from 1) in a pool, ready to be POSTed.

    Spec and settings are as the pool has completed them (`policies/pool_rules.py`).

    Raises:
        InvalidSpec: its scripts do not fit into a Pod.
    """
    files = _launcher_files(job, settings)
    spec: Manifest = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": timeout_seconds(job, settings),
        "terminationGracePeriodSeconds": settings.termination_grace_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": hosts}] if (hosts := _hosts(job)) else [],
        "imagePullSecrets": [{"name": secret.name} for secret in job.spec.image_pull_secrets or ()],
        "initContainers": _init_containers(job, settings, pool),
        "containers": [containers.job_container(job, attempt, settings)],
        "volumes": _volumes(job, files),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(job, attempt, files, pool),
        "spec": {key: value for key, value in (spec | _placement(job, pool)).items() if value not in ([], {}, None)},
    }


def timeout_seconds(job: CiJob, settings: Settings) -> int:
    """How long an attempt may take, in seconds from the Pod's startTime."""
    return settings.default_timeout_seconds if job.spec.timeout is None else parse_duration(job.spec.timeout)


def _placement(job: CiJob, pool: BuildPoolSpec) -> Manifest:
    """Where the Pod may run. The pool's word counts where the job's platform says otherwise: it finds no node then."""
    placement, platform = pool.placement, {}
    if job.spec.platform is not None:
        system, _, architecture = job.spec.platform.partition("/")
        platform = {"kubernetes.io/os": system, "kubernetes.io/arch": architecture}
    return {
        "nodeSelector": platform | dict(placement.node_selector or {}),
        "tolerations": [one.model_dump(by_alias=True, exclude_none=True) for one in placement.tolerations or ()],
        "affinity": placement.affinity,
        "runtimeClassName": placement.runtime_class_name,
        "priorityClassName": placement.priority_class_name,
    }


def _hosts(job: CiJob) -> list[str]:
    """Names that resolve to the Pod itself: all its containers share one network."""
    return [*(["docker"] if job.spec.docker.enabled else []), *(service.name for service in job.spec.services or ())]


def _init_containers(job: CiJob, settings: Settings, pool: BuildPoolSpec) -> list[Manifest]:
    spec, privileged = job.spec, pool.docker.isolation is Isolation.PRIVILEGED
    # A kubelet starts them one after the other, and waits only for the end of those that are no sidecars: the daemon and
    # the services boot while the repository is checked out.
    return [
        *([containers.dind_container(job, settings, privileged=privileged)] if spec.docker.enabled else []),
        *(containers.service_container(service, job, settings) for service in spec.services or ()),
        *([containers.git_container(spec.source.git, job, settings)] if spec.source is not None else []),
    ]


def _metadata(job: CiJob, attempt: int, files: Mapping[str, str], pool: BuildPoolSpec) -> Manifest:
    return {
        "name": names.pod_name(job.name, job.uid, attempt),
        "namespace": job.namespace,
        "labels": {
            **(pool.pod_metadata.labels or {}),
            names.LABEL_APP: "cijob",
            names.LABEL_COMPONENT: "job",
            names.LABEL_MANAGED_BY: names.COMPONENT,
            names.LABEL_JOB: job.name,
            names.LABEL_ATTEMPT: str(attempt),
            names.LABEL_POOL: job.spec.pool_name,
        },
        "annotations": {
            **(pool.pod_metadata.annotations or {}),
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
    if job.spec.source is not None:
        files |= {name: launcher.read(name) for name in launcher.GIT}
    if job.spec.services:
        files |= {name: launcher.read(name) for name in launcher.SERVICES}
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


def _volumes(job: CiJob, files: Mapping[str, str]) -> list[Manifest]:
    items = {name: names.ANNOTATION_LAUNCHER + name for name in files} | {"cancel": names.ANNOTATION_STOP}
    volumes = [
        {"name": containers.WORKSPACE, "emptyDir": {}},
        {"name": containers.RUN, "emptyDir": {}},
        {
            "name": containers.LAUNCHER,
            "downwardAPI": {
                "items": [
                    {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{key}']"}}
                    for path, key in items.items()
                ]
            },
        },
    ]
    if any(service.ready for service in job.spec.services or ()):
        volumes.append({"name": containers.SERVICES, "emptyDir": {}})
    if job.spec.image_pull_secrets:
        # The kubelet starts Pods whose Secrets for pulls are missing, so that this one must not hold it up either.
        secret = {
            "secretName": job.spec.image_pull_secrets[0].name,
            "items": [{"key": ".dockerconfigjson", "path": "config.json"}],
            "optional": True,
        }
        volumes += [
            {"name": containers.DOCKER_CONFIG, "emptyDir": {}},
            {"name": containers.DOCKER_SECRET, "secret": secret},
        ]
    if job.spec.docker.enabled:
        storage = job.spec.docker.storage
        data = storage.model_dump(exclude_none=True) if storage is not None else {}
        if "size" in data:
            data["sizeLimit"] = data.pop("size")
        volumes += [
            {"name": containers.DAEMON, "emptyDir": {}},
            {"name": containers.DOCKER_DATA, "emptyDir": data},
            {"name": containers.DIND_TMP, "emptyDir": {}},
        ]
    return volumes
