"""What `spec` says about values, asked for a task of a live run: its inputs, its outputs, its cache key."""

from collections.abc import Callable

from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.model.resources import CachePolicy, TaskValues
from penstock_server.spec import caching, resolve

_NOTHING = TaskValues()


def task_inputs(run: LiveRun, task: LiveTask) -> TaskValues:
    """Inputs of a task whose dependencies have succeeded. Raises ResolutionError."""
    parent, spec = task.parent, task.spec
    if parent is None or spec is None:
        return resolve.root_inputs(run.graph, run.record.parameters)
    return resolve.task_inputs(
        run.graph, task.component, spec, parent.inputs or _NOTHING, _outputs_in(parent), run.constants
    )


def dag_results(dag: LiveTask) -> TaskValues:
    """Outputs of a DAG all of whose tasks have ended. Raises ResolutionError."""
    return resolve.dag_outputs(dag.dag, _outputs_in(dag))


def cache_key(run: LiveRun, task: LiveTask, inputs: TaskValues) -> str | None:
    """The key under which the step's results are looked for and offered; None when it is not cached."""
    if task.spec is None or not task.spec.cache_enabled or run.record.cache_policy is CachePolicy.DISABLED:
        return None
    return caching.cache_key(task.component, task.spec, inputs, run.graph.name, run.record.namespace)


def _outputs_in(dag: LiveTask) -> Callable[[str], TaskValues | None]:
    children = dag.children or {}

    def outputs_of(key: str) -> TaskValues | None:
        child = children.get(key)
        return child.outputs if child is not None else None

    return outputs_of
