"""Durations as GitLab reads them."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.durations import seconds


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (90, 90),
        ("90", 90),
        ("90 seconds", 90),
        ("3h 30m", 12600),
        ("3h30m", 12600),
        ("1 hour 20 minutes", 4800),
        ("1 hour and 20 minutes", 4800),
        ("2 Hours", 7200),
        ("1.5h", 5400),
        ("1h 30", 3630),
        ("1:30", 90),
        ("1:30:00", 5400),
        ("1 day", 86400),
        ("2 weeks", 1209600),
        ("1 mo", 2592000),
    ],
)
def test_a_duration_has_its_seconds(value: object, length: float) -> None:
    assert seconds(value) == length


@pytest.mark.parametrize("value", ["soon", "", " ", "1 fortnight", "-1h", None, True, ["1h"], "h", "1h,x"])
def test_what_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it like 1h 30m"):
        seconds(value)
