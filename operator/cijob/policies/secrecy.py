"""What may be shown of the texts that come from a Pod.

The rule: nothing that can hold a value from a Secret gets into a status, an Event or the operator's log. The operator
reads no Secrets, and what it writes into a Pod only refers to them. So their values can come back only in what a node
says once it has put them into a container, and each such text is shown by a line of this table:

| the text | what may be in it | what is shown |
| --- | --- | --- |
| the runtime's, on a container that it cannot make or start | the command's words after `$(NAME)` was replaced | nothing of it where a word refers to a variable and one of them is a Secret's |
| the kubelet's, on an image that it cannot pull | the registry's answers, with addresses that carry a user's name or a signature | addresses without user, password and query |
| git's last lines | the same; user and password were masked by `git.sh`, who knows them | the same |
| a service's log | all that it was given | nothing where it was given a value from a Secret |
| the report in a termination message | whatever a command wrote there in its place | numbers, and what is looked up in the spec with them |
| the report's inner container that was killed | its name and image, as the script named them to Docker | both, in a narrow alphabet |
| the kubelet's and the scheduler's, on the Pod as a whole; `dind.sh`'s | nothing that a container was given | as it is |
| the job's log, environment and files | everything | never read |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cijob.models import CiJobSpec

if TYPE_CHECKING:
    from cijob.parts import Service

_USER: Final = re.compile(r"(https?://)[^/?#\s\"'<>]*@")
_QUERY: Final = re.compile(r"(://[^\s?\"'<>]*)\?[^\s\"'<>]*")
_HIDDEN: Final = (
    "The runtime's words are not shown: the command refers to a variable, and one comes from a Secret. "
    "Who may see the Pod finds them with kubectl describe pod."
)


def cleaned(text: str) -> str:
    """A node's text without the credentials that addresses in it may carry."""
    return _QUERY.sub(r"\1?***", _USER.sub(r"\1***@", text))


def runtime_words(text: str, container: CiJobSpec | Service | None) -> str:
    """What the runtime says on a container that it cannot make or start; None for one that only the operator shapes."""
    if container is None:
        return cleaned(text)
    words = (*(container.command or ()), *(container.args or ()))
    # `$$(NAME)` is replaced by nothing, but a text too few is better than one too many.
    hidden = has_secrets(container) and any("$(" in word for word in words)
    return _HIDDEN if hidden else cleaned(text)


def has_secrets(container: CiJobSpec | Service) -> bool:
    """Whether a value from a Secret is among a container's variables."""
    sources = container.env_from if isinstance(container, CiJobSpec) else None
    return any(source.secret_ref is not None for source in sources or ()) or any(
        variable.value_from is not None and variable.value_from.secret_key_ref is not None
        for variable in container.env or ()
    )
