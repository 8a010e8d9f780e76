"""Services that jobs have beside them: real servers, which one root file system holds so that they are made in one go."""

from tests.cluster.images.oci import File, Settings
from tests.cluster.images.recipe import Recipe, Rootfs, script
from tests.cluster.toolchain import Toolchain

DATABASES = Rootfs("databases", "trixie", ("postgresql-17", "redis-server"))
POSTGRES = "/usr/lib/postgresql/17/bin"
PATH = f"PATH={POSTGRES}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def postgres(_tools: Toolchain) -> Recipe:
    """PostgreSQL; its entry point makes a database at each start, and insists on a password, as the official image's."""
    env = ("PGDATA=/var/lib/postgresql/data", PATH)
    settings = Settings(("postgres-entrypoint",), ("postgres",), env)
    return Recipe("postgres:17", settings, (script("postgres-entrypoint"),), DATABASES)


def redis(_tools: Toolchain) -> Recipe:
    """Redis, on all addresses and without a password, as the official image's."""
    settings = Settings(("redis-entrypoint",), ("redis-server",), folder="/data")
    return Recipe("redis:8", settings, (script("redis-entrypoint"), File("/data", mode=0o777)), DATABASES)
