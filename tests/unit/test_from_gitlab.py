"""docs/from-gitlab.md names every keyword of GitLab's schema, and its manifests are good ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from cijob.models import CiJobSpec
from cijob.validation import validate_spec

PAGE = (Path(__file__).parents[2] / "docs" / "from-gitlab.md").read_text()
#: `job_template` and the top level of GitLab's ci.json (gitlabhq/gitlabhq at 0286e4c6), with the keys below them.
KEYWORDS = """
after_script allow_failure allow_failure:exit_codes artifacts before_script cache cache:paths cache:key cache:key:files
cache:key:files_commits cache:key:prefix cache:untracked cache:unprotect cache:when cache:policy cache:fallback_keys coverage
dast_configuration dependencies environment environment:name environment:url environment:on_stop environment:action
environment:auto_stop_in environment:kubernetes environment:deployment_tier except extends hooks:pre_get_sources_script id_tokens
id_tokens:aud identity image image:name image:entrypoint image:docker:platform image:docker:user image:kubernetes:user
image:pull_policy inherit:default inherit:variables inputs interruptible manual_confirmation needs needs:artifacts needs:project
needs:ref needs:pipeline needs:optional needs:parallel:matrix only pages pages:publish pages:path_prefix pages:expire_in parallel
parallel:matrix publish release release:tag_name release:tag_message release:name release:description release:ref
release:milestones release:released_at release:assets:links resource_group retry retry:max retry:when retry:exit_codes rules
rules:if rules:changes rules:changes:paths rules:changes:compare_to rules:exists rules:exists:paths rules:exists:project rules:when
rules:start_in rules:allow_failure rules:needs rules:variables rules:interruptible run script secrets secrets:vault
secrets:azure_key_vault secrets:gcp_secret_manager secrets:aws_secrets_manager secrets:token secrets:file services services:name
services:alias services:entrypoint services:command services:variables services:docker:platform services:docker:user
services:kubernetes:user services:pull_policy stage start_in tags timeout trigger trigger:project trigger:branch trigger:include
trigger:strategy trigger:inputs trigger:forward variables variables:value variables:expand when default include include:component
include:local include:project include:remote include:template include:inputs include:rules include:integrity stages workflow
workflow:name workflow:rules workflow:rules:variables workflow:rules:auto_cancel workflow:auto_cancel:on_new_commit
workflow:auto_cancel:on_job_failure variables:description variables:options spec spec:inputs spec:include spec:component
artifacts:paths artifacts:exclude artifacts:expire_in artifacts:expose_as artifacts:name artifacts:public artifacts:access
artifacts:reports artifacts:untracked artifacts:when
""".split()  # noqa: SIM905  150 words, one a line, would hide them


def rows() -> list[str]:
    """The first cells of all tables."""
    return re.findall(r"^\| (.+?) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_of_gitlab_has_its_row(keyword: str) -> None:
    """Either in full, or below a keyword that starts the row: `` `rules`: `if`, `changes` ``."""
    first, _, rest = keyword.partition(":")
    in_full = rf"(^|[,;] )`{re.escape(keyword)}(: \w+)?`"
    below = rf"(^|; )`{first}`: .*`{re.escape(rest)}`"
    assert any(re.search(in_full, row) or (rest and re.search(below, row)) for row in rows())


def test_its_manifests_are_good() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    specs = [block["spec"] for block in blocks if "spec" in block]
    assert len(specs) == 2
    for spec in specs:
        assert validate_spec(CiJobSpec.model_validate({"image": "ubuntu:25.10", **spec})) == []


def test_its_links_lead_to_headings() -> None:
    anchors = {
        re.sub(r"[^a-z-]", "", line.lower().replace(" ", "-")) for line in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([\w-]+)\)", PAGE)) <= anchors
