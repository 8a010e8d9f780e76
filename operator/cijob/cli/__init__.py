"""`cijob`: the command line of people who run jobs."""
