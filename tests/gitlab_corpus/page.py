"""The tables of docs/gitlab-corpus.md, made from facts.json.

python -m tests.gitlab_corpus.page            # writes them anew
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

Fact = dict[str, Any]
"""What is known about one file, or about what becomes of it; see facts.py."""

PAGE = Path(__file__).parents[2] / "docs" / "gitlab-corpus.md"
_BLOCK = re.compile(r"(<!-- (\w+): begin[^>]*-->\n).*?(<!-- \2: end -->)", re.DOTALL)

#: What is to be done about what stops files.
_ADVICE = {
    "artifacts:paths": "a variable in a path is not set: give it with `--var`",
    "cache:key": "a variable in it is not set: give it with `--var`",
    "cache:paths": "only files below the working directory are kept",
    "id_tokens": "bring a token in as a Secret",
    "image:name": "a variable of the project is in its name: give it with `--var`",
    "include:component": "put the file into the repository and include it as `local`",
    "include:project": "put the file into the repository and include it as `local`",
    "include:remote": "put the file into the repository and include it as `local`",
    "include:template": "put the file into the repository and include it as `local`",
    "release": "call the API in the script",
    "rules:changes:compare_to": "changes are those against the default branch",
    "services:name": "a variable of the project is in its name: give it with `--var`",
    "tags": "`--pool TAG=POOL`",
    "trigger": "no other pipeline is started",
    "pages": "nothing is published; the files are artifacts",
    "variables": "a variable of the runner has no effect, or one is not set: give it with `--var`",
    "variables in scripts": "a script reads what only GitLab sets, such as a token: give it with `--var`",
    "what an include would bring": "follows from an include that is not fetched",
}


def result(outcome: Fact) -> str:
    """complete, partly, refused, or none where there is no pipeline for any state of the repository."""
    if outcome["errors"]:
        return "refused"
    if not outcome["for"]:
        return "none"
    return "partly" if outcome["stops"] else "complete"


def summary(facts: list[Fact]) -> str:
    """A table of how many files convert."""
    lines = ["| | files | with Docker | as they are | jobs |", "| --- | ---: | ---: | ---: | ---: |"]
    names = {
        "complete": "convert completely",
        "partly": "convert; what is missing is named",
        "refused": "are refused",
        "none": "have no job for a branch, a tag or a merge request",
    }
    for name, words in names.items():
        chosen = [fact for fact in facts if result(fact["given"]) == name]
        with_docker = sum(fact["given"]["daemons"] > 0 for fact in chosen)
        bare = sum(result(fact["bare"]) == name for fact in facts)
        jobs = sum(fact["given"]["jobs"] for fact in chosen)
        lines.append(f"| {words} | {len(chosen)} | {with_docker} | {bare} | {jobs:,} |")
    total, complete = (sum(fact["given"][key] for fact in facts) for key in ("jobs", "complete"))
    docker = sum(fact["given"]["daemons"] > 0 for fact in facts)
    lines.append(f"| together | {len(facts)} | {docker} | {len(facts)} | {total:,} |")
    lines += ["", f"Of the {total:,} jobs, {complete:,} convert completely."]
    return "\n".join(lines)


def stops(facts: list[Fact]) -> str:
    """A table of what stops files that do not convert completely."""
    found, alone = Counter[str](), Counter[str]()
    for fact in facts:
        names = list(fact["given"]["stops"])
        found.update(names)
        alone.update(names if len(names) == 1 else [])
    lines = ["| what | files | alone | what to do |", "| --- | ---: | ---: | --- |"]
    for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        shown = f"`{name}`" if " " not in name else name
        lines.append(f"| {shown} | {count} | {alone[name] or ''} | {_ADVICE.get(name, '')} |")
    return "\n".join(lines)


def keys(facts: list[Fact]) -> str:
    """How many files use each key, the most used first."""
    used = Counter(key for fact in facts for key in fact["keys"])
    ordered = sorted(used.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"`{key}` {count}" for key, count in ordered) + "."


def files(facts: list[Fact]) -> str:
    """A table of all files."""
    lines = [
        "| file | jobs | complete | with Docker | result | what stops it |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    for fact in facts:
        outcome = fact["given"]
        url = f"https://github.com/{fact['repo']}/blob/{fact['commit']}/{fact['path']}"
        why = ", ".join(outcome["errors"] or outcome["stops"])
        lines.append(
            f"| [{fact['repo']}]({url}) | {outcome['jobs']} | {outcome['complete']} | {outcome['daemons']} "
            f"| {result(outcome)} | {why} |"
        )
    return "\n".join(lines)


_MAKERS = {"summary": summary, "stops": stops, "keys": keys, "files": files}


def renewed(text: str, facts: list[Fact]) -> str:
    """The page with its tables made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{_MAKERS[block[2]](facts)}\n\n{block[3]}", text)


def main() -> int:
    """Writes the page from the facts that are there."""
    facts = json.loads(Path(__file__).with_name("facts.json").read_text())
    PAGE.write_text(renewed(PAGE.read_text(), facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
