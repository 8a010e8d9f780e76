"""GitLab's predefined variables, as far as they mean something outside of GitLab. Pure.

docs.gitlab.com/ci/variables/predefined_variables/ lists them all. Those of a GitLab instance are not set: tokens
(CI_JOB_TOKEN...), addresses of its API and registries (CI_API_V4_URL, CI_REGISTRY, CI_DEPENDENCY_PROXY_...), numbers that it
gives to jobs and projects (CI_JOB_ID, CI_PROJECT_ID); the user may give them.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cijob.importers.gitlab.model import Ref, Request

MERGE_REQUEST = "merge_request_event"

# Set by GitLab for some pipelines and jobs only: that one is missing may mean just that.
_OF_SOME = re.compile(
    r"CI_(?:MERGE_REQUEST|EXTERNAL_PULL_REQUEST|ENVIRONMENT|DEPLOY)_\w+"
    r"|CI_(?:COMMIT_(?:BRANCH|TAG|TAG_MESSAGE)|JOB_MANUAL|NODE_INDEX|OPEN_MERGE_REQUESTS|PIPELINE_SCHEDULE_DESCRIPTION"
    r"|RELEASE_DESCRIPTION|KUBERNETES_ACTIVE|DEBUG_TRACE|DEBUG_SERVICES|PIPELINE_TRIGGERED|TRIGGER_SHORT_TOKEN"
    r"|GITLAB_FIPS_MODE|HAS_OPEN_REQUIREMENTS)|TRIGGER_PAYLOAD",
    re.ASCII,
)
# "Job-only" in the list: not set yet when GitLab looks at conditions.
_OF_RUNNING = re.compile(
    r"CI_(?:CONCURRENT_(?:PROJECT_)?ID|DEPLOY_(?:USER|PASSWORD)|JOB_(?:ID|STATUS|TIMEOUT|TOKEN|URL|STARTED_AT)|PIPELINE_URL"
    r"|REGISTRY_(?:USER|PASSWORD)|RUNNER_\w+)",
    re.ASCII,
)
_GROUP = re.compile(r"[\s:]+(?:\[.*\]|\d+[\s:/\\]+\d+)\s*\Z")
_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")


def predefined(
    request: Request, job: str = "", stage: str = "", *, index: int = 0, total: int = 1, environment: str = ""
) -> dict[str, str]:
    """The predefined variables of a job; without `job`, those of the pipeline that `workflow:rules` and `include` see.

    Args:
        request: what the pipeline runs for.
        job: its name, with the parallel index where it has one.
        stage: its stage.
        index: CI_NODE_INDEX, from 1; 0 where the job is not parallel.
        total: CI_NODE_TOTAL.
        environment: the expanded name of its environment.
    """
    ref = state(request)
    variables = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER": "yes",
        "CI_BUILDS_DIR": posixpath.dirname(request.working_dir) or "/",
        "CI_PROJECT_DIR": request.working_dir,
        "CI_CONFIG_PATH": request.file,
        "CI_PIPELINE_ID": str(request.pipeline_id),
        "CI_PIPELINE_IID": str(request.pipeline_id),
        "CI_PIPELINE_SOURCE": ref.source,
        **_commit(ref),
        **_project(ref.url),
    }
    if job:
        variables |= {
            "CI_JOB_NAME": job,
            "CI_JOB_NAME_SLUG": slug(job),
            "CI_JOB_GROUP_NAME": _GROUP.sub("", job),
            "CI_JOB_STAGE": stage,
            "CI_NODE_TOTAL": str(total),
        }
    if job and index:
        variables["CI_NODE_INDEX"] = str(index)
    if environment:
        variables["CI_ENVIRONMENT_NAME"] = environment
    return variables


def state(request: Request) -> Ref:
    """What the pipeline runs for. A CI_PIPELINE_SOURCE that the user gives counts, also for what else depends on the source."""
    given = request.variables.get("CI_PIPELINE_SOURCE")
    return replace(request.ref, source=given) if given else request.ref


def of_some_pipelines(name: str) -> bool:
    """Whether a variable is one that GitLab does not set always: CI_COMMIT_TAG, CI_MERGE_REQUEST_IID..."""
    return _OF_SOME.fullmatch(name) is not None


def decides_in_gitlab(name: str) -> bool:
    """Whether a variable that is not set here may have a value for GitLab's conditions: CI_PROJECT_ID, GITLAB_USER_LOGIN..."""
    return name.startswith(("CI_", "GITLAB_")) and not of_some_pipelines(name) and _OF_RUNNING.fullmatch(name) is None


def slug(text: str) -> str:
    """As GitLab makes CI_COMMIT_REF_SLUG: lower case, `-` for all but letters and digits, at most 63."""
    return re.sub(r"[^a-z0-9]", "-", text.lower())[:63].strip("-")


def _commit(ref: Ref) -> dict[str, str]:
    name = ref.tag or ref.branch or ref.default_branch
    title, _, description = ref.message.partition("\n")
    variables = {
        "CI_DEFAULT_BRANCH": ref.default_branch,
        "CI_COMMIT_REF_NAME": name,
        "CI_COMMIT_REF_SLUG": slug(name),
        # GitLab protects the default branch of a new project, and nothing else.
        "CI_COMMIT_REF_PROTECTED": "true" if name == ref.default_branch and not ref.tag else "false",
    }
    if ref.tag:
        variables["CI_COMMIT_TAG"] = ref.tag
    elif ref.source == MERGE_REQUEST:
        variables |= _merge_request(ref, name)
    else:
        variables["CI_COMMIT_BRANCH"] = name
    if ref.sha:
        variables |= {"CI_COMMIT_SHA": ref.sha, "CI_COMMIT_SHORT_SHA": ref.sha[:8]}
    if ref.message:
        variables |= {
            "CI_COMMIT_MESSAGE": ref.message,
            "CI_COMMIT_TITLE": title,
            "CI_COMMIT_DESCRIPTION": description.lstrip("\n"),
        }
    return variables | {
        key: value for key, value in (("CI_COMMIT_AUTHOR", ref.author), ("CI_COMMIT_TIMESTAMP", ref.timestamp)) if value
    }


def _merge_request(ref: Ref, name: str) -> dict[str, str]:
    """What rules ask for: that there is a merge request, from where, to where. Its number is made up."""
    variables = {
        "CI_MERGE_REQUEST_ID": "1",
        "CI_MERGE_REQUEST_IID": "1",
        "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
        "CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/1/head",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": name,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": ref.default_branch,
    }
    path = _project(ref.url).get("CI_PROJECT_PATH")
    if path:
        variables["CI_MERGE_REQUEST_PROJECT_PATH"] = path
        variables["CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"] = path
    if ref.sha:
        variables["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"] = ref.sha
    return variables


def _project(url: str) -> dict[str, str]:
    """What the repository's address tells: https://host/group/project.git, ssh://..., git@host:group/project.git."""
    if scp := _SCP.fullmatch(url):
        host, path = scp[1], scp[2]
    else:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
    path = path.strip("/").removesuffix(".git")
    namespace, _, name = path.rpartition("/")
    if not name:
        return {}
    variables = {
        "CI_REPOSITORY_URL": url,
        "CI_PROJECT_NAME": name,
        "CI_PROJECT_TITLE": name,
        "CI_PROJECT_PATH": path,
        "CI_PROJECT_PATH_SLUG": slug(path),
        "CI_PROJECT_NAMESPACE": namespace,
        "CI_PROJECT_ROOT_NAMESPACE": namespace.partition("/")[0],
    }
    if host:
        variables |= {
            "CI_SERVER_HOST": host,
            "CI_SERVER_FQDN": host,
            "CI_SERVER_PROTOCOL": "https",
            "CI_SERVER_PORT": "443",
            "CI_SERVER_URL": f"https://{host}",
            "CI_PROJECT_URL": f"https://{host}/{path}",
        }
    return variables
