"""Commands that change CiJobs or wait for them: cancel, retry, wait, delete."""
