"""What the cluster tool tells its user when something does not work."""


class ClusterError(Exception):
    """A problem with what to do about it: printed as it is, never as a traceback."""

    def __init__(self, problem: str, hint: str = "", detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        lines = [self.problem]
        if self.detail:
            lines += [f"  | {line}" for line in self.detail.rstrip().splitlines()]
        if self.hint:
            lines.append(f"  What to do: {self.hint}")
        return "\n".join(lines)
