"""Making jobs and watching them: the methods of the client itself."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from penstock.effects import Emit, Items, Operation, invoke
from penstock.faces import Face, items, operation
from penstock.job_schedules import schedule_fields
from penstock.names import Ref, namespace_name, resource_name
from penstock.policies import Seconds
from penstock.resuming import Backoff, invoke_repeatably
from penstock.run_messages import run_message
from penstock.spec_source import Spec
from penstock.v1 import job_service_pb2
from penstock.v1.job_pb2 import Job
from penstock.v1.job_service_pb2 import WatchJobResponse
from penstock.watching import JobChanges

WATCHING = Backoff()


class SchedulingMethods(Face):
    """What a client does with jobs, beside `client.jobs`."""

    @operation
    def create_job(
        self,
        source: Spec | Ref,
        parameters: Mapping[str, object] | None = None,
        *,
        cron: str = "",
        every: Seconds = None,
        time_zone: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        catch_up: str = "",
        catch_up_limit: int = 0,
        overlap: str = "",
        max_concurrency: int = 0,
        jitter: Seconds = None,
        max_consecutive_failures: int = 0,
        job_id: str = "",
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        disabled: bool = False,
        run_display_name: str = "",
        run_description: str = "",
        run_labels: Mapping[str, str] | None = None,
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
    ) -> Operation[Job]:
        """Make a job: a run that is made again and again, by a `cron` expression or `every` so often.

        `source`, `parameters` and what follows `disabled` say what each run is, as in `create_run`; of a pipeline's
        `@latest` each run takes the newest version of its time. Texts in `parameters` may hold macros such as
        `${slot.time}`.

        No slot lies before `start_time` or after `end_time`. `catch_up` (NONE, LATEST, ALL) says what happens to slots
        that were missed, `overlap` (ALLOW, SKIP, QUEUE_ONE, QUEUE_ALL, REPLACE) what happens to a slot while
        `max_concurrency` runs are not finished. After `max_consecutive_failures` the job is disabled. With
        `validate_only` everything is checked and nothing is made.

        Raises InvalidArgumentError (see `violations`), AlreadyExistsError, NotFoundError.

        The call is repeated while the server is away for a moment; its `request_id`, made up unless given, keeps that
        from making a second job.
        """
        schedule = schedule_fields(
            cron=cron,
            every=every,
            time_zone=time_zone,
            start_time=start_time,
            end_time=end_time,
            catch_up=catch_up,
            catch_up_limit=catch_up_limit,
            overlap=overlap,
            max_concurrency=max_concurrency,
            jitter=jitter,
            max_consecutive_failures=max_consecutive_failures,
        )
        run = run_message(
            self._namespace,
            source,
            parameters,
            display_name=run_display_name,
            description=run_description,
            labels=run_labels,
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
        request = job_service_pb2.CreateJobRequest(
            parent=namespace_name(self._namespace),
            job_id=job_id,
            job=Job(display_name=display_name, description=description, labels=labels, run=run, **schedule),
            disabled=disabled,
            request_id=request_id or str(uuid.uuid4()),
            validate_only=validate_only,
        )
        response = yield from invoke_repeatably(request, job_service_pb2.CreateJobResponse)
        return response.job

    @items
    def watch_job(
        self, job: Ref, *, after_sequence: int = 0, resume_token: str = "", backoff: Backoff = WATCHING
    ) -> Items[WatchJobResponse]:
        """A job and its slots as they are, then each change, until the job is deleted.

        Begins with the job and all its slots, or those changed after `after_sequence`, or after the response whose
        `resume_token` is given. A cut connection is made again, with pauses and for as long as `backoff` says. Raises
        NotFoundError, with the reason JOB_DELETED when the job is deleted on the way.
        """
        name = resource_name(self._namespace, "jobs", job)
        if isinstance(job, str):
            # A name alone may be wrong and the server away: say so at once instead of trying for minutes.
            yield from invoke(job_service_pb2.GetJobRequest(name=name), job_service_pb2.GetJobResponse)
        changes = JobChanges(name, after_sequence=after_sequence, resume_token=resume_token, backoff=backoff)
        while (response := (yield from changes.next())) is not None:
            yield Emit(response)
