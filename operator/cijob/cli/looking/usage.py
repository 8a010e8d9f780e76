"""What containers use of CPU and memory, out of what the cluster measures. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.quantities import format_bytes, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cijob.transport import Body

Key = tuple[str, str]
"""Namespace and name of a Pod."""

_NANO: Final = 1_000_000_000
_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Use:
    """CPU in cores and memory in bytes; None where it is not known, or where there is no limit."""

    cpu: Fraction | None = None
    memory: Fraction | None = None

    def __add__(self, other: Use) -> Use:
        return Use(_sum(self.cpu, other.cpu), _sum(self.memory, other.memory))


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """A container of a job's Pod: what it uses and what it may use."""

    name: str
    used: Use
    limit: Use


@dataclass(frozen=True, slots=True)
class PodUse:
    """The Pod of a job's attempt."""

    namespace: str
    job: str
    containers: tuple[ContainerUse, ...]

    @property
    def total(self) -> Use:
        """Of all containers."""
        return sum((one.used for one in self.containers), Use())

    def of(self, container: str) -> ContainerUse | None:
        """One of its containers."""
        return next((one for one in self.containers if one.name == container), None)


def of_metrics(items: Iterable[Body]) -> dict[Key, dict[str, Use]]:
    """Use by Pod and container, out of PodMetrics (metrics.k8s.io/v1beta1)."""
    return {
        (item["metadata"]["namespace"], item["metadata"]["name"]): {
            container["name"]: _use(container.get("usage") or {}) for container in item.get("containers") or ()
        }
        for item in items
    }


def of_summary(summary: Body) -> dict[Key, dict[str, Use]]:
    """The same out of a kubelet's summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1), whose numbers are plain."""
    return {
        (pod["podRef"]["namespace"], pod["podRef"]["name"]): {
            container["name"]: Use(
                _scaled((container.get("cpu") or {}).get("usageNanoCores"), _NANO),
                _scaled((container.get("memory") or {}).get("workingSetBytes"), 1),
            )
            for container in pod.get("containers") or ()
        }
        for pod in summary.get("pods") or ()
    }


def pod_uses(pods: Iterable[Body], measured: Mapping[Key, Mapping[str, Use]]) -> list[PodUse]:
    """The Pods with their containers, the job's first and the Docker daemon's second; one that was not measured is empty."""
    found = []
    for pod in pods:
        meta, spec = pod["metadata"], pod["spec"]
        uses = measured.get((meta["namespace"], meta["name"]), {})
        containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
        parts = tuple(
            ContainerUse(one["name"], uses[one["name"]], _use((one.get("resources") or {}).get("limits") or {}))
            for one in containers
            if one["name"] in uses
        )
        ranks = {names.CONTAINER_JOB: 0, names.CONTAINER_DIND: 1}
        parts = tuple(sorted(parts, key=lambda one: (ranks.get(one.name, 2), one.name)))
        found.append(PodUse(meta["namespace"], (meta.get("labels") or {}).get(names.LABEL_JOB, meta["name"]), parts))
    return found


def cpu_text(used: Use, limit: Use | None = None) -> str:
    """`250m`, or `250m/2` with a limit; empty where it is not known."""
    if used.cpu is None:
        return ""
    return f"{round(used.cpu * 1000)}m" + _beside(_cores(limit.cpu) if limit and limit.cpu is not None else "")


def memory_text(used: Use, limit: Use | None = None) -> str:
    """`812Mi`, or `812Mi/2Gi` with a limit; empty where it is not known."""
    if used.memory is None:
        return ""
    most = format_bytes(int(limit.memory)) if limit and limit.memory is not None else ""
    return f"{int(used.memory) // _MIB}Mi" + _beside(most)


def _beside(limit: str) -> str:
    return f"/{limit}" if limit else ""


def _cores(cpu: Fraction) -> str:
    milli = round(cpu * 1000)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def _use(amounts: Mapping[str, Any]) -> Use:
    return Use(_quantity(amounts.get("cpu")), _quantity(amounts.get("memory")))


def _quantity(text: object) -> Fraction | None:
    try:
        return parse_quantity(str(text)) if text is not None else None
    except ValueError:
        return None


def _scaled(number: object, unit: int) -> Fraction | None:
    return Fraction(int(number), unit) if isinstance(number, int) else None


def _sum(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return other if one is None else one if other is None else one + other
