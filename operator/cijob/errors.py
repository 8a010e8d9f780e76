"""Domain errors of the operator."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidSpec(ValueError):
    """A CiJob that cannot be run as it is written.

    `messages` holds one sentence per problem, each starting with the field's path.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages: tuple[str, ...] = tuple(messages)
        super().__init__("; ".join(self.messages))
