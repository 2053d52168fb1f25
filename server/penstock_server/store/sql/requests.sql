-- name: cancel
-- Asks the owner to cancel a run that has not ended; engines are told. Exit tasks, once given up, are not spared again.
UPDATE run
SET cancel_request_time = coalesce(cancel_request_time, now()),
    cancel_exit_tasks = cancel_exit_tasks OR %(exit_tasks)s,
    cancel_message = CASE WHEN cancel_request_time IS NULL THEN %(message)s ELSE cancel_message END
WHERE namespace = %(namespace)s AND id = %(id)s AND end_time IS NULL
    AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid, pg_notify('penstock_run', uid::text);

-- name: cancel_of_job
-- Asks the owners to cancel the runs of a job that have not ended; engines are told.
UPDATE run
SET cancel_request_time = coalesce(cancel_request_time, now()),
    cancel_message = CASE WHEN cancel_request_time IS NULL THEN %(message)s ELSE cancel_message END
WHERE job_uid = %(job_uid)s AND end_time IS NULL
RETURNING uid, pg_notify('penstock_run', uid::text);

-- name: pause
-- Asks the owner to start nothing new, or to go on, where that is not so already; engines are told.
UPDATE run
SET pause_time = CASE WHEN %(paused)s THEN now() END, pause_request_time = now(), update_time = now()
WHERE namespace = %(namespace)s AND id = %(id)s AND state IN ('PENDING', 'RUNNING') AND cancel_request_time IS NULL
    AND (pause_time IS NOT NULL) <> %(paused)s
    AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid, pg_notify('penstock_run', uid::text);

-- name: retry
-- Asks for a failed or cancelled run to go on, unless it ran elsewhere; engines are told.
UPDATE run
SET retry_request_time = now()
WHERE namespace = %(namespace)s AND id = %(id)s AND state IN ('FAILED', 'CANCELLED')
    AND retry_request_time IS NULL AND delete_request_time IS NULL AND origin = ''
    AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid, pg_notify('penstock_run', uid::text);

-- name: delete
-- Asks the owner to cancel a run that has not ended, and to delete it then; engines are told.
UPDATE run
SET delete_request_time = coalesce(delete_request_time, now())
WHERE namespace = %(namespace)s AND id = %(id)s AND (end_time IS NULL OR retry_request_time IS NOT NULL)
    AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid, pg_notify('penstock_run', uid::text);

-- name: delete_ended
-- Deletes a run that has ended; watchers and servers are told.
WITH gone AS (
    DELETE FROM run
    WHERE namespace = %(namespace)s AND id = %(id)s AND end_time IS NOT NULL AND retry_request_time IS NULL
        AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
    RETURNING uid
)
SELECT uid, pg_notify('penstock_event', uid::text), pg_notify('penstock_deleted', uid::text) FROM gone;
