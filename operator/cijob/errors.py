"""Domain errors of the operator."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class InvalidSpec(ValueError):
    """A CiJob that cannot be run as it is written.

    `messages` holds one sentence per problem, each starting with the field's path.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages: tuple[str, ...] = tuple(messages)
        super().__init__("; ".join(self.messages))


class ConfigurationError(Exception):
    """The operator cannot run as it is set up; the message says what to change."""


class ApiError(Exception):
    """The API server's refusal of a request, or its silence.

    Attributes:
        status: the HTTP status; 0 where there was no answer.
        reason: the API's reason, such as `AlreadyExists`; empty where there was none.
        message: the API's message, for people.
        causes: the reasons in the answer's details.
        retry_after: seconds after which the API server wants to be asked again, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        causes: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)
        self.retry_after = retry_after
        super().__init__(f"{status} {reason}: {message}" if status else message)

    @property
    def forbidden(self) -> bool:
        """Whether it is a refusal for want of a right, or by an admission policy (403)."""
        return self.status == HTTPStatus.FORBIDDEN


class ApiNotFound(ApiError):
    """404: the object, or the whole kind, is not there."""


class ApiConflict(ApiError):
    """The object is not what the request took it for: another version, another UID (409, or a failed JSON Patch test)."""


class ApiExpired(ApiError):
    """410: the version that a watch wanted to continue from is too old."""


class ApiUnavailable(ApiError):
    """No answer, or one that says to try again: a broken connection, a timeout, 429 and 5xx. The request may have been carried out."""
