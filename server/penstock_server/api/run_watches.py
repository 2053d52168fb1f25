"""RunService: the watches. What is new is read by position; notifications only say when to look.

A watch reads no further than its client takes: a slow client has nothing piled up for it here.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.filters import parse_filter
from penstock_server.api.run_reads import task_messages
from penstock_server.api.runs import FIELDS
from penstock_server.engine.wakeups import Wakeup, Wakeups
from penstock_server.model.errors import NotFound
from penstock_server.model.ids import RunUid
from penstock_server.model.query import Filter
from penstock_server.model.resources import Event, EventSubject, Run
from penstock_server.rpc.call import Call
from penstock_server.rpc.paging import Cursor, Tokens
from penstock_server.store import events, namespaces, run_views, runs
from penstock_server.store.database import Connection, Database
from penstock_server.store.events import Position
from penstock_server.store.run_views import RunView

BATCH = 200
"""Events read at a time."""
RESPONSE_BYTES_MAX = 512 * 1024
"""A response that tells of several events is not made larger by a further one."""
LATE_TRIES = 5
"""A notification can come before what it tells of may be read: across runs, older transactions come first."""
LATE_WAIT_S = 0.01
"""Before the first of those tries; twice as long before each further one."""


@dataclass(frozen=True, slots=True)
class RunWatches:
    """Serves the watching rpcs of `penstock.v1.RunService`; the schema says what each does."""

    database: Database
    tokens: Tokens
    wakeups: Wakeups

    async def watch_run(self, request: pb.WatchRunRequest, _call: Call) -> AsyncGenerator[pb.WatchRunResponse, None]:
        """The events of one run, up to the one that finishes it."""
        async with self.database.connection() as connection:
            run = await runs.get(connection, *names.RUN.parse(request.name))
        question = ("WatchRun", request.name)
        after = _start(run, self.tokens.read_resume(request.resume_token, *question), request.after_sequence)
        with self.wakeups.of_run(run.uid) as wakeup:
            while True:
                async with self.database.connection() as connection:
                    found = await events.list_run(connection, run.uid, after, BATCH)
                    responses = await _told(connection, run, found)
                    after = found[-1].sequence if found else after
                    finished = await _is_over(connection, run.uid, after, found)
                for response in responses:
                    response.resume_token = self.tokens.write((str(run.uid), response.event.sequence), *question)
                for response in _gathered(responses, request.batch_size):
                    yield response
                if finished:
                    return
                if len(found) < BATCH:
                    await wakeup.wait()

    async def watch_runs(self, request: pb.WatchRunsRequest, _call: Call) -> AsyncGenerator[pb.WatchRunsResponse, None]:
        """The moves of the runs of a namespace, without end."""
        (namespace,) = names.NAMESPACE.parse(request.parent, "parent")
        condition = parse_filter(request.filter, FIELDS)
        question = ("WatchRuns", namespace, request.filter)
        cursor = self.tokens.read_resume(request.resume_token, *question)
        with self.wakeups.of_all() as wakeup:
            async with self.database.connection() as connection:
                await namespaces.get(connection, namespace)
                position = await events.current_position(connection)
            synced = cursor is None
            if cursor is None:
                yield pb.WatchRunsResponse(synced=True, resume_token=self._token(position, question))
            else:
                position = _position(cursor)
            async with aclosing(self._moves(namespace, position, condition, wakeup)) as batches:
                async for found, views in batches:
                    for event in found:
                        position = events.position_of(event)
                        if event.run_uid in views:
                            token = self._token(position, question)
                            yield _move(event, views[event.run_uid], synced=synced, resume_token=token)
                    caught_up = not synced and len(found) < BATCH
                    synced = synced or caught_up
                    if caught_up or (found and found[-1].run_uid not in views):
                        token = self._token(position, question)
                        yield pb.WatchRunsResponse(synced=synced, resume_token=token)

    async def _moves(
        self, namespace: str, position: Position, condition: Filter | None, wakeup: Wakeup
    ) -> AsyncGenerator[tuple[Sequence[Event], Mapping[RunUid, RunView]], None]:
        """Batches of moves, with those of their runs that the condition holds for; empty ones in between."""
        tries = LATE_TRIES
        while True:
            async with self.database.connection() as connection:
                found = await events.list_namespace(connection, namespace, position, BATCH)
                uids = {event.run_uid for event in found}
                views = await run_views.of_uids(connection, namespace, uids, condition)
            if found:
                position = events.position_of(found[-1])
            yield found, views
            if len(found) == BATCH:
                continue
            if not found and tries < LATE_TRIES:
                tries = 0 if await wakeup.wait(LATE_WAIT_S * 2**tries) else tries + 1
            else:
                tries = 0 if await wakeup.wait() else LATE_TRIES

    def _token(self, position: Position, question: tuple[str, ...]) -> str:
        cursor = (position.transaction_id, str(position.run_uid), position.sequence)
        return self.tokens.write(cursor, *question)


def _move(event: Event, view: RunView, *, synced: bool, resume_token: str) -> pb.WatchRunsResponse:
    return pb.WatchRunsResponse(
        run=convert.run(view),
        event=convert.event(event, view.run.namespace, view.run.id),
        synced=synced,
        resume_token=resume_token,
    )


def _position(cursor: Cursor) -> Position:
    transaction_id, run_uid, sequence = cursor
    return Position(int(str(transaction_id)), UUID(str(run_uid)), int(str(sequence)))


def _start(run: Run, cursor: Cursor | None, after_sequence: int) -> int:
    """The number behind which a watch begins. Raises NotFound RUN_DELETED for a token of an earlier run."""
    if cursor is None:
        return after_sequence
    uid, sequence = cursor
    if uid != str(run.uid):
        raise _deleted()
    return int(str(sequence))


async def _told(connection: Connection, run: Run, found: Sequence[Event]) -> list[pb.WatchRunResponse]:
    """The events as responses, with run or task as they are now."""
    about_tasks = {event.task_id for event in found if event.subject is EventSubject.TASK and event.task_id}
    current = await run_views.tasks_of_ids(connection, run.uid, about_tasks)
    messages = await task_messages(connection, run, list(current.values()))
    by_id = dict(zip(current, messages, strict=True))
    about_run = any(event.subject is EventSubject.RUN for event in found)
    view = await _current(connection, run) if about_run else None
    run_message = convert.run(view) if view is not None else None
    return [
        pb.WatchRunResponse(
            event=convert.event(event, run.namespace, run.id),
            run=run_message if event.subject is EventSubject.RUN else None,
            task=by_id.get(event.task_id) if event.subject is EventSubject.TASK and event.task_id else None,
        )
        for event in found
    ]


def _gathered(responses: Sequence[pb.WatchRunResponse], size: int) -> Iterator[pb.WatchRunResponse]:
    """The same, up to `size` in one. Each response costs a turn of the event loop, whatever it holds."""
    if size <= 1:
        yield from responses
        return
    first: pb.WatchRunResponse | None = None
    size_bytes = 0
    for response in responses:
        response_bytes = response.ByteSize()
        if first is not None and len(first.more) + 1 < size and size_bytes + response_bytes <= RESPONSE_BYTES_MAX:
            first.more.append(response)
            size_bytes += response_bytes
            continue
        if first is not None:
            yield first
        first, size_bytes = response, response_bytes
    if first is not None:
        yield first


async def _current(connection: Connection, run: Run) -> RunView | None:
    """The run as it is now; None when it was deleted, whatever goes by its name since."""
    try:
        view = await run_views.get(connection, run.namespace, run.id)
    except NotFound:
        return None
    return view if view.run.uid == run.uid else None


async def _is_over(connection: Connection, uid: RunUid, after: int, found: Sequence[Event]) -> bool:
    """True when the run has ended and its last event was told, and nobody has asked for it to go on.

    Raises NotFound RUN_DELETED when there is no such run any more.
    """
    if found and not any(event.subject is EventSubject.RUN for event in found):
        return False  # Only a move of the run can be the end.
    over = await run_views.is_over(connection, uid, after)
    if over is None:
        raise _deleted()
    return over


def _deleted() -> NotFound:
    return NotFound("RUN_DELETED", "the run was deleted; nothing more will be told of it")
