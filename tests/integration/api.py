"""A few plain calls of the API server for the tests: status and JSON body, never an exception for a refusal."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kubernetes.client import ApiClient

CIJOBS = "/apis/cijob.dev/v1alpha1"
BUILDPOOLS = f"{CIJOBS}/buildpools"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

_SECONDS_PER_CALL = 30
_SECONDS_UNTIL_SERVED = 60
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Answer:
    """What the API server answered."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """The API server's own words about a refusal."""
        return str(self.body.get("message", ""))

    def wanted(self) -> dict[str, Any]:
        """The body of a call that must have worked."""
        assert self.ok, f"{self.status}: {self.message}"
        return self.body


@dataclass(frozen=True)
class Api:
    """Calls by method and path, as the kubeconfig's user or as another one."""

    client: ApiClient
    user: str = ""
    group: str = ""

    def acting_as(self, user: str, group: str = "") -> Api:
        """The same API server, asked by another user, who is in a group; empty: by the kubeconfig's."""
        return Api(self.client, user, group)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """One request; refusals come back as answers too."""
        headers = {"Accept": accept, "Content-Type": content_type}
        impersonated = {"Impersonate-User": self.user, "Impersonate-Group": self.group}
        headers |= {name: value for name, value in impersonated.items() if value}
        request = self.client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self.client.call_api(*request, _request_timeout=_SECONDS_PER_CALL)
        data = response.response.data
        is_json = response.response.headers.get("Content-Type", "").startswith("application/json")
        return Answer(response.status, json.loads(data) if is_json else {"message": data.decode(errors="replace")})


@dataclass(frozen=True)
class Namespace:
    """The CiJobs of one namespace."""

    api: Api
    name: str

    def path(self, name: str = "", subresource: str = "") -> str:
        """Path of all CiJobs, of one, or of a part of one."""
        parts = [f"{CIJOBS}/namespaces/{self.name}/cijobs", name, subresource]
        return "/".join(part for part in parts if part)

    def create(self, manifest: object, *, dry_run: bool = True) -> Answer:
        """POST a CiJob as kubectl does: unknown fields are refused. By default nothing is stored."""
        query = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self.api.call("POST", self.path(), manifest, query=query)

    def stored(self, manifest: object) -> str:
        """Name of a CiJob that was stored."""
        return str(self.create(manifest, dry_run=False).wanted()["metadata"]["name"])

    def get(self, name: str) -> dict[str, Any]:
        """A CiJob as it is now."""
        return self.api.call("GET", self.path(name)).wanted()

    def patch(self, name: str, change: object, subresource: str = "", content_type: str = MERGE_PATCH) -> Answer:
        """PATCH a CiJob."""
        return self.api.call("PATCH", self.path(name, subresource), change, content_type=content_type)

    def list(self, accept: str = "application/json", **query: str) -> dict[str, Any]:
        """All CiJobs that a query selects."""
        return self.api.call("GET", self.path(), query=query, accept=accept).wanted()


def install_crd(api: Api, manifest: Path) -> None:
    """Apply a CRD and wait until the API server works by just this version of it."""
    crd = yaml.safe_load(manifest.read_text())
    query = {"fieldManager": "cijob-tests", "force": "true"}
    api.call("PATCH", f"{CRDS}/{crd['metadata']['name']}", crd, query=query, content_type=APPLY).wanted()
    # The new schema is served a moment after it is stored. Its OpenAPI document is published last: when that is of this
    # version, the checks are too.
    kind = crd["spec"]["names"]["kind"]
    wanted = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    deadline = time.monotonic() + _SECONDS_UNTIL_SERVED
    while any(served_schema(api, kind).get(part) != wanted[part] for part in ("spec", "status")):
        assert time.monotonic() < deadline, f"the API server does not serve {manifest} after {_SECONDS_UNTIL_SERVED} s"
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def served_schema(api: Api, kind: str = "CiJob") -> dict[str, Any]:
    """The properties of a kind as `kubectl explain` reads them: empty while the API server does not serve it yet."""
    document = api.call("GET", "/openapi/v3/apis/cijob.dev/v1alpha1")
    schemas = document.body.get("components", {}).get("schemas", {}) if document.ok else {}
    return next((schema["properties"] for name, schema in schemas.items() if name.endswith(f".{kind}")), {})


def descriptions(schema: dict[str, Any], path: str = "") -> dict[str, str]:
    """The description of each field below a schema, by path."""
    found = {}
    for name, child in schema.get("properties", {}).items():
        found[f"{path}.{name}"] = str(child.get("description", ""))
        found |= descriptions(child, f"{path}.{name}")
    for inner in (schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)):
        found |= descriptions(inner, f"{path}[]")
    return found
