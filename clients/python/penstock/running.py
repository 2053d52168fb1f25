"""Making runs, watching them and waiting for them: the methods of the client itself."""

import uuid
from collections.abc import Mapping

from penstock.effects import Emit, Items, Operation, invoke, now
from penstock.faces import Face, items, operation
from penstock.names import Ref, namespace_name, resource_name, task_name
from penstock.policies import Seconds
from penstock.resuming import Backoff, invoke_repeatably
from penstock.run_messages import run_message
from penstock.spec_source import Spec
from penstock.v1 import run_service_pb2
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import ReadLogsResponse, WatchRunResponse, WatchRunsResponse
from penstock.watching import LogPieces, RunEvents, RunMoves, has_ended

WATCHING = Backoff()


class RunningMethods(Face):
    """What a client does with a run from its making to its end."""

    @operation
    def create_run(
        self,
        source: Spec | Ref,
        parameters: Mapping[str, object] | None = None,
        *,
        run_id: str = "",
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        experiment: Ref | None = None,
        cache_policy: str = "",
        cache_max_age: Seconds = None,
        deadline: Seconds = None,
        task_timeout: Seconds = None,
        queue_timeout: Seconds = None,
        priority: int = 0,
        max_parallel_tasks: int = 0,
        artifact_root: str = "",
        request_id: str = "",
        validate_only: bool = False,
    ) -> Operation[Run]:
        """Make a run; returns as soon as the server has stored it.

        `source` is a path to a compiled pipeline, its text, its IR as a dict, or a pipeline that the server keeps:
        `line-fit`, `line-fit@3`, a whole name, a Pipeline or PipelineVersion message. `cache_policy` is DEFAULT,
        DISABLED or REFRESH, by default what the pipeline version or the server says; results older than
        `cache_max_age` are not reused. `deadline` is how long the run may take, `task_timeout` each attempt at a step,
        `queue_timeout` the wait of a step for a slot (numbers mean seconds). Of runs with a higher `priority` (-1000 to
        1000) steps start first; `max_parallel_tasks` bounds its steps at a time. With `validate_only` everything is
        checked and nothing is made. Raises InvalidArgumentError (spec or parameters; see `violations`),
        UnimplementedError (the spec asks for what the server cannot do), NotFoundError.

        The call is repeated while the server is away for a moment; its `request_id`, made up unless given, keeps that
        from making a second run.
        """
        run = run_message(
            self._namespace,
            source,
            parameters,
            display_name=display_name,
            description=description,
            labels=labels,
            experiment=experiment,
            cache_policy=cache_policy,
            cache_max_age=cache_max_age,
            deadline=deadline,
            task_timeout=task_timeout,
            queue_timeout=queue_timeout,
            priority=priority,
            max_parallel_tasks=max_parallel_tasks,
            artifact_root=artifact_root,
        )
        request = run_service_pb2.CreateRunRequest(
            parent=namespace_name(self._namespace),
            run_id=run_id,
            run=run,
            request_id=request_id or str(uuid.uuid4()),
            validate_only=validate_only,
        )
        response = yield from invoke_repeatably(request, run_service_pb2.CreateRunResponse)
        return response.run

    @items
    def watch_run(
        self, run: Ref, *, after_sequence: int = 0, resume_token: str = "", backoff: Backoff = WATCHING
    ) -> Items[WatchRunResponse]:
        """The events of a run, each once and in order, until the run has ended.

        Begins with the first event, or after `after_sequence`, or after the response whose `resume_token`
        is given. A cut connection is made again, with pauses and for as long as `backoff` says.
        """
        name = resource_name(self._namespace, "runs", run)
        if isinstance(run, str):
            # A name alone may be wrong and the server away: say so at once instead of trying for minutes.
            yield from _get_run(name)
        events = RunEvents(name, after_sequence=after_sequence, resume_token=resume_token, backoff=backoff)
        while (response := (yield from events.next())) is not None:
            yield Emit(response)

    @items
    def watch_runs(
        self, *, filter: str = "", resume_token: str = "", backoff: Backoff = WATCHING
    ) -> Items[WatchRunsResponse]:
        """The moves of all runs of the namespace that match `filter`, from now on, without end.

        The first response, `synced` and without a run, says that from here on nothing is missed.
        """
        parent = namespace_name(self._namespace)
        moves = RunMoves(parent, filter=filter, resume_token=resume_token, backoff=backoff)
        while (response := (yield from moves.next())) is not None:
            yield Emit(response)

    @operation
    def wait(self, run: Ref, timeout: float | None = None, *, backoff: Backoff = WATCHING) -> Operation[Run]:
        """Wait for a run to end and return it, whatever its state.

        Raises TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else (yield from now()) + timeout
        name = resource_name(self._namespace, "runs", run)
        seen = run if isinstance(run, Run) and not has_ended(run) else (yield from _get_run(name))
        while not has_ended(seen):
            events = RunEvents(name, after_sequence=seen.event_sequence, run=seen, backoff=backoff, deadline=deadline)
            seen = (yield from _last_run(events)) or (yield from _get_run(name))
        return seen

    @items
    def logs(
        self,
        run: Ref,
        task: Ref,
        *,
        attempt: int = 0,
        offset: int = 0,
        follow: bool = False,
        backoff: Backoff = WATCHING,
    ) -> Items[ReadLogsResponse]:
        """What a step wrote to stdout and stderr, in pieces; `content` of a piece are its bytes.

        Of the newest attempt unless `attempt` gives a number; from byte `offset` on. With `follow` until
        the attempt has ended. Goes on after a cut, with no byte missing or repeated.
        """
        name = task_name(self._namespace, run, task)
        pieces = LogPieces(name, attempt=attempt, offset=offset, follow=follow, backoff=backoff)
        while (piece := (yield from pieces.next())) is not None:
            yield Emit(piece)


def _get_run(name: str) -> Operation[Run]:
    request = run_service_pb2.GetRunRequest(name=name, view=Run.VIEW_BASIC)
    response = yield from invoke(request, run_service_pb2.GetRunResponse)
    return response.run


def _last_run(events: RunEvents) -> Operation[Run | None]:
    """The newest run a watch showed, once it has ended or the watch has."""
    seen: Run | None = None
    while (response := (yield from events.next())) is not None:
        seen = response.run if response.HasField("run") else seen
        if seen is not None and has_ended(seen):
            break
    return seen
