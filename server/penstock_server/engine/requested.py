"""What the launcher is given for an attempt: the step, its values, places for outputs, its environment."""

from datetime import datetime

from penstock_server.engine.observer import EngineObserver
from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.engine.values import attempt_timeout_s, pod_settings
from penstock_server.launch.base import RunFacts, StepRequest
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import SERVICE_ACCOUNT_LABEL, Run, TaskValues
from penstock_server.model.states import AttemptState
from penstock_server.spec.constants import RunConstants
from penstock_server.spec.graph import PipelineGraph
from penstock_server.spec.pod_settings import NO_SETTINGS, PodSettings
from penstock_server.spec.settings import has_workspace, workspace


def run_facts(run: Run, pipeline_name: str) -> RunFacts:
    """What a step may learn of its run."""
    return RunFacts(
        run_id=run.id,
        run_uid=str(run.uid),
        run_display_name=run.display_name or run.id,
        pipeline_name=pipeline_name,
        namespace=run.namespace,
        create_time_utc=_rfc_3339(run.create_time),
        schedule_time_utc=_rfc_3339(run.slot_time or run.create_time),
        service_account=run.labels.get(SERVICE_ACCOUNT_LABEL, ""),
    )


def _rfc_3339(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def run_constants(run: Run, graph: PipelineGraph) -> RunConstants:
    """The values of the placeholders that tell of the run."""
    return run_facts(run, graph.name).constants


class RequestedSteps:
    """Makes the requests."""

    def __init__(self, artifact_root: str, observer: EngineObserver) -> None:
        self._artifact_root = artifact_root.rstrip("/")
        self._observer = observer

    def request(self, run: LiveRun, attempt: AttemptId) -> StepRequest:
        """The request for an attempt at a task whose inputs are resolved."""
        task = run.tasks[attempt.task_id]
        record = run.record
        root = record.artifact_root.rstrip("/") or self._artifact_root
        output_root = f"{root}/{record.namespace}/{record.uid}/{task.id}/{attempt.number}"
        return StepRequest(
            attempt=attempt,
            fence=run.fence,
            task_key=task.key,
            facts=run.facts,
            component=task.component,
            inputs=task.inputs or TaskValues(),
            output_uris={name: f"{output_root}/{name}" for name in task.component.output_artifacts},
            output_root=output_root,
            timeout_s=attempt_timeout_s(run, task),
            env=self._env(run, attempt),
            has_workspace=has_workspace(run.graph),
            workspace=workspace(run.graph),
            settings=self._settings(run, task),
            has_started=task.attempt is not None and task.attempt.state is not AttemptState.LAUNCHING,
        )

    def _settings(self, run: LiveRun, task: LiveTask) -> PodSettings:
        """What the step asks of its pod: resolved when it began, and again in a run that was loaded."""
        if not run.makes_pods:
            return NO_SETTINGS
        if task.settings is None:
            task.settings = pod_settings(run, task)
        return task.settings

    def _env(self, run: LiveRun, attempt: AttemptId) -> dict[str, str]:
        env = {"KFP_RETRY_INDEX": str(attempt.number - 1)}
        if traceparent := self._observer.traceparent(attempt, run.record):
            env["TRACEPARENT"] = traceparent
        return env
