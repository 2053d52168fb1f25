-- name: header
-- What an engine has to know of a run beside its rows.
SELECT run.owner, run.fence, now(), spec.document, run.cancel_request_time IS NOT NULL, run.cancel_message,
    run.cancel_exit_tasks, CASE WHEN run.pause_request_time IS NOT NULL THEN run.pause_time IS NOT NULL END,
    run.retry_request_time IS NOT NULL, run.delete_request_time IS NOT NULL,
    run.limits_request_time IS NOT NULL, run.priority, run.max_parallel_tasks
FROM run
JOIN spec ON spec.digest = run.spec_digest
WHERE run.uid = %(uid)s;
