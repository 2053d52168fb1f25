"""Run messages, made of what callers say: for a run of its own, and for the run that each slot of a job makes."""

from collections.abc import Mapping
from typing import Any

from penstock import policies
from penstock.names import Ref, resource_name, version_name
from penstock.policies import Seconds, duration
from penstock.spec_source import Spec, is_spec, spec_text
from penstock.v1.run_pb2 import Run
from penstock.v1.spec_pb2 import Spec as SpecMessage
from penstock.values import to_value


def run_message(
    namespace: str,
    source: Spec | Ref,
    parameters: Mapping[str, object] | None,
    *,
    display_name: str = "",
    description: str = "",
    labels: Mapping[str, str] | None = None,
    experiment: Ref | None = None,
    cache_policy: str = "",
    cache_max_age: Seconds = None,
    deadline: Seconds = None,
    task_timeout: Seconds = None,
    queue_timeout: Seconds = None,
    priority: int = 0,
    max_parallel_tasks: int = 0,
    artifact_root: str = "",
) -> Run:
    """The run that `create_run` of the client describes. Raises ValueError, OSError for a file that cannot be read."""
    run = Run(
        display_name=display_name,
        description=description,
        labels=labels,
        parameters={name: to_value(value, name) for name, value in (parameters or {}).items()},
        cache_policy=policies.cache_policy(cache_policy),
        cache_max_age=duration(cache_max_age),
        artifact_root=artifact_root,
        deadline=duration(deadline),
        task_timeout=duration(task_timeout),
        queue_timeout=duration(queue_timeout),
        priority=priority,
        max_parallel_tasks=max_parallel_tasks,
    )
    set_source(run, namespace, source)
    if experiment is not None:
        run.experiment = resource_name(namespace, "experiments", experiment)
    return run


def set_source(run: Run, namespace: str, source: Any) -> None:
    """Let the run execute a spec, or what names a pipeline on the server."""
    if is_spec(source):
        run.inline_spec.CopyFrom(SpecMessage(text=spec_text(source)))
    else:
        run.pipeline_version = version_name(namespace, source, None)
