"""What the checks found, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from cijob.cli.console import out, plain
from cijob.cli.doctor import cluster_checks, namespace_checks, pool_checks
from cijob.cli.doctor.facts import Result
from cijob.cli.doctor.gather import gather
from cijob.cli.errors import Exit
from cijob.cli.printing import say
from cijob.crdgen.crd import cijob_crd
from cijob.crdgen.pool import pool_crd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.cli.api import Api
    from cijob.cli.doctor.facts import Facts, Finding, Schemas

_MARKS: Final = {Result.OK: "✓", Result.FAILED: "✗", Result.WARNING: "!", Result.UNKNOWN: "-"}
_ASCII: Final = {Result.OK: "ok  ", Result.FAILED: "FAIL", Result.WARNING: "!   ", Result.UNKNOWN: "-   "}
_STYLES: Final = {Result.OK: "good", Result.FAILED: "bad", Result.WARNING: "waiting", Result.UNKNOWN: "quiet"}


async def doctor(api: Api, pool: str, output: str | None) -> int:
    """Checks a cluster and shows what was found; gives the exit code.

    Raises:
        ApiError: the API server does not answer, or does not know the user.
    """
    facts = await gather(api, pool)
    findings = examined(facts)
    if output is None:
        _show(findings)
    else:
        _dump(findings, output)
    return Exit.FAILED if any(one.result is Result.FAILED for one in findings) else Exit.OK


def examined(facts: Facts) -> list[Finding]:
    """All checks, in the order in which one would mend what is wrong. Pure."""
    return [
        *cluster_checks.version(facts),
        *cluster_checks.crds(facts, our_schemas()),
        *cluster_checks.operator(facts),
        *namespace_checks.namespace(facts),
        *namespace_checks.pod_security(facts),
        *namespace_checks.rights(facts),
        *pool_checks.pools(facts),
        *namespace_checks.job(facts),
    ]


def our_schemas() -> Schemas:
    """The schemas that this version's CRDs have."""
    crds = (cijob_crd(), pool_crd())
    return {crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in crds}


def summary(findings: Sequence[Finding]) -> str:
    """One line about all of them. Pure."""
    counts = Counter(one.result for one in findings)
    parts = [f"{counts[result]} {word}" for result, word in _WORDS.items() if counts[result]]
    if counts[Result.FAILED]:
        return f"CiJobs cannot run here as they should: {', '.join(parts)}."
    return f"CiJobs can run here: {', '.join(parts)}."


_WORDS: Final = {
    Result.FAILED: "failed",
    Result.WARNING: "to look at",
    Result.UNKNOWN: "not checked",
    Result.OK: "well",
}


def _show(findings: Sequence[Finding]) -> None:
    marks = _MARKS if _can_print("".join(_MARKS.values())) else _ASCII
    for one in findings:
        say(Text.assemble((marks[one.result], _STYLES[one.result]), f" {_clean(one.what)}"))
        for line in one.hint.splitlines():
            say(Text(f"    {_clean(line)}"))
    say()
    say(summary(findings))


def _can_print(text: str) -> bool:
    try:
        text.encode(out().encoding)
    except UnicodeEncodeError:
        return False
    return True


def _clean(text: str) -> str:
    return " ".join(plain(text).split())


def _dump(findings: Sequence[Finding], output: str) -> None:
    found = [{"result": str(one.result), "what": _clean(one.what), "hint": one.hint} for one in findings]
    if output == "json":
        click.echo(json.dumps(found, indent=4, ensure_ascii=False))
        return
    import yaml

    click.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=1000), nl=False)
