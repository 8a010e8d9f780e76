"""Services beside the job."""

from __future__ import annotations

from typing import Any

from cijob import limits as say
from tests.bad_manifests.table import Bad, both


def service(**fields: object) -> dict[str, Any]:
    """The change that gives a job a service; None removes a field of it."""
    return {"services": [_one(**fields)]}


def _one(**fields: object) -> dict[str, Any]:
    given = {"name": "db", "image": "postgres:18"} | fields
    return {key: value for key, value in given.items() if value is not None}


def _listening(**ports: list[int]) -> dict[str, Any]:
    return {"services": [_one(name=name, ports=on) for name, on in ports.items()]}


SERVICES: list[Bad] = [
    Bad(
        what="services as in GitLab CI",
        spec={"services": ["postgres:18"]},
        at="spec.services[0]",
        server="must be of type object",
        operator="must be a map of fields",
    ),
    Bad(
        what="nine services",
        spec={"services": [_one(name=f"db{index}") for index in range(9)]},
        at="spec.services",
        server="must have at most 8 items",
        operator="has more than 8 entries",
    ),
    Bad(
        what="a service twice",
        spec={"services": [_one(), _one(image="redis:8")]},
        at="spec.services",
        server='spec.services[1]: Duplicate value: {"name":"db"}',
        operator=say.SAY_TWICE,
    ),
    *(
        both(f"a service named {name!r}", "spec.services[0].name", says, service(name=name))
        for says, names in {
            say.SAY_SERVICE_NAME: ["Db", "my_db", "db.local", "-db", "db-", "docker.io/postgres", "db\n"],
            say.SAY_SERVICE_RESERVED: ["job", "dind", "git", "docker", "localhost"],
        }.items()
        for name in names
    ),
    *(
        Bad(
            what=f"a service without {field}",
            spec=service(**{field: None}),
            at=f"spec.services[0].{field}",
            server="Required value",
            operator="is missing",
        )
        for field in ("name", "image")
    ),
    both("a service's image with a space", "spec.services[0].image", say.SAY_IMAGE, service(image="postgres: 18")),
    Bad(
        what="a service's pull policy in small letters",
        spec=service(imagePullPolicy="always"),
        at="spec.services[0].imagePullPolicy",
        server='supported values: "Always", "IfNotPresent", "Never"',
        operator="must be one of: 'Always', 'IfNotPresent' or 'Never'",
    ),
    *(
        Bad(
            what=f"a service's {field} in one line",
            spec=service(**{field: "postgres -c fsync=off"}),
            at=f"spec.services[0].{field}",
            server="must be of type array",
            operator="must be a list",
        )
        for field in ("command", "args", "ready")
    ),
    *(
        Bad(
            what=f"a service's empty {field}",
            spec=service(**{field: []}),
            at=f"spec.services[0].{field}",
            server="should have at least 1 items",
            operator="is empty",
        )
        for field in ("command", "args", "ready", "ports")
    ),
    *(
        both(
            f"NUL in a service's {field}", f"spec.services[0].{field}[1]", say.SAY_NUL, service(**{field: ["a", "\0"]})
        )
        for field in ("command", "args", "ready")
    ),
    *(
        both(
            f"a service's {field} without a program",
            f"spec.services[0].{field}",
            say.SAY_COMMAND,
            service(**{field: [""]}),
        )
        for field in ("command", "ready")
    ),
    both(
        "a service's variable with a space",
        "spec.services[0].variables",
        say.SAY_VARIABLE,
        service(variables={"MY VAR": "x"}),
    ),
    both(
        "a service's variable of the operator",
        "spec.services[0].variables",
        say.SAY_RESERVED,
        service(variables={"CIJOB_NAME": "x"}),
    ),
    both("NUL in a service's variable", "spec.services[0].variables[A]", say.SAY_NUL, service(variables={"A": "\0"})),
    Bad(
        what="65 variables of a service",
        spec=service(variables={f"V{index}": "" for index in range(65)}),
        at="spec.services[0].variables",
        server="must have at most 64 items",
        operator="has more than 64 entries",
    ),
    both(
        "a service's env of a bad name",
        "spec.services[0].env[0].name",
        say.SAY_VARIABLE,
        service(env=[{"name": "A=B"}]),
    ),
    both(
        "a service's env of nothing",
        "spec.services[0].env[0].valueFrom",
        say.SAY_VALUE_FROM,
        service(env=[{"name": "A", "valueFrom": {}}]),
    ),
    both(
        "a service's env from a Secret of a bad name",
        "spec.services[0].env[0].valueFrom.secretKeyRef.name",
        say.SAY_OBJECT_NAME,
        service(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "A", "key": "a"}}}]),
    ),
    both(
        "in a service's variables and in its env",
        "spec.services[0].env",
        say.SAY_BOTH,
        service(variables={"A": "1"}, env=[{"name": "A", "value": "2"}]),
    ),
    Bad(
        what="a service's env twice",
        spec=service(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        at="spec.services[0].env",
        server='spec.services[0].env[1]: Duplicate value: {"name":"A"}',
        operator=say.SAY_TWICE,
    ),
    Bad(
        what="envFrom of a service",
        spec=service(envFrom=[{"secretRef": {"name": "a"}}]),
        server='unknown field "spec.services[0].envFrom"',
        operator=None,
    ),
    both("two services on one port", "spec.services", say.SAY_ONE_PORT, _listening(a=[5432, 80], b=[8080, 5432])),
    both("a service on Docker's port", "spec.services", say.SAY_DOCKER_PORT, _listening(a=[80], b=[2375])),
    both(
        "a service on Docker's port, said again",
        "spec.services",
        say.SAY_DOCKER_PORT,
        _listening(a=[2375]) | {"docker": {"enabled": True, "endpoint": "TCP"}},
    ),
    Bad(
        what="a port twice",
        spec=service(ports=[80, 80]),
        at="spec.services[0].ports[1]",
        server="Duplicate value: 80",
        operator=None,
    ),
    Bad(
        what="port 0",
        spec=service(ports=[0]),
        at="spec.services[0].ports[0]",
        server="should be greater than or equal to 1",
        operator="must be 1 or more",
    ),
    Bad(
        what="port 65536",
        spec=service(ports=[65536]),
        at="spec.services[0].ports[0]",
        server="should be less than or equal to 65535",
        operator="must be 65535 or less",
    ),
    Bad(
        what="a port in words",
        spec=service(ports=["5432/tcp"]),
        at="spec.services[0].ports[0]",
        server="must be of type integer",
        operator="must be a whole number",
    ),
    Bad(
        what="17 ports of a service",
        spec=service(ports=list(range(1, 18))),
        at="spec.services[0].ports",
        server="must have at most 16 items",
        operator="has more than 16 entries",
    ),
    both(
        "a service's start timeout of 31 minutes",
        "spec.services[0].startTimeout",
        say.SAY_SERVICE_TIMEOUT,
        service(startTimeout="31m"),
    ),
    both(
        "a service's start timeout of 0",
        "spec.services[0].startTimeout",
        say.SAY_SERVICE_TIMEOUT,
        service(startTimeout="0s"),
    ),
    both(
        "a service's start timeout in words",
        "spec.services[0].startTimeout",
        say.SAY_DURATION,
        service(startTimeout="soon"),
    ),
    both(
        "a service's misspelt resource",
        "spec.services[0].resources.limits",
        say.SAY_RESOURCE,
        service(resources={"limits": {"ram": "1Gi"}}),
    ),
    both(
        "a service's memory in MB",
        "spec.services[0].resources.limits[memory]",
        say.SAY_QUANTITY,
        service(resources={"limits": {"memory": "512MB"}}),
    ),
    both(
        "a service's request above its limit",
        "spec.services[0].resources.requests",
        say.SAY_REQUEST,
        service(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
    ),
]
