"""What the clusters change on the machine together: packet forwarding, and empty folders that nodes mount on.

The first one notes what was there before, the last one puts it back. A folder must not go while another cluster is up: the
kernel would take away what that one's nodes have mounted on it.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from tests.cluster.config import Config
from tests.cluster.locks import locked
from tests.cluster.shell import write

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
NODE_FOLDERS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers")


def prepare(config: Config) -> None:
    """Let the machine pass packets on, and make the folders; each is noted first."""
    with lock(config):
        if not forwarding_before(config).exists():
            write(forwarding_before(config), FORWARDING.read_text())
        FORWARDING.write_text("1")
        for folder in map(Path, NODE_FOLDERS):
            if not folder.exists():
                with created_folders(config).open("a") as noted:
                    noted.write(f"{folder}\n")
                folder.mkdir(parents=True)


def restore(config: Config) -> None:
    """Put the machine back as it was, unless another cluster is up."""
    with lock(config):
        if config.others():
            return
        if forwarding_before(config).exists():
            FORWARDING.write_text(forwarding_before(config).read_text())
            forwarding_before(config).unlink()
        if created_folders(config).exists():
            for folder in map(Path, created_folders(config).read_text().split()):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            created_folders(config).unlink()


def forwarding_before(config: Config) -> Path:
    """The note of what forwarding was."""
    return config.machine / "ip_forward"


def created_folders(config: Config) -> Path:
    """The note of the folders that were made."""
    return config.machine / "created-folders"


def lock(config: Config) -> AbstractContextManager[None]:
    """One cluster at a time."""
    return locked(config.machine / "lock", "another cluster to start or stop")
