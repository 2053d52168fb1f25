"""Changes of a job and its slots as lines."""

from penstock.cli.clocks import Clock
from penstock.cli.job_text import job_state, late_text, slot_state, slot_time, trigger_text
from penstock.cli.output import clean, clock_text, first_line
from penstock.names import last_segment
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot


def job_line(job: Job, clock: Clock) -> str:
    """How the job is from here on."""
    following = clock.text(job.next_slot_time)
    parts = [trigger_text(job), f"next {following}" if following else "", job.reason]
    told = ", ".join(part for part in parts if part)
    return f"{clock_text(job.update_time)}  {job_state(job):<8}  {last_segment(job.name)}  {clean(told)}"


def slot_line(slot: JobSlot, clock: Clock) -> str:
    """What has come of a slot."""
    late = late_text(slot)
    parts = [last_segment(slot.run), f"{late} late" if late else "", slot.reason, first_line(slot.message)]
    told = "  ".join(part for part in parts if part)
    return f"{clock_text(slot.update_time)}  {slot_state(slot):<8}  {slot_time(slot, clock)}  {clean(told)}".rstrip()
