"""Images of servers that tests have in the cluster: nodes pull them from the local registry."""

from tests.cluster.images.oci import File, Settings
from tests.cluster.images.recipe import BUSYBOX, FILES, Recipe, Rootfs, script
from tests.cluster.toolchain import Toolchain

GIT = Rootfs(
    "git", "trixie", ("ca-certificates", "git", "lighttpd", "lighttpd-mod-openssl", "openssh-server", "openssl")
)


def git(_tools: Toolchain) -> Recipe:
    """Serves a few repositories over http, https with a password, and ssh; `files/git-server` says which."""
    files = (
        *(script(name) for name in ("git-server", "git-echo", "git-slow")),
        File("/etc/lighttpd/git.conf", (FILES / "git-server.conf").read_bytes(), mode=0o644),
    )
    return Recipe("cijob-dev/git:1", Settings(("git-server",)), files, GIT)


def web(_tools: Toolchain) -> Recipe:
    """Serves the files of its container over http, and has no shell: `-p PORT`."""
    files = (File("/bin"), File("/bin/httpd", BUSYBOX.read_bytes()))
    return Recipe("cijob-dev/web:1", Settings(("/bin/httpd", "-f", "-h", "/")), files)
