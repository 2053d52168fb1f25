"""The last word on a run: its outputs, or what failed, why, and the end of the log."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from penstock.cli.output import clean, elapsed_text, first_line, json_text
from penstock.cli.tree import state_name, task_id
from penstock.names import last_segment
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Task
from penstock.values import from_value

if TYPE_CHECKING:
    from penstock import Client


def tell_ending(client: "Client", run: Run, say: Callable[[str], None]) -> None:
    """Tell how a run that has ended did so."""
    state = state_name(run)
    took = elapsed_text(run.start_time, run.end_time)
    coloured = typer.style(state, fg="green" if run.state == Run.STATE_SUCCEEDED else "red", bold=True)
    say(f"run {last_segment(run.name)} {coloured}{f' in {took}' if took else ''}")
    if run.state == Run.STATE_SUCCEEDED:
        _tell_outputs(run, say)
    else:
        _tell_failure(client, run, say)


def _tell_outputs(run: Run, say: Callable[[str], None]) -> None:
    for name in sorted(run.outputs):
        say(f"  {clean(name)}: {clean(json_text(from_value(run.outputs[name])))}")
    for name in sorted(run.output_artifacts):
        for artifact in run.output_artifacts[name].artifacts:
            say(f"  {clean(name)}: {clean(artifact.type)} {clean(artifact.uri)}")


def _tell_failure(client: "Client", run: Run, say: Callable[[str], None]) -> None:
    if not run.failed_task:
        why = ": ".join(part for part in (run.reason, clean(run.message, lines=True)) if part)
        say(f"  {why}" if why else "  no reason was given")
        return
    task = client.runs.task(run, run.failed_task)
    say(f"  task {clean(task_id(task))}: {task.reason}: {first_line(task.message)}".rstrip(": "))
    _tell_attempt(task, say)
    say(f"  whole log: penstock logs {last_segment(run.name)} {clean(task_id(task))}")


def _tell_attempt(task: Task, say: Callable[[str], None]) -> None:
    if not task.attempts:
        return
    attempt = task.attempts[-1]
    if attempt.HasField("exit_code"):
        say(f"  exit code {attempt.exit_code}, attempt {attempt.number}")
    if task.HasField("pod"):
        say(f"  pod {clean(task.pod.name)} in {clean(task.pod.namespace)}, node {clean(task.pod.node) or 'unknown'}")
    if attempt.hint:
        say(f"  what to do: {clean(attempt.hint)}")
    if attempt.log_tail:
        say("  last log lines:")
        for line in clean(attempt.log_tail, lines=True).splitlines():
            say(f"    {line}")
