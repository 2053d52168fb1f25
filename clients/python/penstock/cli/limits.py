"""What bounds a run, in words."""

from typing import TYPE_CHECKING

from penstock.cli.output import duration_text

if TYPE_CHECKING:
    from penstock.v1.run_pb2 import Run


def limits_text(run: "Run") -> str:
    """What bounds the run, as far as it was asked for."""
    limits = [f"priority {run.priority}"] if run.priority else []
    limits += [f"at most {run.max_parallel_tasks} steps at a time"] if run.max_parallel_tasks else []
    spans = {"deadline": run.deadline, "steps end after": run.task_timeout, "steps wait at most": run.queue_timeout}
    for what, span in spans.items():
        if seconds := span.ToTimedelta().total_seconds():
            limits.append(f"{what} {duration_text(seconds)}")
    return ", ".join(limits)
