"""What a graph has to satisfy as a whole: everything that is named exists, fits, and never comes back to itself."""

from collections.abc import Iterable, Iterator, Mapping

from penstock_server.spec.extent import check_extent
from penstock_server.spec.graph import (
    Component,
    Constant,
    Dag,
    DagInput,
    ParameterType,
    PipelineGraph,
    TaskOutput,
    TaskSpec,
)
from penstock_server.spec.values import as_text, problem
from penstock_server.spec.violations import Violations


def check_graph(graph: PipelineGraph, violations: Violations) -> None:
    """Note all that is wrong with the graph."""
    for path, component in _components(graph):
        if isinstance(component.body, Dag):
            _DagCheck(graph, path, component, component.body, violations).check()
    if violations:
        return
    _check_recursion(graph, violations)
    if not violations:
        check_extent(graph, violations)


def _components(graph: PipelineGraph) -> Iterator[tuple[str, Component]]:
    yield "root", graph.root
    for name, component in graph.components.items():
        yield f"components.{name}", component


class _DagCheck:
    """Checks one DAG against its own interface and those of the components it uses."""

    def __init__(self, graph: PipelineGraph, path: str, component: Component, dag: Dag, violations: Violations) -> None:
        self._graph = graph
        self._path = path
        self._component = component
        self._dag = dag
        self._violations = violations

    def check(self) -> None:
        for key, task in self._dag.tasks.items():
            self._task(f"{self._path}.dag.tasks.{key}", task)
        self._outputs()
        cycle = _cycle({key: task.depends_on for key, task in self._dag.tasks.items()})
        if cycle:
            self._add(f"{self._path}.dag.tasks", f"wait for each other in a circle: {' -> '.join(cycle)}")

    def _add(self, path: str, description: str) -> None:
        self._violations.add(path, description)

    def _task(self, path: str, task: TaskSpec) -> None:
        component = self._graph.components.get(task.component)
        if component is None:
            self._add(f"{path}.componentRef.name", f"there is no component {task.component!r}")
        # Looked up one by one: a difference of sets would go through all tasks for each of them.
        for key in sorted(key for key in task.depends_on if key not in self._dag.tasks):
            self._add(f"{path}.dependentTasks", f"there is no task {key!r} in this DAG")
        if component is not None:
            self._parameters(path, task, component)
            self._artifacts(path, task, component)

    def _parameters(self, path: str, task: TaskSpec, component: Component) -> None:
        for name, binding in task.parameters.items():
            where = f"{path}.inputs.parameters.{name}"
            declared = component.input_parameters.get(name)
            source = binding.source
            if declared is None:
                # A step may be given more than it declares: values for its constants and its resources.
                if isinstance(component.body, Dag) and not _iterates(task, name):
                    self._unknown(where, task, "parameter", component.input_parameters)
            elif isinstance(source, Constant) and not binding.selector and not _is_open(source):
                # A STRING takes everything, as the text that it is written as.
                is_text = declared.type is ParameterType.STRING
                if wrong := problem(declared, as_text(source.value) if is_text else source.value):
                    self._add(where, wrong)
            if isinstance(source, DagInput) and source.name not in self._component.input_parameters:
                self._add(where, f"the DAG has no input parameter {source.name!r}")
            if isinstance(source, TaskOutput):
                self._producer(where, source, "parameter")
        given = set(task.parameters) | ({task.iterator.item_input} if task.iterator else set())
        for name, declared in component.input_parameters.items():
            made = declared.type in (ParameterType.TASK_CONFIG, ParameterType.TASK_FINAL_STATUS)
            if declared.required and name not in given and not made:
                self._add(f"{path}.inputs.parameters.{name}", "is required and not given")

    def _artifacts(self, path: str, task: TaskSpec, component: Component) -> None:
        for name, source in task.artifacts.items():
            where = f"{path}.inputs.artifacts.{name}"
            if name not in component.input_artifacts and not _iterates(task, name):
                self._unknown(where, task, "artifact", component.input_artifacts)
            if isinstance(source, TaskOutput):
                self._producer(where, source, "artifact")
            elif source.name not in self._component.input_artifacts:
                self._add(where, f"the DAG has no input artifact {source.name!r}")
        given = set(task.artifacts) | ({task.iterator.item_input} if task.iterator else set())
        for name, declared in component.input_artifacts.items():
            if not declared.optional and name not in given:
                self._add(f"{path}.inputs.artifacts.{name}", "is required and not given")

    def _unknown(self, where: str, task: TaskSpec, kind: str, taken: Iterable[str]) -> None:
        names = ", ".join(sorted(taken)) or "none"
        self._add(where, f"component {task.component!r} takes no such {kind}; it takes {names}")

    def _producer(self, where: str, source: TaskOutput, kind: str) -> None:
        """That the output exists; a producer that is no task here is told among the dependencies."""
        producer = self._dag.tasks.get(source.producer)
        component = self._graph.components.get(producer.component) if producer is not None else None
        if component is None:
            return
        made: Mapping[str, object] = component.output_parameters if kind == "parameter" else component.output_artifacts
        if source.output not in made:
            names = ", ".join(sorted(made)) or "none"
            self._add(where, f"task {source.producer!r} makes no {kind} {source.output!r}; it makes {names}")

    def _outputs(self) -> None:
        outputs = self._dag.outputs
        for kind, declared, found in (
            ("parameter", set(self._component.output_parameters), outputs.parameters),
            ("artifact", set(self._component.output_artifacts), outputs.artifacts),
        ):
            for name, candidates in found.items():
                where = f"{self._path}.dag.outputs.{kind}s.{name}"
                if name not in declared:
                    self._add(where, f"is not declared among the component's output {kind}s")
                if not candidates:
                    self._add(where, "names no task")
                for candidate in candidates:
                    if candidate.producer not in self._dag.tasks:
                        self._add(where, f"there is no task {candidate.producer!r} in this DAG")
                    else:
                        self._producer(where, candidate, kind)


def _iterates(task: TaskSpec, name: str) -> bool:
    """The input is the list that the task is run over."""
    return task.iterator is not None and task.iterator.items == DagInput(name)


def _is_open(constant: Constant) -> bool:
    """A constant with placeholders has its value only when the task starts."""
    return isinstance(constant.value, str) and "{{$" in constant.value


def _check_recursion(graph: PipelineGraph, violations: Violations) -> None:
    uses = {
        name: frozenset(task.component for task in component.body.tasks.values())
        for name, component in graph.components.items()
        if isinstance(component.body, Dag)
    }
    cycle = _cycle({name: used & uses.keys() for name, used in uses.items()})
    if cycle:
        violations.add(f"components.{cycle[0]}", f"contains itself: {' -> '.join(cycle)}")


def _cycle(edges: Mapping[str, frozenset[str]]) -> list[str]:
    """A path that comes back to where it began; empty when there is none. Without recursion: paths may be long."""
    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        on_path: set[str] = set()
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            node, leaving = pending.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                done.add(node)
            elif node in on_path:
                return [*path[path.index(node) :], node]
            elif node not in done and node in edges:
                path.append(node)
                on_path.add(node)
                pending.append((node, True))
                pending += [(following, False) for following in sorted(edges[node], reverse=True)]
    return []
