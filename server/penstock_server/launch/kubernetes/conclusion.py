"""From a verdict to what is told: outputs read from the report, the last lines of the log."""

import asyncio
import hashlib
from dataclasses import replace

from penstock_agent.report import ReportError, ReportPlace, StepReport, read_message
from penstock_server.launch import verdicts, workspace
from penstock_server.launch.base import Observation, Phase, StepRequest
from penstock_server.launch.kubernetes.judgement import Verdict
from penstock_server.launch.kubernetes.names import MAIN
from penstock_server.launch.kubernetes.plans import stage_plan
from penstock_server.launch.kubernetes.records import Closing
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.workplace import Workplace
from penstock_server.launch.outputs import outputs_of_report
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import TaskValues
from penstock_server.spec.graph import Importer
from penstock_server.spec.imports import OUTPUT as IMPORTED
from penstock_server.spec.step import OutputError

LOG_PATIENCE_S = 30.0
"""A failure waits no longer for the last lines of its log."""


async def conclude(verdict: Verdict, request: StepRequest, pod: PodView, place: Workplace) -> Observation:
    """The end of an attempt as it is told. Raises Unavailable where the object store does not answer."""
    if verdict.phase is Phase.SUCCEEDED:
        return await succeeded(request, verdict.report, place)
    attempt = request.attempt
    if verdict.reason in ("STORE_REFUSED", "PUBLISH_REFUSED"):
        verdict = replace(verdict, message=f"{verdict.message}; {_who_asked(pod, place)}")
    tail = await _tail(request, pod, place) if verdict.phase is not Phase.STOPPED else ""
    if verdict.reason == "EXIT_CODE" and verdict.exit_code is not None:
        return verdicts.exited(attempt, verdict.exit_code, tail)
    if verdict.phase is Phase.FAILED and not _may_have_log(attempt, pod, place):
        await place.logs.note(attempt, verdict.message)
    return Observation(
        attempt, verdict.phase, verdict.reason, verdict.message, exit_code=verdict.exit_code, log_tail=tail
    )


def _who_asked(pod: PodView, place: Workplace) -> str:
    """By what the containers around the step are known to the store, and what to look at."""
    stage = place.settings.frame.stage
    if stage.store_volume:
        return f"the containers around the step are user {stage.user} (`kubernetes_stage_user`)"
    secrets = ", ".join(stage.secrets)
    if not secrets:
        return "no secret with keys is set (`kubernetes_store_secrets`)"
    return f"check the keys in the secret {secrets} of the namespace {pod.namespace} (`kubernetes_store_secrets`)"


async def succeeded(request: StepRequest, message: str, place: Workplace) -> Observation:
    """The end of one whose program ended with 0, by the report that its termination message carries or leads to."""
    attempt = request.attempt
    if isinstance(request.component.body, Importer):
        (artifact,) = request.inputs.artifacts[IMPORTED]
        return verdicts.succeeded(attempt, TaskValues({}, {IMPORTED: (workspace.marked(artifact),)}))
    try:
        report = await _report(request, message, place)
        if report is None:
            why = "the step ended well, but there is no report of its outputs"
            return Observation(attempt, Phase.LOST, "PUBLISH_FAILED", why, exit_code=0)
        plan = stage_plan(request, place.records, place.settings.frame)
        return verdicts.succeeded(attempt, outputs_of_report(request, plan, report))
    except OutputError as error:
        return verdicts.failed(attempt, error.reason, str(error), exit_code=0)
    except ReportError as error:
        return Observation(attempt, Phase.LOST, "PUBLISH_FAILED", str(error), exit_code=0)


async def of_absent(request: StepRequest, place: Workplace) -> Observation | None:
    """The end of one that has no pod any more, by its records; None where they do not tell of one.

    Raises Unavailable.
    """
    attempt = request.attempt
    closing = await place.records.closing(attempt)
    if closing is not None:
        return await _closed(request, closing, place)
    if await place.records.is_reported(attempt):
        message = "the attempt has run before, and its pod, which would tell how it ended, is gone"
        return Observation(attempt, Phase.LOST, "POD_DELETED", message)
    return None


async def _closed(request: StepRequest, closing: Closing, place: Workplace) -> Observation:
    if closing.verdict is not None and closing.verdict.phase is Phase.SUCCEEDED:
        return await succeeded(request, "", place)
    if closing.verdict is not None:
        return closing.verdict
    if closing.reason == verdicts.STOPPED:
        return verdicts.stopped(request.attempt, verdicts.STOPPED, None, "")
    message = "the attempt was here and has been forgotten since"
    return Observation(request.attempt, Phase.LOST, "POD_DELETED", message)


async def _report(request: StepRequest, message: str, place: Workplace) -> StepReport | None:
    told = read_message(message)
    if isinstance(told, StepReport):
        return told
    content = await place.records.store.read(place.records.report_uri(request.attempt))
    if content is None:
        return None
    if isinstance(told, ReportPlace) and told.digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
        raise ReportError("the report of the step is not the one that its pod has told of")
    return StepReport.from_json(content)


async def _tail(request: StepRequest, pod: PodView, place: Workplace) -> str:
    """The last lines of its log, if it has run; the log is stored on the way."""
    if not _may_have_log(request.attempt, pod, place):
        return ""
    task = place.logs.keep(request.attempt, pod, request.fence)
    done, _ = await asyncio.wait([task], timeout=LOG_PATIENCE_S)
    return task.result() if done and not task.cancelled() else ""


def _may_have_log(attempt: AttemptId, pod: PodView, place: Workplace) -> bool:
    return pod.has_run(MAIN) or place.logs.is_keeping(attempt)


def closing_of(verdict: Verdict, request: StepRequest) -> Closing:
    """What is noted before a pod is ended by us whose step has ended."""
    told = Observation(request.attempt, verdict.phase, verdict.reason, verdict.message, exit_code=verdict.exit_code)
    return Closing("ENDED", "the step had ended", told)
