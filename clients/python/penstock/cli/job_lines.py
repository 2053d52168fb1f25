"""Changes of a job and its slots as lines."""

from penstock.cli.clocks import Clock
from penstock.cli.job_text import job_state, late_text, slot_state, slot_time, trigger_text
from penstock.cli.output import clean, clock_text, first_line
from penstock.names import last_segment
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot


class JobLines:
    """Makes lines of what is told of a job. It remembers what it has told, since a job is told of after each slot."""

    def __init__(self) -> None:
        self._told = ""

    def line(self, job: Job) -> str | None:
        """How the job is from here on; None when people would see no difference."""
        parts = [trigger_text(job), ": ".join(part for part in (job.reason, first_line(job.message)) if part)]
        told = f"{job_state(job):<8}  {last_segment(job.name)}  {clean(', '.join(part for part in parts if part))}"
        if told == self._told:
            return None
        self._told = told
        return f"{clock_text(job.update_time)}  {told}"


def slot_line(slot: JobSlot, clock: Clock) -> str:
    """What has come of a slot."""
    late = late_text(slot)
    parts = [last_segment(slot.run), f"{late} late" if late else "", slot.reason, first_line(slot.message)]
    told = "  ".join(part for part in parts if part)
    return f"{clock_text(slot.update_time)}  {slot_state(slot):<8}  {slot_time(slot, clock)}  {clean(told)}".rstrip()
