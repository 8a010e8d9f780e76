"""docs/from-gitlab.md: every keyword of GitLab's schema is in its table, which is the converter's own; its examples are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cijob.importers.gitlab.keys import KEYS, renewed
from cijob.importers.gitlab.retries import REASONS
from cijob.models import CiJobSpec
from cijob.validation import validate_spec
from tests.unit.gitlab.loading import loaded

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
artifacts:reports artifacts:untracked artifacts:when artifacts:reports:dotenv artifacts:reports:junit artifacts:reports:cyclonedx
artifacts:reports:coverage_report artifacts:reports:repository_xray artifacts:reports:scip artifacts:reports:annotations
needs:parallel only:refs only:variables only:changes only:kubernetes except:refs except:variables except:changes
except:kubernetes secrets:akeyless hooks services:docker image:docker image:kubernetes spec:inputs:default spec:inputs:type
spec:inputs:options spec:inputs:regex spec:inputs:description
""".split()  # noqa: SIM905  150 words, one a line, would hide them


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_of_gitlab_is_converted_or_named(keyword: str) -> None:
    assert keyword in KEYS


def test_its_table_is_the_converters() -> None:
    assert renewed(PAGE) == PAGE, "python -m cijob.importers.gitlab.keys --write docs/from-gitlab.md"


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_its_manifests_are_good() -> None:
    specs = [block["spec"] for block in map(yaml.safe_load, blocks()) if "spec" in block]
    assert len(specs) == 2
    for spec in specs:
        assert validate_spec(CiJobSpec.model_validate({"image": "ubuntu:25.10", **spec})) == []


def test_its_job_becomes_its_cijob() -> None:
    gitlab, cijob = blocks()[:2]
    expected: dict[str, Any] = yaml.safe_load(cijob)["spec"]
    (job,) = loaded(
        gitlab,
        git_url="https://gitlab.example.com/group/project.git",
        git_ref="0123456789abcdef0123456789abcdef01234567",
    ).jobs
    variables = {
        name: value for name, value in job.spec["variables"].items() if not name.startswith(("CI", "GITLAB_CI"))
    }
    assert {**job.spec, "variables": variables} == expected


def test_its_reasons_are_the_converters() -> None:
    section = PAGE.partition("## retry:when")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE):
        for cause in re.findall(r"`(\w+)`", row[0]):
            named = set(re.findall(r"`([A-Z]\w+)`", row[1].partition(";")[0]))
            assert cause == "always" or named == set(REASONS[cause]), cause


def test_its_links_lead_to_headings() -> None:
    anchors = {
        re.sub(r"[^a-z-]", "", line.lower().replace(" ", "-")) for line in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([\w-]+)\)", PAGE)) <= anchors
