"""Event logs as clients read them, brought back into the model's values for the checker."""

import uuid
from collections.abc import Sequence
from datetime import UTC

from penstock import Client
from penstock.v1 import event_pb2, run_service_pb2, task_pb2
from penstock.v1.run_pb2 import Run
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import Event, EventSubject


def events_of(client: Client, run: Run) -> list[Event]:
    """All events of `run`, in order, over as many pages as it takes."""
    request = run_service_pb2.ListEventsRequest(parent=run.name, page_size=1000)
    events: list[Event] = []
    while True:
        page = client.stubs.run.ListEvents(request)
        events += [_event(run, event) for event in page.events]
        if not page.next_page_token:
            return events
        request.page_token = page.next_page_token


def tasks_of(client: Client, run: Run) -> Sequence[task_pb2.Task]:
    """All tasks of `run`."""
    request = run_service_pb2.ListTasksRequest(parent=run.name, page_size=1000)
    return client.stubs.run.ListTasks(request).tasks


def _event(run: Run, event: event_pb2.Event) -> Event:
    kind = event.WhichOneof("transition")
    before, after = None, None
    if kind != "notice":
        transition = getattr(event, kind or "")
        names = transition.DESCRIPTOR.fields_by_name["to_state"].enum_type.values_by_number
        before = names[transition.from_state].name.removeprefix("STATE_") if transition.from_state else None
        after = names[transition.to_state].name.removeprefix("STATE_")
    return Event(
        run_uid=RunUid(uuid.UUID(run.uid)),
        sequence=event.sequence,
        transaction_id=0,
        time=event.time.ToDatetime(UTC),
        subject=EventSubject(event_pb2.Event.Subject.Name(event.subject).removeprefix("SUBJECT_")),
        task_id=TaskId(event.task.rsplit("/", 1)[-1]) if event.task else None,
        attempt=event.attempt or None,
        from_state=before,
        to_state=after,
        reason=event.reason,
        message=event.message,
    )
