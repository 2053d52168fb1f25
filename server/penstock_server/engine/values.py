"""What `spec` says about values, asked for a task of a live run: its inputs, its outputs, its cache key."""

from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.model.resources import ArtifactValue, CachePolicy, TaskKind, TaskValues
from penstock_server.spec import caching, imports, loops, resolve, settings
from penstock_server.spec.graph import Container
from penstock_server.spec.pod_reader import needs_bound
from penstock_server.spec.pod_settings import NO_SETTINGS, PodSettings
from penstock_server.spec.resolve import Ending, EndingOf, TaskInputs
from penstock_server.spec.settings import shortest

_NOTHING = TaskValues()


def task_inputs(run: LiveRun, task: LiveTask) -> TaskInputs:
    """Inputs of a task whose dependencies have ended. Raises ResolutionError."""
    parent, spec = task.parent, task.spec
    if parent is None or spec is None:
        values = resolve.root_inputs(run.graph, run.record.parameters)
        return TaskInputs(values, values)
    given = parent.inputs or _NOTHING
    if task.index is not None:
        values = loops.iteration_inputs(task.component, spec, given, parent.items[task.index])
        return TaskInputs(values, values)
    return resolve.task_inputs(task.component, spec, given, _endings_in(parent), run.constants)


def loop_items(run: LiveRun, loop: LiveTask, inputs: TaskValues) -> loops.Items:
    """What a loop runs over. Raises ResolutionError."""
    assert loop.spec is not None
    return loops.loop_items(loop.spec, inputs, run.constants)


def dag_results(dag: LiveTask) -> TaskValues:
    """Outputs of a task all of whose children have ended well."""
    if dag.kind is TaskKind.LOOP:
        made = [child.outputs for child in (dag.children or {}).values() if child.outputs is not None]
        return loops.collected(dag.component, made)
    return resolve.dag_outputs(dag.dag, _endings_in(dag))


def imported_artifact(run: LiveRun, task: LiveTask, inputs: TaskInputs) -> ArtifactValue:
    """What an importer brings in. Raises ResolutionError."""
    assert task.spec is not None
    return imports.imported_artifact(task.component, task.spec, inputs, run.constants)


def pod_settings(run: LiveRun, task: LiveTask, bound: TaskValues | None = None) -> PodSettings:
    """What a step asks of its pod; `bound` is all that its task is bound to, where that is known.

    The same whenever it is asked for once the inputs of the task are resolved. Raises ResolutionError.
    """
    body, holder, spec = task.component.body, task.parent, task.spec
    if not isinstance(body, Container) or holder is None or spec is None:
        return NO_SETTINGS
    if task.index is not None and holder.parent is not None:
        # An iteration of a loop over the step itself: its settings come from around the loop.
        holder = holder.parent
    if bound is None:
        bound = task_inputs(run, task).bound if needs_bound(body) else (task.inputs or _NOTHING)
    given = holder.inputs or _NOTHING
    return resolve.step_settings(task.component, spec, given, bound, _endings_in(holder), run.constants)


def cache_key(run: LiveRun, task: LiveTask, inputs: TaskValues) -> str | None:
    """The key under which the step's results are looked for and offered; None when it is not cached."""
    if task.spec is None or not task.spec.cache_enabled or run.record.cache_policy is CachePolicy.DISABLED:
        return None
    if task.kind is not TaskKind.STEP:
        return None
    return caching.cache_key(task.component, task.spec, inputs, run.graph.name, run.record.namespace, _claims(task))


def cache_max_age_s(run: LiveRun, task: LiveTask) -> float | None:
    """Seconds after which a result is too old for the step."""
    return shortest(run.record.cache_max_age_s, settings.cache_max_age_s(_container(task)))


def queue_timeout_s(run: LiveRun, task: LiveTask) -> float | None:
    """Seconds that the step may wait for a slot."""
    return shortest(run.record.queue_timeout_s, settings.queue_timeout_s(_container(task)))


def attempt_timeout_s(run: LiveRun, task: LiveTask) -> float | None:
    """Seconds that an attempt at the step may take."""
    return shortest(run.record.task_timeout_s, settings.attempt_timeout_s(_container(task)))


def result_key(task: LiveTask, inputs: TaskValues) -> str | None:
    """What decides the step's results, whether or not they are cached."""
    return caching.result_key(task.component, inputs, task.place, _claims(task)) if task.kind is TaskKind.STEP else None


def step_key(run: LiveRun, task: LiveTask) -> str:
    """Which step it is of which pipeline."""
    return caching.step_key(task.id, run.graph.name, run.record.namespace)


def importer_key(run: LiveRun, artifact: ArtifactValue) -> str:
    """The key under which an importer looks for the same artifact, imported before."""
    return caching.importer_key(artifact, run.graph.name, run.record.namespace)


def _claims(task: LiveTask) -> tuple[str, ...]:
    return task.settings.claims if task.settings is not None else ()


def _container(task: LiveTask) -> Container | None:
    body = task.component.body
    return body if isinstance(body, Container) else None


def _endings_in(dag: LiveTask) -> EndingOf:
    children = dag.children or {}

    def ending_of(key: str) -> Ending | None:
        child = children.get(key)
        return Ending(child.state, child.outputs, child.message) if child is not None else None

    return ending_of
