"""Checks of a namespace and of what its user may do there. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from cijob import names
from cijob.cli.doctor.facts import Right, failed, ok, unknown, warning
from cijob.errors import ApiError
from cijob.pool import Isolation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cijob.cli.doctor.facts import Facts, Finding

ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_NOT_FOUND = 404
#: No answer, and those by which a server says that it has none now; a webhook's failure is a 500, and a refusal.
_UNANSWERED: Final = frozenset({0, 429, 503, 504})
#: The chart's policy guards the namespace (templates/policies.yaml): it comes after Pod security, which has let it pass.
_GUARDED: Final = "only the operator of CiJobs may"
#: RBAC's words: the user has no right to try.
_NO_RIGHT: Final = "cannot create resource"

#: The words of the chart's policy of pools: the rights tell it.
_NO_POOL: Final = "may not use the BuildPool"

_ASK: Final = "Ask who runs the pool for the verb use on it; docs/security.md shows how."

#: What a user of CiJobs needs, with what cannot be done without it.
NEEDED: Final = {
    Right("create", names.PLURAL, names.GROUP): "run jobs",
    Right("get", names.PLURAL, names.GROUP): "see how jobs go",
    Right("list", names.PLURAL, names.GROUP): "list jobs",
    Right("watch", names.PLURAL, names.GROUP): "follow jobs",
    Right("get", "pods/log"): "read logs",
}
#: What is good to have.
USEFUL: Final = {
    Right("patch", names.PLURAL, names.GROUP): "cancel jobs",
    Right("delete", names.PLURAL, names.GROUP): "delete jobs",
    Right("get", "pods"): "see how Pods start",
    Right("list", "pods"): "see how Pods start",
    Right("create", "pods/exec"): "bring files into jobs, fetch artifacts and open shells",
}


def namespace(facts: Facts) -> Iterator[Finding]:
    """The namespace is there."""
    if not isinstance(facts.labels, ApiError):
        yield ok(f"namespace {facts.namespace}")
    elif facts.labels.status == _NOT_FOUND:
        yield failed(
            f"there is no namespace {facts.namespace}",
            f"Choose another with -n, or create it: kubectl create namespace {facts.namespace}",
        )
    else:
        yield unknown(f"the labels of the namespace {facts.namespace}", facts.labels)


def pod_security(facts: Facts) -> Iterator[Finding]:
    """The namespace lets privileged Pods in, as the Docker daemon's is."""
    if _isolation(facts) is Isolation.RUNTIME_CLASS:
        yield ok(f"Pods of the pool {facts.pool} are not privileged (isolation: RuntimeClass)")
        return
    level = "" if isinstance(facts.labels, ApiError) else facts.labels.get(ENFORCE, "")
    if level not in {"", "privileged"}:
        yield failed(
            f"the namespace {facts.namespace} enforces the Pod Security Standard {level}, which keeps the Docker daemon out",
            f"kubectl label namespace {facts.namespace} {ENFORCE}=privileged --overwrite\n"
            "CiJobs with docker.enabled: false run without it, where the level is baseline.",
        )
    elif facts.pod is None:
        yield ok(f"a privileged Pod is let into the namespace {facts.namespace} (dry run)")
    elif _GUARDED in facts.pod.message:
        yield ok(f"privileged Pods in the namespace {facts.namespace} are the operator's alone, by the chart's policy")
    elif facts.pod.forbidden and _NO_RIGHT in facts.pod.message:
        hint = "" if level else "A CiJob that ends as PodRejected would show that they are not."
        privileged = " (its label allows them)" if level else ""
        yield unknown(f"whether privileged Pods are let in{privileged}: you may not create Pods yourself", hint=hint)
    elif facts.pod.forbidden and "exceeded quota" in facts.pod.message:
        yield warning(f"a Pod does not fit into the quota: {facts.pod.message}", "CiJobs wait until there is room.")
    elif facts.pod.status == _NOT_FOUND:
        return  # there is no such namespace, which has been said
    elif facts.pod.status in _UNANSWERED:
        yield unknown("whether privileged Pods are let in", facts.pod)
    else:
        yield failed(
            f"the cluster refuses a privileged Pod: {_one_line(facts.pod.message)}",
            "Ask who runs the cluster to allow privileged Pods there, or use a pool with isolation: RuntimeClass.",
        )


def rights(facts: Facts) -> Iterator[Finding]:
    """The user may do what CiJobs need."""
    if isinstance(facts.rights, ApiError):
        yield unknown("your rights", facts.rights)
        return
    bind = binding("cijob-author", facts)
    lacking = {right: what for right, what in NEEDED.items() if not facts.rights.get(right, False)}
    if lacking:
        yield failed(f"you may not {_listed(lacking.values())} ({_listed(map(str, lacking))})", bind)
    else:
        yield ok("you may run and follow CiJobs, and read their logs")
    missing = {right: what for right, what in USEFUL.items() if not facts.rights.get(right, False)}
    if missing:
        yield warning(f"you may not {_listed(missing.values())} ({_listed(map(str, missing))})", bind)
    use = Right("use", names.POOL_PLURAL, names.GROUP, facts.pool)
    if not facts.rights.get(use, False) and facts.job is not None:
        yield failed(
            f"you may not use the pool {facts.pool}",
            binding("cijob-pool-user", facts) if facts.pool == names.DEFAULT_POOL else _ASK,
        )


def binding(role: str, facts: Facts) -> str:
    """How to get a role of the chart's."""
    service_account = facts.user.removeprefix("system:serviceaccount:")
    if service_account != facts.user:
        subject = f"--serviceaccount {shlex.quote(service_account)}"
    else:
        subject = f"--user {shlex.quote(facts.user or 'YOU')}"
    command = f"kubectl create rolebinding {role} --namespace {facts.namespace} --clusterrole {role} {subject}"
    return f"Ask who runs the cluster for:\n{command}"


def job(facts: Facts) -> Iterator[Finding]:
    """A CiJob would be taken."""
    if facts.job is None:
        yield ok(f"a CiJob for the pool {facts.pool} is taken (dry run)")
    elif facts.job.status == _NOT_FOUND:
        return  # neither CRD nor namespace: said above
    elif facts.job.forbidden and any(words in facts.job.message for words in (_NO_RIGHT, _NO_POOL)):
        return  # the rights tell it
    elif facts.job.status in _UNANSWERED:
        yield unknown(f"whether a CiJob for the pool {facts.pool} is taken", facts.job)
    else:
        yield failed(f"the cluster refuses a CiJob: {_one_line(facts.job.message)}")


def _isolation(facts: Facts) -> Isolation | None:
    """That of the pool, None if it is not known."""
    if isinstance(facts.pools, ApiError):
        return None
    for pool in facts.pools:
        if pool["metadata"]["name"] == facts.pool:
            return Isolation(pool["spec"].get("docker", {}).get("isolation", Isolation.PRIVILEGED))
    return None


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _one_line(text: str) -> str:
    return " ".join(text.split())
