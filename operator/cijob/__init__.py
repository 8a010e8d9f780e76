"""CI jobs that need a Docker daemon, run as Pods: the CiJob operator."""
