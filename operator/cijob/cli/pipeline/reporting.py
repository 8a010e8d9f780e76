"""What is said of a pipeline at its end, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from cijob.cli import console
from cijob.cli.pipeline.schedule import Result
from cijob.cli.pipeline.tree import MARKS, outcome, summary
from cijob.cli.printing import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.cli.pipeline.schedule import Schedule
    from cijob.cli.pipeline.tree import Sight

#: Cells of the widest column that all rows keep to: a job's name may have 255 characters.
_WIDEST: Final = 60


def report(
    schedule: Schedule, sights: Mapping[str, Sight], seconds: float, namespace: str, look: str, *, lost: bool = False
) -> None:
    """A sentence, a table of the jobs, and how to look at them. The only job of a pipeline has said nearly all of that.

    Args:
        schedule: of the pipeline, at its end.
        sights: what was seen of each job.
        seconds: that it took.
        namespace: of its jobs.
        look: how to look at them, in a sentence.
        lost: whether artifacts could not be left where the user wants them.
    """
    _jobs(schedule, sights, seconds, namespace, look)
    if lost:
        _say("not all artifacts are in the folder of --artifacts: why stands above", "bad")


def _jobs(schedule: Schedule, sights: Mapping[str, Sight], seconds: float, namespace: str, look: str) -> None:
    good = schedule.result() is Result.SUCCEEDED
    rows = summary(schedule, sights)
    created = [sight.cijob for sight in sights.values() if sight.cijob]
    if len(rows) == len(created) == 1:
        if not good:
            _say(f"`cijob describe {created[0]} -n {namespace}` tells more.", "quiet")
        return
    _say(outcome(schedule, seconds), "quiet" if good else "bad")
    table = Table("JOB", "RESULT", "TIME", "NOTE", widest=_WIDEST)
    for state, name, took, why in rows:
        table.add(name, (state.value, MARKS[state][2]), took, why)
    for line in table.lines():
        console.err().print(line, soft_wrap=True)
    if not good:
        _say(look, "quiet")


def _say(text: str, style: str) -> None:
    console.err().print(Text(f"cijob: {console.plain(text)}", style=style), soft_wrap=True)
