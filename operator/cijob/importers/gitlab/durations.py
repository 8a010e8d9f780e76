"""Durations as `.gitlab-ci.yml` writes them: `3h 30m`, `1 hour and 20 minutes`, `1:30:00`, `90`. Pure.

The forms are those of the gem gitlab-chronic-duration (lib/gitlab_chronic_duration.rb) but for numbers in words.
"""

from __future__ import annotations

import math
import re

from cijob.importers.gitlab.scalars import shortened

_UNITS = (
    (1, "s sec secs second seconds"),
    (60, "m min mins minute minutes"),
    (3600, "h hr hrs hour hours"),
    (86400, "d day days"),
    (604800, "w wk wks week weeks"),
    (2592000, "mo mon mos month months"),
    (31557600, "y yr yrs year years"),
)
_SECONDS = {word: seconds for seconds, words in _UNITS for word in words.split()} | {"": 1}
_CLOCK = re.compile(r"\d+(?::\d+){1,2}", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII)
_FILLING = re.compile(r"\b(?:and|plus|with)\b|,")


def seconds(value: object) -> float:
    """Seconds of a duration; a number without a unit is of seconds.

    Raises:
        ValueError: it is none; the message is a sentence.
    """
    wrong = ValueError(f"{shortened(repr(value))} is not a duration: write it like 1h 30m")
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise wrong
    text = _FILLING.sub(" ", str(value).lower()).strip()
    total, at = 0.0, 0
    if _CLOCK.fullmatch(text):
        for number in text.split(":"):
            total = total * 60 + float(number)
        return _finite(total, wrong)
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part[2] not in _SECONDS:
            raise wrong
        total += float(part[1]) * _SECONDS[part[2]]
        at = part.end()
    return _finite(total, wrong)


def _finite(total: float, wrong: ValueError) -> float:
    if math.isinf(total):
        raise wrong
    return total
