"""CiJobs that must be refused: what is changed in a good one, and what the refusal says.

Used twice: the integration tests send each to a real API server, the unit tests hand each to the operator's own checks,
which must agree.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from cijob import limits as say

GOOD: dict[str, Any] = {
    "apiVersion": "cijob.dev/v1alpha1",
    "kind": "CiJob",
    "metadata": {"generateName": "manifest-"},
    "spec": {"image": "ubuntu:25.10", "script": ["echo hello"]},
}
NO_SCRIPT: dict[str, Any] = {"script": None, "command": ["/app/test"]}
"""The change that turns the good CiJob into one with a command."""


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A change of the good CiJob's spec (None removes a field) and what is said of it."""

    what: str
    spec: Any = field(default_factory=dict)
    at: str = "spec"
    """Path of the field that the message names."""
    server: str
    """Fragment of the API server's message."""
    operator: str | None = ""
    """Fragment of the operator's message: the server's where it is empty; None where only the server refuses."""
    metadata: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The whole bad CiJob."""
        changed = merged(GOOD, {"spec": self.spec} if isinstance(self.spec, dict) else {})
        if not isinstance(self.spec, dict):
            changed["spec"] = self.spec
        return merged(changed, {"metadata": self.metadata})


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A copy of a manifest with a change merged in, as a JSON merge patch does."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _env(**entry: object) -> dict[str, Any]:
    return {"env": [{"name": "TOKEN", **entry}]}


def _from(**source: object) -> dict[str, Any]:
    return _env(valueFrom=source)


def _both(what: str, at: str, says: str, spec: dict[str, Any]) -> Bad:
    """A manifest that the API server and the operator refuse in the same words."""
    return Bad(what=what, at=at, server=says, spec=spec)


_PRESENCE = [
    Bad(what="no spec", spec=None, server="spec: Required value", operator="must be a map of fields"),
    Bad(what="spec is text", spec="run it", server="must be of type object", operator="must be a map of fields"),
    Bad(
        what="unknown field",
        spec={"retries": 3},
        server='unknown field "spec.retries"',
        operator=None,
        at="spec",
    ),
    Bad(
        what="host path",
        spec={"hostNetwork": True},
        server='unknown field "spec.hostNetwork"',
        operator=None,
    ),
    _both("neither script nor command", "spec", say.SAY_ONE_OF, {"script": None}),
    _both("script and command", "spec", say.SAY_ONE_OF, {"command": ["/app/test"]}),
    _both("args beside script", "spec.args", say.SAY_ARGS, {"args": ["--fast"]}),
    _both(
        "beforeScript beside command",
        "spec.beforeScript",
        "beforeScript belongs to script",
        {**NO_SCRIPT, "beforeScript": ["date"]},
    ),
    _both(
        "afterScript beside command",
        "spec.afterScript",
        "afterScript belongs to script",
        {**NO_SCRIPT, "afterScript": ["date"]},
    ),
    _both("shell beside command", "spec.shell", "shell belongs to script", {**NO_SCRIPT, "shell": "bash"}),
]

_TEXT = [
    Bad(what="no image", spec={"image": None}, at="spec.image", server="Required value", operator="is missing"),
    Bad(
        what="empty image",
        spec={"image": ""},
        at="spec.image",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    Bad(
        what="image is a number",
        spec={"image": 25},
        at="spec.image",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="endless image",
        spec={"image": "x" * 1025},
        at="spec.image",
        server="may not be more than 1024",
        operator="is longer than 1024 characters",
    ),
    _both("image with a space", "spec.image", say.SAY_IMAGE, {"image": "ubuntu: 25.10"}),
    _both("image with a line break", "spec.image", say.SAY_IMAGE, {"image": "ubuntu\n"}),
    Bad(
        what="pull policy in small letters",
        spec={"imagePullPolicy": "always"},
        at="spec.imagePullPolicy",
        server='supported values: "Always", "IfNotPresent", "Never"',
        operator="must be one of: 'Always', 'IfNotPresent' or 'Never'",
    ),
    Bad(
        what="an unknown shell",
        spec={"shell": "zsh"},
        at="spec.shell",
        server='supported values: "Auto", "bash", "sh"',
        operator="must be one of: 'Auto', 'bash' or 'sh'",
    ),
    Bad(
        what="script is text",
        spec={"script": "make test"},
        at="spec.script",
        server="must be of type array",
        operator="must be a list",
    ),
    Bad(
        what="empty script",
        spec={"script": []},
        at="spec.script",
        server="should have at least 1 items",
        operator="is empty",
    ),
    Bad(
        what="empty entry of a script",
        spec={"script": ["date", ""]},
        at="spec.script[1]",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    Bad(
        what="entry of a script is a list",
        spec={"script": ["date", ["make", "test"]]},
        at="spec.script[1]",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="entry of a script is true",
        spec={"script": [True]},
        at="spec.script[0]",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="201 entries of a script",
        spec={"script": ["true"] * 201},
        at="spec.script",
        server="must have at most 200 items",
        operator="has more than 200 entries",
    ),
    Bad(
        what="an entry over 100 KiB",
        spec={"script": ["x" * 102401]},
        at="spec.script[0]",
        server="may not be more than 102400",
        operator="is longer than 102400 characters",
    ),
    _both(
        "scripts over 100 KiB together",
        "spec.script",
        say.SAY_SCRIPT_BYTES,
        {"beforeScript": ["x" * 60000], "script": ["x" * 60000]},
    ),
    _both("NUL in a script", "spec.script[1]", say.SAY_NUL, {"script": ["date", "echo \0"]}),
    _both("NUL in beforeScript", "spec.beforeScript[0]", say.SAY_NUL, {"beforeScript": ["echo \0"]}),
    _both("NUL in afterScript", "spec.afterScript[0]", say.SAY_NUL, {"afterScript": ["echo \0"]}),
    Bad(
        what="empty command",
        spec={**NO_SCRIPT, "command": []},
        at="spec.command",
        server="should have at least 1 items",
        operator="is empty",
    ),
    _both("command without a program", "spec.command", say.SAY_COMMAND, {**NO_SCRIPT, "command": ["", "x"]}),
    _both("NUL in command", "spec.command[0]", say.SAY_NUL, {**NO_SCRIPT, "command": ["a\0"]}),
    _both("NUL in args", "spec.args[0]", say.SAY_NUL, {**NO_SCRIPT, "args": ["a\0"]}),
    Bad(what="a pool that is not there yet", spec={"poolName": "gpu"}, at="spec.poolName", server=say.SAY_POOL),
]

_ENV = [
    Bad(
        what="variable is a number",
        spec={"variables": {"DEPTH": 1}},
        at="spec.variables",
        server="must be of type string",
        operator="must be text (quote it",
    ),
    Bad(
        what="variables are a list",
        spec={"variables": ["A=1"]},
        at="spec.variables",
        server="must be of type object",
        operator="must be a map",
    ),
    Bad(
        what="257 variables",
        spec={"variables": {f"V{index}": "" for index in range(257)}},
        at="spec.variables",
        server="must have at most 256 items",
        operator="has more than 256 entries",
    ),
    Bad(
        what="an endless variable",
        spec={"variables": {"LONG": "x" * 32769}},
        at="spec.variables",
        server="may not be more than 32768",
        operator="is longer than 32768 characters",
    ),
    _both(
        "variables over 256 KiB together",
        "spec",
        say.SAY_ENV_BYTES,
        {"variables": {f"V{index}": "x" * 32768 for index in range(8)}},
    ),
    _both("variable starts with a digit", "spec.variables", say.SAY_VARIABLE, {"variables": {"1ST": "x"}}),
    _both("variable with a space", "spec.variables", say.SAY_VARIABLE, {"variables": {"MY VAR": "x"}}),
    _both("variable with a line break", "spec.variables", say.SAY_VARIABLE, {"variables": {"A\n": "x"}}),
    _both("variable of the operator", "spec.variables", say.SAY_RESERVED, {"variables": {"CIJOB_NAME": "x"}}),
    _both("NUL in a variable", "spec.variables[A]", say.SAY_NUL, {"variables": {"A": "\0"}}),
    Bad(
        what="env without a name",
        spec={"env": [{"value": "1"}]},
        at="spec.env[0].name",
        server="Required value",
        operator="is missing",
    ),
    Bad(
        what="env is text",
        spec={"env": "A=1"},
        at="spec.env",
        server="must be of type array",
        operator="must be a list",
    ),
    _both("env with a bad name", "spec.env[0].name", say.SAY_VARIABLE, {"env": [{"name": "A=B", "value": "1"}]}),
    _both("env of the operator", "spec.env[0].name", say.SAY_RESERVED, {"env": [{"name": "CIJOB_UID", "value": "1"}]}),
    Bad(
        what="env twice",
        spec={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        at="spec.env",
        server='spec.env[1]: Duplicate value: {"name":"A"}',
        operator=say.SAY_TWICE,
    ),
    _both(
        "in variables and in env",
        "spec.env",
        say.SAY_BOTH,
        {"variables": {"A": "1"}, "env": [{"name": "A", "value": "2"}]},
    ),
    _both("NUL in env", "spec.env[0].value", say.SAY_NUL, _env(value="\0")),
    _both(
        "value and valueFrom",
        "spec.env[0]",
        say.SAY_VALUE,
        _env(value="x", valueFrom={"secretKeyRef": {"name": "registry", "key": "token"}}),
    ),
    _both("valueFrom nothing", "spec.env[0].valueFrom", say.SAY_VALUE_FROM, _from()),
    _both(
        "valueFrom two",
        "spec.env[0].valueFrom",
        say.SAY_VALUE_FROM,
        _from(secretKeyRef={"name": "a", "key": "b"}, configMapKeyRef={"name": "a", "key": "b"}),
    ),
    Bad(
        what="secret without a key",
        spec=_from(secretKeyRef={"name": "registry"}),
        at="spec.env[0].valueFrom.secretKeyRef.key",
        server="Required value",
        operator="is missing",
    ),
    _both(
        "secret with a bad name",
        "spec.env[0].valueFrom.secretKeyRef.name",
        say.SAY_OBJECT_NAME,
        _from(secretKeyRef={"name": "Registry", "key": "token"}),
    ),
    _both(
        "secret with a bad key",
        "spec.env[0].valueFrom.secretKeyRef.key",
        say.SAY_DATA_KEY,
        _from(secretKeyRef={"name": "registry", "key": "to/ken"}),
    ),
    _both(
        "config map with a bad name",
        "spec.env[0].valueFrom.configMapKeyRef.name",
        say.SAY_OBJECT_NAME,
        _from(configMapKeyRef={"name": "a_b", "key": "token"}),
    ),
    _both(
        "config map with a bad key",
        "spec.env[0].valueFrom.configMapKeyRef.key",
        say.SAY_DATA_KEY,
        _from(configMapKeyRef={"name": "a", "key": "a b"}),
    ),
    _both(
        "a field that a Pod does not offer",
        "spec.env[0].valueFrom.fieldRef.fieldPath",
        say.SAY_FIELD_PATH,
        _from(fieldRef={"fieldPath": "spec.containers"}),
    ),
    _both(
        "a resource that is none",
        "spec.env[0].valueFrom.resourceFieldRef.resource",
        say.SAY_RESOURCE_FIELD,
        _from(resourceFieldRef={"resource": "memory"}),
    ),
    _both(
        "a divisor that is no quantity",
        "spec.env[0].valueFrom.resourceFieldRef.divisor",
        say.SAY_QUANTITY,
        _from(resourceFieldRef={"resource": "limits.memory", "divisor": "MB"}),
    ),
    Bad(
        what="a resource of an unknown container",
        spec=_from(resourceFieldRef={"resource": "limits.memory", "containerName": "main"}),
        at="spec.env[0].valueFrom.resourceFieldRef.containerName",
        server='supported values: "job", "dind"',
        operator="must be one of: 'job' or 'dind'",
    ),
    _both("envFrom nothing", "spec.envFrom[0]", say.SAY_ENV_FROM, {"envFrom": [{"prefix": "A_"}]}),
    _both(
        "envFrom two",
        "spec.envFrom[0]",
        say.SAY_ENV_FROM,
        {"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "a"}}]},
    ),
    _both(
        "envFrom with a bad prefix",
        "spec.envFrom[0].prefix",
        say.SAY_VARIABLE,
        {"envFrom": [{"secretRef": {"name": "a"}, "prefix": "1_"}]},
    ),
    _both(
        "envFrom with the operator's prefix",
        "spec.envFrom[0].prefix",
        say.SAY_RESERVED,
        {"envFrom": [{"secretRef": {"name": "a"}, "prefix": "CIJOB_"}]},
    ),
    _both(
        "envFrom a bad secret",
        "spec.envFrom[0].secretRef.name",
        say.SAY_OBJECT_NAME,
        {"envFrom": [{"secretRef": {"name": "-a"}}]},
    ),
    _both(
        "envFrom a bad config map",
        "spec.envFrom[0].configMapRef.name",
        say.SAY_OBJECT_NAME,
        {"envFrom": [{"configMapRef": {"name": "A"}}]},
    ),
]

_WORKING_DIRS = [
    _both(f"workingDir {path!r}", "spec.workingDir", says, {"workingDir": path})
    for says, paths in {
        say.SAY_WORKING_DIR: ["builds/app", "./app", "/", "/builds/", "/builds//app", "/builds/a:b", "/a\nb", "C:/x"],
        say.SAY_DOTTED_DIR: ["/builds/../etc", "/builds/.", "/..", "/./a"],
        say.SAY_SYSTEM_DIR: [
            "/.cijob",
            "/.cijob/run",
            "/proc/1",
            "/sys",
            "/dev/shm",  # noqa: S108 - a path inside a container
            "/etc",
            "/usr/local",
            "/bin",
            "/lib",
            "/lib64",
            "/sbin",
            "/run",
            "/var",
            "/var/lib",
            "/var/run",
            "/var/lib/docker/volumes",
            "/tmp",  # noqa: S108 - a path inside a container
        ],
    }.items()
    for path in paths
]

_RESOURCES = [
    _both(
        "a misspelt resource", "spec.resources.limits", say.SAY_RESOURCE, {"resources": {"limits": {"memroy": "1Gi"}}}
    ),
    _both("a misspelt request", "spec.resources.requests", say.SAY_RESOURCE, {"resources": {"requests": {"CPU": 1}}}),
    _both(
        "MB for a unit",
        "spec.resources.limits[memory]",
        say.SAY_QUANTITY,
        {"resources": {"limits": {"memory": "512MB"}}},
    ),
    _both("negative cpu", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": "-1"}}}),
    _both(
        "negative whole cpu", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": -1}}}
    ),
    _both(
        "empty quantity", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": " "}}}
    ),
    Bad(
        what="cpu is true",
        spec={"resources": {"requests": {"cpu": True}}},
        at="spec.resources.requests",
        server="must be of type integer,string",
        operator="must be text",
    ),
    _both(
        "request above its limit",
        "spec.resources.requests",
        say.SAY_REQUEST,
        {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}},
    ),
    _both(
        "request of whole cpus above its limit",
        "spec.resources.requests",
        say.SAY_REQUEST,
        {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}},
    ),
    Bad(
        what="claims",
        spec={"resources": {"claims": [{"name": "gpu"}]}},
        server='unknown field "spec.resources.claims"',
        operator=None,
        at="spec",
    ),
    Bad(
        what="17 resources",
        spec={"resources": {"limits": {f"example.com/device{index}": 1 for index in range(17)}}},
        at="spec.resources.limits",
        server="must have at most 16 items",
        operator="has more than 16 entries",
    ),
]

_DOCKER = [
    Bad(
        what="docker is true",
        spec={"docker": True},
        at="spec.docker",
        server="must be of type object",
        operator="must be a map of fields",
    ),
    Bad(
        what="enabled is text",
        spec={"docker": {"enabled": "yes"}},
        at="spec.docker.enabled",
        server="must be of type boolean",
        operator="must be true or false",
    ),
    Bad(
        what="an unknown endpoint",
        spec={"docker": {"endpoint": "tcp"}},
        at="spec.docker.endpoint",
        server='supported values: "TCP", "Unix"',
        operator="must be one of: 'TCP' or 'Unix'",
    ),
    _both(
        "an endpoint without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "endpoint": "Unix"}},
    ),
    _both(
        "a start timeout without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "startTimeout": "10s"}},
    ),
    _both(
        "storage without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "storage": {"size": "1Gi"}}},
    ),
    _both(
        "resources without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "resources": {"limits": {"cpu": 1}}}},
    ),
    _both(
        "a misspelt resource of docker",
        "spec.docker.resources.limits",
        say.SAY_RESOURCE,
        {"docker": {"resources": {"limits": {"disk": "1Gi"}}}},
    ),
    _both(
        "a request of docker above its limit",
        "spec.docker.resources.requests",
        say.SAY_REQUEST,
        {"docker": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}},
    ),
    Bad(
        what="an unknown medium",
        spec={"docker": {"storage": {"medium": "HugePages"}}},
        at="spec.docker.storage.medium",
        server='supported values: "", "Memory"',
        operator="must be one of: '' or 'Memory'",
    ),
    _both(
        "storage of no size", "spec.docker.storage.size", say.SAY_STORAGE_SIZE, {"docker": {"storage": {"size": "0Gi"}}}
    ),
    _both("storage in GB", "spec.docker.storage.size", say.SAY_QUANTITY, {"docker": {"storage": {"size": "20GB"}}}),
    _both("no start timeout", "spec.docker.startTimeout", say.SAY_START_TIMEOUT, {"docker": {"startTimeout": "0s"}}),
    _both(
        "a start timeout of 11 minutes",
        "spec.docker.startTimeout",
        say.SAY_START_TIMEOUT,
        {"docker": {"startTimeout": "11m"}},
    ),
    _both(
        "a start timeout in words", "spec.docker.startTimeout", say.SAY_DURATION, {"docker": {"startTimeout": "soon"}}
    ),
]

_TIMES = [
    Bad(
        what="timeout is a number",
        spec={"timeout": 90},
        at="spec.timeout",
        server="must be of type string",
        operator="must be text",
    ),
    Bad(
        what="empty timeout",
        spec={"timeout": ""},
        at="spec.timeout",
        server="should be at least 1 chars long",
        operator="must not be empty",
    ),
    *(
        _both(f"timeout {text!r}", "spec.timeout", say.SAY_DURATION, {"timeout": text})
        for text in ("90", "1d", "1.5h", "-5m", "5m1h", "1 h", "1H", "100ms", "9999999s")
    ),
    *(
        _both(f"timeout {text!r}", "spec.timeout", say.SAY_TIMEOUT, {"timeout": text})
        for text in ("0s", "0h0m0s", "168h1s", "8000h", "999999h999999m999999s")
    ),
    Bad(
        what="a negative time to live",
        spec={"ttlSecondsAfterFinished": -1},
        at="spec.ttlSecondsAfterFinished",
        server="should be greater than or equal to 0",
        operator="must be 0 or more",
    ),
    Bad(
        what="two years to live",
        spec={"ttlSecondsAfterFinished": 63072000},
        at="spec.ttlSecondsAfterFinished",
        server="should be less than or equal to 31536000",
        operator="must be 31536000 or less",
    ),
    Bad(
        what="a time to live in words",
        spec={"ttlSecondsAfterFinished": "1h"},
        at="spec.ttlSecondsAfterFinished",
        server="must be of type integer",
        operator="must be a whole number",
    ),
    Bad(
        what="cancel is true",
        spec={"cancel": True},
        at="spec.cancel",
        server="must be of type string",
        operator="must be one of: 'Graceful' or 'Immediate'",
    ),
    Bad(
        what="an unknown cancel",
        spec={"cancel": "Now"},
        at="spec.cancel",
        server='supported values: "Graceful", "Immediate"',
        operator="must be one of: 'Graceful' or 'Immediate'",
    ),
]

_NAMES = [
    Bad(what="a name of 64 characters", metadata={"name": "a" * 64}, at="", server=say.SAY_NAME),
    Bad(what="a name with a dot", metadata={"name": "build.42"}, at="", server=say.SAY_NAME),
]

BAD: list[Bad] = [*_PRESENCE, *_TEXT, *_ENV, *_WORKING_DIRS, *_RESOURCES, *_DOCKER, *_TIMES, *_NAMES]
