"""The streams of the API that resume: the events of a run, the moves of all runs, the log of a step, a job."""

from collections.abc import Iterable

from grpc import StatusCode

from penstock.errors import InternalError
from penstock.resuming import Backoff, ResumingStream
from penstock.v1 import job_service_pb2, run_service_pb2
from penstock.v1.run_pb2 import Run

FINAL_STATES = frozenset({Run.STATE_SUCCEEDED, Run.STATE_FAILED, Run.STATE_CANCELLED})
"""The states in which a run has ended."""
BATCH_SIZE = 200
"""So many events of a run are asked for in one response."""


def has_ended(run: Run) -> bool:
    """True when the run has reached a final state."""
    return run.state in FINAL_STATES


class RunEvents(ResumingStream[run_service_pb2.WatchRunResponse]):
    """The events of one run, each once and in order."""

    def __init__(
        self,
        name: str,
        *,
        after_sequence: int = 0,
        resume_token: str = "",
        run: Run | None = None,
        backoff: Backoff,
        deadline: float | None = None,
    ) -> None:
        super().__init__(run_service_pb2.WatchRunResponse, backoff=backoff, deadline=deadline)
        self._name = name
        self._after_sequence = after_sequence
        self._resume_token = resume_token
        # With a token from elsewhere the sequence it stands for is not known.
        self._last_sequence = 0 if resume_token else after_sequence
        self._run = run

    def request(self) -> run_service_pb2.WatchRunRequest:
        return run_service_pb2.WatchRunRequest(
            name=self._name,
            after_sequence=self._after_sequence,
            resume_token=self._resume_token,
            batch_size=BATCH_SIZE,
        )

    def parts(self, response: run_service_pb2.WatchRunResponse) -> Iterable[run_service_pb2.WatchRunResponse]:
        more = list(response.more)
        del response.more[:]
        return (response, *more)

    def accept(self, response: run_service_pb2.WatchRunResponse) -> bool:
        sequence = response.event.sequence
        if sequence <= self._last_sequence:
            return False
        if self._last_sequence and sequence != self._last_sequence + 1:
            message = f"{self._name}: event {sequence} came after event {self._last_sequence}; watch it again"
            raise InternalError(StatusCode.INTERNAL, message, reason="EVENTS_MISSING")
        self._last_sequence = sequence
        self._resume_token = response.resume_token
        if response.HasField("run"):
            self._run = response.run
        return True

    def is_complete(self) -> bool:
        """A watch ends with the run: when the run seen last has not ended, the stream was cut politely."""
        return self._run is None or has_ended(self._run)


class RunMoves(ResumingStream[run_service_pb2.WatchRunsResponse]):
    """The moves of all runs of a namespace."""

    def __init__(self, parent: str, *, filter: str = "", resume_token: str = "", backoff: Backoff) -> None:
        super().__init__(run_service_pb2.WatchRunsResponse, backoff=backoff)
        self._parent = parent
        self._filter = filter
        self._resume_token = resume_token

    def request(self) -> run_service_pb2.WatchRunsRequest:
        return run_service_pb2.WatchRunsRequest(
            parent=self._parent, filter=self._filter, resume_token=self._resume_token
        )

    def accept(self, response: run_service_pb2.WatchRunsResponse) -> bool:
        self._resume_token = response.resume_token
        return True

    def is_complete(self) -> bool:
        """It never ends by itself."""
        return False


class LogPieces(ResumingStream[run_service_pb2.ReadLogsResponse]):
    """The log of one attempt, each byte once."""

    def __init__(self, name: str, *, attempt: int, offset: int, follow: bool, backoff: Backoff) -> None:
        super().__init__(run_service_pb2.ReadLogsResponse, backoff=backoff)
        self._name = name
        self._attempt = attempt
        self._offset = offset
        self._follow = follow

    def request(self) -> run_service_pb2.ReadLogsRequest:
        return run_service_pb2.ReadLogsRequest(
            name=self._name, attempt=self._attempt, offset=self._offset, follow=self._follow
        )

    def accept(self, response: run_service_pb2.ReadLogsResponse) -> bool:
        # The newest attempt may be another one after a cut: stay with the one that was begun.
        self._attempt = response.attempt or self._attempt
        self._offset = response.next_offset
        return bool(response.content)


class JobChanges(ResumingStream[job_service_pb2.WatchJobResponse]):
    """A job and its slots, and how they change."""

    def __init__(self, name: str, *, after_sequence: int = 0, resume_token: str = "", backoff: Backoff) -> None:
        super().__init__(job_service_pb2.WatchJobResponse, backoff=backoff)
        self._name = name
        self._after_sequence = after_sequence
        self._resume_token = resume_token

    def request(self) -> job_service_pb2.WatchJobRequest:
        return job_service_pb2.WatchJobRequest(
            name=self._name, after_sequence=self._after_sequence, resume_token=self._resume_token
        )

    def accept(self, response: job_service_pb2.WatchJobResponse) -> bool:
        self._resume_token = response.resume_token
        return True

    def is_complete(self) -> bool:
        """It ends only with an error, when the job is deleted."""
        return False
