"""CI jobs that need a Docker daemon, run as Pods: the CiJob operator."""

from typing import Final

__version__: Final = "0.1.0"
