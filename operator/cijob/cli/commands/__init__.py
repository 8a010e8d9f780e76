"""One module for each command: its options and its help. What is heavy is imported only as a command runs."""
