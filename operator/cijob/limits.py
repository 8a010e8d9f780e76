"""Bounds, patterns and sentences that the CRD's rules and the operator's own checks share.

The patterns are read alike by Python's `re` and by RE2, the API server's. Each is meant to match the whole text.
"""

from __future__ import annotations

from typing import Final

SCRIPT_BYTES: Final = 100 * 1024
"""Bytes of UTF-8 of all scripts of a CiJob together; they travel in annotations of its Pod."""

ENV_BYTES: Final = 256 * 1024
"""Bytes of UTF-8 of all variables and env values together, names included."""

ENV_STRING_BYTES: Final = 128 * 1024 - 2
"""Bytes of one variable's name and value; with `=` and the closing NUL, Linux's limit of one string (MAX_ARG_STRLEN)."""

MIN_TIMEOUT, MAX_TIMEOUT = "1s", "168h"
"""Bounds of spec.timeout."""

MIN_START_TIMEOUT, MAX_START_TIMEOUT = "1s", "10m"
"""Bounds of spec.docker.startTimeout."""

MIN_SERVICE_TIMEOUT, MAX_SERVICE_TIMEOUT = "1s", "30m"
"""Bounds of spec.services[].startTimeout."""

DOCKER_PORT: Final = 2375
"""Where the Docker daemon listens with the endpoint TCP."""

RESERVED_SERVICES: Final = ("dind", "docker", "git", "job", "localhost")
"""Names of the Pod's other containers and hosts."""

RESERVED_DOMAINS: Final = ("cijob.dev", "kubernetes.io", "k8s.io", "karpenter.sh")
"""Labels and annotations of these are the operator's and Kubernetes' own."""

RESERVED_PREFIX: Final = "CIJOB_"
"""Names of environment variables that belong to the operator."""

IMAGE = r"[!-~]+"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_.-]*"
DATA_KEY = r"[-._a-zA-Z0-9]+"
OBJECT_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
JOB_NAME = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
FIELD_PATH = (
    r"metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['[^']+'\]|spec\.(nodeName|serviceAccountName)"
    r"|status\.(hostIP|hostIPs|podIP|podIPs)"
)
RESOURCE_FIELD = r"(limits|requests)\.(cpu|memory|ephemeral-storage)"
RESOURCE = r"cpu|memory|ephemeral-storage|hugepages-[0-9A-Za-z]+|[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?"

# None starts with - , which git would take for an option; none has a user or password that status and log would show.
GIT_URL = (
    r"https?://[^-/@\s\x00-\x1f\x7f][^/@\s\x00-\x1f\x7f]*/[^\s\x00-\x1f\x7f]+"
    r"|ssh://([A-Za-z0-9_][-A-Za-z0-9_.]*@)?[^-/@\s\x00-\x1f\x7f][^/@\s\x00-\x1f\x7f]*/[^\s\x00-\x1f\x7f]+"
    r"|[A-Za-z0-9_][-A-Za-z0-9_.]*@[A-Za-z0-9][-A-Za-z0-9.]*:[^-\s\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*"
)
GIT_REF = r"[^-.\s~^:?*\[\\\x00-\x1f\x7f][^\s~^:?*\[\\\x00-\x1f\x7f]*"

MIRROR = r"https?://[^,\s]+"
REGISTRY = r"[^/,\s]+"

WORKING_DIR = r"(/[^/:\x00-\x1f\x7f]+)+"
DOTTED_DIR = r".*/\.\.?(/.*)?"
SYSTEM_DIR = (
    r"/(\.cijob|proc|sys|dev|etc|usr|bin|sbin|lib|lib32|lib64|libx32|boot|run|var/run|var/lib/docker)(/.*)?"
    r"|/(var|var/lib|tmp)"
)
"""Folders that the operator, the system or Docker needs, and those that hold one of them."""

SAY_NAME = (
    "metadata.name must be a DNS label of at most 63 characters: small letters, digits and - inside, such as build-42"
)
SAY_POOL = "names of pools are DNS labels of at most 63 characters: small letters, digits and - inside, such as default"
SAY_IMAGE = "an image is named without spaces: write NAME:TAG, such as ubuntu:25.10"
SAY_ONE_OF = (
    "exactly one of script and command is needed: write shell commands under script, or a program under command"
)
SAY_ARGS = "args belong to command: write the program under command, or the whole line under script"
SAY_SCRIPT_ONLY = "{} belongs to script and cannot stand beside command: write the commands under script, or remove {}"
SAY_SCRIPT_BYTES = (
    "script, beforeScript and afterScript may hold 100 KiB together: move long ones into the image or a repository"
)
SAY_NUL = "must not contain a NUL character: remove it, or encode the text (base64)"
SAY_VARIABLE = "names start with a letter or _ and hold letters, digits, _ . and - only: write it like MY_VARIABLE"
SAY_RESERVED = "names that start with CIJOB_ belong to the operator: choose another name"
SAY_TWICE = "each name may stand once: remove one of the two"
SAY_BOTH = "a name stands in both variables and env: remove one of the two"
SAY_ENV_BYTES = (
    "variables and env may hold 256 KiB together: put large values in a file of the image or of a repository"
)
SAY_ENV_STRING = "name and value may hold 128 KiB together: put large values in a file of the image or of a repository"
SAY_VALUE = "write either value or valueFrom, not both"
SAY_VALUE_FROM = "exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef is needed: write one"
SAY_ENV_FROM = "exactly one of secretRef and configMapRef is needed: write one entry for each"
SAY_OBJECT_NAME = "object names hold small letters, digits, - and . only, and start and end with a letter or digit"
SAY_DATA_KEY = "keys hold letters, digits, - _ and . only"
SAY_FIELD_PATH = "write one of metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP, status.podIPs"
SAY_RESOURCE_FIELD = "write limits or requests, a dot, and cpu, memory or ephemeral-storage, such as limits.memory"
SAY_COMMAND = "the first word of command is the program to start: it must not be empty"
SAY_GIT_URL = (
    "write https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH, without a password and, with https, without a user: "
    "they belong into the Secret of credentialsSecretRef"
)
SAY_GIT_REF = "write a branch, a tag or a commit, such as main, v1.2 or 0123abcd, without spaces and ~ ^ : ? * [ \\"
SAY_GIT_PLAIN = "credentials are not sent over http: write https in url, or leave credentialsSecretRef out"
SAY_SERVICE_NAME = (
    "names of services are DNS labels of at most 63 characters: small letters, digits and - inside, such as db"
)
SAY_SERVICE_RESERVED = "dind, docker, git, job and localhost are taken: choose another name, such as db"
SAY_ONE_PORT = (
    "two services cannot listen on one port, since they share the job's network: have one listen elsewhere (its image's "
    "documentation says how)"
)
SAY_DOCKER_PORT = "2375 is the Docker daemon's: have the service listen elsewhere, or set docker.endpoint: Unix"
SAY_RESOURCE = (
    "resources are named cpu, memory, ephemeral-storage, hugepages-SIZE, or VENDOR/NAME such as nvidia.com/gpu"
)
SAY_QUANTITY = (
    "is not a quantity: write a number, zero or more, with a unit where needed, such as 2, 500m, 512Mi or 1.5Gi"
)
SAY_REQUEST = "a request must not be above its limit: lower the request or raise the limit"
SAY_DOCKER_OFF = (
    "endpoint, resources, storage and startTimeout have no effect with enabled: false: remove them, or enable docker"
)
SAY_STORAGE_SIZE = "must be more than zero: write a size such as 20Gi, or leave it out"
SAY_RETRY_WHEN = (
    "say for which failures: write reasons or exitCodes under when, or leave when out for all that a retry can help"
)
SAY_RETRY_LIMIT = "when has no effect without a limit: write a limit from 1 to 10 beside it, or leave when out"
SAY_DURATION = "is not a duration: write hours, minutes and seconds, such as 1h30m, 15m or 90s"
SAY_TIMEOUT = "must be from 1s to 168h"
SAY_START_TIMEOUT = "must be from 1s to 10m"
SAY_WORKING_DIR = "must be an absolute path such as /workspace, without empty parts, colons or a slash at the end"
SAY_DOTTED_DIR = "must not contain . or .. as a part: write the plain path"
SAY_SYSTEM_DIR = "is used by the system or by Docker: write a folder of its own, such as /workspace or /builds/app"
SAY_SERVICE_TIMEOUT = "must be from 1s to 30m"
SAY_RUNTIME_CLASS = "RuntimeClass needs the name of one: write it under placement.runtimeClassName, such as sysbox-runc"
SAY_TOLERATION = "a toleration names the key of a taint, or has the operator Exists for all taints"
SAY_POD_METADATA = "labels and annotations of cijob.dev, kubernetes.io, k8s.io and karpenter.sh are not the pool's: choose keys of your own"
SAY_MIRROR = "mirrors are URLs: write them like https://mirror.example.com"
SAY_REGISTRY = "registries are named HOST or HOST:PORT, without http://"
SAY_CIDR = "is not a range of addresses: write it like 10.210.0.0/16"
