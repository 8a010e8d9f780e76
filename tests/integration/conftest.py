"""A real API server: of CIJOB_TEST_KUBECONFIG where it is set, else of the development cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kubernetes import config

from tests.integration.api import Api, Namespace, install_crd

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def api() -> Api:
    """An API server that serves CiJobs and BuildPools by this checkout's CRDs."""
    client = config.new_client_from_config(_kubeconfig())  # type: ignore[no-untyped-call]  # the client has no types here
    server = Api(client)
    for manifest in sorted((ROOT / "crds").glob("*.yaml")):
        install_crd(server, manifest)
    return server


@pytest.fixture
def namespace(api: Api) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    name = f"integration-{uuid.uuid4().hex[:12]}"
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).wanted()
    yield Namespace(api, name)
    api.call("DELETE", f"/api/v1/namespaces/{name}").wanted()


def _kubeconfig() -> str:
    """Path of the kubeconfig, said plainly where there is none."""
    given = os.environ.get("CIJOB_TEST_KUBECONFIG")
    if given:
        return given
    command = [sys.executable, str(ROOT / "tests" / "cluster"), "kubeconfig"]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if found.returncode != 0:
        pytest.fail(f"no API server: run `make cluster-up` or set CIJOB_TEST_KUBECONFIG ({found.stderr.strip()})")
    return found.stdout.strip()
