"""Jobs, slots and backfills as tables and lines."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.cli.clocks import Clock, clock_of
from penstock.cli.durations import span_text
from penstock.cli.limits import limits_text
from penstock.cli.output import called, duration_text, first_line, json_text, print_fields, print_table, time_text
from penstock.names import last_segment
from penstock.v1.job_slot_pb2 import JobSlot

if TYPE_CHECKING:
    from penstock.v1.backfill_pb2 import Backfill
    from penstock.v1.job_pb2 import Job
    from penstock.v1.run_pb2 import Run

LATE_FROM_S = 1.0
"""A slot that fired less late than this was on time, as people see it."""


def job_state(job: "Job") -> str:
    """ENABLED, DISABLED or ARCHIVED."""
    if job.HasField("archive_time"):
        return "ARCHIVED"
    return type(job).State.Name(job.state).removeprefix("STATE_")


def slot_state(slot: JobSlot) -> str:
    """WAITING, FIRED or SKIPPED."""
    return JobSlot.State.Name(slot.state).removeprefix("STATE_")


def trigger_text(job: "Job") -> str:
    """`0 2 * * * (Europe/Berlin)` or `every 1h30m`."""
    if job.HasField("cron"):
        return f"{job.cron.expression} ({job.cron.time_zone or 'UTC'})"
    return f"every {span_text(job.interval.every.ToTimedelta().total_seconds())}"


def source_text(run: "Run") -> str:
    """`line-fit@latest`, or that the spec is the job's own."""
    parts = run.pipeline_version.split("/")
    return f"{parts[3]}@{parts[5]}" if len(parts) == 6 else "a spec of its own"


def print_jobs(jobs: Iterable["Job"]) -> None:
    """A table of jobs; times are those of the user's clock."""
    print_table(
        ["JOB", "DISPLAY NAME", "STATE", "FIRES", "NEXT (LOCAL)", "LAST RUN", "PIPELINE", "REASON"],
        [
            [
                id := last_segment(job.name),
                called(id, job.display_name),
                job_state(job),
                trigger_text(job),
                time_text(job.next_slot_time),
                last_segment(job.last_run),
                source_text(job.run),
                job.reason,
            ]
            for job in jobs
        ],
    )


def print_job(job: "Job") -> None:
    """What a job is and how it stands, on its own clock."""
    from penstock.values import from_values

    clock, run = clock_of(job), job.run
    parameters = from_values(run.parameters)
    print_fields(
        [
            ("name", job.name),
            ("display name", job.display_name if job.display_name != last_segment(job.name) else ""),
            ("description", first_line(job.description)),
            ("state", job_state(job)),
            ("reason", ": ".join(part for part in (job.reason, first_line(job.message)) if part)),
            ("fires", _fires(job, clock)),
            ("missed slots", _missed(job)),
            ("overlap", _overlap(job)),
            ("next slot", clock.text(job.next_slot_time)),
            ("last slot", _last(job, clock)),
            ("open", _open(job)),
            ("failures", _failures(job)),
            ("runs", " as ".join(part for part in (source_text(run), run.display_name) if part)),
            ("parameters", ", ".join(f"{name}={json_text(parameters[name])}" for name in sorted(parameters))),
            ("limits", limits_text(run)),
            ("experiment", last_segment(run.experiment)),
            ("labels", ", ".join(f"{key}={job.labels[key]}" for key in sorted(job.labels))),
            ("created", clock.text(job.create_time)),
            ("archived", clock.text(job.archive_time)),
        ]
    )


def print_slots(slots: Iterable[JobSlot], clock: Clock) -> None:
    """A table of slots on the job's clock."""
    print_table(
        [clock.heading("SLOT"), "STATE", "KIND", "RUN", "LATE", "REASON", "MESSAGE"],
        [
            [
                slot_time(slot, clock),
                slot_state(slot),
                JobSlot.Kind.Name(slot.kind).removeprefix("KIND_"),
                last_segment(slot.run),
                late_text(slot),
                slot.reason,
                first_line(slot.message),
            ]
            for slot in slots
        ],
    )


def print_backfills(backfills: Iterable["Backfill"], clock: Clock) -> None:
    """A table of backfills on the job's clock."""
    print_table(
        ["BACKFILL", "STATE", clock.heading("FROM"), "TO", "SLOTS", "WAITING", "RUNNING", "DONE", "FAILED", "SKIPPED"],
        [
            [
                last_segment(backfill.name),
                type(backfill).State.Name(backfill.state).removeprefix("STATE_"),
                clock.text(backfill.start_time),
                clock.text(backfill.end_time),
                *map(str, _counts(backfill)),
            ]
            for backfill in backfills
        ],
    )


def slot_time(slot: JobSlot, clock: Clock) -> str:
    """The instant of a slot, or the first and the last of those that it stands for."""
    last = clock.text(slot.last_slot_time)
    return clock.text(slot.slot_time) + (f" to {last}" if last else "")


def late_text(slot: JobSlot) -> str:
    """How late a slot fired; empty when it was on time, and for those of backfills, which always are late."""
    if slot.kind == JobSlot.KIND_BACKFILL:
        return ""
    late_s = slot.lateness.ToTimedelta().total_seconds()
    return duration_text(late_s) if late_s >= LATE_FROM_S else ""


def _counts(backfill: "Backfill") -> tuple[int, ...]:
    return (
        backfill.slot_count,
        backfill.waiting_count,
        backfill.active_count,
        backfill.succeeded_count,
        backfill.failed_count,
        backfill.skipped_count,
    )


def _fires(job: "Job", clock: Clock) -> str:
    parts = [trigger_text(job), f"from {clock.text(job.start_time)}"]
    parts += [f"until {clock.text(job.end_time)}"] if job.HasField("end_time") else []
    jitter_s = job.jitter.ToTimedelta().total_seconds()
    return ", ".join([*parts, f"up to {span_text(jitter_s)} later"] if jitter_s else parts)


def _missed(job: "Job") -> str:
    policy = type(job).CatchUp.Name(job.catch_up).removeprefix("CATCH_UP_")
    meaning = {"LATEST": "the newest fires", "ALL": f"the newest {job.catch_up_limit} fire"}
    return f"{policy}: {meaning.get(policy, 'skipped')}"


def _overlap(job: "Job") -> str:
    policy = type(job).Overlap.Name(job.overlap).removeprefix("OVERLAP_")
    return policy if policy == "ALLOW" else f"{policy}, at most {job.max_concurrency} at a time"


def _last(job: "Job", clock: Clock) -> str:
    parts = [clock.text(job.last_slot_time), last_segment(job.last_run)]
    return " as ".join(part for part in parts if part)


def _open(job: "Job") -> str:
    parts = [f"{job.active_run_count} runs"] if job.active_run_count else []
    parts += [f"{job.waiting_slot_count} slots wait"] if job.waiting_slot_count else []
    return ", ".join(parts)


def _failures(job: "Job") -> str:
    if job.max_consecutive_failures:
        return f"{job.consecutive_failures} of {job.max_consecutive_failures} in a row, then it is disabled"
    return f"{job.consecutive_failures} in a row" if job.consecutive_failures else ""
