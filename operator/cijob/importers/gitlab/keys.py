"""What becomes of each key of a `.gitlab-ci.yml`: looked up by the converter, and printed as a table for the docs.

`python -m cijob.importers.gitlab.keys --write` renews the table in docs/from-gitlab.md (or in another page) between its two
markers, `--check` fails if it is stale, and without arguments the table is printed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cijob.importers.gitlab import keytable
from cijob.importers.gitlab.model import Finding, Severity
from cijob.importers.gitlab.nearest import did_you_mean
from cijob.importers.gitlab.nodes import Mapping, Sequence_, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN: Final = "<!-- keys: begin. Made by `python -m cijob.importers.gitlab.keys --write` -->"
END: Final = "<!-- keys: end -->"
_PAGE: Final = Path("docs/from-gitlab.md")


class Handling(StrEnum):
    """What becomes of a key."""

    CONVERTED = "yes"
    PARTLY = "partly"
    NAMED = "no"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of GitLab's reference.

    Attributes:
        name: with those above it: `image:docker:platform`.
        handling: what becomes of it.
        says: what it becomes, or why it does not; Markdown.
        severity: of the finding that names it; None where a key is converted, or what is lost is a finding of its own.
    """

    name: str
    handling: Handling
    says: str
    severity: Severity | None = None


def _all() -> Iterator[Key]:
    for name, says in keytable.CONVERTED.items():
        yield Key(name, Handling.CONVERTED, says)
    for name, says in keytable.PARTLY.items():
        yield Key(name, Handling.PARTLY, says)
    for name, says in keytable.LOST.items():
        yield Key(name, Handling.NAMED, says, Severity.WARNING)
    for name, says in keytable.IDLE.items():
        yield Key(name, Handling.NAMED, says, Severity.NOTE)


KEYS: Final[dict[str, Key]] = {key.name: key for key in sorted(_all(), key=lambda key: key.name.split(":"))}

#: First keys that stand outside of jobs only.
GLOBAL: Final = frozenset({"default", "include", "spec", "stages", "workflow"})
#: Keys below which the names are the user's.
_OPEN: Final = frozenset(
    {"variables", "services:variables", "rules:variables", "parallel:matrix", "workflow:rules:variables"}
)
_AS: Final = "as `"
#: Told of by rules.py and policy.py, where they know what is lost.
_TOLD: Final = frozenset({"except:kubernetes", "only:kubernetes", "rules:exists:project"})
#: The same of keys that GitLab does not have, which are errors there.
_STRICT: Final = frozenset({"except", "only", "rules", "workflow:rules"})
_JOB: Final = frozenset(name for name in KEYS if ":" not in name and name not in GLOBAL)


def check_job(config: Mapping, job: str) -> list[Finding]:
    """A finding for each key of a job that is not converted, or that GitLab does not have."""
    return list(_check(config, "", job, _JOB))


def check_needs(needs: Any, job: str) -> list[Finding]:  # noqa: ANN401  a value of YAML
    """The same for the `needs` of a rule."""
    return [finding for part in _mappings(needs) for finding in _check(part, "needs", job, _below("needs"))]


def check_header(spec: Mapping) -> list[Finding]:
    """The same for `spec`, the header of a file; below `inputs` the names are the user's."""
    inputs = spec.get("inputs")
    options = [one for one in inputs.values() if isinstance(one, Mapping)] if isinstance(inputs, Mapping) else []
    below = [finding for one in options for finding in _check(one, "spec:inputs", "", _below("spec:inputs"))]
    return [*_check(spec.without("inputs"), "spec", "", _below("spec")), *below]


def check_include(entry: Mapping) -> list[Finding]:
    """A finding for each key of an include that GitLab does not have."""
    return [_unknown(entry, name, "include", "", _below("include")) for name in entry if name not in _below("include")]


def check_workflow(config: Mapping) -> list[Finding]:
    """The same for `workflow`."""
    return list(_check(config, "workflow", "", _below("workflow")))


def check_variables(variables: Mapping) -> list[Finding]:
    """The same for the pipeline's variables."""
    parts = {name: one for name, one in variables.items() if isinstance(one, Mapping)}
    return [
        replace(finding, key=f"variables:{name}:{finding.key.rpartition(':')[2]}")
        for name, one in parts.items()
        for finding in _check(one, "variables", "", _below("variables"))
    ]


def _check(config: Mapping, above: str, job: str, known: frozenset[str]) -> Iterator[Finding]:
    """Findings of one mapping, whose keys stand below `above`."""
    for name, value in config.items():
        path = f"{above}:{name}" if above else name
        key = KEYS.get(path) if name in known else None
        if key is None:
            if above not in _STRICT:
                yield _unknown(config, name, above, job, known)
        elif value is None or value in ([], {}, False):
            continue  # switches off what is inherited: nothing is lost
        elif path in _TOLD or (key.severity is not None and key.says.startswith(_AS)):
            continue  # it is told of elsewhere, or with the key beside or above it
        elif key.severity is not None:
            yield Finding(key.severity, place_of(config, name), path, key.says, job)
        elif path not in _OPEN and (below := _below(path)):
            for part in _mappings(value):
                yield from _check(part, path, job, below)


def _unknown(config: Mapping, name: str, above: str, job: str, known: frozenset[str]) -> Finding:
    path = f"{above}:{name}" if above else name
    message = f"GitLab has no such key{did_you_mean(name, known)}"
    return Finding(Severity.WARNING, place_of(config, name), path, message, job)


@cache
def _below(path: str) -> frozenset[str]:
    """The names right below a key."""
    depth = path.count(":") + 1
    return frozenset(
        name.split(":")[depth] for name in KEYS if name.startswith(f"{path}:") and name.count(":") == depth
    )


def _mappings(value: Any) -> Iterator[Mapping]:  # noqa: ANN401  a value of YAML
    """A mapping, or those in a list."""
    if isinstance(value, Mapping):
        yield value
    elif isinstance(value, Sequence_):
        yield from (one for one in value if isinstance(one, Mapping))


def table() -> str:
    """The keys as a table of Markdown."""
    rows = [f"| `{key.name}` | {key.handling} | {_sentence(key)} |" for key in KEYS.values()]
    counts = {handling: sum(key.handling is handling for key in KEYS.values()) for handling in Handling}
    summary = (
        f"Of {len(KEYS)} keys, {counts[Handling.CONVERTED]} are converted, {counts[Handling.PARTLY]} in part, and "
        f"{counts[Handling.NAMED]} are named."
    )
    return "\n".join(
        [
            summary,
            "",
            "| key | converted | into |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _sentence(key: Key) -> str:
    return f"{key.says} *(a note: the job is the same without)*" if key.severity is Severity.NOTE else key.says


def renewed(page: str) -> str:
    """A page with the table of today between its markers.

    Raises:
        ValueError: the page has no markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no markers in the page: write {BEGIN} and {END} where the table belongs")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--write", type=Path, nargs="?", const=_PAGE, metavar="PAGE", help="renew the table in this page"
    )
    action.add_argument(
        "--check", type=Path, nargs="?", const=_PAGE, metavar="PAGE", help="fail if the table in this page is stale"
    )
    asked = parser.parse_args()
    page: Path | None = asked.write or asked.check
    if page is None:
        sys.stdout.write(table() + "\n")
        return 0
    old = page.read_text()
    new = renewed(old)
    if asked.write:
        page.write_text(new)
    return int(bool(asked.check) and old != new)


if __name__ == "__main__":
    sys.exit(main())
