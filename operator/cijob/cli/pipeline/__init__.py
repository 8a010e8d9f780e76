"""Pipelines: which job starts when, what a person sees of it, and the CiJobs that it takes."""
