"""Checks of the pools: whether the namespace may use them, whether they are open, and which nodes they can use. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cijob.cli.doctor.cluster_checks import OLDEST
from cijob.cli.doctor.facts import Result, failed, ok, unknown, warning
from cijob.cli.lookup import pool_hint
from cijob.errors import ApiError, InvalidSpec
from cijob.parsing import parse_pool
from cijob.policies.pool_rules import selects
from cijob.pool import StopPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cijob.cli.doctor.facts import Facts, Finding
    from cijob.pool import BuildPool, Placement, Toleration
    from cijob.transport import Body

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")
_REPELS: Final = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Nodes:
    """Which of the cluster's nodes a pool's Pods fit on: how many, of how many, and what keeps the others away."""

    fit: int
    all: int
    reasons: Mapping[str, int]

    def __str__(self) -> str:
        count = f"{self.fit} of {self.all} nodes fit" if self.all != 1 else f"{self.fit} of 1 node fits"
        others = ", ".join(f"{number} {reason}" for reason, number in self.reasons.items())
        return f"{count} ({others})" if others else count


def pools(facts: Facts) -> Iterator[Finding]:
    """Each pool; what is wrong with another than the one that is meant is a warning only."""
    if isinstance(facts.pools, ApiError):
        yield unknown("pools", facts.pools)
        return
    known = [str(body["metadata"]["name"]) for body in facts.pools]
    if facts.pool not in known:
        yield failed(f"there is no BuildPool {facts.pool}: its jobs wait", pool_hint(facts.pool, known))
    for body in facts.pools:
        name, meant = str(body["metadata"]["name"]), body["metadata"]["name"] == facts.pool
        try:
            pool = parse_pool(body)
        except InvalidSpec as error:
            yield _at_most(
                failed(f"pool {name} cannot be used: {error}", f"kubectl edit buildpool {name}"), meant=meant
            )
            continue
        for finding in _pool(pool, facts):
            yield _at_most(finding, meant=meant)


def _pool(pool: BuildPool, facts: Facts) -> Iterator[Finding]:
    if pool.spec.stop_policy is not StopPolicy.NONE:
        yield failed(
            f"pool {pool.name} is closed (stopPolicy: {pool.spec.stop_policy})", "Ask who runs it when it opens."
        )
    elif not isinstance(facts.labels, ApiError) and not selects(pool.spec.namespace_selector, facts.labels):
        yield failed(
            f"pool {pool.name} is not for the namespace {facts.namespace} (spec.namespaceSelector)",
            "Use another pool, or label the namespace as the pool wants it: "
            f"kubectl get buildpool {pool.name} -o jsonpath={{.spec.namespaceSelector}}",
        )
    if isinstance(facts.nodes, ApiError):
        yield unknown(f"pool {pool.name}: nodes", facts.nodes)
        return
    nodes = fitting(pool.spec.placement, facts.nodes)
    affinity = "; its affinity was not looked at" if pool.spec.placement.affinity else ""
    if nodes.fit:
        yield ok(f"pool {pool.name}: {nodes}{affinity}")
    elif pool.spec.placement.node_selector or pool.spec.placement.affinity:
        yield warning(
            f"pool {pool.name}: {nodes}", "Its jobs wait for a node, for ever if no autoscaler adds one that fits."
        )
    else:
        yield failed(
            f"pool {pool.name}: {nodes}",
            "Add a node, or let the pool's jobs on these: spec.placement of the BuildPool has nodeSelector and tolerations.",
        )


def fitting(placement: Placement, nodes: Sequence[Body]) -> Nodes:
    """Which nodes Pods with a placement can run on, but for their requests and affinity."""
    reasons = Counter(reason for node in nodes if (reason := unfit(placement, node)) is not None)
    return Nodes(len(nodes) - reasons.total(), len(nodes), dict(reasons.most_common()))


def unfit(placement: Placement, node: Mapping[str, Any]) -> str | None:
    """What keeps Pods with a placement from a node, as the end of `2 ...`; None if nothing does."""
    spec, status, labels = node.get("spec", {}), node.get("status", {}), node["metadata"].get("labels", {})
    if spec.get("unschedulable"):
        return "cordoned"
    if not any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ())):
        return "not ready"
    for key, value in (placement.node_selector or {}).items():
        if labels.get(key) != value:
            return f"without the label {key}={value}"
    for taint in spec.get("taints", ()):
        if taint.get("effect") in _REPELS and not any(tolerates(one, taint) for one in placement.tolerations or ()):
            return f"with the taint {taint['key']}"
    info = status.get("nodeInfo", {})
    if info.get("operatingSystem", "linux") != "linux":
        return "without Linux"
    found = _VERSION.match(info.get("kubeletVersion", ""))
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        return f"with a kubelet older than {OLDEST[0]}.{OLDEST[1]}"
    return None


def tolerates(toleration: Toleration, taint: Mapping[str, Any]) -> bool:
    """Whether a toleration puts up with a taint.

    As Kubernetes has it (k8s.io/api/core/v1, Toleration.ToleratesTaint).
    """
    if toleration.effect is not None and toleration.effect != taint.get("effect"):
        return False
    if toleration.key is not None and toleration.key != taint.get("key"):
        return False
    return toleration.operator == "Exists" or (toleration.value or "") == (taint.get("value") or "")


def _at_most(finding: Finding, *, meant: bool) -> Finding:
    if meant or finding.result is not Result.FAILED:
        return finding
    return warning(finding.what, finding.hint)
