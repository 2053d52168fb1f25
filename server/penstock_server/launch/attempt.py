"""One attempt as a process: started or found, watched, stopped, judged.

    take ──► start ──► (prepare) ──► watch ──► judge ──► conclude
      │ somebody else has it in hand: look again          ▲
      │ a shim lives: watch                               │
      └ it has ended: judge ──────────────────────────────┘

What is known of it stands in its journal; every step here starts by reading that, so that it does not matter
who took the step before: this server, one that was killed, or one that runs beside it.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from penstock_server.launch import shim, strays, verdicts
from penstock_server.launch.base import Observation, Phase, StepRequest
from penstock_server.launch.journal import Journal, Record, uptime_s
from penstock_server.launch.long_arguments import handed_over
from penstock_server.launch.outputs import CollectedOutputs, collect
from penstock_server.launch.preparation import PreparationError, bring_imported, prepare
from penstock_server.launch.program import COMMAND_INVALID, Program, ProgramError, ProgramNotFoundError, plan_program
from penstock_server.launch.publication import Publication, PublicationError
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.launch.warm import Spare
from penstock_server.launch.warm_request import WarmRequest, warm_request
from penstock_server.launch.watch import ProcessWatch, reap
from penstock_server.launch.workplace import NO_ROOM, RETRY_S, Workplace, as_unavailable
from penstock_server.model.errors import Unavailable
from penstock_server.spec.graph import Importer
from penstock_server.spec.step import OutputError

_log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.1
INTERRUPTIONS_MAX = 5
"""After so many errors of our own an attempt is given up."""


@dataclass(slots=True)
class ProcessAttempt:
    """One attempt that this launcher has been told of. All methods are for the event loop."""

    request: StepRequest
    folder: AttemptFolder
    place: Workplace
    tell: Callable[[Observation], None]
    last: Observation | None = None
    """What was told last."""
    _held: Journal | None = None
    """The journal while its lock is ours: from taking the attempt to the start of its process."""
    _waits_for_spare: bool = False
    """True while a warm Python is to give it a shim."""
    _is_warm: bool = False
    """True once it was handed to the shim of a warm Python."""
    _watch: ProcessWatch = field(init=False)
    _task: "asyncio.Task[None] | None" = None
    _interruptions: int = 0
    _publication: Publication = field(init=False)

    def __post_init__(self) -> None:
        self._publication = Publication(self.place.artifacts)
        self._watch = ProcessWatch(self._gone, self._guarded)

    @property
    def has_ended(self) -> bool:
        """True when its end was told."""
        return self.last is not None and self.last.phase.is_final

    def take(self) -> None:
        """Look at what there is of it and do the next thing: start it, watch it, or tell how it ended.

        Raises Unavailable when the machine has no room for it at this moment; nothing has started then.
        """
        with as_unavailable():
            self.folder.make()
            journal = Journal.open(self.folder.journal)
        if not journal.lock():
            self._find_holder(journal)
            return
        self._held = journal
        try:
            self._resume(journal.read())
        except BaseException:
            self._release()
            raise

    def stop(self) -> None:
        """End it: politely first, by force after the grace. Raises Unavailable when that cannot be noted."""
        if not self.has_ended:
            with as_unavailable():
                self._stop(verdicts.STOPPED)

    async def close(self) -> None:
        """Let go of it. The process goes on; a preparation ends, for another server to take up."""
        self._watch.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._release()

    def recover(self, error: Exception) -> None:
        """Nobody waits for what failed: begin again from the journal, a little later."""
        self._watch.end()
        self._release()
        if isinstance(error, Unavailable):
            _log.warning("attempt waits", extra={"attempt": str(self.request.attempt), "error": error.message})
            self._watch.later(RETRY_S, self.take)
            return
        _log.error("attempt interrupted", extra={"attempt": str(self.request.attempt)}, exc_info=error)
        self._interruptions += 1
        if self._interruptions < INTERRUPTIONS_MAX:
            self._watch.later(RETRY_S, self.take)
        else:
            message = f"the launcher failed on this attempt again and again: {error}"
            self._conclude(verdicts.failed(self.request.attempt, "LAUNCHER_ERROR", message))

    # Taking it

    def _resume(self, record: Record) -> None:
        attempt = self.request.attempt
        if record.end is not None:
            self._conclude(verdicts.from_json(attempt, record.end), note=False)
        elif record.pid is not None or record.stop is not None:
            self._release()
            if record.pid is not None:
                reap(record.pid)
            self._judge(record)
        elif record.launch is None and (self.folder.has_log() or self.request.has_started):
            message = "the attempt was here and has been forgotten since"
            if not self.folder.has_log():
                message = "the attempt had started, and this machine has no trace of it"
            self._conclude(verdicts.lost(attempt, message), note=False)
        else:
            self._start()

    def _find_holder(self, journal: Journal) -> None:
        try:
            record = journal.read()
            found = record.pid is not None and self._watch.begin(record.pid, journal)
        finally:
            journal.close()
        if not found:
            # Another server prepares it or has just looked at it. A shim out of sight is waited for as well.
            self._watch.later(LOOK_AGAIN_S, self.take)
            return
        self._limit_time(record)
        self._report_started(str(record.pid))
        if record.stop is not None:
            self._watch.terminate(record, self.place.grace_s)

    # Starting it

    def _start(self) -> None:
        assert self._held is not None
        try:
            with as_unavailable():
                self._held.launch(self.place.launch_facts(self.request))
                component = self.request.component
                self.folder.make_parts(
                    with_outputs=bool(component.output_artifacts or component.output_parameters),
                    with_parameters=bool(component.output_parameters),
                    with_workspace=self.request.has_workspace,
                )
            if isinstance(self.request.component.body, Importer):
                self._run(self._import())
                return
            program = plan_program(self.request, self.folder, self.place.artifacts)
        except ProgramError as error:
            self._refuse(error.reason, str(error))
            return
        python_env = self._python_env(program)
        if program.fetches or (program.requirements is not None and python_env is None):
            self._run(self._prepare(program))
        else:
            self._spawn(program, python_env)

    def _python_env(self, program: Program) -> Path | None:
        if program.requirements is None:
            return None
        return self.place.environments.find(program.requirements)

    async def _prepare(self, program: Program) -> None:
        try:
            self.folder.append_log("")
            await prepare(program, self.place)
        except PreparationError as error:
            self._refuse(error.reason, str(error))
        else:
            self._spawn_unless_stopped(program)

    async def _import(self) -> None:
        try:
            outputs = await bring_imported(self.request, self.folder, self.place.artifacts)
        except PreparationError as error:
            self._refuse(error.reason, str(error))
        else:
            self._conclude(verdicts.succeeded(self.request.attempt, outputs))

    def _spawn_unless_stopped(self, program: Program) -> None:
        assert self._held is not None
        record = self._held.read()
        if record.stop is not None:
            self._release()
            self._judge(record)
            return
        self._held.launch(self.place.launch_facts(self.request))
        self._spawn(program, self._python_env(program))

    def _spawn(self, program: Program, python_env: Path | None) -> None:
        env = program.environment(self.place.base_environment, python_env)
        request = self._warm_request(program, python_env, env)
        warm = self.place.warm.find(python_env) if python_env is not None and request is not None else None
        if request is None or warm is None:
            self._spawn_cold(program, python_env, env)
            return

        def use(spare: Spare | None) -> bool:
            if self._held is None:
                return False  # it was stopped, or let go of
            self._waits_for_spare = False
            if spare is not None and spare.start(request, self._held.fd, self.folder.log):
                self._is_warm = True
                self._guarded(lambda: self._begin(spare.pid, program.notices, spare.pidfd))
            else:
                self._guarded(lambda: self._spawn_cold(program, python_env, env))
            return True

        self._waits_for_spare = True
        warm.when_spare(use)

    def _warm_request(self, program: Program, python_env: Path | None, env: Mapping[str, str]) -> WarmRequest | None:
        """What a warm Python is asked to start it; None when no warm Python may."""
        if python_env is None:
            return None
        return warm_request(program, env, self.place.warm.environment(python_env))

    def _spawn_cold(self, program: Program, python_env: Path | None, env: Mapping[str, str]) -> None:
        assert self._held is not None
        try:
            argv = program.resolved(env)
            if python_env is not None:
                argv = handed_over(argv, Path(self.folder.live, "executor_input.json"))
            with as_unavailable(NO_ROOM):
                pid = shim.start(self._held, argv, env, self.folder.work, self.folder.log)
        except ProgramNotFoundError as error:
            self._refuse("EXIT_CODE", str(error), exit_code=verdicts.NOT_FOUND_CODE)
        except (OSError, ValueError) as error:
            is_wrong = isinstance(error, ValueError) or error.errno == errno.E2BIG
            reason = COMMAND_INVALID if is_wrong else "START_FAILED"
            self._refuse(reason, f"the system cannot start this command: {error}")
        else:
            self._begin(pid, program.notices)

    def _begin(self, pid: int, notices: tuple[tuple[str, str], ...], pidfd: int | None = None) -> None:
        self._watch.begin(pid, pidfd=pidfd)
        self._release()
        self._limit_time(Record(launch=self.place.launch_facts(self.request)))
        self._report_started(str(pid), notices)

    def _refuse(self, reason: str, message: str, *, exit_code: int | None = None) -> None:
        self.folder.append_log(f"penstock: {message}")
        tail = verdicts.read_tail(self.folder.log)
        failure = verdicts.failed(self.request.attempt, reason, message, exit_code=exit_code, log_tail=tail)
        self._conclude(failure)

    # Ending it

    def _gone(self, pid: int) -> None:
        record = self._read()
        if record is None or record.exit_code is None:
            # Somebody killed the shim. Its group's number cannot be given to others before it is reaped.
            self._watch.kill()
        self._watch.end()
        reap(pid)
        if record is None:
            message = "another server has told its end and forgotten it"
            self._conclude(verdicts.lost(self.request.attempt, message), note=False)
        elif record.pid is None and record.stop is None and self._is_warm:
            self.take()  # the spare ended before it could hear of the step, or do anything about it
        elif record.pid is None and record.stop is None:
            self._refuse("START_FAILED", "the shell that was to start the command ended before it could")
        else:
            self._judge(record)

    def _limit_time(self, record: Record) -> None:
        if self.request.timeout_s is None or record.launch is None:
            return
        left_s = self.request.timeout_s - (uptime_s() - record.started_s)
        self._watch.later(left_s, lambda: self._stop(verdicts.TIMED_OUT))

    def _stop(self, reason: str) -> None:
        journal = self._held or Journal.open_existing(self.folder.journal)
        if journal is None:
            return  # another server has forgotten it
        journal.stop(reason)
        record = journal.read()
        if journal is not self._held:
            journal.close()
        if self._watch.pid is not None and record.stop is not None:
            self._watch.terminate(record, self.place.grace_s)
        elif self._held is not None and (self._task is not None or self._waits_for_spare):
            if self._task is not None:
                self._task.cancel()
            self._release()
            self._judge(record)

    # Judging how it ended

    def _judge(self, record: Record) -> None:
        """Its process has ended, or it was stopped before there was one: tell how."""
        attempt = self.request.attempt
        if record.stop is not None:
            tail = verdicts.read_tail(self.folder.log)
            verdict = verdicts.stopped(attempt, record.stop.reason, record.exit_code, tail)
            self._run(self._conclude_cleanly(verdict))
        elif record.exit_code is None:
            message = "its process was killed together with what was to record its exit status"
            verdict = verdicts.lost(attempt, message, verdicts.read_tail(self.folder.log))
            self._run(self._conclude_cleanly(verdict))
        elif record.exit_code != 0:
            self.place.janitor.note_ended(str(attempt))
            out_of_memory = record.exit_code == verdicts.KILLED_CODE and self._saw_oom_kill(record)
            tail = verdicts.read_tail(self.folder.log)
            verdict = verdicts.exited(attempt, record.exit_code, tail, out_of_memory=out_of_memory)
            self._conclude(verdict, note=out_of_memory)
        else:
            self.place.janitor.note_ended(str(attempt))
            self._collect()

    def _saw_oom_kill(self, record: Record) -> bool:
        """The machine has killed a process for want of memory while this one ran."""
        before, now = (record.launch or {}).get("oom_kills"), self.place.oom_kills()
        return isinstance(before, int) and now is not None and now > before

    async def _conclude_cleanly(self, verdict: Observation) -> None:
        """Conclude when nothing of it is left, wherever it has hidden."""
        await asyncio.to_thread(strays.end, {str(self.request.attempt)})
        self._conclude(verdict)

    def _collect(self) -> None:
        try:
            outputs = collect(self.request, self.folder, self.place.artifacts)
        except OutputError as error:
            self._refuse(error.reason, str(error), exit_code=0)
            return
        if outputs.to_publish:
            self._run(self._publish(outputs))
        else:
            self._conclude(verdicts.succeeded(self.request.attempt, outputs.values({})), note=False)

    async def _publish(self, outputs: CollectedOutputs) -> None:
        try:
            published = await self._publication.publish(outputs)
        except PublicationError as error:
            self._refuse("PUBLISH_FAILED", str(error), exit_code=0)
        else:
            self._conclude(verdicts.succeeded(self.request.attempt, outputs.values(published)))

    # Telling

    def _report_started(self, handle: str, notices: tuple[tuple[str, str], ...] = ()) -> None:
        self._tell(Observation(self.request.attempt, Phase.STARTED, handle=handle, notices=notices))

    def _conclude(self, verdict: Observation, *, note: bool = True) -> None:
        """Tell the end. It is noted for adopters unless they would come to the same by themselves."""
        if note:
            self._note_end(verdict)
        self._watch.end()
        self._release()
        self._tell(verdict)

    def _note_end(self, verdict: Observation) -> None:
        try:
            journal = self._held or Journal.open(self.folder.journal)
            journal.end(verdicts.to_json(verdict))
            if journal is not self._held:
                journal.close()
        except OSError as error:
            # The note spares an adopter the work of judging again. The end can be told without it.
            _log.warning("end not noted", extra={"attempt": str(self.request.attempt), "error": str(error)})

    def _tell(self, observation: Observation) -> None:
        self.last = replace(observation, host=self.place.host)
        self.tell(self.last)

    # Foundations

    def _read(self) -> Record | None:
        journal = Journal.open_existing(self.folder.journal)
        if journal is None:
            return None
        try:
            return journal.read()
        finally:
            journal.close()

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.create_task(self._guarded_work(work), name=f"attempt-{self.request.attempt}")

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self.recover(error)

    async def _guarded_work(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            self.recover(error)
