"""Files into a job and out of it, through the API server, and commands in a job's containers."""
