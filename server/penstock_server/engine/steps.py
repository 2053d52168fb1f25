"""The way of a step: inputs, cache, slot, attempts, end."""

from penstock_server.engine import reasons
from penstock_server.engine.effects import (
    Adopt,
    Forget,
    GiveSlotBack,
    KeepSlot,
    Launch,
    LookUpCache,
    Stop,
    WaitForRetry,
    WantSlot,
)
from penstock_server.engine.inputs import CacheAnswered, LaunchRefused
from penstock_server.engine.moves import create_attempt, move_attempt, move_task
from penstock_server.engine.state import LiveAttempt, LiveRun, LiveTask
from penstock_server.engine.values import cache_key, task_inputs
from penstock_server.launch.base import Observation, Phase
from penstock_server.model.changes import Notice
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import CachePolicy
from penstock_server.model.states import AttemptState, TaskState
from penstock_server.spec.resolve import ResolutionError
from penstock_server.store.values import identified

LOSSES_MAX = 3
"""So many attempts of a task may be lost and are followed by another one."""
LOSS_DELAY_S = 1.0
"""The second loss is followed by an attempt after so many seconds, each further one after twice as many."""

_ENDS = {
    Phase.SUCCEEDED: AttemptState.SUCCEEDED,
    Phase.FAILED: AttemptState.FAILED,
    Phase.LOST: AttemptState.LOST,
    Phase.STOPPED: AttemptState.CANCELLED,
}


def queue(run: LiveRun, task: LiveTask) -> None:
    """All that the step depends on has succeeded: resolve its inputs and let it wait for its turn."""
    try:
        inputs = task_inputs(run, task)
    except ResolutionError as error:
        fail(run, task, error.reason, error.message)
        return
    key = cache_key(run, task, inputs)
    move_task(run, task, TaskState.QUEUED, reasons.WAITING_FOR_SLOT, inputs=inputs, cache_key=key)
    _ask(run, task)


def resume(run: LiveRun, task: LiveTask) -> None:
    """Ask again for whatever the loaded step was waiting for."""
    if (attempt := task.live_attempt) is not None:
        run.decisions.asks.append(KeepSlot(task.id))
        run.decisions.effects.append(Adopt(task.id, attempt.number))
    elif task.state is TaskState.QUEUED and task.delay_s:
        run.decisions.effects.append(WaitForRetry(task.id, task.delay_s))
    elif task.state is TaskState.QUEUED:
        _ask(run, task)


def answer_cache(run: LiveRun, answer: CacheAnswered) -> None:
    """Results of earlier runs were looked through: reuse what was found, or queue for a slot."""
    task = run.tasks[answer.task_id]
    if task.state is not TaskState.QUEUED:
        return
    if answer.hit is None:
        run.decisions.asks.append(WantSlot(task.id))
        return
    hit = answer.hit
    source = (hit.run_uid, hit.task_id)
    move_task(run, task, TaskState.SUCCEEDED, reasons.CACHED, outputs=hit.outputs, cached_from=source)


def grant_slot(run: LiveRun, task: LiveTask) -> None:
    """A slot is the step's: start an attempt."""
    if task.state is not TaskState.QUEUED or run.is_cancelling:
        run.decisions.asks.append(GiveSlotBack(task.id))
        return
    move_task(run, task, TaskState.RUNNING, reasons.STARTED)
    attempt = create_attempt(run, task)
    run.decisions.effects.append(Launch(task.id, attempt.number))


def retry_due(run: LiveRun, task: LiveTask) -> None:
    """The wait before the next attempt is over."""
    if task.state is TaskState.QUEUED and not run.is_cancelling:
        run.decisions.asks.append(WantSlot(task.id))


def observe(run: LiveRun, seen: Observation) -> None:
    """The launcher saw something of an attempt."""
    task = run.tasks.get(seen.attempt.task_id)
    if task is None:
        return
    attempt = task.live_attempt
    if attempt is None or attempt.number != seen.attempt.number:
        if seen.phase.is_final:
            run.decisions.effects.append(Forget(task.id, seen.attempt.number, None))
        return
    if attempt.state is AttemptState.LAUNCHING:
        run.decisions.changes += [Notice(*notice, task.id, attempt.number) for notice in seen.notices]
    if seen.phase.is_final:
        _end_attempt(run, task, attempt, seen)
    elif attempt.state is AttemptState.LAUNCHING:
        move_attempt(run, task, attempt, AttemptState.RUNNING, seen)


def refuse_launch(run: LiveRun, refused: LaunchRefused) -> None:
    """The launcher cannot be reached: count the attempt as lost, and stop it in case it lives after all."""
    task = run.tasks[refused.task_id]
    if (attempt := task.live_attempt) is None or attempt.number != refused.number:
        return
    run.decisions.effects.append(Stop(task.id, attempt.number))
    lost = AttemptId(run.uid, task.id, attempt.number)
    _end_attempt(run, task, attempt, Observation(lost, Phase.LOST, reasons.LAUNCH_FAILED, refused.message))


def stop(run: LiveRun, task: LiveTask, reason: str) -> None:
    """The run is being cancelled: a waiting task ends, an attempt under way is asked to."""
    if task.state is TaskState.QUEUED:
        run.decisions.asks.append(GiveSlotBack(task.id))
    if task.state in (TaskState.PENDING, TaskState.QUEUED):
        move_task(run, task, TaskState.CANCELLED, reason)
    elif (attempt := task.live_attempt) is not None and not attempt.stop_asked:
        attempt.stop_asked = True
        run.decisions.effects.append(Stop(task.id, attempt.number))


def fail(run: LiveRun, task: LiveTask, reason: str, message: str) -> None:
    """The task fails by itself, not through a task in it."""
    if run.failed_task_id is None:
        run.failed_task_id = task.id
    move_task(run, task, TaskState.FAILED, reason, message)


def _ask(run: LiveRun, task: LiveTask) -> None:
    """Ask for a slot, or first, if that may spare the step its run, for results of earlier runs."""
    if task.cache_key and not task.attempt_count and run.record.cache_policy is CachePolicy.DEFAULT:
        run.decisions.asks.append(LookUpCache(task.id, task.cache_key))
    else:
        run.decisions.asks.append(WantSlot(task.id))


def _end_attempt(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    move_attempt(run, task, attempt, _ENDS[seen.phase], seen)
    run.decisions.asks.append(GiveSlotBack(task.id))
    run.decisions.effects.append(Forget(task.id, attempt.number, attempt.state))
    if seen.phase is Phase.SUCCEEDED:
        outputs = identified(seen.outputs, run.uid, task.id)
        move_task(run, task, TaskState.SUCCEEDED, reasons.COMPLETED, outputs=outputs)
    elif run.is_cancelling and seen.phase is not Phase.FAILED:
        move_task(run, task, TaskState.CANCELLED, run.task_end_reason, seen.message)
    elif seen.phase is Phase.FAILED and seen.reason not in reasons.LAUNCHER_FAULTS:
        _after_failure(run, task, attempt, seen)
    else:
        _after_loss(run, task, attempt, seen)


def _after_failure(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    task.failures += 1
    policy = task.retry
    if policy is None or task.failures > policy.max_retry_count or run.is_cancelling:
        fail(run, task, seen.reason or AttemptState.FAILED, _account(seen))
    else:
        _queue_again(run, task, attempt, seen, policy.delay_s(task.failures))


def _after_loss(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    task.losses += 1
    if task.losses > LOSSES_MAX or run.is_cancelling:
        account = f"{task.losses} attempts were lost, the last one: {_account(seen)}"
        fail(run, task, seen.reason or AttemptState.LOST, account)
    else:
        delay_s = 0.0 if task.losses == 1 else LOSS_DELAY_S * 2 ** (task.losses - 2)
        _queue_again(run, task, attempt, seen, delay_s)


def _queue_again(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation, delay_s: float) -> None:
    how = "failed" if attempt.state is AttemptState.FAILED else "was lost"
    when = f"in {delay_s:g} s" if delay_s > 0 else "as soon as a slot is free"
    message = f"attempt {attempt.number} {how} ({seen.message or seen.reason}); the next one starts {when}"
    move_task(run, task, TaskState.QUEUED, reasons.WAITING_FOR_RETRY, message, delay_s=delay_s or None)
    if delay_s > 0:
        run.decisions.effects.append(WaitForRetry(task.id, delay_s))
    else:
        run.decisions.asks.append(WantSlot(task.id))


def _account(seen: Observation) -> str:
    """What the user reads of a failure: the message, and the end of the log."""
    message = seen.message or seen.reason
    return f"{message}\nlast log lines:\n{seen.log_tail}" if seen.log_tail else message
