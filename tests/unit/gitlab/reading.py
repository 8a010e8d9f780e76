"""What the tests of reading share: files from texts, and what is found in them as plain sentences."""

from __future__ import annotations

import textwrap

import pytest

from cijob.importers.gitlab.document import Document, read
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.findings import told
from cijob.importers.gitlab.model import ImportFailed, Ref, Request

CI = ".gitlab-ci.yml"


def files_of(text: str, others: dict[str, str] | None = None) -> MemoryFiles:
    """A `.gitlab-ci.yml` and other files, all of them dedented."""
    return MemoryFiles({path: textwrap.dedent(one) for path, one in {CI: text, **(others or {})}.items()})


def document(text: str, others: dict[str, str] | None = None, variables: dict[str, str] | None = None) -> Document:
    """What is read for the branch main."""
    request = Request(file=CI, ref=Ref(branch="main"), variables=variables or {})
    return read(files_of(text, others), request)


def found(text: str, others: dict[str, str] | None = None) -> list[str]:
    """What there is to say of a file that can be read."""
    return told(document(text, others).findings)


def failure(text: str, others: dict[str, str] | None = None) -> list[str]:
    """What is said of a file that cannot be read."""
    with pytest.raises(ImportFailed) as caught:
        document(text, others)
    return told(caught.value.findings)
