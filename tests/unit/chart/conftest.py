"""Helm: the machine's, if it is new enough for the chart, else the one that the development cluster uses; and promtool."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.cluster.config import cache_folder
from tests.cluster.toolchain import Toolchain
from tests.unit.chart.helm import Helm, Manifests, found_helm


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm; built if it is missing, which takes about two minutes."""
    return found_helm()


@pytest.fixture(scope="session")
def promtool() -> str:
    """promtool; built if the machine has none, which takes some minutes."""
    return shutil.which("promtool") or str(Toolchain(cache_folder(dict(os.environ))).promtool())


@pytest.fixture(scope="session")
def default(helm: Helm) -> Manifests:
    """The chart with its default values."""
    return helm.render()
