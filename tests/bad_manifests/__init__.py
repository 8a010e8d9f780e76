"""CiJobs that must be refused: what is changed in a good one, and what the refusal says.

Used twice: the integration tests send each to a real API server, the unit tests hand each to the operator's own checks,
which must agree.
"""

from tests.bad_manifests import commands, environment, limits, services, sources
from tests.bad_manifests.table import GOOD, NO_SCRIPT, Bad, merged

__all__ = ["BAD", "GOOD", "NO_SCRIPT", "Bad", "merged"]

BAD: list[Bad] = [
    *commands.PRESENCE,
    *commands.TEXT,
    *commands.NAMES,
    *environment.ENV,
    *limits.WORKING_DIRS,
    *limits.RESOURCES,
    *limits.DOCKER,
    *limits.TIMES,
    *limits.RETRIES,
    *sources.SOURCES,
    *sources.PULL_SECRETS,
    *sources.ADMISSION,
    *services.SERVICES,
]
