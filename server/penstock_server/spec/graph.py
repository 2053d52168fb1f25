"""The compiled pipeline: what a KFP v2 IR document means, as frozen values that the engine walks.

It has a place for everything the IR can say; what a server runs of it is told by `spec.support`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from penstock_server.model.json import Json, JsonObject


class ParameterType(StrEnum):
    """The types of parameters (KFP `ParameterType`)."""

    NUMBER_DOUBLE = "NUMBER_DOUBLE"
    NUMBER_INTEGER = "NUMBER_INTEGER"
    STRING = "STRING"
    BOOLEAN = "BOOLEAN"
    LIST = "LIST"
    STRUCT = "STRUCT"
    TASK_FINAL_STATUS = "TASK_FINAL_STATUS"
    TASK_CONFIG = "TASK_CONFIG"


class TriggerStrategy(StrEnum):
    """When a task may start, seen from what it depends on."""

    ALL_SUCCEEDED = "ALL_SUCCEEDED"
    ALL_COMPLETED = "ALL_COMPLETED"
    """However they ended: exit tasks, `ignore_upstream_failure`."""


@dataclass(frozen=True, slots=True)
class ParameterInput:
    """A parameter that a component takes."""

    type: ParameterType
    optional: bool
    has_default: bool
    default: Json
    """Meaningless unless `has_default`."""
    description: str
    literals: tuple[Json, ...]
    """The only values allowed; empty: any."""

    @property
    def required(self) -> bool:
        """True when a value must be given."""
        return not (self.optional or self.has_default)


@dataclass(frozen=True, slots=True)
class ArtifactInput:
    """An artifact, or a list of them, that a component takes."""

    type: str
    """Schema title, such as `system.Dataset`."""
    schema_version: str
    is_list: bool
    optional: bool
    description: str


@dataclass(frozen=True, slots=True)
class ArtifactOutput:
    """An artifact, or a list of them, that a component makes."""

    type: str
    schema_version: str
    is_list: bool
    metadata: JsonObject
    description: str


@dataclass(frozen=True, slots=True)
class ParameterOutput:
    """A parameter that a component makes."""

    type: ParameterType
    description: str


@dataclass(frozen=True, slots=True)
class DagInput:
    """The value is the enclosing DAG's input of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """The value is an output of a sibling task."""

    producer: str
    """Its key in the same DAG."""
    output: str


@dataclass(frozen=True, slots=True)
class Constant:
    """The value stands in the spec; strings may hold placeholders."""

    value: Json


@dataclass(frozen=True, slots=True)
class FinalStatus:
    """The value tells how a sibling task ended."""

    producer: str


@dataclass(frozen=True, slots=True)
class ParameterBinding:
    """Where a task's input parameter comes from."""

    source: DagInput | TaskOutput | Constant | FinalStatus
    selector: str = ""
    """CEL over the value (`parameterExpressionSelector`); empty: the value itself."""


@dataclass(frozen=True, slots=True)
class Iterator:
    """A task that runs once for each item of a list."""

    items: DagInput | Constant
    """For parameters either; for artifacts a DagInput naming an input of the task."""
    item_input: str
    over_artifacts: bool
    parallelism: int
    """At most so many iterations at a time; 0: no limit."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Further attempts after a failure of the step itself."""

    max_retry_count: int
    backoff_s: float
    backoff_factor: float
    backoff_max_s: float

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure (1, 2, ...)."""
        try:
            delay = self.backoff_s * self.backoff_factor ** (failures - 1)
        except OverflowError:
            return self.backoff_max_s
        return min(delay, self.backoff_max_s)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task of a DAG."""

    key: str
    display_name: str
    component: str
    """Key into `PipelineGraph.components`."""
    parameters: Mapping[str, ParameterBinding]
    artifacts: Mapping[str, DagInput | TaskOutput]
    depends_on: frozenset[str]
    """Keys of all siblings it waits for: the named ones and the producers of its inputs."""
    strategy: TriggerStrategy
    condition: str
    """CEL; empty: none."""
    iterator: Iterator | None
    retry: RetryPolicy | None
    cache_enabled: bool
    cache_key: str
    """A key of the user's own; empty: made from what the task does."""


@dataclass(frozen=True, slots=True)
class DagOutputs:
    """Which tasks' outputs become the DAG's own. More than one candidate: the first that ran (OneOf)."""

    parameters: Mapping[str, tuple[TaskOutput, ...]]
    artifacts: Mapping[str, tuple[TaskOutput, ...]]
    one_of: frozenset[str]
    """Names of the outputs declared as OneOf, even with a single candidate."""


@dataclass(frozen=True, slots=True)
class Dag:
    """Tasks and how their outputs leave."""

    tasks: Mapping[str, TaskSpec]
    outputs: DagOutputs
    dependents: Mapping[str, tuple[str, ...]]
    """For each task the siblings that wait for it, in the document's order."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a container asks for, as Kubernetes quantities; each may be one placeholder; empty: unset."""

    cpu_limit: str = ""
    memory_limit: str = ""
    cpu_request: str = ""
    memory_request: str = ""
    accelerator_type: str = ""
    accelerator_count: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A step: a program in an image. Command and arguments hold placeholders."""

    label: str
    """Its key among the executors."""
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    resources: Resources
    platforms: Mapping[str, JsonObject]
    """Platform name (`kubernetes`) to the executor's settings in the platform spec."""


@dataclass(frozen=True, slots=True)
class Importer:
    """Brings an artifact that exists into the run."""

    label: str
    uri: Constant | DagInput
    """A DagInput names the task's own input parameter."""
    type: str
    schema_version: str
    metadata: JsonObject
    reimport: bool
    download_to_workspace: bool


@dataclass(frozen=True, slots=True)
class Component:
    """An interface and what is behind it."""

    name: str
    input_parameters: Mapping[str, ParameterInput]
    input_artifacts: Mapping[str, ArtifactInput]
    output_parameters: Mapping[str, ParameterOutput]
    output_artifacts: Mapping[str, ArtifactOutput]
    body: Dag | Container | Importer
    task_config_passthroughs: tuple[tuple[str, bool], ...] = ()
    """Fields handed to a TASK_CONFIG parameter, and whether they are applied to the step as well."""


@dataclass(frozen=True, slots=True)
class PipelineGraph:
    """A whole pipeline."""

    name: str
    display_name: str
    description: str
    sdk_version: str
    default_root: str
    """`defaultPipelineRoot`; empty: none."""
    root: Component
    components: Mapping[str, Component]
    pipeline_config: Mapping[str, JsonObject] = field(default_factory=dict)
    """Platform name to the pipeline-wide settings in the platform spec."""
