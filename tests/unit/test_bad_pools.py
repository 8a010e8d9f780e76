"""The operator's own checks of a BuildPool agree with those of the API server."""

from __future__ import annotations

from typing import Any

import pytest

from cijob.errors import InvalidSpec
from cijob.parsing import parse_pool
from tests.bad_manifests.pools import GOOD_POOL, POOLS, BadPool

SAID_BY_BOTH = [bad for bad in POOLS if bad.operator is not None]


def problems(manifest: dict[str, Any]) -> list[str]:
    """What the operator says of a pool."""
    body = {**manifest, "metadata": manifest["metadata"] | {"uid": "u", "resourceVersion": "1"}}
    try:
        parse_pool(body)
    except InvalidSpec as error:
        return list(error.messages)
    return []


def test_a_good_pool_is_taken() -> None:
    assert problems(GOOD_POOL) == []


@pytest.mark.parametrize("bad", SAID_BY_BOTH, ids=lambda bad: bad.what)
def test_the_operator_refuses_what_the_api_server_refuses(bad: BadPool) -> None:
    found = problems(bad.manifest())
    says = bad.operator or bad.server
    assert any(bad.at in message and says in message for message in found), found
