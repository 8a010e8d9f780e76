"""source.git against a real server: what the job finds in its workspace, who sees credentials, and how failures are told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.gitserver import IMAGE, NAME, NOBODY, OTHER, PASSWORD, USERNAME, GitServer
from tests.e2e.images import provide
from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job, Jobs, Object

#: An image with git whose user is not root.
CLIENT = "cimg/base:current"
HTTP, HTTPS, SSH = f"http://{NAME}/app.git", f"https://{NAME}/app.git", f"git@{NAME}:/srv/app.git"


@pytest.fixture(scope="module")
def server(cluster: Cluster, namespace: str) -> GitServer:
    """The server, with Secrets for its clients."""
    provide(IMAGE)
    server = GitServer(cluster, namespace)
    server.start()
    authority, known, key = (server.file(f"/client/{name}") for name in ("ca.crt", "known_hosts", "key"))
    server.secret("https", **{"username": USERNAME, "password": PASSWORD, "ca.crt": authority})
    server.secret("wrong", **{"username": USERNAME, "password": "wrong-horse", "ca.crt": authority})
    server.secret("ssh", **{"ssh-privatekey": key, "known_hosts": known})
    server.secret("trusting", **{"ssh-privatekey": key})
    server.secret("impostor", **{"ssh-privatekey": key, "known_hosts": f"{NAME} {server.file('/client/key.pub')}"})
    return server


@pytest.fixture(scope="module", autouse=True)
def lost(jobs: Jobs) -> Job:
    """A job whose Secret never comes: its end takes the grace of two minutes."""
    return start(jobs, "lost", HTTPS, "true", credentials="never")


def start(jobs: Jobs, name: str, url: str, *script: str, credentials: str = "", **git: Any) -> Job:  # noqa: ANN401
    """Start a job with a checkout and without a daemon."""
    if credentials:
        git["credentialsSecretRef"] = {"name": credentials}
    return jobs.start(name, image=CLIENT, docker={"enabled": False}, source={"git": {"url": url, **git}}, script=script)


def failed(job: Job, message: str) -> str:
    """Wait for the failure of a checkout; gives its log."""
    status = job.end()
    assert (status["phase"], status["reason"]) == ("Failed", "SourceFailed"), status
    assert re.search(message, status["message"]), status["message"]
    return job.log("git")


def all_about(job: Job) -> str:
    """All that the API server shows of a job to those who may not read Secrets."""
    events = job.cluster.get("events", f"--namespace={job.namespace}")["items"]
    return json.dumps([job.cluster.get("cijob", job.name, f"--namespace={job.namespace}"), job.pods(), events])


# --- what is there


def test_a_job_of_any_user_finds_a_clean_checkout_that_it_may_change(jobs: Jobs, server: GitServer) -> None:
    job = start(
        jobs,
        "clean",
        HTTP,
        "id -u; pwd; cat number; cat 'a folder/ö $HOME \"quoted\" -x'; ./run",
        'test -z "$(git status --porcelain)"; git log --format=%H; echo "commit $CIJOB_GIT_COMMIT"',
        "echo changed >number; touch 'a folder/new'; git add .; git -c user.name=x -c user.email=y commit -qm mine",
    )
    commit = server.commit("main")
    assert "\n3434\n/workspace\nthree\nodd\nit runs\n" in job.succeeded()
    assert f"\n{commit}\ncommit {commit}\n" in job.log()
    assert "Permission" not in job.log()


@pytest.mark.parametrize("ref", ["feature", "light", "v1", "refs/heads/main", "main~2", "main~1 short"])
def test_every_kind_of_ref_is_checked_out(jobs: Jobs, server: GitServer, ref: str) -> None:
    name, _, short = ref.partition(" ")
    commit = server.commit(name)
    wanted = commit[:8] if short else commit if "~" in name else name
    assert f"\n{commit}\n" in start(jobs, "ref", HTTP, "git rev-parse HEAD", ref=wanted).succeeded()


def test_depth_0_is_the_whole_history(jobs: Jobs, server: GitServer) -> None:
    del server
    log = start(jobs, "depth", HTTP, "git log --format=%s; git describe; git tag; git branch -r", depth=0).succeeded()
    assert re.search(r"\nthree\ntwo\none\nv1-1-g\w+\nlight\nv1\n", log), log
    assert "origin/feature\n" in log


def test_the_checkout_runs_while_the_daemon_boots_and_is_mounted_into_inner_containers(
    jobs: Jobs, server: GitServer
) -> None:
    del server
    spec = {
        "source": {"git": {"url": HTTP}},
        "script": ["docker run --rm -v $PWD:/here busybox:stable cat /here/number"],
    }
    job = jobs.start("daemon", image="docker:29-cli", **spec)
    assert job.succeeded().endswith("\nthree\n")


def test_a_command_job_finds_the_checkout_too(jobs: Jobs, server: GitServer) -> None:
    del server
    command = ["sh", "-c", "cat number"]
    job = jobs.start("command", command=command, docker={"enabled": False}, source={"git": {"url": HTTP}})
    assert job.succeeded() == "three\n"


# --- credentials


def test_https_with_a_password_and_an_authority_of_ones_own_shows_neither_to_the_job(
    jobs: Jobs, server: GitServer
) -> None:
    job = start(
        jobs, "https", HTTPS, "cat number lib/file lib/nested/file", "env; cat .git/config; grep -r '[h]orse' . /.cijob || echo none",
        credentials="https", ref="modules", submodules="Recursive",
    )  # fmt: skip
    log = job.succeeded()
    assert "\nthree\nlib\nnested\n" in log
    assert log.endswith("none\n")
    assert server.authorized(NAME)
    assert PASSWORD not in log + job.log("git") + all_about(job)


def test_submodules_are_left_alone_unless_asked_for(jobs: Jobs, server: GitServer) -> None:
    del server
    log = start(jobs, "plain", HTTP, "cat number lib/file || echo none", ref="modules").succeeded()
    assert log.endswith("none\n")
    script = ("cat lib/file lib/nested/file || echo none", "cd lib", "git log --format=%s", "git status --short")
    log = start(jobs, "normal", HTTP, *script, ref="modules", submodules="Normal").succeeded()
    assert re.search(r"\nlib\n.*nested.*\nnone\n", log), log
    assert log.endswith("$ git log --format=%s\nlib\n$ git status --short\n")


def test_a_submodule_on_another_host_does_not_get_the_credentials(jobs: Jobs, server: GitServer) -> None:
    job = start(jobs, "foreign", HTTPS, "true", credentials="https", ref="foreign", submodules="Normal")
    failed(job, f"could not read Username for 'http://{OTHER}'")
    assert server.requests(OTHER)
    assert server.authorized(OTHER) == []


@pytest.mark.parametrize("url", [SSH, f"ssh://git@{NAME}/srv/app.git"])
def test_ssh_with_a_key_and_known_hosts(jobs: Jobs, server: GitServer, url: str) -> None:
    secret = server.file("/client/key").splitlines()[3]  # the lines before tell nothing that is not public
    search = f"grep -r '[{secret[0]}]{secret[1:30]}' . /.cijob /dev/shm /tmp || echo none"
    log = start(
        jobs, "ssh", url, "cat number lib/file", search, credentials="ssh", ref="modules", submodules="Normal"
    ).succeeded()
    assert "\nthree\nlib\n" in log
    assert log.endswith("none\n")


def test_ssh_without_known_hosts_trusts_and_says_so(jobs: Jobs, server: GitServer) -> None:
    del server
    job = start(jobs, "trusting", SSH, "true", credentials="trusting")
    job.succeeded()
    assert f"the Secret has no known_hosts: whoever answers as {NAME} is trusted\n" in job.log("git")


def test_a_secret_that_comes_late_is_waited_for(jobs: Jobs, server: GitServer) -> None:
    job = start(jobs, "late", HTTPS, "cat number", credentials="late")
    job.wait_for_phase("Starting")
    wait_for(lambda: "not found" in json.dumps(job.pod().get("status", {})) or None, 60, lambda: str(job.pod()))
    authority = server.file("/client/ca.crt")
    server.secret("late", **{"username": USERNAME, "password": PASSWORD, "ca.crt": authority})
    assert job.succeeded().endswith("\nthree\n")


# --- failures


@pytest.mark.parametrize(
    ("url", "git", "message"),
    [
        (HTTP, {"ref": "nope"}, "couldn't find remote ref nope"),
        (HTTP, {"ref": "abcd1234"}, "there is no branch, tag or commit abcd1234"),
        (f"http://{NAME}/none.git", {}, "repository 'http://git/none.git/' not found"),
        (f"http://{NOBODY}/app.git", {}, f"Failed to connect to {NOBODY}"),
        ("https://git.invalid/app.git", {}, "Could not resolve host: git.invalid"),
        (HTTPS, {}, "certificate"),
        (HTTPS, {"credentials": "wrong"}, f"Authentication failed for '{HTTPS}/'"),
        (SSH, {}, "Permission denied"),
        (SSH, {"credentials": "impostor"}, "Host key verification failed"),
        (f"git@{NAME}:/srv/none.git", {"credentials": "ssh"}, "'/srv/none.git' does not appear to be a git repository"),
    ],
)
def test_a_checkout_that_fails_says_why_in_gits_own_words(
    jobs: Jobs, server: GitServer, url: str, git: Object, message: str
) -> None:
    del server
    job = start(jobs, "fails", url, "echo NOT REACHED", **git)
    log = failed(job, message)
    assert re.search(message, log)
    assert "wrong-horse" not in log + all_about(job)


def test_a_password_that_the_server_repeats_is_masked(jobs: Jobs, server: GitServer) -> None:
    del server
    job = start(jobs, "echo", f"https://{NAME}/echo/app.git", "true", credentials="https")
    assert f"remote: no access with Basic ***, which is {USERNAME}:***\n" in failed(job, "403")
    assert PASSWORD not in job.log("git") + all_about(job)


def test_a_cancelled_fetch_ends_at_once(jobs: Jobs, server: GitServer) -> None:
    job = start(jobs, "slow", f"http://{NAME}/slow/app.git", "true")
    wait_for(lambda: server.slow_requests() or None, 60, lambda: f"a request; the Pod is {job.pod()}")
    job.cancel("Graceful")
    assert job.end(seconds=45)["phase"] == "Cancelled", "and not at the end of the grace period of 60 s"


@pytest.mark.parametrize("url", ["-uhttps://git/app.git", "ssh://-oProxyCommand=x/app.git", "https://ci:x@git/app.git"])
def test_an_address_that_git_would_take_for_an_option_or_with_a_password_is_refused(jobs: Jobs, url: str) -> None:
    spec = {"image": CLIENT, "script": ["true"], "source": {"git": {"url": url}}}
    manifest = {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "metadata": {"name": "refused"}, "spec": spec}
    answer = jobs.cluster.run(
        "create", "--filename=-", f"--namespace={jobs.namespace}", stdin=json.dumps(manifest), check=False
    )
    assert answer.returncode != 0
    assert "spec.source.git.url" in answer.stderr


def test_a_secret_that_never_comes_is_a_mistake_in_the_job(lost: Job) -> None:
    status = lost.end()
    assert (status["phase"], status["reason"]) == ("Failed", "ConfigError"), status
    assert '"never" not found' in status["message"]
