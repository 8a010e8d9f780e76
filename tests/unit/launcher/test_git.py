"""git.sh against real repositories and servers: what is checked out, who gets credentials, and how failures are told."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cijob import launcher
from tests.unit.launcher.githost import PASSWORD, USERNAME, Host, git
from tests.unit.launcher.userland import SECONDS, SHELLS, Container, needed, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.launcher.userland import Running

BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
CREDENTIALS = {"USERNAME": USERNAME, "PASSWORD": PASSWORD}
#: Runs what the client asks of the server here, after it has noted what the real ssh makes of the settings it was given.
SSH = """#!/bin/sh
for word; do case $word in *@*) host=$word ;; esac; done
{real} -F "$2" -G "$host" >"$CIJOB_ROOT/ssh"
SSH_AUTH_SOCK=$(sed -n 's/^identityagent //p' "$CIJOB_ROOT/ssh") {add} -L >"$CIJOB_ROOT/keys" 2>&1
cp "$HOME/known_hosts" "$CIJOB_ROOT/known"
eval "$word"
"""
FULL = """{mount} -t tmpfs -o size=256k tmpfs . && cd "$PWD" && . "$CIJOB_ROOT/launcher/git.sh"
"""


@dataclass(frozen=True)
class Done:
    """How a checkout ended."""

    code: int
    log: str
    message: str


@dataclass(frozen=True)
class Checkout:
    """The container git, with its workspace."""

    container: Container
    folder: Path
    temporary: Path

    def start(self, url: str, ref: str = "", name: str = "git.sh", **settings: str) -> Running:
        """Start it."""
        self.container.env |= {"CIJOB_GIT_URL": url, "CIJOB_GIT_REF": ref}
        self.container.env |= {f"CIJOB_GIT_{key}": value for key, value in settings.items()}
        return self.container.start(name, self.folder)

    def run(self, url: str, ref: str = "", **settings: str) -> Done:
        """Run it to its end."""
        with self.start(url, ref, **settings) as running:
            return self.end(running)

    def end(self, running: Running) -> Done:
        """Wait for its end."""
        output, _ = running.process.communicate(timeout=SECONDS)
        log = "".join(running.seen) + output.decode()
        return Done(running.process.returncode, log, self.container.log.read_text())

    def done(self, url: str, ref: str = "", **settings: str) -> str:
        """Run it to its end in an empty workspace, which must be a good one; gives the commit."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        done = self.run(url, ref, **settings)
        assert (done.code, done.message) == (0, ""), done
        assert git(self.folder, "status", "--porcelain") == ""
        commit = (self.container.run_dir / "commit").read_text().strip()
        assert commit == git(self.folder, "rev-parse", "HEAD")
        return commit

    def texts(self) -> str:
        """All that lies in any file that it made, as far as it is text."""
        folders = (self.folder, self.temporary, self.container.run_dir)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in (*files, self.container.log))


@pytest.fixture(params=SHELLS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    """The container git, once for each userland."""
    with container_git(tmp_path, str(request.param)) as made:
        yield made


@pytest.fixture
def simply(tmp_path: Path) -> Iterator[Checkout]:
    """The container git in one userland, for what is git's part."""
    with container_git(tmp_path, "dash") as made:
        yield made


@contextmanager
def container_git(tmp_path: Path, shell: str) -> Iterator[Checkout]:
    container = Container(tmp_path / "cijob", shell)
    for name in launcher.GIT:
        (container.launcher / name).write_text(launcher.read(name))
    for name in ("git", "ssh", "ssh-add", "ssh-agent"):
        (container.bin / name).symlink_to(needed(name))
    (tmp_path / "workspace").mkdir()
    with tempfile.TemporaryDirectory(prefix="c") as short:  # the address of a socket has at most 107 characters
        container.env |= {"TMPDIR": short, "GIT_CONFIG_NOSYSTEM": "1"}
        yield Checkout(container, tmp_path / "workspace", Path(short))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, which no system trusts; its key lies beside it."""
    path = tmp_path_factory.mktemp("pki") / "host.crt"
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(path.with_suffix(".key")), "-out", str(path), "-days", "1"]
    who = ["-subj", "/CN=host", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([needed("openssl"), "req", "-x509", *made, *who], check=True, capture_output=True, timeout=60)
    return path


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A server that needs no credentials, over http."""
    server = Host(tmp_path / "srv")
    yield server
    server.close()


@pytest.fixture
def private(tmp_path: Path, certificate: Path) -> Iterator[Host]:
    """A server that asks for the password, over https."""
    server = Host(tmp_path / "private", certificate, certificate.with_suffix(".key"), private=True)
    yield server
    server.close()


# --- refs


def test_a_branch_a_tag_a_full_ref_and_none_are_checked_out(checkout: Checkout, host: Host) -> None:
    app = host.repository("app")
    first = app.commit("one")
    git(app.folder, "tag", "light")
    second = app.commit("two")
    git(app.folder, "tag", "--annotate", "--message", "release", "v1")
    git(app.folder, "update-ref", "refs/pull/7/head", app.commit("three"))
    git(app.folder, "reset", "--quiet", "--hard", second)
    git(app.folder, "branch", "topic/a", first)
    url = host.url("app")
    assert checkout.done(url) == second
    assert checkout.done(url, "topic/a") == first
    assert git(checkout.folder, "rev-parse", "origin/topic/a") == first
    assert checkout.done(url, "light") == first
    assert checkout.done(url, "v1") == second
    assert git(checkout.folder, "describe") == "v1"
    assert checkout.done(url, "refs/tags/v1") == second
    assert git(checkout.folder, "describe") == "v1"
    assert checkout.done(url, "refs/heads/main") == second
    assert checkout.done(url, "refs/pull/7/head") == git(app.folder, "rev-parse", "refs/pull/7/head")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("depth", ["1", "0"])
def test_a_commit_is_found_wherever_it_is_on_a_branch_also_abbreviated(
    checkout: Checkout, host: Host, depth: str, *, old: bool
) -> None:
    app = host.repository("app")
    commit = app.commit("one")
    app.commit("two")
    host.old = old
    assert checkout.done(host.url("app"), commit, DEPTH=depth) == commit
    assert checkout.done(host.url("app"), commit[:9], DEPTH=depth) == commit


def test_a_branch_may_look_like_a_commit(simply: Checkout, host: Host) -> None:
    app = host.repository("app")
    commit = app.commit("one")
    git(app.folder, "branch", "deadbeef")
    app.commit("two")
    assert simply.done(host.url("app"), "deadbeef") == commit
    assert simply.done(host.url("app"), "deadbeef", DEPTH="0") == commit


def test_the_depth_is_the_number_of_commits_and_0_is_all_that_there_is(simply: Checkout, host: Host) -> None:
    app = host.repository("app")
    for number in range(5):
        app.commit(str(number))
    git(app.folder, "tag", "old", "main~3")
    git(app.folder, "branch", "other", "main~2")
    counts = dict.fromkeys(("1", "3", "0"), 0)
    for depth in counts:
        simply.done(host.url("app"), "main", DEPTH=depth)
        counts[depth] = int(git(simply.folder, "rev-list", "--count", "HEAD"))
    assert counts == {"1": 1, "3": 3, "0": 5}
    assert git(simply.folder, "tag") == "old"
    assert git(simply.folder, "branch", "--remotes").split() == ["origin/main", "origin/other"]


# --- the workspace


def test_any_user_may_write_everything_and_modes_and_names_are_as_they_were_committed(
    simply: Checkout, host: Host
) -> None:
    app = host.repository("app")
    odd = ("-x", 'a folder/ö $HOME "quoted"', "back\\slash", "new\nline", "FETCH_HEAD")
    for name in odd:
        app.commit(name)
    app.commit("run", "#!/bin/sh\n", mode=0o755)
    (app.folder / "link").symlink_to("run")
    app.commit_all("link")
    simply.done(host.url("app"), "main")
    assert all((simply.folder / name).read_text() == name for name in odd)
    assert os.access(simply.folder / "run", os.X_OK)
    assert (simply.folder / "link").readlink() == Path("run")
    modes = {path.stat().st_mode & 0o777 for path in simply.folder.rglob("*") if path.is_dir()}
    assert modes == {0o777}
    assert (simply.folder / "-x").stat().st_mode & 0o777 == 0o666


def test_a_second_try_goes_over_what_the_first_left(checkout: Checkout, host: Host) -> None:
    app = host.repository("app")
    commit = app.commit("file")
    git(checkout.folder, "init", "--quiet")
    (checkout.folder / ".git/index.lock").touch()
    (checkout.folder / "file").write_text("half")
    assert checkout.run(host.url("app")).code == 0
    assert (git(checkout.folder, "rev-parse", "HEAD"), git(checkout.folder, "status", "--porcelain")) == (commit, "")


def test_a_full_disk_is_named(checkout: Checkout, host: Host) -> None:
    host.repository("app").commit("large", base64.b64encode(os.urandom(1 << 20)).decode())
    (checkout.container.launcher / "full").write_text(FULL.format(mount=needed("mount")))
    with checkout.start(host.url("app"), name="full") as running:
        done = checkout.end(running)
    assert done.code == 1
    assert "No space left on device" in done.message


# --- submodules


@pytest.mark.parametrize(("wanted", "found"), [("", []), ("Normal", ["lib"]), ("Recursive", ["lib", "lib/nested"])])
@pytest.mark.parametrize("depth", ["1", "0"])
def test_submodules_are_checked_out_as_deep_as_asked(
    simply: Checkout, host: Host, wanted: str, found: list[str], depth: str
) -> None:
    nested, lib, app = (host.repository(name) for name in ("nested", "lib", "app"))
    nested.commit("file")
    lib.submodule("nested", nested, "../nested")
    app.submodule("lib", lib, "../lib")
    lib.commit("later")
    simply.done(host.url("app"), SUBMODULES=wanted, DEPTH=depth)
    assert [name for name in ("lib", "lib/nested") if (simply.folder / name / ".git").exists()] == found


def test_submodules_on_the_same_host_get_the_credentials_and_those_elsewhere_do_not(
    simply: Checkout, private: Host, certificate: Path
) -> None:
    near, far, app = (private.repository(name) for name in ("near", "far", "app"))
    near.commit("file")
    far.commit("file")
    app.submodule("near", near, private.url("near"))
    simply.container.env["GIT_SSL_CAINFO"] = str(certificate)
    simply.done(private.url("app"), SUBMODULES="Normal", **CREDENTIALS)
    assert private.authorized() == {BASIC}

    app.submodule("far", far, private.url("far", "localhost"))
    done = simply.run(private.url("app"), SUBMODULES="Normal", **CREDENTIALS)
    assert done.code == 1
    assert "could not read Username for 'https://localhost:" in done.message
    assert any(name.startswith("localhost:") for name, _ in private.requests)
    assert private.authorized("localhost") == set()


@pytest.mark.parametrize(
    "url", ["{folder}", "file://{folder}", "ext::sh -c touch% {folder}/ran", "git://localhost/lib"]
)
def test_a_submodule_comes_by_no_other_protocol_than_the_repository_may(simply: Checkout, host: Host, url: str) -> None:
    lib, app = host.repository("lib"), host.repository("app")
    lib.commit("file")
    app.submodule("lib", lib, url.format(folder=lib.folder))
    done = simply.run(host.url("app"), SUBMODULES="Normal")
    assert done.code == 1
    assert "not allowed" in done.message
    assert not (lib.folder / "ran").exists()


# --- credentials


def test_the_password_and_the_authority_come_from_the_secret_and_are_nowhere_else(
    checkout: Checkout, private: Host, certificate: Path
) -> None:
    commit = private.repository("app").commit("file")
    seen: list[str] = []
    private.on_request = lambda: seen.extend(
        path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    )
    given = {"USERNAME": f"{USERNAME}\n", "PASSWORD": f"{PASSWORD}\n", "CA": certificate.read_text()}
    done = checkout.run(private.url("app"), **given)
    assert (done.code, (checkout.container.run_dir / "commit").read_text().strip()) == (0, commit), done
    assert private.authorized() == {BASIC}
    assert seen
    assert not any(PASSWORD in text for text in (*seen, done.log, checkout.texts()))
    assert USERNAME not in (checkout.folder / ".git/config").read_text()


def test_a_token_needs_no_name(simply: Checkout, private: Host, certificate: Path) -> None:
    private.repository("app")
    simply.run(private.url("app"), PASSWORD="token", CA=certificate.read_text())  # noqa: S106
    assert private.authorized() == {"Basic " + base64.b64encode(b"git:token").decode()}


def test_a_wrong_password_is_said_by_git_and_asked_for_once(simply: Checkout, private: Host, certificate: Path) -> None:
    private.repository("app")
    done = simply.run(private.url("app"), USERNAME=USERNAME, PASSWORD="wrong", CA=certificate.read_text())  # noqa: S106
    assert done.code == 1
    assert f"Authentication failed for '{private.url('app')}/'" in done.message
    assert len(private.requests) == 2


def test_no_password_where_one_is_needed_fails_at_once(simply: Checkout, private: Host, certificate: Path) -> None:
    private.repository("app")
    done = simply.run(private.url("app"), CA=certificate.read_text())
    assert done.code == 1
    assert "could not read Username" in done.message


def test_an_unknown_authority_is_refused(simply: Checkout, private: Host) -> None:
    private.repository("app")
    done = simply.run(private.url("app"), **CREDENTIALS)
    assert done.code == 1
    assert "certificate" in done.message
    assert private.requests == []


def test_a_server_that_tells_the_password_is_masked(checkout: Checkout, private: Host, certificate: Path) -> None:
    done = checkout.run(private.url("echo/app"), CA=certificate.read_text(), **CREDENTIALS)
    assert done.code == 1
    for text in (done.log, done.message):
        assert f"remote: no access with Basic ***, which is {USERNAME}:***\n" in text
    assert PASSWORD not in checkout.texts()


def test_a_redirection_to_another_host_takes_no_credentials_along(
    simply: Checkout, private: Host, certificate: Path
) -> None:
    private.repository("app").commit("file")
    private.moved_to = private.url("", "localhost").rstrip("/")
    simply.container.env["GIT_SSL_CAINFO"] = str(certificate)
    done = simply.run(private.url("moved/app"), **CREDENTIALS)
    assert done.code == 1
    assert any(name.startswith("localhost:") for name, _ in private.requests)
    assert private.authorized("localhost") == set()


# --- ssh


@pytest.fixture
def ssh_key(checkout: Checkout, tmp_path: Path) -> str:
    """A private key; the ssh of the container runs on this machine what it would have run on the server."""
    path = tmp_path / "key"
    subprocess.run([needed("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=60)
    program(checkout.container.bin, "ssh", SSH.format(real=needed("ssh"), add=needed("ssh-add")))
    (checkout.container.bin / "cp").symlink_to(needed("cp"))
    (checkout.container.bin / "git-upload-pack").symlink_to(needed("git-upload-pack"))
    return path.read_text()


def settings_of_ssh(checkout: Checkout) -> dict[str, str]:
    lines = (checkout.container.root / "ssh").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


@pytest.mark.parametrize("address", ["git@127.0.0.1:{folder}", "ssh://git@127.0.0.1:2222{folder}"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_a_key_is_in_an_agent_alone_and_known_hosts_are_insisted_on(
    checkout: Checkout, host: Host, ssh_key: str, address: str, ends: str
) -> None:
    app = host.repository("app")
    commit = app.commit("file")
    key = ssh_key.replace("\n", ends) if ends else ssh_key.rstrip("\n")
    done = checkout.run(address.format(folder=app.folder), SSH_KEY=key, KNOWN_HOSTS="127.0.0.1 ssh-ed25519 AAAA")
    assert (done.code, (checkout.container.run_dir / "commit").read_text().strip()) == (0, commit), done
    assert (checkout.container.root / "keys").read_text().startswith("ssh-ed25519 ")
    assert (checkout.container.root / "known").read_text() == "127.0.0.1 ssh-ed25519 AAAA\n"
    settings = settings_of_ssh(checkout)
    assert (settings["stricthostkeychecking"], settings["batchmode"]) in {("true", "yes"), ("yes", "yes")}
    assert ssh_key.splitlines()[1] not in checkout.texts() + done.log


def test_without_known_hosts_any_server_is_trusted_and_the_log_says_so(
    checkout: Checkout, host: Host, ssh_key: str
) -> None:
    app = host.repository("app")
    app.commit("file")
    done = checkout.run(f"git@127.0.0.1:{app.folder}", SSH_KEY=ssh_key)
    assert done.code == 0, done
    assert "cijob: the Secret has no known_hosts: whoever answers as 127.0.0.1 is trusted\n" in done.log
    assert settings_of_ssh(checkout)["stricthostkeychecking"] == "accept-new"


def test_a_submodule_on_another_host_does_not_get_the_key(checkout: Checkout, host: Host, ssh_key: str) -> None:
    lib, app = host.repository("lib"), host.repository("app")
    lib.commit("file")
    app.submodule("lib", lib, f"git@elsewhere:{lib.folder}")
    checkout.done(f"git@127.0.0.1:{app.folder}", SSH_KEY=ssh_key, SUBMODULES="Normal")
    assert settings_of_ssh(checkout)["identityagent"] == "none"
    assert "ssh-ed25519" not in (checkout.container.root / "keys").read_text()


def test_a_key_that_is_none_is_said_to_be(checkout: Checkout, ssh_key: str) -> None:
    done = checkout.run("git@127.0.0.1:app", SSH_KEY=ssh_key[: len(ssh_key) // 2])
    assert done.code == 1
    assert "ssh-privatekey in the Secret cannot be used" in done.message


# --- failures


@pytest.mark.parametrize(
    ("path", "ref", "message"),
    [
        ("app", "nope", "fatal: couldn't find remote ref nope"),
        ("app", "abcd1234", "there is no branch, tag or commit abcd1234 in "),
        ("app", "0" * 39 + "1", "there is no branch, tag or commit 0"),
        ("none", "", "not found"),
        ("empty", "", "couldn't find remote ref HEAD"),
    ],
)
@pytest.mark.parametrize("depth", ["1", "0"])
def test_what_is_not_there_is_named(
    checkout: Checkout, host: Host, path: str, ref: str, message: str, depth: str
) -> None:
    host.repository("app").commit("file")
    host.repository("empty")
    done = checkout.run(host.url(path), ref, DEPTH=depth)
    assert done.code == 1
    assert message in done.message
    assert not (checkout.container.run_dir / "commit").exists()


def test_a_host_that_refuses_and_one_that_has_no_address_fail_at_once(checkout: Checkout) -> None:
    refused = checkout.run("http://127.0.0.1:1/app", "0123abcd")
    assert (refused.code, refused.message.count("\n")) == (1, 1), refused
    assert "Failed to connect to 127.0.0.1 port 1" in refused.message
    unknown = checkout.run("https://git.invalid/app")
    assert unknown.code == 1
    assert "Could not resolve host: git.invalid" in unknown.message


def test_an_image_without_git_is_named(checkout: Checkout) -> None:
    (checkout.container.bin / "git").unlink()
    done = checkout.run("http://127.0.0.1:1/app")
    assert done.code == 1
    assert done.message == "cijob: the image of the container git has no git\n"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(checkout: Checkout, host: Host, stop: signal.Signals) -> None:
    with checkout.start(host.url("slow/app")) as running:
        running.wait_until(lambda: bool(host.requests))
        running.signal(stop)
        assert running.process.wait(2) == 143


def test_a_long_message_is_cut_to_its_end(checkout: Checkout, host: Host) -> None:
    host.repository("app").commit("file")
    done = checkout.run(host.url("app"), "n" * 1100)
    assert (done.code, len(done.message)) == (1, 1000)
    assert done.message.endswith("nnn\n")
