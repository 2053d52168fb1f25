"""The journal that steps keep of themselves: `start RUN TASK ATTEMPT`, `end RUN TASK ATTEMPT`; attempts from 0 on."""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple


class Line(NamedTuple):
    """What an attempt notes."""

    what: str
    run: str
    """Its uid."""
    task: str
    attempt: int


def read_journal(text: str) -> list[Line]:
    """The lines of a journal."""
    words = (line.split() for line in text.splitlines())
    return [Line(what, run, task, int(attempt)) for what, run, task, attempt in words]


def problems_of_journal(lines: list[Line], cut_loose: Collection[tuple[str, str, int]] = ()) -> list[str]:
    """No attempt ran twice, and none began after a later one or while one before it ran.

    Those of `cut_loose` may have gone on: nobody could tell any more that they did.
    """
    found = [f"twice in the journal: {' '.join(map(str, line))}" for line, count in Counter(lines).items() if count > 1]
    newest: dict[tuple[str, str], int] = {}
    for what, run, task, attempt in lines:
        last = newest.get((run, task), -1)
        if what == "start":
            if attempt <= last:
                found.append(f"attempt {attempt} of {task} in {run} began after attempt {last}")
            newest[run, task] = attempt
        elif attempt != last and (run, task, attempt) not in cut_loose:
            found.append(f"attempt {attempt} of {task} in {run} went on while attempt {last} ran")
    return found
