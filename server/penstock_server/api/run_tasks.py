"""RunService: the tasks and events of runs, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.run_reads import task_messages
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.ids import TaskId
from penstock_server.model.query import Page, Rows
from penstock_server.model.resources import KUBERNETES, Event, EventSubject, Run, Task, TaskKind
from penstock_server.model.states import TaskState
from penstock_server.rpc.call import Call
from penstock_server.store import run_views, runs, tasks
from penstock_server.store.database import Connection, Database

_INTERNAL = "position"
"""The order in which tasks came to be: the default, and nothing that a caller can name."""
_TASK_ORDERS = frozenset({"name", "create_time", "start_time", "end_time"})

TASK_FIELDS = ListFields(
    {name: kind for name, kind in run_views.TASKS.fields.items() if name != _INTERNAL},
    enums={"kind": frozenset(TaskKind), "state": frozenset(TaskState)},
    orders=_TASK_ORDERS,
)
EVENT_FIELDS = ListFields(
    run_views.EVENTS.fields, enums={"subject": frozenset(EventSubject)}, orders=run_views.EVENTS.orders
)


@dataclass(frozen=True, slots=True)
class RunTasks:
    """Serves the rpcs of `penstock.v1.RunService` on tasks and events; the schema says what each does."""

    database: Database
    lists: Lists

    async def list_tasks(self, request: pb.ListTasksRequest, _call: Call) -> pb.ListTasksResponse:
        """A page of the tasks of a run, or of one of its tasks."""
        scope = names.RUN.parse(request.parent, "parent")
        parent_id = _parent_task(request.parent_task, scope)
        async with self.database.connection() as connection:
            run = await runs.get(connection, *scope)

            async def respond(items: Sequence[Task]) -> pb.ListTasksResponse:
                messages = await task_messages(connection, run, items)
                newest = await tasks.newest_attempts(connection, run.uid, _ids(items), KUBERNETES)
                for item, message in zip(items, messages, strict=True):
                    convert.add_pod(message, newest.get(item.id))
                return pb.ListTasksResponse(tasks=messages)

            return await self.lists.answer(
                request,
                TASK_FIELDS,
                ("ListTasks", str(run.uid), request.parent_task),
                lambda page: _list(connection, run, page, parent_id),
                respond,
            )

    async def get_task(self, request: pb.GetTaskRequest, _call: Call) -> pb.GetTaskResponse:
        """One task with its attempts."""
        namespace, run_id, task_id = names.TASK.parse(request.name)
        async with self.database.connection() as connection:
            run = await runs.get(connection, namespace, run_id)
            task = await tasks.get(connection, run.uid, TaskId(task_id))
            (message,) = await task_messages(connection, run, [task])
            attempts = await tasks.attempts(connection, run.uid, task.id)
        message.attempts.extend(map(convert.attempt, attempts))
        convert.add_pod(message, attempts[-1] if attempts else None)
        return pb.GetTaskResponse(task=message)

    async def list_events(self, request: pb.ListEventsRequest, _call: Call) -> pb.ListEventsResponse:
        """A page of the events of a run."""
        scope = names.RUN.parse(request.parent, "parent")
        async with self.database.connection() as connection:
            run = await runs.get(connection, *scope)

            async def respond(items: Sequence[Event]) -> pb.ListEventsResponse:
                return pb.ListEventsResponse(events=[convert.event(event, *scope) for event in items])

            return await self.lists.answer(
                request,
                EVENT_FIELDS,
                ("ListEvents", str(run.uid), str(request.after_sequence)),
                lambda page: run_views.list_events(connection, run, page, request.after_sequence),
                respond,
            )


def _ids(items: Sequence[Task]) -> list[TaskId]:
    return [item.id for item in items if item.attempt_count]


def _parent_task(name: str, scope: tuple[str, ...]) -> TaskId | None:
    if not name:
        return None
    *run, task = names.TASK.parse(name, "parent_task")
    if tuple(run) != scope:
        description = f"must be a task of {names.RUN.format(*scope)}"
        violation = FieldViolation("parent_task", description)
        raise InvalidArgument("INVALID_REQUEST", f"parent_task {description}", violations=[violation])
    return TaskId(task)


async def _list(connection: Connection, run: Run, page: Page, parent_id: TaskId | None) -> Rows[Task]:
    rows = await run_views.list_tasks(connection, run, page, parent_id)
    if not rows.items and parent_id is not None:
        await tasks.get(connection, run.uid, parent_id)
    return rows
