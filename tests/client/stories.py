"""A run as a server tells of it: the run, its tasks and its events in order, for scripted answers."""

from collections.abc import Iterator
from typing import Any

import grpc

from penstock.v1.event_pb2 import Event
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import (
    GetRunResponse,
    GetTaskResponse,
    ListTasksResponse,
    WatchRunRequest,
    WatchRunResponse,
)
from penstock.v1.task_pb2 import Attempt, Task
from tests.client.scripted import ScriptedServer, cut

RUN = "namespaces/default/runs/line-fit-1"
FAILED_LOG = "epoch 1\ncannot open /data\n"


class Story:
    """Two steps, `make` and `fit`, told event by event."""

    def __init__(self, *, fails: bool = False) -> None:
        end = Run.STATE_FAILED if fails else Run.STATE_SUCCEEDED
        self.responses: list[WatchRunResponse] = []
        self._run(Run.STATE_PENDING)
        self._run(Run.STATE_RUNNING)
        self._task("root", Task.STATE_RUNNING)
        self._task("make", Task.STATE_RUNNING)
        self._notice("SETTINGS_IGNORED", "the process launcher ignores images")
        self._task("make", Task.STATE_SUCCEEDED)
        self._task("fit", Task.STATE_PENDING, "WAITING_FOR_UPSTREAM", "waits for make")
        self._task("fit", Task.STATE_RUNNING)
        if fails:
            self._task("fit", Task.STATE_FAILED, "EXIT_CODE", "the step exited with 3")
        else:
            self._task("fit", Task.STATE_SUCCEEDED)
        self._run(end)

    @property
    def sequences(self) -> list[int]:
        """The numbers of all events."""
        return [response.event.sequence for response in self.responses]

    def run(self, at: int | None = None) -> Run:
        """The run after its event `at`; at its end by default."""
        told = self.responses[: at if at is not None else len(self.responses)]
        run = Run()
        run.CopyFrom([response.run for response in told if response.HasField("run")][-1])
        run.event_sequence = len(told)
        return run

    def script(self, server: ScriptedServer, *, at: int = 1, cuts: tuple[int, ...] = (), batch: int = 1) -> None:
        """Let `server` tell it, up to `batch` events in a response.

        The run stands at event `at` until it was watched; each watch is cut after so many events of `cuts`.
        """
        self.seen = at
        remaining = list(cuts)

        def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
            first = int(request.resume_token or request.after_sequence)
            until = remaining.pop(0) if remaining else len(self.responses)
            told = self.responses[first : first + until]
            for start in range(0, len(told), batch):
                self.seen = max(self.seen, *(response.event.sequence for response in told[start : start + batch]))
                yield _gathered(told[start : start + batch])
            if first + until < len(self.responses):
                cut(context)

        server.on("GetRun", lambda request, context: GetRunResponse(run=self.run(self.seen)))
        server.on("GetTask", lambda request, context: GetTaskResponse(task=self.failed_task()))
        server.on("ListTasks", lambda request, context: ListTasksResponse(tasks=self.tasks(self.seen)))
        server.on("WatchRun", watch)

    def tasks(self, at: int) -> list[Task]:
        """The tasks after event `at`."""
        told = [response.task for response in self.responses[:at] if response.HasField("task")]
        return list({task.name: task for task in told}.values())

    def failed_task(self) -> Task:
        """`fit` with its attempt."""
        task = Task()
        task.CopyFrom([response.task for response in self.responses if response.HasField("task")][-1])
        attempt = Attempt(number=1, state=Attempt.STATE_FAILED, exit_code=3, log_tail=FAILED_LOG)
        task.attempts.append(attempt)
        return task

    def _run(self, state: Run.State.ValueType) -> None:
        run = Run(name=RUN, state=state, event_sequence=len(self.responses) + 1)
        run.start_time.FromSeconds(1_800_000_000)
        if state == Run.STATE_SUCCEEDED:
            run.end_time.FromSeconds(1_800_000_012)
            run.outputs["epochs"].number_value = 5
            run.outputs["message"].string_value = "fine"
        if state == Run.STATE_FAILED:
            run.end_time.FromSeconds(1_800_000_012)
            run.reason, run.message = "TASK_FAILED", "task fit failed"
            run.failed_task = f"{RUN}/tasks/fit"
        event = self._event(Event.SUBJECT_RUN)
        event.run_transition.to_state = state
        self._tell(event, run=run)

    def _task(self, key: str, state: Task.State.ValueType, reason: str = "", message: str = "") -> None:
        parent = "" if key == "root" else f"{RUN}/tasks/root"
        task = Task(name=f"{RUN}/tasks/{key}", key=key, state=state, reason=reason, message=message)
        task.parent_task = parent
        event = self._event(Event.SUBJECT_TASK, reason, message)
        event.task = task.name
        event.task_transition.to_state = state
        self._tell(event, task=task)

    def _notice(self, reason: str, message: str) -> None:
        event = self._event(Event.SUBJECT_NOTICE, reason, message)
        event.notice.SetInParent()
        self._tell(event)

    def _event(self, subject: Event.Subject.ValueType, reason: str = "", message: str = "") -> Event:
        event = Event(run=RUN, sequence=len(self.responses) + 1, subject=subject)
        event.reason, event.message = reason, message
        event.time.FromSeconds(1_800_000_000 + event.sequence)
        return event

    def _tell(self, event: Event, **resource: Any) -> None:
        self.responses.append(WatchRunResponse(event=event, resume_token=str(event.sequence), **resource))


def _gathered(responses: list[WatchRunResponse]) -> WatchRunResponse:
    first = WatchRunResponse()
    first.CopyFrom(responses[0])
    first.more.extend(responses[1:])
    return first
