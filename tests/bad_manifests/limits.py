"""Folders, resources, Docker and times."""

from __future__ import annotations

from cijob import limits as say
from tests.bad_manifests.table import Bad, both

WORKING_DIRS: list[Bad] = [
    both(f"workingDir {path!r}", "spec.workingDir", says, {"workingDir": path})
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

RESOURCES: list[Bad] = [
    both(
        "a misspelt resource", "spec.resources.limits", say.SAY_RESOURCE, {"resources": {"limits": {"memroy": "1Gi"}}}
    ),
    both("a misspelt request", "spec.resources.requests", say.SAY_RESOURCE, {"resources": {"requests": {"CPU": 1}}}),
    both(
        "MB for a unit",
        "spec.resources.limits[memory]",
        say.SAY_QUANTITY,
        {"resources": {"limits": {"memory": "512MB"}}},
    ),
    both("negative cpu", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": "-1"}}}),
    both(
        "negative whole cpu", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": -1}}}
    ),
    both("empty quantity", "spec.resources.requests[cpu]", say.SAY_QUANTITY, {"resources": {"requests": {"cpu": " "}}}),
    Bad(
        what="cpu is true",
        spec={"resources": {"requests": {"cpu": True}}},
        at="spec.resources.requests",
        server="must be of type integer,string",
        operator="must be text",
    ),
    both(
        "request above its limit",
        "spec.resources.requests",
        say.SAY_REQUEST,
        {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}},
    ),
    both(
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

DOCKER: list[Bad] = [
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
    both(
        "an endpoint without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "endpoint": "Unix"}},
    ),
    both(
        "a start timeout without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "startTimeout": "10s"}},
    ),
    both(
        "storage without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "storage": {"size": "1Gi"}}},
    ),
    both(
        "resources without docker",
        "spec.docker",
        say.SAY_DOCKER_OFF,
        {"docker": {"enabled": False, "resources": {"limits": {"cpu": 1}}}},
    ),
    both(
        "a misspelt resource of docker",
        "spec.docker.resources.limits",
        say.SAY_RESOURCE,
        {"docker": {"resources": {"limits": {"disk": "1Gi"}}}},
    ),
    both(
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
    both(
        "storage of no size", "spec.docker.storage.size", say.SAY_STORAGE_SIZE, {"docker": {"storage": {"size": "0Gi"}}}
    ),
    both("storage in GB", "spec.docker.storage.size", say.SAY_QUANTITY, {"docker": {"storage": {"size": "20GB"}}}),
    both("no start timeout", "spec.docker.startTimeout", say.SAY_START_TIMEOUT, {"docker": {"startTimeout": "0s"}}),
    both(
        "a start timeout of 11 minutes",
        "spec.docker.startTimeout",
        say.SAY_START_TIMEOUT,
        {"docker": {"startTimeout": "11m"}},
    ),
    both(
        "a start timeout in words", "spec.docker.startTimeout", say.SAY_DURATION, {"docker": {"startTimeout": "soon"}}
    ),
]

TIMES: list[Bad] = [
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
        both(f"timeout {text!r}", "spec.timeout", say.SAY_DURATION, {"timeout": text})
        for text in ("90", "1d", "1.5h", "-5m", "5m1h", "1 h", "1H", "100ms", "9999999s")
    ),
    *(
        both(f"timeout {text!r}", "spec.timeout", say.SAY_TIMEOUT, {"timeout": text})
        for text in ("0s", "0h0m0s", "168h1s", "8000h", "999999h999999m999999s")
    ),
    both("a queue timeout in words", "spec.queueTimeout", say.SAY_DURATION, {"queueTimeout": "soon"}),
    both("no queue timeout", "spec.queueTimeout", say.SAY_TIMEOUT, {"queueTimeout": "0s"}),
    both("a queue timeout of more than a week", "spec.queueTimeout", say.SAY_TIMEOUT, {"queueTimeout": "169h"}),
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

RETRIES: list[Bad] = [
    Bad(
        what="eleven retries",
        spec={"retry": {"limit": 11}},
        at="spec.retry.limit",
        server="should be less than or equal to 10",
        operator="must be 10 or less",
    ),
    Bad(
        what="minus one retry of the infrastructure",
        spec={"retry": {"infraLimit": -1}},
        at="spec.retry.infraLimit",
        server="should be greater than or equal to 0",
        operator="must be 0 or more",
    ),
    Bad(
        what="retry as a number, as in GitLab CI",
        spec={"retry": 2},
        at="spec.retry",
        server="must be of type object",
        operator="must be a map of fields",
    ),
    both(
        "when without a limit",
        "spec.retry",
        say.SAY_RETRY_LIMIT,
        {"retry": {"when": {"exitCodes": [75]}}},
    ),
    both(
        "when with a limit of 0",
        "spec.retry",
        say.SAY_RETRY_LIMIT,
        {"retry": {"limit": 0, "when": {"reasons": ["OOMKilled"]}}},
    ),
    both("an empty when", "spec.retry.when", say.SAY_RETRY_WHEN, {"retry": {"limit": 1, "when": {}}}),
    *(
        Bad(
            what=f"when names {reason}",
            spec={"retry": {"limit": 1, "when": {"reasons": [reason]}}},
            at="spec.retry.when.reasons[0]",
            server=f'Unsupported value: "{reason}"',
            operator="must be one of: 'ScriptFailed'",
        )
        for reason in ("NodeLost", "Cancelled", "InvalidSpec", "script_failure")
    ),
    Bad(
        what="no reason in a list",
        spec={"retry": {"limit": 1, "when": {"reasons": []}}},
        at="spec.retry.when.reasons",
        server="should have at least 1 items",
        operator="is empty; write at least one entry or leave it out",
    ),
    Bad(
        what="exit code 0",
        spec={"retry": {"limit": 1, "when": {"exitCodes": [0]}}},
        at="spec.retry.when.exitCodes[0]",
        server="should be greater than or equal to 1",
        operator="must be 1 or more",
    ),
    Bad(
        what="exit code 256",
        spec={"retry": {"limit": 1, "when": {"exitCodes": [1, 256]}}},
        at="spec.retry.when.exitCodes[1]",
        server="should be less than or equal to 255",
        operator="must be 255 or less",
    ),
    Bad(
        what="an exit code twice",
        spec={"retry": {"limit": 1, "when": {"exitCodes": [75, 75]}}},
        at="spec.retry.when.exitCodes[1]",
        server="Duplicate value: 75",
        operator=None,
    ),
]
