"""The way of a step: inputs, cache, slot, attempts, end."""

from penstock_server.engine import reasons
from penstock_server.engine.effects import (
    Adopt,
    AwaitTwin,
    Forget,
    GiveSlotBack,
    KeepSlot,
    Launch,
    LookUpCache,
    Stop,
    WaitForQueue,
    WaitForRetry,
    WantSlot,
)
from penstock_server.engine.inputs import CacheAnswered, CacheHit, LaunchRefused, QueueTimedOut, TwinFound
from penstock_server.engine.moves import create_attempt, move_attempt, move_task
from penstock_server.engine.state import LiveAttempt, LiveRun, LiveTask
from penstock_server.engine.values import (
    cache_key,
    cache_max_age_s,
    pod_settings,
    queue_timeout_s,
    result_key,
    step_key,
)
from penstock_server.launch.base import Observation, Phase
from penstock_server.model.changes import Notice
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import CachePolicy, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, TaskState
from penstock_server.spec.resolve import ResolutionError, TaskInputs
from penstock_server.store.values import identified

LOSSES_MAX = 3
"""So many attempts of a task may be lost and are followed by another one."""
WAITS_MAX = 100
"""So often it is told what an attempt waits for before it runs; a cluster that changes its mind each second is not
written down without end."""
LOSS_DELAY_S = 1.0
"""The second loss is followed by an attempt after so many seconds, each further one after twice as many."""

_ENDS = {
    Phase.SUCCEEDED: AttemptState.SUCCEEDED,
    Phase.FAILED: AttemptState.FAILED,
    Phase.LOST: AttemptState.LOST,
    Phase.STOPPED: AttemptState.CANCELLED,
}
_NO_QUEUE = frozenset({reasons.RUN_PAUSED, reasons.WAITING_FOR_TWIN})
"""Why a QUEUED step may wait for something else than its turn."""


def begin(run: LiveRun, task: LiveTask, inputs: TaskInputs) -> None:
    """The step has its inputs: see that there can be such a pod, where it is to be one, and queue."""
    if run.makes_pods:
        try:
            task.settings = pod_settings(run, task, inputs.bound)
        except ResolutionError as error:
            fail(run, task, error.reason, error.message)
            return
    queue(run, task, inputs.values)


def queue(run: LiveRun, task: LiveTask, inputs: TaskValues) -> None:
    """The step may run: take its results from the run that this one repeats, or let it wait for its turn."""
    key, result = cache_key(run, task, inputs), result_key(task, inputs)
    if result is not None and (hit := run.reusable.get(result)) is not None:
        _reuse(run, task, hit, reasons.REUSED, inputs=inputs, result_key=result)
        return
    reason = reasons.RUN_PAUSED if run.holds_back else reasons.WAITING_FOR_SLOT
    same = step_key(run, task) if key is not None else None
    move_task(run, task, TaskState.QUEUED, reason, inputs=inputs, cache_key=key, result_key=result, step_key=same)
    if not run.holds_back:
        ask(run, task)


def resume(run: LiveRun, task: LiveTask) -> None:
    """Ask again for whatever the loaded step was waiting for."""
    if (attempt := task.live_attempt) is not None:
        run.decisions.asks.append(KeepSlot(task.id))
        run.decisions.effects.append(Adopt(task.id, attempt.number))
    elif task.state is TaskState.QUEUED and task.delay_s:
        task.is_delayed = True
        run.decisions.effects.append(WaitForRetry(task.id, task.delay_s))
    elif task.state is TaskState.QUEUED and run.holds_back:
        hold(run, task)
    elif task.state is TaskState.QUEUED and task.reason == reasons.RUN_PAUSED:
        release(run, task)
    elif task.state is TaskState.QUEUED and task.reason == reasons.WAITING_FOR_TWIN:
        end_twin(run, task)
    elif task.state is TaskState.QUEUED:
        ask(run, task)


def hold(run: LiveRun, task: LiveTask) -> None:
    """The run is paused: a step that waits for its turn waits for the run to go on instead."""
    if task.state is not TaskState.QUEUED or task.is_delayed:
        return
    run.decisions.asks.append(GiveSlotBack(task.id))
    if task.reason not in (reasons.RUN_PAUSED, reasons.LOOKING_UP):
        move_task(run, task, TaskState.QUEUED, reasons.RUN_PAUSED)


def release(run: LiveRun, task: LiveTask) -> None:
    """The run goes on: a step that was held back waits for its turn."""
    if task.state is TaskState.QUEUED and task.reason == reasons.RUN_PAUSED:
        move_task(run, task, TaskState.QUEUED, reasons.WAITING_FOR_SLOT)
        ask(run, task)


def ask(run: LiveRun, task: LiveTask) -> None:
    """Ask for a slot, or first, if that may spare the step its run, for results of earlier runs."""
    if task.cache_key is not None and uses_results(run, task):
        same = step_key(run, task) if task.kind is TaskKind.STEP else None
        run.decisions.asks.append(LookUpCache(task.id, task.cache_key, cache_max_age_s(run, task), same))
    else:
        _wait_for_slot(run, task)


def uses_results(run: LiveRun, task: LiveTask) -> bool:
    """True for a task that takes the results of an earlier one, if there are any, rather than run."""
    wants = task.reason == reasons.LOOKING_UP or run.record.cache_policy is CachePolicy.DEFAULT
    return task.cache_key is not None and task.attempt_count == 0 and wants


def answer_cache(run: LiveRun, answer: CacheAnswered) -> None:
    """Results of earlier runs were looked through: reuse what was found, or queue for a slot."""
    task = run.tasks[answer.task_id]
    if task.state is not TaskState.QUEUED:
        return
    task.cache_note = answer.note
    if answer.hit is not None:
        _reuse(run, task, answer.hit, reasons.CACHED)
    elif run.holds_back:
        hold(run, task)
    else:
        _wait_for_slot(run, task)


def grant_slot(run: LiveRun, task: LiveTask) -> None:
    """A slot is the step's: start an attempt."""
    if task.state is not TaskState.QUEUED or run.stops(task) or run.holds_back:
        run.decisions.asks.append(GiveSlotBack(task.id))
        return
    move_task(run, task, TaskState.RUNNING, reasons.STARTED, cache_note=task.cache_note or None)
    attempt = create_attempt(run, task)
    run.decisions.effects.append(Launch(task.id, attempt.number))


def find_twin(run: LiveRun, found: TwinFound) -> None:
    """Another task that does the same runs already: wait for its results instead of for a slot."""
    task = run.tasks[found.task_id]
    run.decisions.asks.append(GiveSlotBack(task.id))
    if task.state is TaskState.QUEUED and task.cache_key is not None and not run.stops(task) and not run.holds_back:
        message = f"{found.twin} does the same and runs already"
        move_task(run, task, TaskState.QUEUED, reasons.WAITING_FOR_TWIN, message)
        run.decisions.asks.append(AwaitTwin(task.id, task.cache_key))


def end_twin(run: LiveRun, task: LiveTask) -> None:
    """The other one has ended: see what it has left."""
    if task.state is TaskState.QUEUED and task.reason == reasons.WAITING_FOR_TWIN:
        move_task(run, task, TaskState.QUEUED, reasons.WAITING_FOR_SLOT)
        ask(run, task)


def retry_due(run: LiveRun, task: LiveTask) -> None:
    """The wait before the next attempt is over."""
    task.is_delayed = False
    if task.state is not TaskState.QUEUED or run.stops(task):
        return
    if run.holds_back:
        hold(run, task)
    else:
        _wait_for_slot(run, task)


def time_out_of_queue(run: LiveRun, event: QueueTimedOut) -> None:
    """The step has waited for a slot for too long; what it waited for otherwise does not count."""
    task = run.tasks[event.task_id]
    waits = task.state is TaskState.QUEUED and task.reason not in _NO_QUEUE and not task.is_delayed
    if waits and task.waits == event.wait and not run.stops(task):
        run.decisions.asks.append(GiveSlotBack(task.id))
        fail(run, task, reasons.QUEUE_TIMEOUT, f"no slot was free within {queue_timeout_s(run, task):g} s")


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
    elif attempt.state is AttemptState.LAUNCHING and seen.phase is Phase.PENDING:
        _note_wait(run, task, attempt, seen)
    elif attempt.state is AttemptState.LAUNCHING:
        move_attempt(run, task, attempt, AttemptState.RUNNING, seen)
        if task.reason != reasons.STARTED:
            move_task(run, task, TaskState.RUNNING, reasons.STARTED)
    elif seen.phase is Phase.STARTED and seen.reason not in ("", task.reason) and not attempt.stop_asked:
        move_task(run, task, TaskState.RUNNING, seen.reason, seen.message)


def _note_wait(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    """The attempt waits in the launcher: tell for what, once for each thing, and not without end."""
    reason = seen.reason or AttemptState.LAUNCHING
    waits_for = (reason, seen.message, seen.host)
    if waits_for == attempt.waits_for or attempt.waits_told == WAITS_MAX:
        return
    attempt.waits_for = waits_for
    attempt.waits_told += 1
    move_attempt(run, task, attempt, AttemptState.LAUNCHING, seen)
    if (task.reason, task.message) != (reason, seen.message):
        move_task(run, task, TaskState.RUNNING, reason, seen.message)


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


def _wait_for_slot(run: LiveRun, task: LiveTask) -> None:
    run.decisions.asks.append(WantSlot(task.id))
    task.waits += 1
    limit = queue_timeout_s(run, task)
    if limit is not None:
        left, task.queued_s = max(0.0, limit - task.queued_s), 0.0
        run.decisions.effects.append(WaitForQueue(task.id, task.waits, left))


def _reuse(
    run: LiveRun,
    task: LiveTask,
    hit: CacheHit,
    reason: str,
    *,
    inputs: TaskValues | None = None,
    result_key: str | None = None,
) -> None:
    message = f"{reason.lower()} from run {hit.run_id} task {hit.task_id}"
    source = (hit.run_uid, hit.task_id)
    move_task(
        run,
        task,
        TaskState.SUCCEEDED,
        reason,
        message,
        inputs=inputs,
        outputs=hit.outputs,
        cached_from=source,
        result_key=result_key,
    )


def _end_attempt(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    move_attempt(run, task, attempt, _ENDS[seen.phase], seen)
    run.decisions.asks.append(GiveSlotBack(task.id))
    is_own = seen.failure_class is None or seen.failure_class.is_own
    run.decisions.effects.append(Forget(task.id, attempt.number, attempt.state, None if is_own else seen))
    if seen.phase is Phase.SUCCEEDED:
        outputs = identified(seen.outputs, run.uid, task.id)
        move_task(run, task, TaskState.SUCCEEDED, reasons.COMPLETED, outputs=outputs)
    elif run.stops(task) and seen.phase is not Phase.FAILED:
        move_task(run, task, TaskState.CANCELLED, run.task_end_reason, seen.message)
    elif seen.is_settled:
        fail(run, task, seen.reason, _account(seen))
    elif seen.failure_class is not None and seen.failure_class.is_own:
        _after_failure(run, task, attempt, seen)
    else:
        _after_loss(run, task, attempt, seen)


def _after_failure(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    task.failures += 1
    policy = task.retry
    if policy is None or task.failures > policy.max_retry_count or run.stops(task):
        fail(run, task, seen.reason or AttemptState.FAILED, _account(seen))
    else:
        _queue_again(run, task, attempt, seen, policy.delay_s(task.failures))


def _after_loss(run: LiveRun, task: LiveTask, attempt: LiveAttempt, seen: Observation) -> None:
    task.losses += 1
    if task.losses > LOSSES_MAX or run.stops(task):
        how = "failed" if attempt.state is AttemptState.FAILED else "were lost"
        account = f"{task.losses} attempts {how}, the last one: {_account(seen)}"
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
        task.is_delayed = True
        run.decisions.effects.append(WaitForRetry(task.id, delay_s))
    elif run.holds_back:
        hold(run, task)
    else:
        _wait_for_slot(run, task)


def _account(seen: Observation) -> str:
    """What the user reads of a failure: the message, and the end of the log."""
    message = seen.message or seen.reason
    return f"{message}\nlast log lines:\n{seen.log_tail}" if seen.log_tail else message
