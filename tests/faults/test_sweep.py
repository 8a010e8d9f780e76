"""Whatever goes wrong between the operator and the API server, a CiJob comes to the end that it would have come to.

`make faults` runs all of it; the parts marked `quick` are in `make test`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import GROUPS

if TYPE_CHECKING:
    from tests.faults.conftest import Parts

#: Each takeover takes its 10 s.
_TAKEN_OVER = {"success", "cancel", "queue"}
_QUICK = {("success", "kills"), ("cancel", "events"), ("recreate", "answers"), ("queue", "kills")}


@pytest.mark.faults
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("scenario", "group"),
    [
        pytest.param(scenario, group, marks=[pytest.mark.quick] if (scenario, group) in _QUICK else [])
        for scenario in SCENARIOS
        for group in GROUPS
        if group != "takeover" or scenario in _TAKEN_OVER
    ],
)
async def test_a_cijob_comes_to_the_same_end_whatever_goes_wrong(parts: Parts, scenario: str, group: str) -> None:
    results = await parts[scenario, group]

    assert any(result.struck for result in results), "no fault happened"
    failures = [str(result) for result in results if result.problems]
    assert not failures, "\n\n".join(failures)
