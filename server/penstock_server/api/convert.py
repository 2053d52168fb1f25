"""The server's records as messages of the API."""

from collections.abc import Mapping

from penstock.v1 import (
    artifact_pb2,
    event_pb2,
    experiment_pb2,
    namespace_pb2,
    parameter_pb2,
    pipeline_pb2,
    run_pb2,
    run_service_pb2,
    task_pb2,
)
from penstock_server.api import names
from penstock_server.api.wire_values import common_fields, duration, json_values, timestamp
from penstock_server.engine.rerun import Forecast
from penstock_server.launch.reasons import hint_of
from penstock_server.model.ids import RunUid
from penstock_server.model.json import Json
from penstock_server.model.resources import (
    ArtifactValue,
    Attempt,
    CachePolicy,
    Event,
    EventSubject,
    Experiment,
    Namespace,
    Pipeline,
    PipelineVersion,
    Pod,
    Run,
    Task,
    TaskKind,
    TaskValues,
)
from penstock_server.rpc.json_values import to_struct, to_value
from penstock_server.store.run_views import RunView


def namespace(record: Namespace) -> namespace_pb2.Namespace:
    """A namespace."""
    return namespace_pb2.Namespace(name=names.NAMESPACE.format(record.name), **common_fields(record))


def experiment(record: Experiment) -> experiment_pb2.Experiment:
    """An experiment."""
    return experiment_pb2.Experiment(
        name=names.EXPERIMENT.format(record.namespace, record.id),
        archive_time=timestamp(record.archive_time),
        **common_fields(record),
    )


def pipeline(record: Pipeline) -> pipeline_pb2.Pipeline:
    """A pipeline."""
    latest = record.latest_version
    return pipeline_pb2.Pipeline(
        name=names.PIPELINE.format(record.namespace, record.id),
        archive_time=timestamp(record.archive_time),
        latest_version="" if latest is None else names.PIPELINE_VERSION.format(record.namespace, record.id, latest),
        version_count=record.version_count,
        **common_fields(record),
    )


def pipeline_version(record: PipelineVersion) -> pipeline_pb2.PipelineVersion:
    """A version, in VIEW_BASIC. One without a display name goes by its number."""
    message = pipeline_pb2.PipelineVersion(
        name=names.PIPELINE_VERSION.format(record.namespace, record.pipeline_id, record.number),
        number=record.number,
        alias=record.alias or "",
        spec_digest=record.spec_digest,
        sdk_version=record.sdk_version,
        parameters=map(parameter_definition, record.interface),
        cache_policy=cache_policy(record.cache_policy),
        cache_max_age=duration(record.cache_max_age_s),
        **common_fields(record),
    )
    message.display_name = record.display_name or str(record.number)
    return message


def parameter_definition(parameter: Mapping[str, Json]) -> parameter_pb2.ParameterDefinition:
    """A parameter of an interface, as `spec.interface` describes it."""
    literals = parameter.get("literals") or []
    assert isinstance(literals, list)
    definition = parameter_pb2.ParameterDefinition(
        name=str(parameter["name"]),
        type=parameter_pb2.ParameterDefinition.Type.Value(f"TYPE_{parameter['type']}"),
        optional=bool(parameter["optional"]),
        description=str(parameter.get("description", "")),
        literals=map(to_value, literals),
    )
    if "default_value" in parameter:
        definition.default_value.CopyFrom(to_value(parameter["default_value"]))
    return definition


def run(view: RunView) -> run_pb2.Run:
    """A run, in VIEW_BASIC."""
    record = view.run
    space = record.namespace
    message = run_pb2.Run(
        name=names.RUN.format(space, record.id),
        archive_time=timestamp(record.archive_time),
        experiment=names.EXPERIMENT.format(space, record.experiment_id),
        job="" if record.job_id is None else names.JOB.format(space, record.job_id),
        slot_time=timestamp(record.slot_time),
        origin=record.origin,
        spec_digest=record.spec_digest,
        parameters=json_values(record.parameters),
        cache_policy=cache_policy(record.cache_policy),
        cache_max_age=duration(record.cache_max_age_s),
        deadline=duration(record.deadline_s),
        priority=record.priority,
        max_parallel_tasks=record.max_parallel_tasks or 0,
        task_timeout=duration(record.task_timeout_s),
        queue_timeout=duration(record.queue_timeout_s),
        pause_time=timestamp(record.pause_time),
        rerun_of="" if record.rerun_of is None else names.RUN.format(space, view.rerun_of_id or record.rerun_of),
        artifact_root=record.artifact_root,
        state=run_pb2.Run.State.Value(f"STATE_{record.state}"),
        reason=record.reason,
        message=record.message,
        failed_task=names.TASK.format(space, record.id, record.failed_task_id) if record.failed_task_id else "",
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        outputs=json_values(record.outputs),
        output_artifacts=_artifacts(view.output_artifacts, space),
        task_counts=run_pb2.Run.TaskCounts(**{state.lower(): count for state, count in view.task_counts.items()}),
        event_sequence=record.event_sequence,
        **common_fields(record),
    )
    if record.pipeline_id is not None:
        where = record.pipeline_namespace or space
        message.pipeline_version = names.PIPELINE_VERSION.format(where, record.pipeline_id, record.pipeline_version)
    return message


def task(record: Task, run_of: Run, run_ids: Mapping[RunUid, str]) -> task_pb2.Task:
    """A task of `run_of` without its attempts; `run_ids`: of the runs whose results were reused."""
    space, run_id = run_of.namespace, run_of.id
    message = task_pb2.Task(
        name=names.TASK.format(space, run_id, record.id),
        parent_task="" if record.parent_id is None else names.TASK.format(space, run_id, record.parent_id),
        key=record.key,
        display_name=record.display_name,
        kind=task_pb2.Task.Kind.Value(f"KIND_{record.kind}"),
        state=task_pb2.Task.State.Value(f"STATE_{record.state}"),
        reason=record.reason,
        message=record.message,
        create_time=timestamp(record.create_time),
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        inputs=_task_io(record.inputs, space),
        outputs=_task_io(record.outputs, space),
        iteration_index=int(record.key) if record.kind is TaskKind.ITERATION else None,
        attempt_count=record.attempt_count,
        next_attempt_time=timestamp(record.not_before),
        cache_note=record.cache_note,
    )
    if record.cached_run_uid is not None:
        # A run that was deleted since is named by its uid, which is nobody else's.
        reused = run_ids.get(record.cached_run_uid, str(record.cached_run_uid))
        message.cached_from = names.TASK.format(space, reused, record.cached_task_id)
    return message


def attempt(record: Attempt) -> task_pb2.Attempt:
    """One try at a step."""
    return task_pb2.Attempt(
        number=record.number,
        state=task_pb2.Attempt.State.Value(f"STATE_{record.state}"),
        reason=record.reason,
        message=record.message,
        exit_code=record.exit_code,
        log_tail=record.log_tail,
        create_time=timestamp(record.create_time),
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        launcher=record.launcher,
        host=record.host,
        handle=record.handle,
        hint=hint_of(record.reason),
        failure_class=task_pb2.Attempt.FailureClass.Value(f"FAILURE_CLASS_{record.failure_class or 'UNSPECIFIED'}"),
    )


def add_pod(message: task_pb2.Task, newest: Attempt | None) -> None:
    """Tell the pod of the task's newest attempt, if that is one."""
    pod = Pod.of(newest) if newest is not None else None
    if pod is not None:
        message.pod.CopyFrom(task_pb2.Pod(name=pod.name, namespace=pod.namespace, node=pod.node))


def forecast(foreseen: Forecast) -> run_service_pb2.RerunRunResponse.Forecast:
    """What a run that repeats another one would do."""
    reuse = run_service_pb2.RerunRunResponse.Forecast.Reuse
    return run_service_pb2.RerunRunResponse.Forecast(
        reused=[reuse(task_id=each.task_id, source_task_id=each.source_task) for each in foreseen.reused],
        will_run=foreseen.will_run,
        undetermined=foreseen.undetermined,
    )


def event(record: Event, namespace_id: str, run_id: str) -> event_pb2.Event:
    """One event of a run."""
    message = event_pb2.Event(
        run=names.RUN.format(namespace_id, run_id),
        sequence=record.sequence,
        time=timestamp(record.time),
        subject=event_pb2.Event.Subject.Value(f"SUBJECT_{record.subject}"),
        task="" if record.task_id is None else names.TASK.format(namespace_id, run_id, record.task_id),
        attempt=record.attempt or 0,
        reason=record.reason,
        message=record.message,
    )
    _add_transition(message, record)
    return message


def _add_transition(message: event_pb2.Event, record: Event) -> None:
    before, after = _state(record.from_state), _state(record.to_state)
    match record.subject:
        case EventSubject.RUN:
            message.run_transition.from_state = run_pb2.Run.State.Value(before)
            message.run_transition.to_state = run_pb2.Run.State.Value(after)
        case EventSubject.TASK:
            message.task_transition.from_state = task_pb2.Task.State.Value(before)
            message.task_transition.to_state = task_pb2.Task.State.Value(after)
        case EventSubject.ATTEMPT:
            message.attempt_transition.from_state = task_pb2.Attempt.State.Value(before)
            message.attempt_transition.to_state = task_pb2.Attempt.State.Value(after)
        case EventSubject.NOTICE:
            message.notice.SetInParent()


def _artifacts(
    values: Mapping[str, tuple[ArtifactValue, ...]], namespace_id: str
) -> dict[str, artifact_pb2.ArtifactList]:
    """The artifacts of inputs or outputs, by name."""
    return {
        name: artifact_pb2.ArtifactList(artifacts=[_artifact(value, namespace_id) for value in items])
        for name, items in values.items()
    }


def _artifact(value: ArtifactValue, namespace_id: str) -> artifact_pb2.ArtifactReference:
    return artifact_pb2.ArtifactReference(
        artifact="" if value.uid is None else names.ARTIFACT.format(namespace_id, f"a-{value.uid}"),
        display_name=value.name,
        type=value.type,
        type_version=value.schema_version,
        uri=value.uri,
        digest=value.digest,
        size_bytes=value.size_bytes,
        metadata=to_struct(value.metadata),
    )


def _task_io(values: TaskValues, namespace_id: str) -> task_pb2.TaskIO | None:
    if not (values.parameters or values.artifacts):
        return None
    return task_pb2.TaskIO(
        parameters=json_values(values.parameters),
        artifacts=_artifacts(values.artifacts, namespace_id),
    )


def cache_policy(policy: CachePolicy) -> run_pb2.Run.CachePolicy.ValueType:
    """A cache policy."""
    return run_pb2.Run.CachePolicy.Value(f"CACHE_POLICY_{policy}")


def _state(state: str | None) -> str:
    return f"STATE_{state or 'UNSPECIFIED'}"
