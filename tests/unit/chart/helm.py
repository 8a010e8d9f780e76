"""The chart as Helm renders it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.config import cache_folder
from tests.cluster.toolchain import Toolchain

Object = dict[str, Any]
CHART = Path(__file__).parents[3] / "charts" / "cijob"
NAMESPACE = "cijob-system"


class RefusedError(Exception):
    """Helm refused to render; the message is its own."""


@dataclass(frozen=True)
class Manifests:
    """The objects that a set of values renders to."""

    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str) -> Object:
        """The only object of a kind."""
        (item,) = self.of(kind)
        return item

    @property
    def pod(self) -> Object:
        """The spec of the operator's Pod."""
        return dict(self.one("Deployment")["spec"]["template"]["spec"])

    @property
    def container(self) -> Object:
        """The operator's only container."""
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def environment(self) -> dict[str, str]:
        """The operator's environment variables."""
        return {item["name"]: item["value"] for item in self.container["env"]}


@dataclass(frozen=True)
class Helm:
    """Helm with the chart."""

    program: str

    def render(self, values: Object | None = None, *options: str) -> Manifests:
        """Render the chart with values.

        Raises:
            RefusedError: the values or the cluster's version are refused.
        """
        text = self.run("template", "cijob", str(CHART), f"--namespace={NAMESPACE}", *options, values=values)
        return Manifests(tuple(item for item in yaml.safe_load_all(text) if item))

    def run(self, *arguments: str, values: Object | None = None) -> str:
        """Run Helm, with values on its standard input where there are any; gives what it printed.

        Raises:
            RefusedError: Helm failed.
        """
        command = [self.program, *arguments, *(["--values=-"] if values is not None else [])]
        done = subprocess.run(
            command, input=json.dumps(values or {}), capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise RefusedError(done.stderr)
        return done.stdout


def found_helm() -> Helm:
    """The machine's Helm if it is new enough for the chart, else the development cluster's."""
    found = shutil.which("helm")
    if found and _is_version_4(found):
        return Helm(found)
    return Helm(str(Toolchain(cache_folder(dict(os.environ))).helm()))


def _is_version_4(program: str) -> bool:
    done = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.startswith("v4")
